"""The records of `perturb remedy`, `rf`, `explain`, `shift`, `tiles`, `plan`, `init` and `doctor`."""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from jaxtyping import Float, Int

from perturb.records import Effect, GaussianFit, Phase, Rate, ReceptiveField, Remedy, Verdict
from perturb.tiling import Option


@dataclass(frozen=True, slots=True, kw_only=True)
class Treated:
    """A model beside its remedies: what it costs, its lattice, and the loss that is left."""

    name: str  # "as built", or the remedy
    done: Remedy | None
    parameters: int | None  # None: a black box, of which neither these nor the lattice are known
    multiply_adds: int | None
    layer: str  # from which the lattice is seen
    structural: float | None  # max/min over its phases, exact; None where a phase is strictly dead
    energy: float | None = None  # the same of the measured map; None, as all below, where it was not measured
    dead: float | None = None  # share detected at dead places
    live: float | None = None
    accuracy: float | None = None  # share of right answers: see stories.remedy.right
    loss: Effect | None = None
    cost: float = 1.0  # multiply-adds of a picture, in units of those as built
    time: float | None = None  # seconds of a picture, in units of those as built
    kept: Effect | None = None  # share of right answers minus that as built, paired by photograph
    penalty: Effect | None = None  # of dead places in dB, where a suite of one seed has levels
    front: bool = False  # none of the others loses less, costs less or is right more often without a drawback


@dataclass(frozen=True, slots=True, kw_only=True)
class FineTuned:
    """What a remedied network learnt, and what that did to its answers on photographs that it did not learn from."""

    done: Remedy
    steps: int
    loss: float  # of the last step
    learnt: int  # photographs
    held_out: int
    cost: Effect | None  # right answers lost, or answers changed; None where outputs are no scores of classes
    margin: float
    verdict: Verdict | None  # on "the cost is at most the margin"
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Field:
    """A receptive field in theory and in effect."""

    model: str
    theory: ReceptiveField
    fit: GaussianFit | None  # of the measured field; None where no Gaussian fits


@dataclass(frozen=True, slots=True, kw_only=True)
class Correlation:
    """Spearman's rank correlation with its interval."""

    of: str
    value: float
    low: float
    high: float
    n: int


