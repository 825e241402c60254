"""What the fuzzer mutates: for each kind of file one that is right, how it is read, and what must come out."""

import io
import json
import tempfile
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import fuzz_mutations as mutations
import numpy as np
import torch
from fuzz_mutations import Mutate
from PIL import Image
from safetensors.torch import save_file
from torch import nn
from toyruns import KEPT, a_measurement, a_run

from perturb import baseline, counterexample, files, history, runs
from perturb.counterexample import About, Case
from perturb.errors import InputError
from perturb.images.account import Ledger
from perturb.images.annotation_files import read_annotations
from perturb.images.photograph import random_crop
from perturb.images.reading import Reading, opened_in_turn
from perturb.model.weights import load_weights
from perturb.perturbations.patches import Pixel
from perturb.report import from_json
from perturb.suite import load_suite
from perturb.training.checkpoint import Trained, resume, save

Files = dict[str, bytes]
SHAPE = (3, 32, 32)


@dataclass(frozen=True, kw_only=True)
class Kind:
    name: str
    files: Callable[[], Files]
    read: Callable[[Path], Any]  # what the folder's files say, as something that can be compared
    mutate: Mutate = mutations.by_bytes
    differs: Callable[[Any, Any], str] = lambda found, whole: "" if found == whole else f"read as {found}"
    only: Collection[str] = ()  # the files that are mutated; empty: all
    command: Any = None  # folder -> arguments
    any_verdict: bool = False  # a mutation may ask something else
    kept: Files = field(default_factory=dict)

    def write(self, folder: Path) -> Files:
        """The right files, by name."""
        self.kept.update(self.kept or self.files())
        for name, data in self.kept.items():
            path = folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(data)
        return dict(self.kept)

    def mutable(self, made: Mapping[str, bytes]) -> Collection[str]:
        return self.only or list(made)


def anything(found: Any, whole: Any) -> str:
    """For kinds without a digest, where another file is another question."""
    return ""


SUITE = """name = "tiny"
description = "asks"
seed = 3

[images]
source = "dead-leaves"
count = 12
calibration = 0.5

[map]
kind = "structural"
period = 4

[evaluator]
kind = "change"
layer = "stride:4"
noise = 0.01

[[check]]
name = "pixel"
perturbation = { kind = "pixel", colour = [1.0, 0.5, 0.0] }
pairs = 4
level = 0.5
claim = { quantity = "accuracy-loss", at_most = 0.2, confidence = 0.9 }

[models.net]
reference = "net.py:build"
seed = 1
"""


def of_suite(folder: Path) -> Any:
    suite = load_suite(str(folder / "x.perturb.toml"))
    json.dumps(suite.model_dump(mode="json"), allow_nan=False)
    return suite.digest


def numbers(found: Any) -> Any:
    """The verdict, and what it was made from."""
    return str(found.verdict), [(f.check, str(f.verdict), f.claim, f.effect) for f in found.findings], found.experiments


def of_report(folder: Path) -> Any:
    return numbers(from_json(files.read_text(folder / "report.json"), "report.json"))


def verdict_alone(found: Any, whole: Any) -> str:
    """Of a report without a digest, whose numbers nothing vouches for: its verdict must be that of its findings."""
    return "" if found[0] == whole[0] or found[1] != whole[1] else f"{whole[0]} became {found[0]}"


def of_run(folder: Path) -> Any:
    run = runs.decode(runs.read(folder), folder)
    seen = {name: found.seen.evidence.tolist() for name, found in run.measured.items()}
    return numbers(run.report), seen, {key: found.values.tolist() for key, found in run.maps.items()}


def some_run() -> Any:
    rng = np.random.default_rng(0)
    return a_run(a_measurement(rng.random((40, 2)) < 0.5, np.ones((40, 2))))


def of_baseline(folder: Path) -> Any:
    past = baseline.from_json(files.read_text(folder / "baseline.json"), "baseline.json")
    found = baseline.compare(past, some_run(), "two")
    return str(found.verdict), found.changes, found.differs


