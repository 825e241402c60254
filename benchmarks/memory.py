"""Peak memory of `qualify` and size of its report, against the number of pictures."""

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

COUNTS = 200, 2_000, 20_000  # pictures; with PAIRS and two arms the last gives 10^6 trials
PAIRS = 25
SIDE = 64
RUN = """
import json, resource, sys, time, warnings
from pathlib import Path
import torch, perturb
from torch import nn
from perturb.render import html
from perturb.runs import encode
from perturb.stories.qualify import examine
from perturb.suite import load_suite
torch.set_num_threads(1)
warnings.simplefilter("ignore")
side, suite = int(sys.argv[1]), load_suite(sys.argv[2])
window = nn.Conv2d(3, 8, 3, stride=2), nn.ReLU(), nn.Conv2d(8, 8, 3, stride=2)
model = perturb.Network(nn.Sequential(*window), preprocessing=perturb.Preprocessing(input_shape=(3, side, side)))
run = examine(model, suite)
begun = time.process_time()
files = encode(run) | {"report.html": html.report(run.report).encode()}
took = time.process_time() - begun
peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
trials = sum(2 * found.seen.evidence[..., 0].size for found in run.measured.values())
print(json.dumps([trials, peak / 1024, took, {name: len(data) / 1e6 for name, data in files.items()}]))
"""
SUITE = """
name = "memory"
[images]
source = "folder:{folder}"
crops = 1
calibration = 0.01
[evaluator]
layer = "stride:4"
[[check]]
name = "pixel"
perturbation = {{ kind = "pixel" }}
level = 0.5
pairs = {pairs}
claim = {{ quantity = "accuracy-loss", at_most = 0.1 }}
"""


def report() -> Iterator[str]:
    """A Markdown table."""
    head = ["pictures", "trials", "peak, MB", "report.html, MB", "report.json, MB", "trials.npz, MB", "written in, s"]
    with tempfile.TemporaryDirectory() as folder:
        yield from table(head, (_row(Path(folder) / str(count), count) for count in COUNTS))


def _row(folder: Path, count: int) -> list[str]:
    _write(folder, count)
    suite = folder / "memory.perturb.toml"
    suite.write_text(SUITE.format(folder=folder, pairs=PAIRS))
    done = subprocess.run([sys.executable, "-c", RUN, str(SIDE), suite], check=True, capture_output=True)
    trials, peak, took, sizes = json.loads(done.stdout)
    told = (f"{sizes[name]:.2f}" for name in ("report.html", "report.json", "trials.npz"))
    return [f"{count:,}", f"{trials:,}", f"{peak:.0f}", *told, f"{took:.1f}"]


def _write(folder: Path, count: int) -> None:
    """JPEG files: crops of the built-in photographs."""
    folder.mkdir()
    crops = load_images("built-in", shape=(3, SIDE, SIDE), crops=-(-count // 20)).pixels
    for number in range(count):
        values = (255 * np.moveaxis(crops[number], 0, -1)).round().astype(np.uint8)
        Image.fromarray(values).save(folder / f"{number:05}.jpg", quality=90)
