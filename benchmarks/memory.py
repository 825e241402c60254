"""Peak memory of `qualify` against the number of pictures, and the files of a run of 10^6 trials."""

import json
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from PIL import Image

from benchmarks.timing import table
from perturb.images import load_images

COUNTS = 200, 2_000, 20_000  # JPEG files
SIDE = 48
RUN = """
import json, resource, sys, time, warnings
import numpy as np, torch, perturb
from torch import nn
from perturb.observe import Observing
from perturb.records import Observation
from perturb.render import html
from perturb.runs import encode
from perturb.stories.qualify import examine
from perturb.suite import load_suite

def drawn(self, block, rng=np.random.default_rng(0)):
    places, images = block.trials.dead, len(block.trials.dead)
    evidence = rng.random((1, 1, *places.shape[:2], 4))
    return Observation(
        evidence=evidence, realised=evidence, threshold=np.full((1, images), 0.5), measures={}, levels=self.by.levels,
        photograph=block.trials.photograph, point=self.by.point, truth=np.ones((1, *places.shape[:2]), dtype=int),
    )

torch.set_num_threads(1)
warnings.simplefilter("ignore")
if sys.argv[3] == "drawn":
    Observing.__call__ = drawn
side = int(sys.argv[1])
layers = nn.Conv2d(3, 8, 3, stride=2), nn.ReLU(), nn.Conv2d(8, 8, 3, stride=2)
model = perturb.Network(nn.Sequential(*layers), preprocessing=perturb.Preprocessing(input_shape=(3, side, side)))
run = examine(model, load_suite(sys.argv[2]))
peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
begun = time.process_time()
files = encode(run) | {"report.html": html.report(run.report).encode()}
seconds = time.process_time() - begun
(seen,) = (found.seen for found in run.measured.values())
print(json.dumps([2 * seen.evidence[..., 0].size, peak, seconds, {name: len(data) for name, data in files.items()}]))
"""
SUITE = """
name = "memory"
images = {{ source = "folder:{folder}", crops = 1, calibration = {calibration} }}
map = {{ kind = "structural" }}
evaluator = {{ layer = "stride:4" }}
[[check]]
name = "pixel"
perturbation = {{ kind = "pixel" }}
level = 0.5
pairs = {pairs}
claim = {{ quantity = "accuracy-loss", at_most = 0.1 }}
"""


def report() -> Iterator[str]:
    """Two Markdown tables; the outcomes of the second are drawn, not measured."""
    with tempfile.TemporaryDirectory() as made:
        folders = [_written(Path(made) / str(count), count) for count in COUNTS]
        yield from table(["pictures", "peak, MB"], (_peak(folder) for folder in folders))
        yield "\n"
        trials, _, seconds, sizes = _run(folders[-1], "drawn", pairs=26, calibration=0.03)
        row = [f"{trials:,}", *(f"{sizes[name] / 1e6:.3g}" for name in sizes), f"{seconds:.1f}"]
        yield from table(["trials", *(f"{name}, MB" for name in sizes), "written in, s"], [row])


def _peak(folder: Path) -> list[str]:
    _, peak, *_ = _run(folder, "measured", pairs=2, calibration=0.1)
    return [f"{int(folder.name):,}", f"{peak:.0f}"]


def _run(folder: Path, outcomes: str, *, pairs: int, calibration: float) -> tuple[int, float, float, dict[str, int]]:
    """Trials, peak memory, processor time for the files, and their bytes; in a process of its own."""
    suite = folder / "memory.perturb.toml"
    suite.write_text(SUITE.format(folder=folder, pairs=pairs, calibration=calibration))
    command = [sys.executable, "-c", RUN, str(SIDE), str(suite), outcomes]
    trials, peak, seconds, sizes = json.loads(subprocess.run(command, check=True, capture_output=True).stdout)
    return trials, peak, seconds, sizes


def _written(folder: Path, count: int) -> Path:
    """JPEG files: crops of the built-in photographs."""
    folder.mkdir()
    crops = load_images("built-in", shape=(3, SIDE, SIDE), crops=-(-count // 20)).pixels
    for number in range(count):
        values = (255 * np.moveaxis(crops[number], 0, -1)).round().astype(np.uint8)
        Image.fromarray(values).save(folder / f"{number:05}.jpg", quality=90)
    return folder