def a_counterexample() -> Files:
    about = About(aim="missed", check="pixel", model="net", suite={"name": "s"}, weights_digest="0")
    picture = np.random.default_rng(0).integers(0, 256, SHAPE) / 255
    case = Case(picture=picture, perturbation=Pixel(), level=0.5, dead=(1, 1), live=(2, 2))
    return {"case.json": counterexample.to_json(case, about).encode()}


def of_counterexample(folder: Path) -> Any:
    case, about = counterexample.from_json(files.read_text(folder / "case.json"), "case.json")
    return case.picture.tobytes(), repr(case.perturbation), case.level, case.dead, case.live, case.seed, repr(about)


def a_history() -> Files:
    with tempfile.TemporaryDirectory() as scratch:
        where = Path(scratch)
        history.keep(runs.encode(some_run()), where)
        history.keep(runs.encode(a_run(timestamp="2026-01-02T00:00:00+00:00")), where)
        history.entries(where)
        kept = [path for path in where.rglob("*") if path.is_file() and path.suffix in (".json", ".npz", ".sqlite")]
        return {f"kept/{path.relative_to(where)}": path.read_bytes() for path in kept}


def of_history(folder: Path) -> Any:
    for left in (folder / "kept").glob("*-journal"):
        left.unlink()
    return history.entries(folder / "kept")


def no_other_entry(found: Any, whole: Any) -> str:
    """A damaged run is left out, with a warning; what is listed is as it was kept."""
    return "" if all(entry in whole for entry in found) else f"lists {found}"


def a_network() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(3, 4, 3, 2, 1), nn.BatchNorm2d(4))


def a_checkpoint() -> Files:
    module = a_network()
    optimiser = torch.optim.SGD(module.parameters(), 0.1, momentum=0.9)
    module(torch.rand(2, 3, 8, 8)).square().sum().backward()
    optimiser.step()
    with tempfile.TemporaryDirectory() as scratch:
        path = Path(scratch) / "x.safetensors"
        save(path, module, optimiser, Trained(epochs=2, best_epoch=1, accuracy=0.5, best=dict(module.state_dict())))
        return {"x.safetensors": path.read_bytes()}


def state(module: nn.Module) -> Any:
    return {name: value.numpy().tobytes() for name, value in module.state_dict().items()}


def of_checkpoint(folder: Path) -> Any:
    module = a_network()
    found = resume(folder / "x.safetensors", module, torch.optim.SGD(module.parameters(), 0.1, momentum=0.9))
    return state(module), found.epochs, found.best_epoch, found.accuracy


def some_weights(name: str) -> Callable[[], Files]:
    def make() -> Files:
        with tempfile.TemporaryDirectory() as scratch:
            path, values = Path(scratch) / name, a_network().state_dict()
            if name.endswith(".safetensors"):
                save_file(values, path)
            else:
                torch.save(values, path, _use_new_zipfile_serialization=name != "old.pt")
            return {name: path.read_bytes()}

    return make


def of_weights(name: str) -> Callable[[Path], Any]:
    def read(folder: Path) -> Any:
        module = a_network()
        load_weights(module, folder / name)
        return state(module)

    return read


def some_picture(name: str) -> Callable[[], Files]:
    def make() -> Files:
        values = np.random.default_rng(0).integers(0, 256, (40, 50, 3), dtype=np.uint8)
        out = io.BytesIO()
        if name.endswith(".npy"):
            np.save(out, values)
        elif name.endswith("16.png"):
            Image.fromarray(values[..., 0].astype(np.uint16) * 257).save(out, "PNG")
        elif name.endswith("16.tif"):
            import tifffile

            tifffile.imwrite(out, values.astype(np.uint16) * 257, photometric="rgb", compression="zlib", tile=(16, 16))
        else:
            form = {".png": "PNG", ".jpg": "JPEG", ".gif": "GIF", ".bmp": "BMP", ".tif": "TIFF", ".webp": "WEBP"}
            Image.fromarray(values).save(out, form.get(Path(name).suffix, "PPM"))
        return {name: out.getvalue()}

    return make


