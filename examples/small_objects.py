"""A small detector of specks, trained on planted ones in about a minute on one core.

python examples/small_objects.py --out specks.safetensors
perturb qualify examples/small_objects.py:strided --weights specks.safetensors --suite small-objects

The first command also says what the detector finds on photographs that it was not trained on. With `--camera FOLDER` it
writes what a user of a deployed detector has: camera pictures, a COCO file with the specks in them, and an ONNX file.
`even` and `pooled` are the same detector with 4 x 4 kernels and with maxima: train them with `--kind`.
"""

import json
from collections.abc import Sequence
from pathlib import Path

import click
import numpy as np
import torch
from PIL import Image
from planting import Down, Kind, Objects, Planted, block, held_out, plant, train, tried
from safetensors.torch import save_file
from torch import Tensor, nn
from torch.nn import functional as F

from perturb import Preprocessing
from perturb.evaluators.boxes import BoxScores
from perturb.images.textures import surface
from perturb.streams import stream

STRIDE = 4  # pixels to a position of the heat map
MOST = 64  # boxes of a picture
SPECKS = Objects(sigma=(0.5, 2.0), level=(0.05, 0.6))
CAMERA = (480, 640)  # rows, columns
PICTURES = 60
SPECKS_ON_CAMERA = 24
ON_CAMERA = Objects(sigma=(0.5, 2.0), level=(0.15, 0.35))  # some are near what the detector can find

Made = tuple[nn.Module, Preprocessing]


class Detector(nn.Module):
    """A heat map of centres, with an offset and a size at each position; one class. After Zhou et al. (2019)."""

    def __init__(self, kind: Kind) -> None:
        super().__init__()
        self.body = nn.Sequential(Down(3, 16, kind), Down(16, 32, kind), block(32, 32), block(32, 32))
        self.head = nn.Conv2d(32, 5, 1)  # score, column and row of the centre, logarithm of columns and rows
        nn.init.constant_(self.head.bias, -3.0)  # few positions are centres

    def forward(self, x: Tensor) -> dict[str, Tensor]:
        """The MOST highest peaks: `boxes` (picture, box, 4) as x1, y1, x2, y2 in pixels and `scores` (picture, box)."""
        heads = self.head(self.body(x))
        heat = heads[:, :1].sigmoid()
        peaks = torch.where(heat == F.max_pool2d(heat, 3, 1, 1), heat, torch.zeros_like(heat))
        scores, index = peaks.flatten(1).topk(MOST)
        columns = heat.shape[3]
        corner = torch.stack([index % columns, torch.div(index, columns, rounding_mode="floor")], 2).float()
        at = index[:, None].expand(-1, 4, -1)
        offset, size = heads[:, 1:].flatten(2).gather(2, at).transpose(1, 2).split(2, 2)
        centre, half = STRIDE * (corner + 0.5 + offset), STRIDE * size.clamp(max=3).exp() / 2
        return {"boxes": torch.cat([centre - half, centre + half], 2), "scores": scores}


def strided() -> Made:
    """3 x 3 kernels with stride 2; weights are given with --weights."""
    return Detector("strided"), Preprocessing(input_shape=(3, 128, 128))


def even() -> Made:
    """4 x 4 kernels with stride 2, which read every pixel equally often."""
    return Detector("even"), Preprocessing(input_shape=(3, 128, 128))


def pooled() -> Made:
    """3 x 3 kernels with stride 1, each followed by the maximum of 2 x 2."""
    return Detector("pooled"), Preprocessing(input_shape=(3, 128, 128))


def loss(network: Detector, x: Tensor, lesson: Sequence[Planted]) -> Tensor:
    """Focal loss of the heat map (a Gaussian around each centre), and the mean error of offsets and sizes there."""
    heads = network.head(network.body(x))
    wanted, shape, there = (torch.from_numpy(part) for part in targets(lesson, *heads.shape[2:]))
    score = heads[:, 0].sigmoid().clamp(1e-4, 1 - 1e-4)
    at_centre = -((1 - score) ** 2) * score.log()
    elsewhere = -((1 - wanted) ** 4) * score**2 * (1 - score).log()
    heat = torch.where(there, at_centre, elsewhere).sum() / there.sum().clamp(min=1)
    error = (heads[:, 1:] - shape).abs().mean(1)
    return heat + error[there].sum() / there.sum().clamp(min=1)


