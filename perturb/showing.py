"""The pictures that a model is shown: clean ones, and those with the perturbation at each level, pair and arm."""

import math
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from jaxtyping import Float, Int

from perturb.protocols import Task
from perturb.records import ARMS, CLEAN, CLEAN_LIVE, DEAD, LIVE, Images, Trials
from perturb.streams import stream
from perturb.trials import identity

Picture = Float[np.ndarray, "channel row column"]
PERTURBED, UNPERTURBED = (DEAD, LIVE), (CLEAN, CLEAN_LIVE)  # arms asked at the dead and at the live place


@dataclass(frozen=True, slots=True, kw_only=True)
class Exposure:
    """How the pictures of a trial are taken."""

    task: Task
    levels: tuple[float, ...]
    noise: float  # standard deviation of the sensor noise, a fraction of the pixel range


@dataclass(frozen=True, slots=True, kw_only=True)
class Shown:
    """The pictures of one image. `number` says which picture stands at each level, pair and arm."""

    clean: Float[np.ndarray, "clean channel row column"]
    changed: Float[np.ndarray, "changed channel row column"]
    twin: Int[np.ndarray, " picture"]  # the number of each picture's clean twin, clean ones first
    number: Int[np.ndarray, "level pair arm"]  # among the clean ones, then the changed ones
    realised: Float[np.ndarray, "level pair arm"]
    clipped: Float[np.ndarray, "level pair arm"]  # the further change that clipping took away


def show(images: Images, trials: Trials, image: int, exposure: Exposure) -> Shown:
    """The pictures of one image: clean ones, and those with the perturbation at each level, pair and arm.

    The pictures of a pair share one draw of sensor noise, whatever the level: they differ by the perturbation alone, or
    where the picture moves by the move alone. A picture that several trials need is taken once.
    """
    label, noise = label_of(images, image), exposure.noise
    name, pairs = _name(images, trials, image), trials.dead.shape[1]
    still = still_of(images, image, exposure.task)
    lies, moves = _positions(trials, image)
    if trials.scene is None:
        scene, blank = images.pixels[image], still
    elif images.objects is not None:  # the picture itself is the scene
        scene = blank = exposure.task.show(images.pixels[image], 0, None, np.random.default_rng(0))
    else:
        scene = blank = np.pad(still, ((0, 0), *((0, int(most)) for most in moves.max((0, 1)))), mode="edge")
    draws = [_grain(still.shape, noise, stream(trials.seed, f"noise/{name}/{pair}")) for pair in range(pairs)]
    drawn = [pair if noise and not trials.together else 0 for pair in range(pairs)]  # whose draw a pair takes
    takes = _Takes(shape=still.shape[1:], draws=draws)
    number = np.zeros((len(exposure.levels), pairs, len(ARMS)), dtype=int)
    realised, clipped = np.zeros(number.shape), np.zeros(number.shape)
    for pair, arm in np.ndindex(pairs, 2):
        number[:, pair, UNPERTURBED[arm]] = takes.number(blank, moves[pair, arm], drawn[pair])
    clean = len(takes.pictures)
    for level, strength in enumerate(exposure.levels):
        task = replace(exposure.task, level=strength)  # type: ignore[type-var]
        textures = [f"texture/{name}/{pair}" for pair in range(pairs)]  # the same for every level and arm
        scenes, change = _with_objects(task, label, scene, blank, lies, trials, textures)
        realised[level][:, PERTURBED], clipped[level][:, PERTURBED] = change
        for pair, arm in np.ndindex(pairs, 2):
            number[level, pair, PERTURBED[arm]] = takes.number(scenes[pair][arm], moves[pair, arm], drawn[pair])
    twin = np.arange(len(takes.pictures))
    twin[number[..., PERTURBED]] = number[..., UNPERTURBED]
    return Shown(
        clean=np.stack(takes.pictures[:clean]),
        changed=np.array(takes.pictures[clean:], dtype=np.float32).reshape(-1, *still.shape),
        twin=twin,
        number=number,
        realised=realised,
        clipped=clipped,
    )


def shots_of(
    still: Picture, name: str, *, seed: int, noise: float, count: int
) -> Float[np.ndarray, "shot channel row column"]:
    """Clean shots of an image, each with its own draw of sensor noise.

    They are named by the image's identity alone, so that all checks of a run take the same shots.
    """
    shots = np.empty((count, *still.shape), dtype=np.float32)
    for number, shot in enumerate(shots):
        np.clip(still + _grain(still.shape, noise, stream(seed, f"shot/{name}/{number}")), 0, 1, out=shot)
    return shots


def _name(images: Images, trials: Trials, image: int) -> str:
    """What the random streams of an image's trials are named by."""
    return f"{trials.purpose}/{identity(images, image)}"


