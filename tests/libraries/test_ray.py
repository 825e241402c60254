"""Blocks on Ray give the bytes that they give here, whatever happens to the workers."""

import os
import signal
import sys
from dataclasses import dataclass, replace

import numpy as np
import pytest
from test_block_files import SEEN, Counting, an_experimenter

from perturb.block_files import BlockFiles
from perturb.blocks import cut, joined
from perturb.errors import InputError, UsageError
from perturb.evaluators.change import ChangeDetector
from perturb.images import load_images
from perturb.locations import anywhere
from perturb.observe import Observing
from perturb.trials import design, only

pytest.importorskip("ray")
pytestmark = pytest.mark.filterwarnings("ignore")  # Ray's own


@pytest.fixture(scope="module")
def workers():
    from perturb.ray_blocks import on_ray

    with on_ray("local", processors=2) as executor:
        yield executor


@pytest.fixture(scope="module")
def blocks():
    images = only(load_images("built-in", shape=(3, 32, 32), crops=2), np.arange(8))
    return cut(images, design(images, anywhere(2), size=3, pairs=2, seed=0, purpose="test"), photographs=1)


@dataclass(frozen=True, kw_only=True)
class Killed(ChangeDetector):
    """Its worker is killed in the midst of the first block."""

    mark: str = ""

    def evidence(self, *args):
        if not os.path.exists(self.mark):
            open(self.mark, "w").close()
            os.kill(os.getpid(), signal.SIGKILL)
        return super().evidence(*args)


@dataclass(frozen=True, kw_only=True)
class Raising(ChangeDetector):
    def evidence(self, *args):
        raise InputError("out of order")


def test_workers_give_the_same_bytes_and_the_ticks_come_here(workers, blocks):
    ticks = []
    here = joined([*map(Observing(by=an_experimenter()), blocks)])
    there = joined([*workers(Observing(by=an_experimenter(), tick=ticks.append), blocks)])
    for name in SEEN:
        np.testing.assert_array_equal(getattr(there, name), getattr(here, name))
    assert sum(ticks) == sum(len(block.images.pixels) for block in blocks)


def test_blocks_that_were_measured_here_are_found_by_a_run_on_ray(workers, blocks, tmp_path):
    work, counting = Observing(by=an_experimenter()), Counting()
    [*BlockFiles(folder=tmp_path, executor=workers)(work, blocks)]
    [*BlockFiles(folder=tmp_path, executor=counting)(work, blocks)]
    assert counting.blocks == []


def test_a_model_is_sent_once(workers, blocks):
    by = an_experimenter()
    before = len(workers.models)
    for levels in ((0.25,), (0.5,)):
        [*workers(Observing(by=replace(by, levels=levels)), blocks[:1])]
    assert len(workers.models) == before + 1


def test_a_block_whose_worker_was_killed_runs_again(workers, blocks, tmp_path):
    by = replace(an_experimenter(), evaluator=Killed(layer="0", shots=3, mark=str(tmp_path / "killed")))
    seen = joined([*workers(Observing(by=by), blocks)])
    assert (tmp_path / "killed").exists()
    np.testing.assert_array_equal(seen.evidence, joined([*map(Observing(by=an_experimenter()), blocks)]).evidence)


def test_an_error_reads_as_it_does_here(workers, blocks):
    by = replace(an_experimenter(), evaluator=Raising(layer="0", shots=3))
    with pytest.raises(InputError, match=r"^out of order$"):
        next(workers(Observing(by=by), blocks))


def test_a_worker_on_another_machine_is_refused(workers, blocks, monkeypatch):
    monkeypatch.setattr("perturb.ray_blocks.surroundings", lambda: ("another",))
    with pytest.raises(InputError, match="not like this machine"):
        next(workers(Observing(by=an_experimenter()), blocks))


def test_without_ray_one_line_says_what_to_install(monkeypatch):
    from perturb.ray_blocks import on_ray

    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(UsageError, match=r"pip install 'perturb-suite\[ray\]'"), on_ray():
        pass


@pytest.mark.parametrize(("mode", "hint"), [(None, "set RAY_AUTH_MODE=token"), ("token", "cannot be joined: no.")])
def test_a_cluster_that_cannot_be_joined_is_one_line(monkeypatch, mode, hint):
    import ray

    from perturb.ray_blocks import on_ray

    def refuse(**_):
        raise ConnectionError("no")

    monkeypatch.setattr(ray, "init", refuse)
    monkeypatch.delenv("RAY_AUTH_MODE", raising=False)
    if mode:
        monkeypatch.setenv("RAY_AUTH_MODE", mode)
    with pytest.raises(UsageError, match=hint), on_ray("far:6379"):
        pass
