"""Finished blocks as files: found again bit for bit, by the very same question alone; a killed run goes on."""

import json
import os
import re
import threading
from dataclasses import dataclass, fields, replace

import numpy as np
import pytest
import torch
from click.testing import CliRunner
from preloaded import Preloaded
from toys import network, window
from toyseen import PINNED, a_plan, experiment

from perturb import Preprocessing, identity
from perturb.block_files import BlockFiles
from perturb.blocks import OF_THE_SET, Block, Shard, cut, joined
from perturb.cli import main
from perturb.errors import InputError, PerturbWarning
from perturb.evaluators.change import ChangeDetector
from perturb.history import MOST, trim_blocks
from perturb.images import load_images
from perturb.incremental import Incremental
from perturb.locations import anywhere
from perturb.looking import Look
from perturb.model.callable import BlackBox
from perturb.observe import Experimenter, Observing
from perturb.perturbations.patches import Box, Noise
from perturb.records import Images, Objects, Pictures, Trials
from perturb.runs import FILES
from perturb.stories.experiment import Wanted, measure_in_turn
from perturb.suite import MapTable
from perturb.tasks.micro import Presence
from perturb.trials import design, only

SEEN = ("evidence", "realised", "threshold", "truth", "clipped", "photograph")


def an_experimenter():
    return Experimenter(
        look=Look(model=network(window(3, padding=1), shape=(3, 32, 32)), layer="0"),
        evaluator=ChangeDetector(layer="0", shots=3),
        task=Presence(perturbation=Noise(size=3), level=1.0),
        levels=(0.25, 0.5),
        point=PINNED,
        threshold=None,
    )


@pytest.fixture(scope="module")
def crops() -> Images:
    return only(load_images("built-in", shape=(3, 32, 32), crops=2), np.arange(8))


@pytest.fixture
def block(crops) -> Block:
    images = only(crops, np.arange(4))
    return Block(images=images, trials=design(images, anywhere(2), size=3, pairs=2, seed=0, purpose="test"))


class Counting:
    """An executor that notes which blocks it is asked to run."""

    def __init__(self):
        self.blocks = []

    def __call__(self, work, blocks):
        for block in blocks:
            self.blocks.append(block)
            yield work(block)


def observed(folder, by, *blocks):
    """What is seen, and how many of the blocks were found."""
    store = BlockFiles(folder=folder)
    return list(store(Observing(by=by), blocks)), store.found


def test_a_finished_block_is_found_bit_for_bit_and_not_computed_again(tmp_path, crops):
    trials = design(crops, anywhere(2), size=3, pairs=2, seed=0, purpose="test")
    blocks, by, ticks = cut(crops, trials, photographs=1), an_experimenter(), []
    plain = joined([*map(Observing(by=by), blocks)])
    for expected in (4, 0):
        counting = Counting()
        work = Observing(by=by, tick=lambda done: ticks.append(done))
        seen = joined([*BlockFiles(folder=tmp_path, executor=counting)(work, blocks)])
        assert len(counting.blocks) == expected
        for name in SEEN:
            np.testing.assert_array_equal(getattr(seen, name), getattr(plain, name))
        assert (seen.levels, seen.point, seen.measures, seen.phase) == (plain.levels, plain.point, {}, None)
    assert sum(ticks) == 2 * len(crops.pixels)
    assert {path.name for path in tmp_path.iterdir()} > {".gitignore"}


def test_what_was_found_and_what_is_computed_stand_in_their_order(tmp_path, crops):
    trials = design(crops, anywhere(2), size=3, pairs=2, seed=0, purpose="test")
    blocks, by = cut(crops, trials, photographs=1), an_experimenter()
    observed(tmp_path, by, blocks[2], blocks[0])
    seen, found = observed(tmp_path, by, *blocks)
    assert found == 2
    np.testing.assert_array_equal(joined(seen).evidence, joined([*map(Observing(by=by), blocks)]).evidence)


def test_each_block_is_kept_as_soon_as_it_is_there(tmp_path, crops):
    blocks = cut(crops, design(crops, anywhere(2), size=3, pairs=2, seed=0, purpose="test"), photographs=1)
    for done, _ in enumerate(BlockFiles(folder=tmp_path)(Observing(by=an_experimenter()), blocks), 1):
        assert len([*tmp_path.glob("*.npz")]) == done


