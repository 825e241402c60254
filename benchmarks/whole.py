"""Whole runs of `qualify`: this tree, earlier commits, plain dense batches, and what no exact run can do without."""

import json
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
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

OLD = ("acbfb55", "30c0f7f")
ROUNDS = 3
SUITES = ("single-pixel", "small-perturbation")
NETWORKS = (
    "torchvision:resnet18",
    "torchvision:resnet50",
    "torchvision:mobilenet_v2",
    "torchvision:mobilenet_v3_small",
    "examples/efficientnet_lite0.py:build",
)
IMAGES = {"crops": 1}  # of 20 photographs, 12 of which are judged
RUN = """
import json, sys, time, warnings
import torch, perturb
torch.set_num_threads(1)
warnings.simplefilter("ignore")
reference, suite, images = sys.argv[1], perturb.load_suite(sys.argv[2]), json.loads(sys.argv[3])
model, qualify = perturb.load(reference), perturb.qualify  # what is imported at first use is not timed
suite = suite.model_copy(update={"images": suite.images.model_copy(update=images)})
begun = time.process_time()
qualify(model, suite)
print(time.process_time() - begun)
"""


def report() -> Iterator[str]:
    """A Markdown table."""
    head = ["network", "suite", "ours, s", *(f"{commit} / ours" for commit in OLD), "plain / ours", "ours / limit"]
    with ExitStack() as stack:
        trees = [Path.cwd(), *(stack.enter_context(_checkout(commit)) for commit in OLD)]
        yield from table(head, (_row(trees, name, suite) for suite in SUITES for name in NETWORKS))


@contextmanager
def _checkout(commit: str) -> Iterator[Path]:
    """The files of a commit, in a folder of their own."""
    with tempfile.TemporaryDirectory() as folder:
        packed = subprocess.run(["git", "archive", commit], check=True, capture_output=True).stdout
        subprocess.run(["tar", "-x", "-C", folder], check=True, input=packed)
        yield Path(folder)


def _row(trees: Sequence[Path], reference: str, suite: str) -> list[str]:
    """Trees take turns, round by round; each ratio with its least and largest over the rounds."""
    rounds = [[_seconds(tree, reference, suite) for tree in trees] for _ in range(ROUNDS)]
    ours = median(first for first, *_ in rounds)
    plain, limit = _bounds(reference, suite)
    ratios = [[old[number] / first for first, *old in rounds] for number in range(len(OLD))]
    told = (f"**{median(each):.2f}** ({min(each):.2f} to {max(each):.2f})" for each in ratios)
    return [reference, suite, f"{ours:.1f}", *told, f"{plain / ours:.2f}", f"{ours / limit:.2f}"]


def _seconds(tree: Path, reference: str, suite: str) -> float:
    """Processor time of `qualify` alone, on one thread, in a process of its own."""
    command = [sys.executable, "-c", RUN, reference, suite, json.dumps(IMAGES)]
    done = subprocess.run(command, cwd=tree, env={"PYTHONPATH": str(tree), "OMP_NUM_THREADS": "1"}, capture_output=True)
    if done.returncode:
        raise RuntimeError(f"{tree.name}: {done.stderr.decode().strip().splitlines()[-1]}")
    return float(done.stdout.split()[-1])


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