def of_picture(name: str) -> Callable[[Path], Any]:
    def read(folder: Path) -> Any:
        ledger = Ledger()
        found = [*opened_in_turn({folder / name: name}, 3, Reading(frames="all"), ledger)]
        if not found:
            raise InputError(ledger.close(1).words)
        crop, _ = random_crop(found[0].stored, SHAPE, np.random.default_rng(0))
        return crop.shape == SHAPE and bool(np.isfinite(crop).all()) and 0 <= crop.min() <= crop.max() <= 1

    return read


def annotations(name: str) -> Callable[[Path], Any]:
    return lambda folder: read_annotations(folder / name).entries.keys() and True


COCO = {
    "images": [{"id": 1, "file_name": "a.png", "width": 50, "height": 40}, {"id": 2, "file_name": "b.png"}],
    "annotations": [
        {"id": 1, "image_id": 1, "category_id": 7, "bbox": [1, 2, 10, 12], "segmentation": [[1, 2, 3, 4, 5, 6]]}
    ],
    "categories": [{"id": 7, "name": "cat"}],
}
KINDS = {
    kind.name: kind
    for kind in (
        Kind(
            name="suite",
            files=lambda: {"x.perturb.toml": SUITE.encode()},
            read=of_suite,
            mutate=mutations.of_toml,
            differs=anything,
            command=lambda folder: ["plan", "x.perturb.toml", "fuzz_absent.py:net"],
            any_verdict=True,
        ),
        Kind(
            name="report",
            files=lambda: {"report.json": runs.encode(some_run())["report.json"]},
            read=of_report,
            mutate=mutations.of_json,
            command=lambda folder: ["summary", "."],
        ),
        Kind(
            name="earlier-report",
            files=lambda: {"report.json": (KEPT / "report-3/report.json").read_bytes()},
            read=of_report,
            mutate=mutations.of_json,
            differs=verdict_alone,
            command=lambda folder: ["summary", "."],
        ),
        Kind(
            name="run",
            files=lambda: {f"run/{name}": data for name, data in runs.encode(some_run()).items()},
            read=lambda folder: of_run(folder / "run"),
            only=("run/trials.npz", "run/maps.npz"),
            command=lambda folder: ["baseline", "accept", "made.json", "run"],
        ),
        Kind(
            name="baseline",
            files=lambda: {"baseline.json": files.encode(baseline.accept(some_run(), "one")).encode()},
            read=of_baseline,
            mutate=mutations.of_json,
        ),
        Kind(name="counterexample", files=a_counterexample, read=of_counterexample, mutate=mutations.of_json),
        Kind(
            name="history",
            files=a_history,
            read=of_history,
            differs=no_other_entry,
            command=lambda folder: ["history", "list", "--history", "kept"],
        ),
        Kind(name="checkpoint", files=a_checkpoint, read=of_checkpoint),
        *(
            Kind(
                name=f"weights-{name}",
                files=some_weights(name),
                read=of_weights(name),
                **({} if name == "new.pt" else {"differs": anything}),  # the others have no check sum
            )
            for name in ("new.pt", "old.pt", "x.safetensors")
        ),
        *(
            Kind(name=f"picture-{name}", files=some_picture(name), read=of_picture(name))
            for name in ("8.png", "16.png", "x.jpg", "x.gif", "x.bmp", "8.tif", "16.tif", "x.webp", "x.ppm", "x.npy")
        ),
        Kind(
            name="annotations-coco",
            files=lambda: {"x.json": json.dumps(COCO).encode()},
            read=annotations("x.json"),
            mutate=mutations.of_json,
            differs=anything,
        ),
        Kind(
            name="annotations-csv",
            files=lambda: {"x.csv": b"file,x,y,width,height,class\na.png,1,2,10,12,cat\nb.png,3,4,5,6,dog\n"},
            read=annotations("x.csv"),
            differs=anything,
        ),
        Kind(
            name="annotations-yaml",
            files=lambda: {
                "data.yaml": b"path: .\ntrain: images\nnames:\n  0: cat\n  1: dog\n",
                "labels/a.txt": b"0 .5 .5 .1 .1\n",
            },
            read=annotations("data.yaml"),
            differs=anything,
        ),
    )
}
