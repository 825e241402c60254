"""Whole runs of `qualify`: this tree, earlier commits, plain dense batches, and what no exact run can do without."""

import json
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import median

import torch
from torch.utils.flop_counter import FlopCounterMode

from benchmarks.timing import interleaved, peak, table
from perturb import load, load_suite
from perturb.model import Network
from perturb.plan import ExperimentPlan, experiments, pictures_for, plan
from perturb.precision import full_float32
from perturb.stories.cost import stages

OLD = "acbfb55"
ROUNDS = 2
SUITES = ("single-pixel", "small-perturbation")
NETWORKS = (
    "torchvision:resnet18",
    "torchvision:resnet50",
    "torchvision:mobilenet_v2",
    "torchvision:mobilenet_v3_small",
    "examples/efficientnet_lite0.py:build",
)
IMAGES = {"crops": 1}  # of 20 photographs, 12 of which are judged
RUN = Path(__file__).with_name("one_run.py")


def report() -> Iterator[str]:
    """A Markdown table. Counts do not depend on the machine."""
    head = ["network", "suite", "ours, s", f"{OLD} / ours", "plain / ours", "ours / limit"]
    head += ["ours, G multiply-adds", f"{OLD} / ours", "ours, GB read and written", f"{OLD} / ours"]
    with _checkout(OLD) as old:
        trees = (Path.cwd(), old)
        yield from table(head, (_row(trees, name, suite) for suite in SUITES for name in NETWORKS))


@contextmanager
def _checkout(commit: str) -> Iterator[Path]:
    """The files of a commit, in a folder of their own."""
    with tempfile.TemporaryDirectory() as folder:
        packed = subprocess.run(["git", "archive", commit], check=True, capture_output=True).stdout
        subprocess.run(["tar", "-x", "-C", folder], check=True, input=packed)
        yield Path(folder)


def _row(trees: tuple[Path, Path], reference: str, suite: str) -> list[str]:
    """Trees take turns, round by round; the ratio of times with its least and largest over the rounds."""
    (work, moved), (old_work, old_moved) = (_run(tree, reference, suite, "count") for tree in trees)
    rounds = [[_run(tree, reference, suite)[0] for tree in trees] for _ in range(ROUNDS)]
    ours = median(first for first, _ in rounds)
    ratios = sorted(old / first for first, old in rounds)
    plain, limit = _bounds(reference, suite)
    seconds = [f"{ours:.1f}", f"**{median(ratios):.2f}** ({ratios[0]:.2f} to {ratios[-1]:.2f})"]
    bounds = [f"{plain / ours:.2f}", f"{ours / limit:.2f}"]
    counts = [f"{work / 1e9:.1f}", f"{old_work / work:.2f}", f"{moved / 1e9:.0f}", f"{old_moved / moved:.2f}"]
    return [reference, suite, *seconds, *bounds, *counts]


def _run(tree: Path, reference: str, suite: str, *count: str) -> list[float]:
    """What `one_run` prints of `qualify` alone, on one thread."""
    command = [sys.executable, str(RUN), reference, suite, json.dumps(IMAGES), *count]
    done = subprocess.run(command, cwd=tree, env={"PYTHONPATH": str(tree), "OMP_NUM_THREADS": "1"}, capture_output=True)
    if done.returncode:
        raise RuntimeError(f"{tree.name}: {done.stderr.decode().strip().splitlines()[-1]}")
    return [float(word) for word in done.stdout.split()]


def _bounds(reference: str, suite: str) -> tuple[float, float]:
    """Seconds of every picture of the design in plain batches; and of its clean ones at the rate of a matrix product.

    Clean shots count once for all checks, as far as the deepest of their layers. Maps, controls and what a change of
    a picture takes are left out.
    """
    model, asked = load(reference), load_suite(suite)
    asked = asked.model_copy(update={"images": asked.images.model_copy(update=IMAGES)})
    pictures = pictures_for(asked, model.input_shape)
    plans = experiments(plan(asked, model, pictures.judged))
    plain, least, shots = 0.0, 0.0, 0.0
    for each in plans:
        crops, judged = len(pictures.calibration.pixels), len(pictures.judged.pixels)
        found = [s for s in stages(each, crops, judged, each.pairs, model.input_shape) if not s.name.endswith(": map")]
        plain += sum(stage.pictures for stage in found) * _a_picture(model, each)
        work = multiply_adds(model, each.evaluator.layer)
        shots = max(shots, sum(stage.shots for stage in found) * work)
        least += (judged * each.pairs + crops) * work  # twins; of a calibrated crop at least one
    return plain, (least + shots) / peak()


def _a_picture(model: Network, asked: ExperimentPlan) -> float:
    pictures = torch.rand(8, *model.input_shape)

    @full_float32()
    @torch.inference_mode()
    def batch() -> None:
        model.propagate(model.normalise(pictures), asked.evaluator.layer)

    return interleaved({"plain": batch}, 3)["plain"] / len(pictures)


def multiply_adds(model: Network, layer: str) -> int:
    """Of convolutions and matrix products up to this layer, for one picture."""
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        model.propagate(model.normalise(torch.rand(1, *model.input_shape)), layer)
    return counter.get_total_flops() // 2
