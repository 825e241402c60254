"""Small objects planted in pictures: what small_objects.py and lesions.py train a network on, and try it with.

Everything is drawn from a seed. Training pictures are parts of the photographs in TRAINING, and textures with their
spectra. A trained network is tried on the photographs in HELD_OUT: none of TRAINING is among them. The suites judge on
drawn pictures, whose photographs (brick, retina) are not in TRAINING either.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from torch import Tensor, nn

from perturb.evaluators.boxes import BoxScores
from perturb.evaluators.map import Map
from perturb.images.textures import photograph, texture
from perturb.perturbations.shapes import Blob
from perturb.protocols import Asked
from perturb.quantities.statistics import rate
from perturb.records import Rate
from perturb.streams import stream

SIDE, BATCH, MOST = 64, 16, 3  # pixels of a training picture, pictures of a batch, objects in one at most
TEXTURES = 84  # that are drawn to train on
STEPS, RATE = 2000, 5e-3  # of a training; the largest learning rate
ALARMS = 0.1  # false alarms a part of SIDE x SIDE at which a trained network is tried
TRIES = 32  # parts of each picture that it is tried on, with one object in each
TRAINING = ("astronaut.png", "camera.png", "chelsea.png", "coffee.png", "coins.png", "moon.png", "page.png")
HELD_OUT = (
    *("brick.png", "cell.png", "clock_motion.png", "grass.png", "gravel.png", "hubble_deep_field.jpg", "ihc.png"),
    *("motorcycle_left.png", "retina.jpg", "rocket.jpg"),
)

Picture = np.ndarray  # (channel, row, column), float32 in [0, 1]
Kind = Literal["strided", "even", "pooled"]


@dataclass(frozen=True, slots=True)
class Planted:
    """A picture with objects in it."""

    picture: Picture
    boxes: np.ndarray  # (object, 4): x1, y1, x2, y2 in pixels; x2 and y2 lie behind the last pixel
    mask: np.ndarray  # (row, column): how much of each pixel an object covers, 0 to 1


@dataclass(frozen=True, slots=True)
class Objects:
    """Blobs, brighter or darker; point spread in pixels and level between two ends, evenly in the logarithm."""

    sigma: tuple[float, float]
    level: tuple[float, float]

    def draw(self, rng: np.random.Generator) -> tuple[Blob, float]:
        sigma, level = (float(np.exp(rng.uniform(*np.log(ends)))) for ends in (self.sigma, self.level))
        return Blob(sigma=round(sigma, 1), polarity=str(rng.choice(("darker", "brighter")))), level


class Down(nn.Sequential):
    """Half as many rows and columns: a 3 x 3 convolution with stride 2, a 4 x 4 one, or a 3 x 3 one and a maximum."""

    def __init__(self, given: int, wanted: int, kind: Kind) -> None:
        if kind == "pooled":
            super().__init__(*block(given, wanted), nn.MaxPool2d(2))
        else:
            super().__init__(*block(given, wanted, stride=2, kernel=4 if kind == "even" else 3))


def block(given: int, wanted: int, *, stride: int = 1, kernel: int = 3) -> nn.Sequential:
    """Convolution, batch normalisation, ReLU."""
    convolution = nn.Conv2d(given, wanted, kernel, stride, padding=1, bias=False)
    return nn.Sequential(convolution, nn.BatchNorm2d(wanted), nn.ReLU())


def backgrounds(seed: int, textures: int = TEXTURES) -> list[Picture]:
    """What a network is trained on: photographs, and as many textures."""
    names = [TRAINING[i % len(TRAINING)] for i in range(textures)]
    drawn = [texture((name,), (3, 128, 128), stream(seed, f"planting/{i}")) for i, name in enumerate(names)]
    return [*drawn, *(photograph(name, 3) for name in names)]


def planted(background: Picture, objects: Objects, count: int, rng: np.random.Generator) -> Planted:
    """A random part of SIDE x SIDE, turned and in other light, with `count` objects at random places."""
    top, left = (int(rng.integers(n - SIDE + 1)) for n in background.shape[1:])
    part = np.rot90(background[:, top : top + SIDE, left : left + SIDE], int(rng.integers(4)), (1, 2))
    light, shade = rng.uniform(0.4, 1.1), rng.uniform(-0.1, 0.2)
    return plant(np.clip(part * light + shade, 0, 1).astype(np.float32), objects, count, rng)


def plant(picture: Picture, objects: Objects, count: int, rng: np.random.Generator) -> Planted:
    """The picture with `count` objects at random places, each wholly within it."""
    boxes, mask = np.zeros((count, 4), np.float32), np.zeros(picture.shape[1:], np.float32)
    for number in range(count):
        blob, level = objects.draw(rng)
        rows, columns = blob.extent
        row, column = (int(rng.integers(n - size + 1)) for n, size in zip(mask.shape, (rows, columns), strict=True))
        picture = blob.apply(picture, (row, column), level, rng)
        patch = mask[row : row + rows, column : column + columns]
        np.maximum(patch, blob.object(len(picture), rng)[0], out=patch)
        boxes[number] = column, row, column + columns, row + rows
    return Planted(picture, boxes, mask)


def train(
    network: nn.Module,
    loss: Callable[[nn.Module, Tensor, list[Planted]], Tensor],
    objects: Objects,
    *,
    seed: int,
    steps: int = STEPS,
    textures: int = TEXTURES,
) -> Iterator[float]:
    """Trains the network in place, and gives the loss of each step. AdamW; the rate rises and falls as a cosine."""
    pictures = backgrounds(seed, textures)
    network.train().to(memory_format=torch.channels_last)
    optimiser = torch.optim.AdamW(network.parameters(), weight_decay=1e-4)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, RATE, total_steps=steps)
    for step in range(steps):
        rng = stream(seed, f"planting/step/{step}")
        which = rng.integers(len(pictures), size=BATCH)
        lesson = [planted(pictures[i], objects, int(rng.integers(MOST + 1)), rng) for i in which]
        x = torch.from_numpy(np.stack([each.picture for each in lesson])).contiguous(memory_format=torch.channels_last)
        found = loss(network, x, lesson)
        optimiser.zero_grad()
        found.backward()
        optimiser.step()
        schedule.step()
        yield float(found.detach())
    network.eval().to(memory_format=torch.contiguous_format)


def held_out() -> list[Picture]:
    """Photographs that nothing was trained on."""
    return [photograph(name, 3) for name in HELD_OUT]


def tried(
    network: nn.Module, reader: Map | BoxScores, objects: Objects, pictures: Sequence[Picture], *, seed: int = 0
) -> Rate:
    """The share of objects that is found at a threshold with ALARMS false alarms a clean part of SIDE x SIDE pixels.

    On random parts of these pictures, read as a suite reads them; all objects are of one size. The threshold is pinned
    on other random parts of the same pictures. The interval is over pictures.
    """
    hits, alarms = [], []
    for number, picture in enumerate(pictures):
        rng = stream(seed, f"planting/try/{number}")
        lesson = [planted(picture, objects, 1, rng) for _ in range(TRIES)]
        clean = [planted(picture, objects, 0, rng).picture for _ in range(TRIES)]
        boxes = np.concatenate([each.boxes for each in lesson]).astype(int)
        asked = Asked(
            place=boxes[:, 1::-1],
            extent=(boxes[0, 3] - boxes[0, 1], boxes[0, 2] - boxes[0, 0]),
            shape=(SIDE, SIDE),
            truth=np.zeros(TRIES, int),
            twin=np.arange(TRIES),
        )
        hits.append(np.asarray(reader.evidence(_answers(network, [one.picture for one in lesson]), asked, None)))
        alarms += reader.alarms(_answers(network, clean), asked)
    threshold = np.sort(np.concatenate(alarms))[-int(ALARMS * TRIES * len(pictures)) - 1]
    found = (np.concatenate(hits) > threshold).astype(float).reshape(1, -1, 1)
    return rate(found, np.arange(len(pictures)).repeat(TRIES))


def _answers(network: nn.Module, pictures: list[Picture]) -> Tensor | list[dict[str, Tensor]]:
    """A map for each picture, or its boxes."""
    with torch.no_grad():
        found = network(torch.from_numpy(np.stack(pictures)))
    if isinstance(found, Tensor):
        return found
    return [{key: values[i] for key, values in found.items()} for i in range(len(pictures))]
