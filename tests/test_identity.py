"""What a value's results depend on: what changes a digest, what does not, and what cannot be told."""

import subprocess
import sys
import threading
from collections import OrderedDict
from dataclasses import dataclass
from functools import partial

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional as F

from perturb.code import load_object
from perturb.identity import UntoldError, digest_of

ALIKE = [
    (lambda: {"a": [1, (2.0, None)]}, lambda: {"a": [1, (2.0, None)]}),
    (lambda: {"x", "y", "z"}, lambda: {"z", "y", "x"}),
    (lambda: np.arange(6.0).reshape(2, 3).T, lambda: np.ascontiguousarray(np.arange(6.0).reshape(2, 3).T)),
    (lambda: np.random.default_rng(3), lambda: np.random.default_rng(3)),
    (lambda: float("nan"), lambda: float("nan")),
    (lambda: partial(F.relu, inplace=True), lambda: partial(F.relu, inplace=True)),
]
UNLIKE = [
    (1, 1.0),
    (1, True),
    (0.0, -0.0),
    (1.0, np.nextafter(1.0, 2.0)),
    ("1", 1),
    (b"a", "a"),
    ([1, 2], (1, 2)),
    ([[1], 2], [1, [2]]),
    (["ab", "c"], ["a", "bc"]),
    ({1: 2}, {2: 1}),
    ({1: 2}, OrderedDict({1: 2})),
    (np.zeros(2), np.zeros(2, np.float32)),
    (np.zeros((2, 3)), np.zeros((3, 2))),
    (np.array([1, 2], np.int32), torch.tensor([1, 2], dtype=torch.int32)),
    (torch.zeros(2), torch.zeros(2, dtype=torch.float64)),
    (torch.relu, torch.tanh),
    (nn.ReLU(), nn.ReLU(inplace=True)),
    (nn.ReLU(), nn.Tanh()),
    (nn.MaxPool2d(2, stride=2), nn.MaxPool2d(2, stride=1)),
    (nn.ReLU().eval(), nn.ReLU().train()),
    (np.random.default_rng(3), np.random.default_rng(4)),
    (lambda x: x + 1, lambda x: x + 2),
    (lambda x, y=1: x + y, lambda x, y=2: x + y),
    (partial(F.relu, inplace=True), partial(F.relu, inplace=False)),
    (torch.float32, torch.float64),
    (None, ...),
]
SOURCE = """
import helper
from helper import shift
LIMIT = {limit}
class Base:
    def above(self, x): return x > {inner}
class Mine(Base):
    scale = {scale}
    def __init__(self): self.state = {state}
    def evidence(self, x): return shift(x) * self.scale > LIMIT
    @property
    def half(self): return {half}
    @staticmethod
    def still(x): return x + {still}
def outer(x):
    def inner(y): return y + {nested}
    return inner(x)
def mine(x): return helper.double(x) + helper.FACTOR
"""
HELPER = "FACTOR = {factor}\ndef shift(x): return x + {moved}\ndef double(x): return {doubled} * x\n"
USUAL = dict.fromkeys("limit inner scale state half still nested factor moved doubled".split(), 1)


@pytest.mark.parametrize(("one", "other"), ALIKE)
def test_equal_values_have_one_digest(one, other):
    assert digest_of(one()) == digest_of(other())


@pytest.mark.parametrize(("one", "other"), UNLIKE)
def test_values_that_differ_have_two(one, other):
    assert digest_of(one) != digest_of(other)


def test_one_bit_of_one_weight_counts():
    module = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4))
    before = digest_of(module)
    module[0].weight.data[3, 2, 1, 0] = torch.nextafter(module[0].weight.data[3, 2, 1, 0], torch.tensor(9.0))
    weight = digest_of(module)
    module[1].running_mean[0] += 1
    assert len({before, weight, digest_of(module)}) == 3


def loaded(folder, name, **changes):
    """An object of the user's file, as if it were read in another process."""
    told = USUAL | changes
    (folder / "helper.py").write_text(HELPER.format(**told))
    (folder / "mine.py").write_text(SOURCE.format(**told))
    sys.modules.pop("helper", None)
    return load_object(f"mine.py:{name}", folder)


@pytest.mark.parametrize("change", ["limit", "inner", "scale", "state", "half", "still", "moved"])
def test_any_line_behind_the_users_class_counts(tmp_path, monkeypatch, change):
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    monkeypatch.syspath_prepend(tmp_path)
    same = [digest_of(loaded(tmp_path, "Mine")()) for _ in range(2)]
    assert same[0] == same[1] != digest_of(loaded(tmp_path, "Mine", **{change: 2})())


@pytest.mark.parametrize(("name", "change"), [("outer", "nested"), ("mine", "factor"), ("mine", "doubled")])
def test_any_line_behind_the_users_function_counts(tmp_path, monkeypatch, name, change):
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    monkeypatch.syspath_prepend(tmp_path)
    same = [digest_of(loaded(tmp_path, name)) for _ in range(2)]
    assert same[0] == same[1] != digest_of(loaded(tmp_path, name, **{change: 2}))


def test_what_a_function_has_at_hand_counts():
    def scaled(by):
        return lambda x: by * x

    network = nn.Linear(2, 2)
    assert digest_of(scaled(2)) == digest_of(scaled(2)) != digest_of(scaled(3))
    before = digest_of(lambda x: network(x))
    network.bias.data += 1
    assert digest_of(lambda x: network(x)) != before


def test_a_value_may_hold_itself():
    def ring(last):
        one = [last]
        one.append(one)
        return one

    assert digest_of(ring(1)) == digest_of(ring(1)) != digest_of(ring(2))


def deep():
    found = []
    for _ in range(100_000):
        found = [found]
    return found


@pytest.mark.parametrize(
    "untold",
    [threading.Lock, lambda: (n for n in "x"), deep, lambda: torch.ones(2, 2).to_sparse(), lambda: sys.stderr.buffer],
)
def test_what_cannot_be_told_is_never_guessed(untold):
    with pytest.raises(UntoldError):
        digest_of({"held": untold()})


@dataclass
class Says:
    """Has a lock, and says what stands for it."""

    number: int

    def __post_init__(self):
        self.lock = threading.Lock()

    def identity_parts(self):
        return self.number


def test_an_object_can_say_what_stands_for_it():
    assert digest_of(Says(1)) == digest_of(Says(1)) != digest_of(Says(2))


def test_what_is_known_is_not_told_again():
    known, says = {}, Says(1)
    before = digest_of([says], known)
    says.number = 2
    assert digest_of([says], known) == before != digest_of([says])


@pytest.mark.slow
def test_another_process_finds_the_same_digest():
    """Whatever the order in which its sets are."""
    code = (
        "from torch import nn\nfrom perturb.identity import digest_of\n"
        "def mine(x): return x + 1\n"
        "print(digest_of([{'a', 'b', 'c'}, mine, nn.Sequential(nn.ReLU(), nn.MaxPool2d(3)), lambda x: mine(x)]))"
    )
    found = {
        subprocess.run(
            [sys.executable, "-c", code], env={"PYTHONHASHSEED": seed, "PYTHONPATH": ":".join(sys.path)}, check=True,
            capture_output=True,
        ).stdout
        for seed in ("1", "2")
    }  # fmt: skip
    assert len(found) == 1