def targets(lesson: Sequence[Planted], rows: int, columns: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The heat map that is wanted, offsets and sizes, and where centres are."""
    heat = np.zeros((len(lesson), rows, columns), np.float32)
    shape, there = np.zeros((len(lesson), 4, rows, columns), np.float32), np.zeros(heat.shape, bool)
    down, right = np.ogrid[:rows, :columns]
    for number, each in enumerate(lesson):
        centres = (each.boxes[:, :2] + each.boxes[:, 2:]) / 2 / STRIDE - 0.5
        nearest = centres.round().astype(int)
        for (column, row), offset, sides in zip(
            nearest, centres - nearest, each.boxes[:, 2:] - each.boxes[:, :2], strict=True
        ):
            heat[number] = np.maximum(heat[number], np.exp(-2 * ((down - row) ** 2 + (right - column) ** 2)))
            shape[number, :, row, column] = [*offset, *np.log(sides / STRIDE)]
            there[number, row, column] = True
    return heat, shape, there


def trained(kind: Kind, seed: int, **how: int) -> Detector:
    """A detector that has learnt; the same for the same seed."""
    torch.manual_seed(seed)
    detector = Detector(kind)
    for _ in train(detector, loss, SPECKS, seed=seed, **how):
        pass
    return detector


def camera(folder: Path, detector: Detector, count: int = PICTURES) -> None:
    """Writes pictures/*.png of CAMERA pixels in 8 bits, annotations.json in COCO's form, and detector.onnx.

    The pictures are drawn surfaces that the detector was not trained on.
    """
    (folder / "pictures").mkdir(parents=True, exist_ok=True)
    images, annotations = [], []
    for number in range(count):
        rng = stream(0, f"camera/{number}")
        seen = plant(surface((3, *CAMERA), rng), ON_CAMERA, SPECKS_ON_CAMERA, rng)
        file = f"{number:03}.png"
        Image.fromarray(np.uint8(np.rint(255 * seen.picture.transpose(1, 2, 0)))).save(folder / "pictures" / file)
        images.append({"id": number, "file_name": file, "height": CAMERA[0], "width": CAMERA[1]})
        for x1, y1, x2, y2 in seen.boxes.tolist():
            box = {"bbox": [x1, y1, x2 - x1, y2 - y1], "area": (x2 - x1) * (y2 - y1), "iscrowd": 0}
            annotations.append({"id": len(annotations), "image_id": number, "category_id": 0, **box})
    found = {"images": images, "annotations": annotations, "categories": [{"id": 0, "name": "speck"}]}
    (folder / "annotations.json").write_text(json.dumps(found, indent=1), encoding="utf-8")
    torch.onnx.export(
        detector,
        (torch.zeros(1, 3, *CAMERA),),
        str(folder / "detector.onnx"),
        input_names=["pictures"],
        output_names=["boxes", "scores"],
        dynamic_axes={name: {0: "picture"} for name in ("pictures", "boxes", "scores")},
        dynamo=False,
    )


@click.command()
@click.option("--kind", type=click.Choice(["strided", "even", "pooled"]), default="strided", show_default=True)
@click.option("--seed", default=0, show_default=True)
@click.option("--out", required=True, type=click.Path(path_type=Path), help="A .safetensors file.")
@click.option("--camera", "folder", type=click.Path(path_type=Path), help="A folder for pictures, COCO file and ONNX.")
def main(kind: Kind, seed: int, out: Path, folder: Path | None) -> None:
    """Train a detector of specks, save its weights, and say what it finds."""
    detector = trained(kind, seed)
    save_file(detector.state_dict(), out)
    drawn = [surface((3, 128, 128), stream(0, f"small-objects/try/{i}")) for i in range(40)]
    for words, level, pictures in (("drawn surfaces", 0.2, drawn), ("held-out photographs", 0.3, held_out())):
        for sigma in (0.5, 1.0, 2.0):
            found = tried(detector, BoxScores(radius=6), Objects((sigma, sigma), (level, level)), pictures)
            click.echo(
                f"specks of sigma {sigma} at level {level} on {words}: {found.value:.2f} "
                f"[{found.low:.2f}, {found.high:.2f}] found, with 0.1 false alarms a part of 64 x 64 pixels"
            )
    if folder is not None:
        camera(folder, detector)


if __name__ == "__main__":
    main()
