"""`perturb tiles`: the plan for a planted network, confirmed by what the tiled network finds."""

import json
from dataclasses import replace

import numpy as np
import pytest
from click.testing import CliRunner
from toyruns import a_report

from perturb import BlackBox, InputError, Network, Preprocessing, Tiling, UsageError, tiled
from perturb.cli import main
from perturb.code import load_object
from perturb.comparisons import Places
from perturb.records import PhaseRate, Rate
from perturb.stories.tiles import (
    Blindness,
    find_everywhere,
    found_lattice,
    measured_lattice,
    plan_measured,
    plan_structural,
    where,
)
from perturb.suite import parse_suite
from perturb.tiling import cover

SUITE = """
name = "specks"
[images]
source = "paper"
count = 10
calibration = 0.4
[evaluator]
kind = "map"
radius = 4
[[check]]
name = "speck"
perturbation = { kind = "pixel" }
level = 0.5
claim = { at_most = 0.2 }
"""
NOW = Tiling(picture=(80, 112), tile=(32, 32), overlap=(8, 8))
SHAPE = (3, 32, 32)


def specks(border=0):
    """Rows and columns 3 mod 4 are never read; with a border nothing is reported so near to a tile's edge."""
    module = load_object("examples/tiles.py:Specks")(border)
    return Network(module, name="specks", preprocessing=Preprocessing(input_shape=SHAPE))


def whole(tiling, border=0):
    function, takes = tiled(specks(border), tiling, join="max")
    return BlackBox(function, name="whole", preprocessing=takes)


def reported(**shares):
    """A report whose first check found these shares by phase, "row_column"."""
    report = a_report()
    phases = tuple(
        PhaseRate(
            phase=tuple(int(n) for n in name[1:].split("_")), rate=Rate(value=v, low=0.0, high=1.0, n=9, trials=90)
        )
        for name, v in shares.items()
    )
    return replace(report, experiments=(replace(report.experiments[0], phases=phases),))


def test_the_plan_of_a_planted_network():
    found = plan_structural(specks(), NOW)
    now, *better = found.options
    assert (found.period, found.blind, now.coverage.blind) == ((4, 4), 7 / 16, pytest.approx(7 / 16))
    assert {one.words: round(one.coverage.unseen, 9) for one in better}["four passes, shifts of 0 and 1 both ways"] == 0
    enlarged = next(one for one in better if one.words == "picture enlarged 2 x")
    assert (enlarged.tiling.picture, enlarged.coverage.unseen) == ((160, 224), 0)  # 2 x 2 pixels: one of them is live


def test_an_object_counts_for_all_its_pixels():
    """2 x 2 pixels hold a live one wherever they lie; against 4 live ones, 1 is blind below a half, 2 are not."""
    found = plan_structural(specks(), NOW, Blindness(extent=(2, 2)))
    assert found.blind == 4 / 16
    assert plan_structural(specks(), NOW, Blindness(extent=(2, 2), below=0.2)).blind == 0


@pytest.mark.parametrize("passes", [((0, 0),), ((0, 0), (1, 1)), ((0, 0), (0, 1), (1, 0), (1, 1))])
def test_the_plan_is_confirmed_by_what_is_found(passes):
    tiling = replace(NOW, passes=passes)
    seen = find_everywhere(whole(tiling), parse_suite(SUITE, "suite"))
    rates = {f"p{r}_{c}": float(r < 3 and c < 3) for r in range(4) for c in range(4)}
    groups = {one.words: one for one in where(seen, tiling, reported(**rates)).by_look}
    blind = cover(tiling, measured_lattice(reported(**rates))).blind
    share = groups["at blind phases only"].share if blind else 0
    assert share == pytest.approx(blind, abs=4 * (blind / len(seen.found)) ** 0.5)
    assert groups["elsewhere"].found.value == 1.0
    assert groups["everywhere"].found.n == 6
    if blind:
        assert groups["at blind phases only"].found.value == groups["at blind phases only"].false.value < 0.2


def test_what_is_found_by_distance_from_tiles_edges():
    """Nothing within 8 pixels of a tile's edge but false alarms; half of the places are live further in."""
    tiling = replace(NOW, overlap=(16, 16))
    groups = where(find_everywhere(whole(tiling, border=8), parse_suite(SUITE, "suite")), tiling).by_depth
    near = [one for one in groups if int(one.words.split()[0]) < 4]
    assert [one.found.value for one in near] == [one.false.value for one in near]
    deep = next(one for one in groups if one.words.startswith("8 to 15"))
    assert deep.found.value > 0.4
    assert sum(one.share for one in groups) == pytest.approx(1)