def test_a_photographs_number_and_name_and_its_neighbours_do_not_count(tmp_path, crops, block):
    """A run of more photographs finds the blocks of the shorter one; what is found has the new numbers."""
    observed(tmp_path, an_experimenter(), block)
    numbers = block.images.photograph + 1
    renamed = replace(
        block.images, photograph=numbers, names=("new", *crops.names), digests=("new", *crops.digests), source="other"
    )
    (seen,), found = observed(
        tmp_path,
        an_experimenter(),
        Block(images=renamed, trials=replace(block.trials, photograph=numbers)),
    )
    assert found == 1
    np.testing.assert_array_equal(seen.photograph, numbers)


def test_what_was_learnt_before_does_not_count(block):
    by = an_experimenter()
    before = names_of(by, block)
    Observing(by=by)(block)
    assert names_of(by, block) == before


def with_weight(bits):
    module = window(3, padding=1)
    module[0].weight.data.view(torch.int32)[0, 0, 0, 0] ^= bits
    return network(module, shape=(3, 32, 32))


def preprocessed(**changes):
    return Look(
        model=network(window(3, padding=1), shape=(3, 32, 32)).with_preprocessing(
            Preprocessing(input_shape=(3, 32, 32), **changes)
        ),
        layer="0",
    )


def looking(by, **changes):
    return replace(by, look=replace(by.look, **changes))


def reading(by, **changes):
    return replace(by, evaluator=replace(by.evaluator, **changes))


def moved_pixel(images):
    pixels = np.array(images.pixels)
    pixels[3, 2, 31, 31] = np.nextafter(pixels[3, 2, 31, 31], np.float32(2))
    return replace(images, pixels=pixels)


def stays(before):
    changed = before.copy()
    changed[0, 0, 0] += 1
    return changed


OBJECTS = Objects(
    boxes=np.full((4, 1, 4), 4.0), asked=np.ones((4, 1), dtype=bool), window=(32, 32), photograph=np.zeros((4, 4))
)
OF_THE_EXPERIMENTER = {
    "look: one bit of a weight": lambda by: replace(by, look=replace(by.look, model=with_weight(1))),
    "look: mean": lambda by: replace(by, look=preprocessed(mean=(0.1,))),
    "look: bounds": lambda by: replace(by, look=preprocessed(bounds=(0.0, 2.0))),
    "look: layer": lambda by: looking(by, layer="output"),
    "look: engine": lambda by: looking(by, engine=Incremental(by.look.model, "0")),
    "look: engine, bfloat16": lambda by: looking(by, engine=Incremental(by.look.model, "0", bfloat16=True)),
    "look: double": lambda by: looking(by, double=True),
    "look: model": lambda by: looking(by, model=BlackBox(lambda x: x, name="toy")),
    "evaluator: noise": lambda by: reading(by, noise=0.03),
    "evaluator: shots": lambda by: reading(by, shots=4),
    "evaluator: another class": lambda by: replace(by, evaluator=Own(layer="0", shots=3)),
    "task: perturbation": lambda by: replace(by, task=replace(by.task, perturbation=Box(size=3))),
    "task: size": lambda by: replace(by, task=replace(by.task, perturbation=Noise(size=2))),
    "levels": lambda by: replace(by, levels=(0.25, 0.75)),
    "levels: one more": lambda by: replace(by, levels=(0.25, 0.5, 0.75)),
    "point": lambda by: replace(by, point=replace(by.point, false_alarms=0.04)),
    "threshold": lambda by: replace(by, threshold=2.0),
    "pinned": lambda by: replace(by, pinned=2.0),
    "flips": lambda by: replace(by, flips=True),
}
OF_THE_IMAGES = {
    "pixels: one bit": moved_pixel,
    "digests": lambda images: replace(images, digests=("other", *images.digests[1:])),
    "crop": lambda images: replace(images, crop=images.crop + 1),
    "labels": lambda images: replace(images, labels=np.arange(len(images.names))),
    "spots": lambda images: replace(images, spots=np.full((4, 2), 8)),
    "objects": lambda images: replace(images, objects=OBJECTS),
    "cut": lambda images: replace(images, cut=np.ones((4, 4))),
    "region": lambda images: replace(images, region=np.ones((4, 32, 32), dtype=bool)),
}
OF_THE_TRIALS = {
    "dead": lambda trials: replace(trials, dead=stays(trials.dead)),
    "live": lambda trials: replace(trials, live=stays(trials.live)),
    "seed": lambda trials: replace(trials, seed=1),
    "purpose": lambda trials: replace(trials, purpose="another"),
    "scene": lambda trials: replace(trials, scene=trials.dead),
    "together": lambda trials: replace(trials, together=True),
    "asked": lambda trials: replace(trials, asked=np.zeros(trials.dead.shape[:2], dtype=int)),
    "phase": lambda trials: replace(trials, phase=trials.dead % 2),
}


