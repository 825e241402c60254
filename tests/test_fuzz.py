"""Every kind of file, mutated: as before, or refused by one line. The long run is `uv run python tests/fuzz.py`."""

import os
import signal
import subprocess
import sys

import fuzz
import fuzz_mutations as mutations
import pytest
from fuzz import by_command, outcomes
from fuzz_kinds import KINDS, Kind

from perturb.errors import InputError, PerturbError

COUNT = 60


@pytest.mark.slow
@pytest.mark.parametrize("name", KINDS)
def test_no_mutation_harms(name):
    found = list(outcomes(KINDS[name], COUNT, seed=1))
    assert len(found) == COUNT
    assert [(one.number, one.wrong) for one in found if one.wrong] == []
    assert any(not one.accepted for one in found) or name == "history"  # which lists what is whole


@pytest.mark.parametrize("name", ["report", "history"])
def test_no_mutation_harms_a_command(name):
    found = list(by_command(KINDS[name], 5, seed=1))
    assert [(one.number, one.wrong) for one in found if one.wrong] == []


def reads(read, **more):
    """A kind whose first file is read as it is, and every other by `read`: what the fuzzer must notice."""
    return Kind(name="toy", files=lambda: {"x": b"right"}, read=read, mutate=lambda rng, data: b"wrong", **more)


def on_a_mutation(act):
    return lambda folder: act(folder) if (folder / "x").read_bytes() == b"wrong" else "right"


def refuse(error):
    raise error


def imports(folder):
    import fuzz_planted

    return fuzz_planted and "right"


class OtherExitError(PerturbError):
    exit_code = 1


@pytest.mark.parametrize(
    ("act", "told"),
    [
        (lambda folder: "left", "read as left"),
        (lambda folder: refuse(ValueError("no")), "ValueError: no"),
        (lambda folder: refuse(OtherExitError("no")), "not one line of exit 2 or 4"),
        (lambda folder: refuse(InputError("")), "not one line of exit 2 or 4"),
        (lambda folder: sys.exit(0), "SystemExit: 0"),
        (lambda folder: os._exit(0), "the process ended"),
        (lambda folder: os.kill(os.getpid(), signal.SIGKILL), "the process ended"),
        (lambda folder: len(bytearray(2**31)), "MemoryError"),
        (lambda folder: [0 for _ in iter(int, 1)], "took more than 0.5 s"),
        (lambda folder: subprocess.run(["true"], check=True) and "right", "ran "),
        (lambda folder: os.system("true") or "right", "ran "),
        (imports, "ran "),
        (lambda folder: exec(compile("pass", str(folder / "a.py"), "exec")) or "right", "ran "),
    ],
)
def test_the_fuzzer_notices_what_is_wrong(monkeypatch, act, told):
    monkeypatch.setattr(fuzz, "SECONDS", 0.5)
    found = list(outcomes(reads(on_a_mutation(act)), 2, seed=0))
    assert [one.number for one in found] == [0, 1]
    assert all(one.wrong.startswith(told) for one in found), found


def test_the_fuzzer_lets_pass_what_is_right():
    for act in (lambda folder: "right", lambda folder: refuse(InputError("one line"))):
        assert not any(one.wrong for one in outcomes(reads(on_a_mutation(act)), 3, seed=0))


def test_mutations_differ_and_are_made_again_from_their_number():
    import random

    files = KINDS["report"].files()
    for mutate in (mutations.by_bytes, mutations.by_values, mutations.of_json):
        made = [mutate(random.Random(f"{i}"), files["report.json"]) for i in range(40)]
        assert made == [mutate(random.Random(f"{i}"), files["report.json"]) for i in range(40)]
        assert len(set(made)) > 30
        assert sum(one == files["report.json"] for one in made) < 5