def test_places_are_as_likely_anywhere():
    dark = BlackBox(lambda pictures: 1 - pictures[:, 0], preprocessing=Preprocessing(input_shape=(3, 80, 112)))
    seen = find_everywhere(dark, parse_suite(SUITE.replace("count = 10", "count = 90"), "suite"))
    assert seen.found.all()
    for axis, size in enumerate(NOW.picture):
        count = np.bincount(seen.place[:, axis] * 8 // size, minlength=8)
        assert (abs(count - count.mean()) < 4 * count.mean() ** 0.5).all()


def test_the_shares_that_a_run_found_by_phase():
    report = reported(p0_0=0.9, p1_0=0.1, p2_0=0.6)
    lattice = measured_lattice(report, Blindness(extent=(5, 19), below=0.5))
    assert (lattice.values.tolist(), lattice.least) == ([[0.9], [0.1], [0.6]], 0.45)
    found = plan_measured(report, Tiling(picture=(64, 64), tile=(64, 64)), Blindness(extent=(5, 19)))
    assert found.blind == pytest.approx(1 / 3)
    assert found.source.startswith("share found by phase on 9 calibration pictures")
    assert found.options[1].words == "second pass shifted by 1 row"


def test_the_shares_found_at_places_by_phase():
    seen = Places(
        place=np.array([[0, 0], [3, 5], [6, 1], [1, 0], [4, 9], [2, 7]]),
        extent=(5, 19),
        found=np.array([1.0, 0.0, 1.0, 1.0, 0.0, 0.0]),
        false=np.zeros(6),
        photograph=np.zeros(6, dtype=int),
    )
    lattice = found_lattice(seen, (3, 1))
    with pytest.raises(InputError, match="6 places are too few: some of 3 x 1 phases hold none"):
        found_lattice(replace(seen, place=seen.place * 3), (3, 1))
    assert lattice.values.tolist() == [[2 / 3], [0.5], [0.0]]
    assert (lattice.extent, lattice.least) == ((5, 19), pytest.approx(1 / 3))


def test_a_run_without_shares_by_phase_has_dead_phases():
    report = a_report()
    first = report.experiments[0]
    lattice = measured_lattice(report, check=first.name)
    dead = np.argwhere(lattice.values < lattice.least).tolist()
    assert sorted(map(tuple, dead)) == sorted(map(tuple, first.dead_phases))
    assert lattice.values.shape == (first.period, first.period)
    with pytest.raises(UsageError, match="check `nope` is not in the report, expected one of"):
        measured_lattice(report, check="nope")


@pytest.mark.parametrize(
    ("old", "new"), [("level = 0.5", ""), ('kind = "map"\nradius = 4', 'kind = "change"\nlayer = "output"')]
)
def test_places_need_a_level_and_an_evaluator_of_places(old, new):
    with pytest.raises(UsageError):
        find_everywhere(whole(NOW), parse_suite(SUITE.replace(old, new), "suite"))


NET = """
from perturb import Preprocessing
def see(): return lambda pictures: 1 - pictures[:, 0], Preprocessing(input_shape=(3, 80, 112))
"""


@pytest.fixture
def work(tmp_path):
    """A folder with a function of whole pictures and a suite."""
    (tmp_path / "net.py").write_text(NET)
    (tmp_path / "specks.toml").write_text(SUITE)
    return tmp_path


def run(*arguments):
    return CliRunner().invoke(main, ["tiles", *arguments])


def test_on_the_command_line(work):
    asked = ["examples/tiles.py:specks", "--picture", "128x192", "--overlap", "16"]
    shown = run(*asked)
    assert shown.exit_code == 0, shown.output
    assert "Now: 43.8% of the places are seen at blind phases only." in shown.output
    assert "whole periods" in shown.output
    told = json.loads(run(*asked, "--json").output)
    assert told["options"][0]["coverage"]["blind"] == pytest.approx(7 / 16)
    measured = run(f"{work}/net.py:see", "--measure", f"{work}/specks.toml", "--tile", "32", "--overlap", "8")
    assert measured.exit_code == 0, measured.output
    assert "By distance from tiles' edges" in measured.output


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["examples/tiles.py:specks"], "--picture: give its ROWSxCOLUMNS"),
        (["examples/tiles.py:specks", "--picture", "3000x"], "--picture 3000x: expected a number of pixels"),
        (["examples/tiles.py:specks", "--picture", "32x32"], "a tile of 64 x 64 does not fit"),
        (
            ["examples/tiles.py:specks", "--picture", "128x192", "--overlap", "64"],
            "overlap 64 x 64: expected 0 or more",
        ),
        (["examples/tiles.py:specks", "--picture", "128x192", "--object", "500"], "an object of 500 x 500"),
        (["examples/tiles.py:specks", "--picture", "128x192", "--passes", "0x0;1x1"], "--passes 0x0;1x1: expected"),
        (["net.py:see", "--measure", "smoke"], "--tile: give its ROWSxCOLUMNS"),
        (["net.py:see", "--picture", "480x640"], "has no structural map: measure it by phase"),
    ],
)
def test_what_is_refused_in_one_line(work, arguments, words):
    result = run(arguments[0].replace("net.py", f"{work}/net.py"), *arguments[1:])
    assert (result.exit_code, words in result.output, result.output.count("\n")) == (2, True, 1), result.output