@dataclass(frozen=True, kw_only=True)
class Own(ChangeDetector):
    """The same numbers from another class."""


def names_of(by, *blocks):
    return BlockFiles(folder=None)._names(Observing(by=by), blocks)


APART = {Experimenter: {"studies"}, Images: OF_THE_SET, Trials: {"photograph"}}


def test_no_part_is_left_out():
    """A new field of these records is either changed above, or known to change no number."""
    for record, changes in ((Experimenter, OF_THE_EXPERIMENTER), (Images, OF_THE_IMAGES), (Trials, OF_THE_TRIALS)):
        changed = {name.partition(":")[0] for name in changes}
        assert {field.name for field in fields(record)} - changed == APART[record] - changed
    looks = {name.removeprefix("look: ") for name in OF_THE_EXPERIMENTER if name.startswith("look")}
    assert {field.name for field in fields(Look)} <= looks


def test_another_question_has_another_name(block):
    """No two of them have the same."""
    by = an_experimenter()
    assert names_of(by, block) == names_of(an_experimenter(), block)
    names = {part: names_of(change(by), block)[0] for part, change in OF_THE_EXPERIMENTER.items()}
    assert len({*names.values(), *names_of(by, block)}) == len(names) + 1, names


@pytest.mark.parametrize("part", OF_THE_IMAGES)
def test_other_pictures_have_another_name(block, part):
    other = replace(block, images=OF_THE_IMAGES[part](block.images))
    assert names_of(an_experimenter(), other) != names_of(an_experimenter(), block)


@pytest.mark.parametrize("part", OF_THE_TRIALS)
def test_other_trials_have_another_name(block, part):
    other = replace(block, trials=OF_THE_TRIALS[part](block.trials))
    assert names_of(an_experimenter(), other) != names_of(an_experimenter(), block)


def a_library(monkeypatch, tmp_path):
    (tmp_path / "torch-99.0.dist-info").mkdir()
    monkeypatch.syspath_prepend(tmp_path)


SURROUNDINGS = {
    "our source": lambda patch, folder: patch.setattr(identity, "SOURCE", "other"),
    "a library": a_library,
    "processor": lambda patch, folder: patch.setattr(identity, "_processor", lambda: "other"),
    "Python": lambda patch, folder: patch.setattr(identity.sys, "version", "4.0"),
    "instructions": lambda patch, folder: patch.setattr(torch.backends.cpu, "get_cpu_capability", lambda: "other"),
    "accelerator": lambda patch, folder: (
        patch.setattr(torch.cuda, "is_initialized", lambda: True),
        patch.setattr(torch.cuda, "get_device_name", lambda: "other"),
    ),
}


@pytest.mark.parametrize("part", SURROUNDINGS)
def test_other_surroundings_have_another_name(block, monkeypatch, tmp_path, part):
    before = names_of(an_experimenter(), block)
    SURROUNDINGS[part](monkeypatch, tmp_path)
    assert names_of(an_experimenter(), block) != before


def test_the_number_of_threads_and_the_size_of_batches_count(block):
    """They change the order of sums."""
    by, threads = an_experimenter(), torch.get_num_threads()
    before = names_of(by, block)
    by.look.model.batch += 1
    assert names_of(by, block) != before
    by.look.model.batch -= 1
    try:
        torch.set_num_threads(threads + 1)
        assert names_of(by, block) != before
    finally:
        torch.set_num_threads(threads)
    assert names_of(by, block) == before


@pytest.mark.parametrize(
    "damage",
    [
        lambda data, other: data[:-200],
        lambda data, other: b"",
        lambda data, other: data[:300] + bytes([data[300] ^ 1]) + data[301:],
        lambda data, other: other,
    ],
    ids=["cut off", "empty", "one bit", "of another block"],
)
def test_a_damaged_block_is_named_and_computed_again(tmp_path, crops, damage):
    blocks = cut(crops, design(crops, anywhere(2), size=3, pairs=2, seed=0, purpose="test"), photographs=1)[:2]
    by = an_experimenter()
    plain, _ = observed(tmp_path, by, *blocks)
    first, second = (tmp_path / f"{name}.npz" for name in names_of(by, *blocks))
    whole = first.read_bytes()
    first.write_bytes(damage(whole, second.read_bytes()))
    with pytest.warns(PerturbWarning, match=rf"computed again: `{first}`"):
        seen, found = observed(tmp_path, by, *blocks)
    assert found == 1
    np.testing.assert_array_equal(joined(seen).evidence, joined(plain).evidence)
    assert first.read_bytes() == whole


