"""The corridor: every record that passes from one room to the next. NumPy and words, no behaviour."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Literal

import numpy as np
from jaxtyping import Float, Int

Phase = tuple[int, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class Images:
    """Crops of photographs, ready for a model."""

    pixels: Float[np.ndarray, "image channel row column"]  # float32, fractions of the raw pixel range, 0 to 1
    photograph: Int[np.ndarray, " image"]  # the photograph that a crop was cut from: the cluster of every interval
    names: tuple[str, ...]  # of the photographs
    source: str
    labels: Int[np.ndarray, " photograph"] | None = None  # number of each photograph's class, where there are any
    classes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Window:
    """The certificate of one sliding window: how often each residue of the stride is covered."""

    name: str  # the layer's qualified name in the network
    kind: str
    kernel: tuple[int, int]
    stride: tuple[int, int]
    dilation: tuple[int, int]
    coverage: tuple[tuple[int, ...], tuple[int, ...]]  # c(r) for rows, for columns
    balanced: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Contribution:
    """A contribution map: how strongly each pixel moves the output."""

    values: Float[np.ndarray, "row column"]  # >= 0, float64; they sum to 1
    kind: str
    layer: str  # whose output is moved; "output" for the network's own
    period: int  # T; the phase of a pixel is (row mod T, column mod T)
    images: int = 0  # that it was measured on; 0 for a structural map
    windows: tuple[Window, ...] = ()  # structural maps only


@dataclass(frozen=True, slots=True, kw_only=True)
class GaussianFit:
    """A 2-D Gaussian laid over a map: the size of the effective receptive field, in pixels."""

    sigma_row: float
    sigma_column: float
    r_squared: float


@dataclass(frozen=True, slots=True, kw_only=True)
class ReceptiveField:
    """What the central position of a layer can see in theory, in pixels; None where it is the whole picture."""

    layer: str
    positions: tuple[int, int]  # rows, columns of the layer's map
    size: tuple[int, int] | None  # rows, columns
    stride: tuple[int, int] | None  # between neighbouring positions
    offset: tuple[int, int] | None  # first row and column that the layer's first position sees; negative in padding


@dataclass(frozen=True, slots=True, kw_only=True)
class Locations:
    """The two arms of an experiment: phases at which a perturbation contributes little, and much."""

    dead: Int[np.ndarray, "dead 2"]
    live: Int[np.ndarray, "live 2"]
    period: int
    balanced: bool  # the map is flat: there is no dead arm, and both arms are drawn at random


@dataclass(frozen=True, slots=True, kw_only=True)
class Trials:
    """The design: on each image the same number of pairs, each a dead and a live place in one T x T cell."""

    dead: Int[np.ndarray, "image pair 2"]  # (row, column) of the perturbation's top-left pixel
    live: Int[np.ndarray, "image pair 2"]
    photograph: Int[np.ndarray, " image"]
    seed: int
    purpose: str  # names the trials' own stream of randomness


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcomes:
    """What a detector said: `clean` is each pair's unperturbed twin, with the same sensor noise."""

    clean: Float[np.ndarray, "image pair"]  # evidence
    dead: Float[np.ndarray, "image pair"]
    live: Float[np.ndarray, "image pair"]
    realised_dead: Float[np.ndarray, "image pair"]  # mean change of the patch after clipping; fraction of the range
    realised_live: Float[np.ndarray, "image pair"]
    threshold: Float[np.ndarray, " image"]  # pinned on clean shots; detected means evidence above it
    photograph: Int[np.ndarray, " image"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Conditions:
    """Where and how strongly an experiment was measured: what another run must repeat for its trials to pair."""

    level: float
    locations: Locations


@dataclass(frozen=True, slots=True, kw_only=True)
class Measurement:
    """One experiment, trial by trial: where, how strong, and what the detector said."""

    conditions: Conditions
    trials: Trials
    outcomes: Outcomes


@dataclass(frozen=True, slots=True, kw_only=True)
class Responses:
    """What classifiers answered: the first axis counts the trainings, drawn anew with a seed each."""

    clean: Float[np.ndarray, "seed image output"]  # scores as the network gives them, without the perturbation
    dead: Float[np.ndarray, "seed image pair output"]
    live: Float[np.ndarray, "seed image pair output"]
    truth: Int[np.ndarray, "seed image pair"]  # the right class, of both arms
    clean_truth: Int[np.ndarray, "seed image"] | None  # None where a picture without the perturbation has no class
    realised_dead: Float[np.ndarray, "seed image pair"]  # mean change of the patch; a fraction of the range
    realised_live: Float[np.ndarray, "seed image pair"]
    photograph: Int[np.ndarray, " image"]
    flipped_dead: Float[np.ndarray, "seed image pair"] | None = None  # smallest amplitude that flips; inf: none did
    flipped_live: Float[np.ndarray, "seed image pair"] | None = None
    bound: float = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Rate:
    """A share with its interval."""

    value: float
    low: float
    high: float
    n: int  # photographs
    trials: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """`quantity` is at most `at_most`."""

    quantity: str
    at_most: float
    confidence: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Effect:
    """An estimate with its interval; `n` counts photographs (clusters), never trials."""

    quantity: str
    version: int
    value: float
    low: float
    high: float
    n: int
    method: str
    confidence: float  # of [low, high]
    pvalue: float | None  # of "no effect"; None where the quantity has no such test
    detectable: float  # the smallest value that would have been seen, with power 0.8
    spread: float  # standard deviation between photographs
    saturated: Literal["", "floor", "ceiling"] = ""  # where a small effect says nothing


class Verdict(StrEnum):
    PASS = "PASS"
    FAIL = "FAIL"
    INCONCLUSIVE = "INCONCLUSIVE"
    INVALID = "INVALID"


@dataclass(frozen=True, slots=True, kw_only=True)
class Measure:
    """One measure of what a perturbation does, in both arms."""

    name: str
    dead: Rate
    live: Rate
    difference: Effect  # live - dead, paired


@dataclass(frozen=True, slots=True, kw_only=True)
class Training:
    """One training: how long it took and what it reached on validation."""

    seed: int
    epochs: int
    best_epoch: int  # whose weights were judged
    lessons: int  # pictures in an epoch
    accuracy: float  # on validation, in the best epoch
    loss: float  # mean cross-entropy of the last epoch
    seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One check of a suite: the claim, what was measured, and what follows."""

    check: str
    claim: Claim
    effect: Effect
    verdict: Verdict
    reason: str
    images_needed: int | None = None  # photographs that would decide an INCONCLUSIVE


@dataclass(frozen=True, slots=True, kw_only=True)
class Miss:
    """The pair that shows the loss best: missed at its dead place, clearly seen at its live one."""

    photograph: str
    crop: int  # its number among the judged crops
    dead: Phase  # (row, column) of the perturbation
    live: Phase
    evidence_dead: float
    evidence_live: float
    threshold: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Experiment:
    """One perturbation measured on one model: the numbers behind one or more findings."""

    name: str
    perturbation: str
    detector: str
    level: float
    calibrated: bool
    live_target: float | None  # the rate that calibration sought at live places
    layer: str
    period: int
    dead_phases: tuple[Phase, ...]
    live_phases: tuple[Phase, ...]
    balanced: bool
    rates: Mapping[str, Rate]  # detection on "clean", "dead" and "live" pictures
    two_afc: Mapping[str, Rate]  # told from its own clean twin: "dead" and "live"; chance is 0.5
    realised: Mapping[str, float]  # mean realised change at "dead" and "live" places
    photographs: int
    pairs: int
    worst: Miss | None  # None where no pair was missed at its dead place and seen at its live one
    engine: str = "dense"  # how the network was evaluated: see incremental.called
    measures: tuple[Measure, ...] = ()  # of a classifier's task; its `rates` are shares of right answers
    training: tuple[Training, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """One window that a remedy changed."""

    name: str  # the layer's qualified name in the network
    kind: str
    before: str  # kernel and stride: "7 x 7 / 2"
    after: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Remedy:
    """What was done to a network."""

    kind: str
    weights: Literal["kept", "fresh", "loaded"]
    changed: tuple[Change, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Control:
    """A known network measured by the same instrument in the same run."""

    name: str
    expected: str
    observed: str
    passed: bool
