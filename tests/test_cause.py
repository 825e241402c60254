"""The cause of a FAIL: each rule on arrays whose cause is known, then on networks, then as it is shown."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn
from toys import network

from perturb.quantities.cause import Evidence, cause_of
from perturb.quantities.detection import ACCURACY_LOSS, FLIP_RATE, MISS_RATE, ByCause
from perturb.stories.causes import read_of
from perturb.stories.structure import structure_of

PHOTOGRAPHS, PAIRS = 40, 6


def evidence(lost=0.5, dead=0.5, live=1.0, *, seed=0, edge=None, **changes):
    """Losses of 0 and 1 with this mean, wherever they lie, of objects that are read so strongly in the two arms."""
    shape = (1, PHOTOGRAPHS, PAIRS)
    rng = np.random.default_rng(seed)
    values = (rng.random(shape) < lost).astype(float)
    given = {
        "seen": ByCause(lost=values, paired=values, bounds=(-1.0, 1.0)),
        "photograph": np.arange(PHOTOGRAPHS),
        "edge": rng.integers(8, 50, shape).astype(float) if edge is None else edge,
        "read": (np.full(shape, dead), np.full(shape, live)),
    }
    return Evidence(**given | changes)


@pytest.mark.parametrize(
    ("ratio", "kind"),
    [(0.79, "structural"), (0.81, "not known"), (0.94, "not known"), (0.96, "learned"), (2.0, "learned")],
)  # fmt: skip
def test_the_architecture_tells_structure_from_weights(ratio, kind):
    found = cause_of(evidence(dead=ratio), 0.2)
    assert found.kind == kind
    assert f"{ratio:.2f} times as strongly" in found.words


def test_a_loss_where_nothing_reads_is_a_blind_area():
    there = evidence()
    dead = np.where(there.seen.lost > 0, 0.0, 1.0)
    dead[0, :10] = 1  # a quarter of the photographs reads everything and loses as much
    found = cause_of(replace(there, read=(dead, np.ones_like(dead))), 0.2)
    assert found.kind == "blind area"
    assert "nothing reads the object at" in found.words.lower()
    dead[0, :30] = 1
    assert cause_of(replace(there, read=(dead, np.ones_like(dead))), 0.2).kind != "blind area"


def near_the_edge(outer, inner, seed=1):
    """Misses with these means among the third of the places nearest to the edge, and among the others."""
    rng = np.random.default_rng(seed)
    edge = np.tile([8.0, 9, 20, 21, 22, 23], (1, PHOTOGRAPHS, 1))
    missed = (rng.random(edge.shape) < np.where(edge < 10, outer, inner)).astype(float)
    seen = ByCause(lost=missed, paired=missed * 0, bounds=(0.0, 1.0))
    return evidence(dead=1.0, edge=edge, seen=seen)


def test_a_loss_near_the_edge_alone_is_the_border():
    found = cause_of(near_the_edge(0.9, 0.05), 0.2)
    assert found.kind == "border"
    assert "is lost up to 9 pixels from the edge" in found.words


@pytest.mark.parametrize(("outer", "inner"), [(0.6, 0.6), (0.9, 0.5), (0.15, 0.05), (0.3, 0.1)])
def test_a_loss_further_inside_or_one_that_is_not_shown_near_the_edge_is_no_border(outer, inner):
    assert cause_of(near_the_edge(outer, inner), 0.2).kind != "border"


def test_misses_alike_in_both_arms_are_no_matter_of_phases():
    found = cause_of(near_the_edge(0.6, 0.6), 0.2)
    assert found.kind == "not known"
    assert "not shown that phases matter" in found.words


def test_a_black_box_has_no_known_structure_but_may_have_a_border():
    function = evidence(read=None, unknown="`f` does not show what its pixels reach")
    found = cause_of(function, 0.2)
    assert found.kind == "not known"
    assert found.words.endswith("`f` does not show what its pixels reach.")
    assert cause_of(replace(near_the_edge(0.9, 0.05), read=None), 0.2).kind == "border"


def test_trials_that_the_claim_is_not_about_do_not_count():
    there = evidence(dead=1.0)
    lost, dead = there.seen.lost.copy(), np.ones_like(there.seen.lost)
    lost[..., 3:], dead[..., 3:] = np.nan, 0.0
    found = cause_of(
        replace(there, seen=ByCause(lost=lost, paired=lost, bounds=(-1.0, 1.0)), read=(dead, dead + 1)), 0.2
    )
    assert found.kind == "structural"
    assert "0.67 times" in found.words


def test_what_is_sought_of_each_quantity():
    from toyseen import observed

    seen = observed([[0.0, 1.0]], [[1.0, 1.0]], flips=np.zeros((1, 1, 1, 2, 4)))
    assert ACCURACY_LOSS.by_cause(seen).lost.tolist() == [[[1.0, 0.0]]]
    missed = MISS_RATE.by_cause(seen)
    assert (missed.lost.tolist(), missed.paired.tolist()) == ([[[1.0, 0.0]]], [[[1.0, 0.0]]])
    assert FLIP_RATE.by_cause(seen) is None


def test_the_architecture_is_read_under_the_whole_object():
    values = np.zeros((6, 6))
    values[2, 2], values[2, 3] = 3.0, 1.0
    place = np.array([[[1, 1], [2, 2], [3, 3], [5, 5]]])
    extent = np.broadcast_to(np.array([2, 2]), place.shape)
    assert read_of(values, place, extent).tolist() == [[0.75, 1.0, 0.0, 0.0]]


def test_a_model_whose_pixels_cannot_be_followed_says_why():
    class Product(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.inner = nn.Conv2d(3, 4, 3)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.inner(x) * self.inner(x)

    there = structure_of(network(Product(), shape=(3, 32, 32)), "output")
    assert there.unread is None
    assert "product of two activations" in there.unknown
    assert structure_of(network(nn.Conv2d(3, 4, 1, 2), shape=(3, 32, 32)), "output").unread == 0.75


def test_where_nothing_is_lost_there_is_no_blind_area():
    """A claim below 0 can FAIL where dead places are seen as well as live ones, or better."""
    for lost in (0.0, -0.2):
        values = np.full((1, PHOTOGRAPHS, PAIRS), lost)
        unread = evidence(dead=0.0, seen=ByCause(lost=values, paired=values, bounds=(-1.0, 1.0)))
        assert cause_of(unread, -0.5).kind == "not known"