@dataclass(frozen=True, kw_only=True)
class Locked(ChangeDetector):
    """Holds something whose state nobody can tell."""

    lock: object = threading.Lock()


def test_what_cannot_be_told_is_not_kept_and_that_is_said_once(tmp_path, block):
    by = replace(an_experimenter(), evaluator=Locked(layer="0", shots=3))
    store = BlockFiles(folder=tmp_path)
    with pytest.warns(PerturbWarning) as said:
        seen = [next(store(Observing(by=by), [block])) for _ in range(2)]
    assert [str(one.message) for one in said] == [
        "finished blocks are not kept: this run depends on a lock, whose state cannot be told"
    ]
    np.testing.assert_array_equal(seen[1].evidence, Observing(by=an_experimenter())(block).evidence)
    assert (store.asked, store.found, [*tmp_path.iterdir()]) == (0, 0, [])


def test_a_folder_that_cannot_be_written_is_said_once_and_costs_no_run(tmp_path, block):
    (tmp_path / "blocks").write_text("in the way")
    store = BlockFiles(folder=tmp_path / "blocks")
    with pytest.warns(PerturbWarning, match="finished blocks are not kept: .*blocks") as said:
        seen = [*store(Observing(by=an_experimenter()), [block, block])]
    assert (len(said), len(seen)) == (1, 2)


@pytest.mark.slow
def test_a_whole_experiment_finds_its_map_its_calibration_and_its_judged_blocks(tmp_path, leaves):
    found = []
    for _ in range(2):
        store = BlockFiles(folder=tmp_path)
        asked = {"map": MapTable(kind="energy", images=4), "wanted": Wanted(executor=store)}
        found.append((*experiment(window(3, padding=1), leaves, **asked), store))
    (one, effect, first), (other, same, second) = found
    assert (first.found, second.found) == (0, first.asked) == (0, len([*tmp_path.glob("*.npz")]))
    assert effect == same
    np.testing.assert_array_equal(one.contribution.values, other.contribution.values)
    np.testing.assert_array_equal(one.measurement.seen.evidence, other.measurement.seen.evidence)


def test_a_longer_run_measures_only_what_is_new(tmp_path, leaves):
    """Looks at 2 and 4 photographs, then at 2, 4 and 6."""
    pictures = Pictures(calibration=only(leaves, np.arange(32, 40)), judged=only(leaves, np.arange(32)))
    model, found = network(window(3, padding=1), shape=(3, 64, 64)), []
    for looks in ([2, 4], [2, 4, 6]):
        store = BlockFiles(folder=tmp_path)
        wanted = Wanted(executor=store)
        found.append([*measure_in_turn(model, a_plan(level=0.5), pictures, wanted, {}, looks=looks)][-1])
    new = (store.asked, store.found)
    assert new == (4, 3)  # the map and three parts
    alone = found[1].measurement.seen.evidence[:, :, :4]
    np.testing.assert_array_equal(alone, found[0].measurement.seen.evidence)


def test_the_oldest_blocks_go_first(tmp_path):
    folder = tmp_path / "blocks"
    folder.mkdir()
    for name, time in (("old", 1), ("new", 3), ("older", 2)):
        (folder / f"{name}.npz").write_bytes(b"12345")
        os.utime(folder / f"{name}.npz", (time, time))
    assert trim_blocks(tmp_path, most=10) == 1
    assert {path.stem for path in folder.glob("*.npz")} == {"older", "new"}
    assert (trim_blocks(tmp_path), MOST) == (0, 256 * 2**20)
    assert trim_blocks(tmp_path, most=0) == 2


NET = """
import torch
from torch import nn
from perturb import Preprocessing
def net():
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(3, 16, 3, 2, 1, bias=False), nn.ReLU()), Preprocessing(input_shape=(3, 32, 32))
"""
SUITE = """
name = "tiny"
[images]
source = "dead-leaves"
count = 40
[map]
images = 4
[evaluator]
layer = "0"
[[check]]
name = "pixel"
perturbation = { kind = "pixel" }
pairs = 2
claim = { quantity = "accuracy-loss", at_most = 0.1 }
"""


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """A folder with a whole run in `whole/`, and the names of its blocks in the order in which they were finished."""
    folder = tmp_path_factory.mktemp("killed")
    (folder / "net.py").write_text(NET)
    (folder / "tiny.perturb.toml").write_text(SUITE)
    with Preloaded() as perturb:
        yield folder, perturb, qualified(perturb, folder, "whole")


