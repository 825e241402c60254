"""One picture, one perturbation, one pair of places: the smallest experiment, and the file that it is kept in."""

import base64
import io
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from jaxtyping import Float, Int
from PIL import Image

from perturb import perturbation as perturbations
from perturb.errors import InputError
from perturb.protocols import Perturbation
from perturb.records import Images, Phase, Trials

SCHEMA = 1
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
class Sweep:
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
class Found:
    """The worst case as it was met, and the simplest that still holds."""

    met: Case
    name: str  # of the photograph that it was met on
    simplest: Answer  # of the case that was met, where hypothesis is absent or finds no simpler one


def eight_bits(picture: Picture) -> Picture:
    """The nearest picture that a PNG file can hold."""
    return np.round(picture * 255).astype(np.float32) / np.float32(255)


def as_images(case: Case) -> Images:
    return Images(pixels=case.picture[None], photograph=np.zeros(1, dtype=np.int64), names=("case",), source="case")


def as_trials(case: Case) -> Trials:
    return Trials(
        dead=np.array([[case.dead]]),
        live=np.array([[case.live]]),
        photograph=np.zeros(1, dtype=np.int64),
        seed=case.seed,
        purpose="case",
    )


def to_json(case: Case, about: Mapping[str, Any]) -> str:
    """The case as a file that needs nothing beside it; `about` says how it was found. Strict JSON, sorted keys.

    Raises InputError for a perturbation that is not one of ours: a file must not name code to run.
    """
    kind = next((name for name, kind in perturbations.KINDS.items() if type(case.perturbation) is kind), None)
    if kind is None:
        raise InputError(
            f"a {type(case.perturbation).__name__} cannot be kept in a file, only {[*perturbations.KINDS]}."
        )
    data = {
        "schema": SCHEMA,
        "picture": _png(case.picture),
        "perturbation": {"kind": kind, **_parameters(case.perturbation)},
        "level": case.level,
        "dead": list(case.dead),
        "live": list(case.live),
        "seed": case.seed,
        "about": dict(about),
    }
    return json.dumps(data, indent=2, sort_keys=True, allow_nan=False) + "\n"


def from_json(text: str) -> tuple[Case, dict[str, Any]]:
    """The case and what is said about it. Raises InputError for anything that `to_json` did not write."""
    try:
        data = json.loads(text)
        if data["schema"] != SCHEMA:
            raise InputError(f"case schema {data['schema']!r} is not the {SCHEMA} that this version reads.")
        given = dict(data["perturbation"])
        kind = perturbations.KINDS[given.pop("kind")]
        parameters = {key: tuple(value) if isinstance(value, list) else value for key, value in given.items()}
        case = Case(
            picture=_pixels(data["picture"]),
            perturbation=kind(**parameters),
            level=float(data["level"]),
            dead=(int(data["dead"][0]), int(data["dead"][1])),
            live=(int(data["live"][0]), int(data["live"][1])),
            seed=int(data["seed"]),
        )
        for place in (case.dead, case.live):
            case.perturbation.apply(case.picture, place, case.level, np.random.default_rng(0))
        return case, dict(data["about"])
    except (KeyError, TypeError, ValueError, IndexError, OSError) as error:
        raise InputError(f"not a case that perturb kept: {type(error).__name__}: {error}") from error


def _parameters(perturbation: Perturbation) -> dict[str, Any]:
    return {key: list(value) if isinstance(value, tuple) else value for key, value in vars(perturbation).items()}


def _png(picture: Picture) -> str:
    values = np.round(picture * 255).astype(np.uint8)
    image = Image.fromarray(values[0] if len(values) == 1 else values.transpose(1, 2, 0))
    buffer = io.BytesIO()
    image.save(buffer, format="PNG")
    return base64.b64encode(buffer.getvalue()).decode()


def _pixels(png: str) -> Picture:
    with Image.open(io.BytesIO(base64.b64decode(png, validate=True)), formats=["PNG"]) as image:
        values = np.atleast_3d(np.asarray(image))
    return np.ascontiguousarray(values.transpose(2, 0, 1), dtype=np.float32) / np.float32(255)
