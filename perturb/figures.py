"""What a report shows beside its numbers: the whole map, detection at every level, pictures of trials.

They stay out of report.json, which is for reading, and go into report.html, which is for looking.
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from jaxtyping import Bool, Float, Int, UInt8

from perturb.records import Contribution, Phase, Rate, Window

Pixels = UInt8[np.ndarray, "row column channel"]


@dataclass(frozen=True, slots=True, kw_only=True)
class LevelCurve:
    """Detection against level, on the calibration pictures on which the level was sought."""

    levels: tuple[float, ...]
    dead: tuple[Rate, ...]  # one for each level
    live: tuple[Rate, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Specimen:
    """A judged trial as pictures, ahead of sensor noise."""

    role: Literal["pair", "least", "most"]  # of the pair that shows the loss best; least, most visible
    experiment: str
    photograph: str
    crop: int
    arm: Literal["dead", "live"]
    place: Phase
    evidence: float
    threshold: float
    scale: str  # what evidence and threshold are numbers of; "" says nothing
    whole: Pixels  # the crop
    corner: Phase  # (row, column) in it of the window's top left
    clean: Pixels  # a window around the place
    perturbed: Pixels


@dataclass(frozen=True, slots=True, kw_only=True)
class Figures:
    """All of one run."""

    contribution: Contribution  # the map that chose the places of the suite's first check
    shape: tuple[int, int]  # rows and columns of the model's input
    windows: tuple[Window, ...]  # the certificate up to the map's layer; () if not traceable
    sweeps: dict[str, LevelCurve]  # by experiment; none where the level was given
    specimens: tuple[Specimen, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """A page with words at one place under the network, and which of them were found."""

    pixels: Float[np.ndarray, "channel row column"]
    words: Int[np.ndarray, "word 2"]  # (row, column) of the top left
    extent: tuple[int, int]  # rows, columns of a word
    found: Bool[np.ndarray, " word"]
    row: int  # of the words' first ink, mod the period