Origin = Literal["structural", "learned", "compensated", "border", "none", "not known"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Estimate:
    """A value with its interval of 95 % over photographs."""

    value: float
    low: float
    high: float
    n: int


@dataclass(frozen=True, slots=True, kw_only=True)
class SampledLayer:
    """A strided layer: how evenly it reads, by its shape and by its weights, and its share of the lattice."""

    name: str
    kernel: Phase
    stride: Phase
    balanced: bool  # its window covers every pixel equally often
    alias: float | None  # see contribution.aliasing; None where its weights stop constants
    left: Phase  # rows, columns that its last windows do not reach
    by_shape: float  # Shapley share of ln(max/min) of the structural map
    by_weights: float  # the same with the mean square of each tap of the actual weights


@dataclass(frozen=True, slots=True, kw_only=True)
class LayerShares:
    """The strided layers in the order in which they run; a whole is its rest and the sum of its shares."""

    layers: tuple[SampledLayer, ...]
    whole: tuple[float, float]  # ln(max/min) by shape, by weights
    rest: tuple[float, float]  # with a balanced twin in place of every strided layer
    exact: tuple[bool, bool]  # over all subsets; else over random orders


@dataclass(frozen=True, slots=True, kw_only=True)
class Contrast:
    """ln(live / dead) at some phases of every map of the chain."""

    structure: float  # half of ln(N live / N dead): what gradients would be if the weights were random
    gradient: Estimate
    response: Estimate | None = None  # None where it was measured at other phases
    detection: Estimate | None = None  # share detected, live - dead


@dataclass(frozen=True, slots=True, kw_only=True)
class Link:
    """Spearman's rank correlation of two maps over phases."""

    of: str
    phases: int
    rank: Estimate | None  # None where one of the maps is flat


@dataclass(frozen=True, slots=True, kw_only=True)
class Border:
    """ln S = mean + b(side and distance of the nearest edge) + f(phase) + rest."""

    edge: Estimate  # shares of the variance of ln S
    phase: Estimate
    rest: Estimate
    side: str  # top, left, bottom or right: the weakest, as half of the photographs chose it
    weaker: Estimate  # ln(inside / outermost line of that side), on the other half
    even_shape: Phase | None  # a shape of pictures at which no strided layer leaves a rest; None: not known, or none


@dataclass(frozen=True, slots=True, kw_only=True)
class Explanation:
    """From the structure to what is measured: where a lattice comes from."""

    model: str
    layer: str
    source: str
    photographs: int
    period: int
    origin: Origin
    why: str
    structural: Contrast | None  # at the structural phases; None where the structural map is flat
    own: Contrast | None  # at the phases that half of the photographs chose, on the other half; None of period 1
    compensation: Estimate | None  # 1 - ln(S live / S dead) / (half of ln(N live / N dead)), at the structural phases
    links: tuple[Link, ...]
    shares: LayerShares
    border: Border


@dataclass(frozen=True, slots=True, kw_only=True)
class Consistency:
    """Crops moved by so many pixels: what changes in the output, and how often the label stays."""

    pixels: int
    change: float  # sum |f(crop) - f(moved crop)|, in units of that between two photographs
    low: float
    high: float
    equal: Rate


@dataclass(frozen=True, slots=True, kw_only=True)
class Shift:
    """Translation consistency of one network."""

    model: str
    source: str
    photographs: int
    apart: float  # mean sum |f(a) - f(b)| between crops of two photographs: the unit of every change
    by_offset: tuple[Consistency, ...]
    by_phase: tuple[Consistency, ...]  # `pixels`: the largest power of 2 that divides both offsets
    lattice: tuple[tuple[float, ...], ...]  # mean change by rows and columns moved


@dataclass(frozen=True, slots=True, kw_only=True)
class TilePlan:
    """What a tiling leaves unseen, and what would leave less."""

    source: str  # of the values by phase, in words
    period: Phase  # rows, columns
    blind: float  # share of phases
    measured: bool  # the values are shares found, not contributions
    options: tuple[Option, ...]  # the tiling as it is, then the best of each kind of change, cheapest first


@dataclass(frozen=True, slots=True, kw_only=True)
class Places:
    """What was found at places all over pictures."""

    place: Int[np.ndarray, "place 2"]  # (row, column) of the object's top left
    extent: Phase  # rows, columns of the object
    found: Float[np.ndarray, " place"]  # 1 where it was
    false: Float[np.ndarray, " place"]  # 1 where it was found in the picture without it
    photograph: Int[np.ndarray, " place"]


@dataclass(frozen=True, slots=True, kw_only=True)
class PlaceRate:
    """What was found at some of the places."""

    words: str
    share: float  # of all places
    found: Rate
    false: Rate


@dataclass(frozen=True, slots=True, kw_only=True)
class FoundWhere:
    """What was found by the best look that a tiling gives each place, and by its distance from tiles' edges."""

    by_look: tuple[PlaceRate, ...]  # empty where the values by phase are not known
    by_depth: tuple[PlaceRate, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Stage:
    """One stage of a run and the pictures that it shows to the model, at most."""

    name: str
    pictures: int
    shots: int  # clean shots among them


@dataclass(frozen=True, slots=True, kw_only=True)
class Chance:
    """What becomes of a claim if this is true: probabilities, by simulation."""

    true: float
    passes: float
    fails: float

    @property
    def open(self) -> float:
        """The probability of INCONCLUSIVE."""
        return max(0.0, 1 - self.passes - self.fails)


@dataclass(frozen=True, slots=True, kw_only=True)
class Enough:
    """Photographs to supply, with which a claim passes with this probability if nothing is lost."""

    probability: float
    photographs: int | None  # None: more than were tried


@dataclass(frozen=True, slots=True, kw_only=True)
class Outlook:
    """What one check can decide."""

    check: str
    quantity: str
    at_most: float
    error: float  # of a wrong PASS
    judged: int  # photographs
    assumed: str  # how photographs differ, in words; or why nothing was simulated
    usual: tuple[Chance, ...]
    rare: tuple[Chance, ...]  # a share of photographs loses everything, the others nothing
    enough: tuple[Enough, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Prospect:
    """What a suite would take and could decide, before anything is measured."""

    suite: str
    model: str  # empty: none was named
    source: str
    calibration: tuple[int, int]  # photographs, crops
    judged: tuple[int, int]
    until_decided: bool  # then these are the most photographs that are judged
    trials: int  # pairs that are judged
    stages: tuple[Stage, ...]
    seconds: float | None  # of the pictures, the controls and all stages, as timed; None: it was not
    outlooks: tuple[Outlook, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class FirstSuite:
    """The text of a suite for a model and its pictures, and in sentences what it was made from and can decide."""

    text: str
    facts: tuple[str, ...]
    decides: tuple[str, ...]
    too_few: bool  # fewer photographs than the claim takes


@dataclass(frozen=True, slots=True, kw_only=True)
class Sign:
    """One thing that the machine has or lacks."""

    name: str
    state: Literal["broken", "act", "works", "missing"]  # missing: an extra that nobody may want
    found: str
    todo: str = ""