def qualified(perturb, folder, out, **kill):
    """The blocks of a run, oldest first, and what was said."""
    done = perturb.run(
        "qualify", "net.py:net", "--suite", "tiny.perturb.toml", "--out", out, "--history", f"{out}-history",
        cwd=folder, **kill,
    )  # fmt: skip
    blocks = (folder / f"{out}-history/blocks").glob("*.npz")
    return [path.name for path in sorted(blocks, key=lambda path: path.stat().st_mtime_ns)], done


def told(folder):
    """A run's files, without the hour."""
    report = json.loads((folder / "report.json").read_text())
    del report["digest"], report["provenance"]["timestamp"]
    return report, *((folder / name).read_bytes() for name in FILES[1:])


@pytest.mark.slow
@pytest.mark.parametrize("after", [pytest.param(2, marks=pytest.mark.long), 8])
def test_a_run_killed_after_a_block_goes_on_and_ends_as_if_nothing_had_happened(whole, after):
    folder, perturb, (blocks, undisturbed) = whole
    assert "done before" not in undisturbed.out
    out = f"killed-{after}"
    when = folder / f"{out}-history/blocks" / blocks[after - 1]
    left, killed = qualified(perturb, folder, out, kill_after=0, when=when)
    assert killed.code == -9
    assert after <= len(left)
    assert not (folder / out).exists()
    again, done = qualified(perturb, folder, out)
    assert f"{len(left)} of {len(blocks)} blocks were done before." in done.out
    assert sorted(again) == sorted(blocks)
    assert told(folder / out) == told(folder / "whole")


def test_gc_removes_the_blocks(tmp_path):
    (tmp_path / "blocks").mkdir()
    (tmp_path / "blocks" / "one.npz").write_bytes(b"1")
    done = CliRunner().invoke(main, ["history", "gc", "--history", str(tmp_path)])
    assert done.output == "Removed 0 runs, 0 unfinished ones and 1 blocks.\n"
    assert not [*tmp_path.rglob("*.npz")]


@pytest.mark.slow
def test_shards_share_the_blocks_and_the_command_without_them_judges(whole):
    folder, perturb, _ = whole
    asked = "net.py:net", "--suite", "tiny.perturb.toml", "--history", "shared"
    for shard in ("1/2", "2/2"):
        done = perturb.run("qualify", *asked, "--shard", shard, cwd=folder)
        assert (done.code, done.err) == (0, "")
        assert done.out == f"The blocks of shard {shard} are kept. The same command without --shard judges.\n"
    judged = perturb.run("qualify", *asked, "--out", "merged", cwd=folder)
    assert re.search(r"^(\d+) of \1 blocks were done before", judged.out, re.M)
    assert told(folder / "merged") == told(folder / "whole")


def test_each_block_is_of_one_shard(crops):
    blocks = cut(crops, design(crops, anywhere(2), size=3, pairs=2, seed=0, purpose="test"), photographs=1)
    shares = [Shard(number=number, count=3).of(blocks) for number in (1, 2, 3)]
    assert sorted(map(len, shares)) == [1, 1, 2]
    assert {id(block) for share in shares for block in share} == {*map(id, blocks)}


@pytest.mark.parametrize("shard", ["0/2", "3/2", "1", "1/", "/2", "a/b", "-1/2", "1/2/3"])
def test_what_is_no_shard_is_refused(tmp_path, monkeypatch, shard):
    monkeypatch.chdir(tmp_path)
    done = CliRunner().invoke(main, ["qualify", "torchvision:resnet18", "--suite", "smoke", "--shard", shard])
    assert done.exit_code == 2
    assert f"--shard {shard}: expected K/N with K from 1 to N, as 2/4 for the second of four." in done.output


def test_what_cannot_be_kept_cannot_be_shared(tmp_path, block):
    store = BlockFiles(folder=tmp_path)
    store.check_kept()
    by = replace(an_experimenter(), evaluator=Locked(layer="0", shots=3))
    with pytest.warns(PerturbWarning):
        [*store(Observing(by=by), [block])]
    with pytest.raises(InputError, match="without --shard"):
        store.check_kept()