def still_of(images: Images, image: int, task: Task) -> Picture:
    """The image as the model meets it, without object and noise."""
    still = task.show(images.pixels[image], 0, None, np.random.default_rng(0))
    if images.objects is None:
        return still
    return still[:, : images.objects.window[0], : images.objects.window[1]]


def _positions(trials: Trials, image: int) -> tuple[np.ndarray, np.ndarray]:
    """Where the object lies in the scene, and how far the window moves, by pair, arm (dead, live) and direction."""
    landed = np.stack([trials.dead[image], trials.live[image]], 1)
    lies = landed if trials.scene is None else trials.scene[image][:, None].repeat(2, 1)
    return lies, lies - landed


def _with_objects(
    task: Task, label: int, picture: Picture, blank: Picture, lies: np.ndarray, trials: Trials, textures: list[str]
) -> tuple[list[list[Picture]], Float[np.ndarray, "2 pair arm"]]:
    """The scene that each pair and arm is shown; how much its patch changed against the `blank` scene, see `_put`."""
    change = np.zeros((2, *lies.shape[:2]))
    scenes: list[list[Picture]] = []
    done: dict[tuple[int, int], tuple[Picture, float, float]] = {}  # by place; of all pairs where they share a scene
    for pair, places in enumerate(lies.tolist()):
        if not trials.together:
            done = {}
        for row, column in places:
            if (row, column) not in done:
                truth, texture = task.asked(label, pair), (trials.seed, textures[pair])
                done[row, column] = _put(task, truth, picture, blank, (row, column), texture)
                if trials.together:
                    picture = blank = done[row, column][0]
        scenes.append([done[row, column][0] for row, column in places])
        change[:, pair] = np.transpose([done[row, column][1:] for row, column in places])
    return [[picture, picture] for _ in scenes] if trials.together else scenes, change


def _put(
    task: Task, truth: int, picture: Picture, blank: Picture, place: tuple[int, int], texture: tuple[int, str]
) -> tuple[Picture, float, float]:
    """The picture with the object, the mean change of its patch against `blank`, and what clipping took from that."""
    put, lost = task.show(picture, truth, place, stream(*texture)), 0.0
    inner = tuple(slice(at, at + n) for at, n in zip(place, task.extent, strict=True))
    patch = put[:, *inner]
    if hasattr(task.perturbation, "draw") and not 0 < patch.min() <= patch.max() < 1:
        whole: Task = replace(task, perturbation=_Unclipped(task.perturbation))  # type: ignore[type-var]
        lost = float(np.abs(whole.show(picture, truth, place, stream(*texture)) - put).sum())
    change = float(np.abs(put - blank).sum()) / (len(blank) * np.prod(task.extent))
    return put, change, lost / (len(blank) * np.prod(task.extent))


@dataclass(frozen=True, slots=True)
class _Unclipped:
    """A perturbation whose result is not clipped."""

    put: Any

    @property
    def size(self) -> int:
        return int(self.put.size)

    def apply(self, *how: Any) -> Picture:
        return np.asarray(self.put.draw(*how))


@dataclass(slots=True, kw_only=True)
class _Takes:
    """Pictures of scenes; the same window of the same scene with the same noise is one picture."""

    shape: tuple[int, ...]  # rows, columns
    draws: list[Picture | np.float32]
    pictures: list[Picture] = field(default_factory=list)
    numbers: dict[tuple[int, ...], int] = field(default_factory=dict)
    scenes: list[Picture] = field(default_factory=list)  # kept, so that no two have one id

    def number(self, scene: Picture, move: np.ndarray, draw: int) -> int:
        """The number of the picture of `scene` from a window moved down and right, under this draw of noise."""
        down, right = (int(n) for n in move)
        key = id(scene), down, right, draw
        if key not in self.numbers:
            self.numbers[key] = len(self.pictures)
            self.scenes.append(scene)
            window = scene[:, down : down + self.shape[0], right : right + self.shape[1]]
            self.pictures.append(np.clip(window + self.draws[draw], 0, 1))
        return self.numbers[key]


def label_of(images: Images, image: int) -> int:
    return 0 if images.labels is None else int(images.labels[images.photograph[image]])


def _grain(shape: tuple[int, ...], noise: float, rng: np.random.Generator) -> Picture | np.float32:
    """Sensor noise: normal, by Box and Muller (1958).

    NumPy computes its logarithm, sine and cosine for whole arrays, which takes 2/5 of the time of its normal draws.
    """
    if not noise:
        return np.float32(0)
    size = math.prod(shape)
    uniform, turn = rng.random((2, -(-size // 2)), dtype=np.float32)
    radius = np.float32(noise) * np.sqrt(-2 * np.log1p(-uniform))
    angle = np.float32(2 * np.pi) * turn
    return np.concatenate([radius * np.cos(angle), radius * np.sin(angle)])[:size].reshape(shape)
