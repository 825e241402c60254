"""A counterexample: one picture, one perturbation and one pair of places, and the file that holds them."""

import base64
import hashlib
import io
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
from jaxtyping import Float, Int
from PIL import Image

from perturb import files
from perturb.errors import InputError
from perturb.kinds import load_kind
from perturb.perturbations import KINDS
from perturb.protocols import Perturbation
from perturb.records import Images, Phase, Trials
from perturb.visible import plain

SCHEMA = 3  # 2 had no digest; 1 kept a suite with a [detector]
UPGRADES: Mapping[int, files.Upgrade] = {2: dict}
LARGEST = 2**24  # pixels of a picture in a file
Aim = Literal["missed", "flipped"]
Picture = Float[np.ndarray, "channel row column"]


@dataclass(frozen=True, kw_only=True)
class Case:
    """A perturbation at a dead and at a live place of one picture."""

    picture: Picture  # of 8 bits a channel: multiples of 1/255
    perturbation: Perturbation
    level: float
    dead: Phase  # (row, column) of the perturbation's top left pixel
    live: Phase
    seed: int = 0  # of the sensor noise

    def __repr__(self) -> str:
        rows, columns = self.picture.shape[1:]
        flat = f"flat {self.picture[0, 0, 0]:.2f}" if np.ptp(self.picture) == 0 else "picture"
        where = f"dead={self.dead}, live={self.live}"
        return f"Case({rows} x {columns} {flat}, {self.perturbation}, level={self.level:.4g}, {where})"


@dataclass(frozen=True, slots=True, kw_only=True)
class PlaceScan:
    """A search: what was tried, and the lowest level that showed at each place."""

    aim: Aim
    phases: Int[np.ndarray, "place 2"]  # within the cell
    cells: Int[np.ndarray, "image 2"]
    lowest: Float[np.ndarray, "image place"]  # the level from which on it always shows; 2 where level 1 does not show,
    # NaN where the re-take's noise alone does
    pictures: Float[np.ndarray, "image channel row column"]
    names: tuple[str, ...]  # of the photographs that they were cut from
    period: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What a model makes of a case; `holds`: missed at the dead and seen at the live place, or the label flipped."""

    case: Case
    dead: float  # evidence
    live: float
    threshold: float
    holds: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class WorstCase:
    """The worst case as it was met, and the simplest that still holds."""

    met: Case
    name: str  # of the photograph that it was met on
    simplest: Answer  # of the case that was met, where hypothesis is absent or finds no simpler one


@dataclass(frozen=True, slots=True, kw_only=True)
class About:
    """How a case was found."""

    aim: Aim
    check: str
    model: str  # as on the command line
    suite: Mapping[str, Any]
    weights_digest: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Kept:
    """A case in its file."""

    schema: int
    picture: str  # PNG, base64
    perturbation: Mapping[str, Any]  # `kind`, and the fields of that kind
    level: float
    dead: Phase
    live: Phase
    seed: int
    about: About
    digest: str = field(default="", compare=False, metadata=files.SEALED)  # of the rest; written by `encode`


def eight_bits(picture: Picture) -> Picture:
    """The nearest picture that a PNG file can hold."""
    return np.round(picture * 255).astype(np.float32) / np.float32(255)


def as_images(case: Case) -> Images:
    one = np.zeros(1, dtype=np.int64)
    digest = hashlib.sha256(case.picture.tobytes()).hexdigest()
    return Images(
        pixels=case.picture[None], photograph=one, crop=one, names=("case",), digests=(digest,), source="case"
    )


def as_trials(case: Case) -> Trials:
    return Trials(
        dead=np.array([[case.dead]]),
        live=np.array([[case.live]]),
        photograph=np.zeros(1, dtype=np.int64),
        seed=case.seed,
        purpose="case",
    )


def to_json(case: Case, about: About) -> str:
    """The case as a file that needs nothing beside it.

    Raises InputError for a perturbation that is not one of ours: a file must not name code to run.
    """
    kind = next((name for name in KINDS if type(case.perturbation) is load_kind(name, KINDS)), None)
    if kind is None:
        raise InputError(f"a {type(case.perturbation).__name__} cannot be kept in a file, only {[*KINDS]}.")
    return files.encode(
        Kept(
            schema=SCHEMA,
            picture=_png(case.picture),
            perturbation={"kind": kind, **vars(case.perturbation)},
            level=case.level,
            dead=case.dead,
            live=case.live,
            seed=case.seed,
            about=about,
        )
    )


def from_json(text: str, where: object = "counterexample.json") -> tuple[Case, About]:
    """The case and what is said about it. Raises InputError for anything that `to_json` did not write."""
    kept = files.decode(Kept, text, where, schema=SCHEMA, upgrades=UPGRADES)
    given = dict(kept.perturbation)
    name = str(given.pop("kind", None))
    if name not in KINDS:
        raise InputError(f"`{plain(where)}`: perturbation.kind: expected one of {[*KINDS]}.")
    perturbation: Perturbation = files.build(load_kind(name, KINDS), given, where, at="perturbation")
    try:
        picture = _pixels(kept.picture)
        if perturbation.size > min(picture.shape[1:]):
            raise ValueError(f"a perturbation of {perturbation.size} pixels is larger than its picture")
        case = Case(
            picture=picture,
            perturbation=perturbation,
            level=kept.level,
            dead=kept.dead,
            live=kept.live,
            seed=kept.seed,
        )
        for place in (case.dead, case.live):
            perturbation.apply(case.picture, place, case.level, np.random.default_rng(0))
    except (ValueError, OSError, SyntaxError, Image.DecompressionBombError) as error:
        raise InputError(plain(f"`{where}`: not a case: {error}")) from error
    return case, kept.about


def _png(picture: Picture) -> str:
    values = np.round(picture * 255).astype(np.uint8)
    image = Image.fromarray(values[0] if len(values) == 1 else values.transpose(1, 2, 0))
    buffer = io.BytesIO()
    image.save(buffer, format="PNG")
    return base64.b64encode(buffer.getvalue()).decode()


def _pixels(png: str) -> Picture:
    """Raises ValueError, OSError or SyntaxError for what is no picture that `_png` wrote."""
    with Image.open(io.BytesIO(base64.b64decode(png, validate=True)), formats=["PNG"]) as image:
        if image.mode not in ("L", "RGB") or image.width * image.height > LARGEST:
            raise ValueError(f"a picture of {image.width} x {image.height} pixels and mode {image.mode}")
        values = np.atleast_3d(np.asarray(image))
    return np.ascontiguousarray(values.transpose(2, 0, 1), dtype=np.float32) / np.float32(255)
