"""Pictures that are read, or made, when they are asked for."""

import errno
import pickle
import weakref

import numpy as np
import pytest
import torch
from torch import nn
from toys import network

from perturb import scratch
from perturb.errors import InputError
from perturb.identity import digest_of
from perturb.images.spool import Spool, spooled
from perturb.plan import pictures_for
from perturb.stack import Stack, each
from perturb.stories.qualify import Bench, Context, examine
from perturb.suite import parse_suite

COUNT = 120  # photographs of a run
SUITE = f"""
name = "many"
images = {{ source = "noise", count = {COUNT} }}
evaluator = {{ kind = "score", threshold = 0.5 }}
[[check]]
name = "pixel"
perturbation = {{ kind = "pixel" }}
level = 0.5
pairs = 1
claim = {{ quantity = "accuracy-loss", at_most = 0.1 }}
"""


@pytest.fixture
def pictures(rng) -> np.ndarray:
    return rng.integers(0, 256, (9, 2, 4, 5)).astype(np.float32) / 255


@pytest.mark.parametrize("room", [0, 2**20])
@pytest.mark.parametrize("kind", ["8 bits", "float32", "bool"])
def test_what_comes_out_is_what_went_in(pictures, kind, room, monkeypatch):
    """On disk and in memory, bit for bit; each time a new array that may be written to."""
    monkeypatch.setattr(scratch, "IN_MEMORY", room)
    given = {"8 bits": pictures, "float32": pictures * np.float32(0.7), "bool": pictures > 0.5}[kind]
    stack = spooled(given)
    assert stack.shape == given.shape
    for place in (8, 0, 3):
        stack[place][:] = 0
        assert stack[place].dtype == given.dtype
        np.testing.assert_array_equal(stack[place], given[place])


def test_a_stack_reads_as_an_array_does(pictures):
    stack = spooled(pictures)
    np.testing.assert_array_equal(stack[:, 1, 2:], pictures[:, 1, 2:])
    assert stack[3, 0, 1, 2] == pictures[3, 0, 1, 2]
    assert (stack.dtype, stack.ndim, stack.max()) == (pictures.dtype, 4, pictures.max())
    with pytest.raises(AttributeError):
        _ = stack.means


def test_a_value_takes_a_byte_where_8_bits_hold_all(pictures, rng):
    """Each picture by itself."""
    mixed = Spool()
    mixed.add(pictures[0])
    assert mixed.file.size == 40
    mixed.add(rng.random((2, 4, 5), dtype=np.float32))
    assert mixed.file.size == 40 + 160


def test_a_part_is_a_stack_of_the_same_pictures(pictures):
    stack = spooled(pictures)
    for which in (slice(2, 7), np.array([5, 1, 1]), np.arange(9) % 2 == 0):
        part = stack[which]
        assert isinstance(part, Stack)
        np.testing.assert_array_equal(np.asarray(part), pictures[which])
        np.testing.assert_array_equal([*part[1:]], pictures[which][1:])


def test_an_empty_part_keeps_its_shape(pictures):
    assert np.asarray(spooled(pictures)[:0]).shape == (0, 2, 4, 5)


def test_another_process_is_given_the_pictures(pictures):
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(spooled(pictures)[3:])), pictures[3:])


def test_stacks_of_one_digest_hold_the_same_pictures(pictures):
    other = pictures.copy()
    other[8, 1, 3, 4] = np.nextafter(other[8, 1, 3, 4], np.float32(2))
    found = [digest_of(spooled(given)[6:]) for given in (pictures, pictures, other)]
    assert found[0] == found[1] != found[2]


def test_each_picture_is_changed_by_its_own_place(pictures):
    made = each(spooled(pictures), lambda place, picture: picture[:, 1:] - place, (2, 3, 5))
    wanted = np.stack([picture[:, 1:] - place for place, picture in enumerate(pictures)])
    np.testing.assert_array_equal(np.asarray(made[4:]), wanted[4:])
    assert made.shape == (9, 2, 3, 5)


def test_a_full_disk_is_one_line(pictures, monkeypatch):
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    one = Spool()
    monkeypatch.setattr(one.file._file, "write", full)
    with pytest.raises(InputError, match="cannot be written: No space left on device"):
        one.add(pictures[0])


def test_a_network_settles_on_a_stack_as_on_a_tensor(rng):
    """Batches of 32, the last one smaller."""
    given = rng.random((70, 3, 8, 8), dtype=np.float32)
    found = []
    for pictures in (torch.from_numpy(given), spooled(given)):
        model = network(nn.Sequential(nn.BatchNorm2d(3), nn.Flatten()), shape=(3, 8, 8))
        model.settle(pictures)
        found.append(model.module[0].running_mean)
    assert torch.equal(*found)
    batches = [part.mean((0, 2, 3)) for part in (given[:32], given[32:64], given[64:])]
    np.testing.assert_allclose(found[0], np.mean(batches, 0), atol=1e-6)


def test_a_run_holds_few_of_its_pictures_at_once(monkeypatch, recwarn):
    """At most those of the map, though each is read several times."""
    living: list[weakref.ref[np.ndarray]] = []
    most, read = 0, Spool._read

    def counted(self: Spool, number: int) -> np.ndarray:
        nonlocal living, most
        picture = read(self, number)
        living = [one for one in living if one() is not None] + [weakref.ref(picture)]
        most = max(most, len(living))
        return picture

    monkeypatch.setattr(Spool, "_read", counted)
    module = nn.Sequential(nn.Conv2d(3, 4, 3, stride=2), nn.AdaptiveMaxPool2d(1), nn.Flatten(), nn.Linear(4, 1))
    model, suite = network(nn.Sequential(*module, nn.Flatten(0)), shape=(3, 32, 32)), parse_suite(SUITE, "many")
    bench = Bench(pictures=pictures_for(suite, model.input_shape), controls=())
    run = examine(model, suite, Context(bench=bench))
    assert run.report.images.judged.photographs == COUNT - COUNT * 2 // 5
    assert len(set(run.pictures)) == len(run.pictures) == run.report.images.judged.crops
    assert 1 < most <= suite.map.images + 1
