"""The records that pass between modules: NumPy arrays and words, no behaviour."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Literal

import numpy as np
from jaxtyping import Bool, Float, Int

from perturb.stack import Stack

Phase = tuple[int, int]
Arm = Literal["clean", "dead", "live", "clean-live"]
ARMS: tuple[Arm, ...] = ("clean", "dead", "live", "clean-live")
CLEAN, DEAD, LIVE, CLEAN_LIVE = range(len(ARMS))  # their numbers on the last axis of an Observation
OWN = -1  # the right class of a picture without a label: whatever the model answers without the perturbation
Design = Literal["object", "picture"]  # what moves: the object over the picture, or the picture under the lattice
# "yes" is a false alarm, the right answer, or not asked; "unmatched": false alarms are reports of no annotated object
Clean = Literal["absent", "right", "none", "unmatched"]
Saturation = Literal["", "floor", "ceiling"]


@dataclass(frozen=True, slots=True, kw_only=True)
class PictureNote:
    """What was done to some picture files, as words that go with their number: "copies of others, dropped"."""

    what: str
    count: int  # of files; of frames, where the note is about these
    names: tuple[str, ...]  # of the first files
    files: int


@dataclass(frozen=True, slots=True, kw_only=True)
class PictureAccount:
    """What was done to the picture files of a set, and which were left out."""

    looked_at: int
    notes: tuple[PictureNote, ...]

    @property
    def words(self) -> str:
        """One line: "24 looked at; 21 copies of others, dropped: b.png, c.png and 19 more"."""
        told = [f"{self.looked_at} looked at"]
        for note in self.notes:
            more = f" and {note.files - len(note.names)} more" if note.files > len(note.names) else ""
            told.append(f"{note.count} {note.what}: {', '.join(note.names)}{more}")
        return "; ".join(told)


@dataclass(frozen=True, slots=True, kw_only=True)
class Objects:
    """Real objects in images that are larger than the model's window, which moves over them."""

    boxes: Float[np.ndarray, "image object 4"]  # top, left, rows, columns in pixels of the image; NaN: no further
    asked: Bool[np.ndarray, "image object"]  # lies wholly in the window, wherever that moves, and has its turn
    window: tuple[int, int]  # rows, columns
    photograph: Float[np.ndarray, "image 4"]  # the part of the image that is the photograph; beyond it, its edge


@dataclass(frozen=True, slots=True, kw_only=True)
class Images:
    """Crops of photographs, ready for a model."""

    pixels: Float[np.ndarray, "image channel row column"] | Stack  # float32, fractions of the raw pixel range, 0 to 1
    photograph: Int[np.ndarray, " image"]  # the photograph that a crop was cut from: the cluster of every interval
    crop: Int[np.ndarray, " image"]  # the crop's number within its photograph
    names: tuple[str, ...]  # of the photographs
    digests: tuple[str, ...]  # of the photographs' content
    source: str
    labels: Int[np.ndarray, " photograph"] | None = None  # number of each photograph's class, where there are any
    classes: tuple[str, ...] = ()
    spots: Int[np.ndarray, "image 2"] | None = None  # (row, column) where alone an object belongs; None: anywhere
    objects: Objects | None = None  # that the pictures show already, as annotated
    cut: Float[np.ndarray, "image 4"] | None = None  # top, left, height, width of the part shown, in the photograph's
    # pixels, fractions where it was resized; None: there is no photograph
    files: tuple[Path, ...] = ()  # of the photographs
    region: Bool[np.ndarray, "image row column"] | Stack | None = None  # the pixels that an object may cover; None: all
    account: PictureAccount | None = None  # of the user's own files


@dataclass(frozen=True, slots=True, kw_only=True)
class Pictures:
    """Images to calibrate on and images to judge, with no photograph in common."""

    calibration: Images
    judged: Images


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
class Lattice:
    """How a network's lattice lies in pictures that are resized, cropped or padded ahead of it, in their pixels."""

    cell: int  # side of a cell: one period, or where that is no whole number a little more
    whole: bool  # a cell is a period; else dead and live pixels are chosen in each cell by themselves
    period: tuple[float, float]  # along rows, along columns
    input_period: int  # in pixels of the network's input
    area: tuple[int, int, int, int]  # top, left, bottom, right of the part of the picture that is taken
    outside: float  # share of the picture's pixels that lie outside this area
    unread: float  # share of the pixels in this area that resizing passes over


@dataclass(frozen=True, slots=True, kw_only=True)
class Contribution:
    """A contribution map: how strongly each pixel moves the output."""

    values: Float[np.ndarray, "row column"]  # >= 0, float64; they sum to 1
    kind: str
    layer: str  # whose output is moved; "output" for the network's own
    period: int  # T; the phase of a pixel is (row mod T, column mod T)
    periods: tuple[int, int] | None = None  # of rows and of columns where they differ; T is their least common multiple
    images: int = 0  # that it was measured on; 0 for a structural map
    windows: tuple[Window, ...] = ()  # structural maps only
    rates: tuple["PhaseRate", ...] = ()  # of a map of the model's own answer: the share reported, by phase
    lattice: Lattice | None = None  # where the picture is resized, cropped or padded; `period` is then its cell
    unread: float | None = None  # share of the picture's pixels that the architecture does not read, where it is known


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
    area: tuple[int, int, int, int] | None = None  # top, left, bottom, right of the part of the picture that counts
    pixels: bool = False  # dead and live are pixels of the picture, in cells of `period`, and not phases
    every: bool = False  # both arms are all phases: the dead arm takes each in turn, the live arm any


@dataclass(frozen=True, slots=True, kw_only=True)
class Trials:
    """The design: on each image the same number of pairs, each a dead and a live place in one T x T cell.

    Either the object moves over the picture, or the picture moves under the lattice: the object then lies at its
    pair's place in the `scene`, and the model's window onto the scene moves by scene - place, 0 to T - 1 pixels.
    """

    dead: Int[np.ndarray, "image pair 2"]  # (row, column) of the perturbation's top left in the picture that is shown
    live: Int[np.ndarray, "image pair 2"]
    photograph: Int[np.ndarray, " image"]
    seed: int
    purpose: str  # names the trials' own stream of randomness
    scene: Int[np.ndarray, "image pair 2"] | None = None  # None: the object moves
    together: bool = False  # all objects of an image lie in one scene
    asked: Int[np.ndarray, "image pair"] | None = None  # the number of the annotated object that a pair is about
    phase: Int[np.ndarray, "image pair 2"] | None = None  # of the dead place, where the dead arm takes every phase


@dataclass(frozen=True, slots=True, kw_only=True)
class OperatingPoint:
    """How evidence becomes an answer. The answer is "yes" where the evidence is above the threshold."""

    false_alarms: float | None  # the rate that the threshold is pinned to on clean pictures; None: it is given
    clean: Clean  # what "yes" means for a picture without the perturbation
    chance: float  # share of right answers by guessing


@dataclass(frozen=True, slots=True, kw_only=True)
class Observation:
    """Everything that was seen in one experiment. The axis `arm` is in the order of ARMS.

    The clean arms are the pair's unperturbed twin under the same sensor noise, asked at its dead and at its live place.
    """

    evidence: Float[np.ndarray, "seed level image pair arm"]
    realised: Float[np.ndarray, "seed level image pair arm"]  # mean change of the patch; a fraction of the range
    threshold: Float[np.ndarray, "seed image"]
    measures: Mapping[str, Float[np.ndarray, "seed level image pair arm"]]  # what the evaluator tells besides
    levels: tuple[float, ...]  # the check's own first, then those of the suite's [levels]
    photograph: Int[np.ndarray, " image"]
    point: OperatingPoint
    truth: Int[np.ndarray, "seed image pair"]  # the class that is right
    alarms: Float[np.ndarray, "seed image rank"] | None = None  # what was reported in a clean picture, best first; -inf
    clipped: Float[np.ndarray, "seed level image pair arm"] | None = None  # taken off `realised` at the ends of the
    # range; not kept with a run
    phase: Int[np.ndarray, "seed image pair 2"] | None = None  # of the dead place, where that arm takes every phase


@dataclass(frozen=True, slots=True, kw_only=True)
class Conditions:
    """Where and how strongly an experiment was measured: another run must repeat this for its trials to pair."""

    level: float
    locations: tuple[Locations, ...]  # one for each seed


@dataclass(frozen=True, slots=True, kw_only=True)
class Measurement:
    """One experiment, trial by trial: where, how strong, and what was seen."""

    conditions: Conditions
    trials: tuple[Trials, ...]  # one for each seed
    seen: Observation


@dataclass(frozen=True, slots=True, kw_only=True)
class Measurements:
    """The experiments of a run by name, under its own conditions and under those of a baseline."""

    measured: Mapping[str, Measurement]
    repeated: Mapping[str, Measurement]  # at a baseline's places and level
    own: Mapping[str, Measurement]  # at the run's own places and a baseline's level, where both are others


@dataclass(frozen=True, slots=True, kw_only=True)
class Rate:
    """A share with its interval."""

    value: float
    low: float
    high: float
    n: int  # photographs
    trials: int


@dataclass(frozen=True, slots=True, kw_only=True)
class PhaseRate:
    """The share detected at one phase."""

    phase: Phase
    rate: Rate


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """`quantity` is at most `at_most`."""

    quantity: str
    at_most: float
    confidence: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Effect:
    """An estimate with its interval; `n` counts photographs (clusters), never trials."""

    value: float
    low: float
    high: float
    n: int
    method: str
    confidence: float  # of [low, high]
    spread: float  # standard deviation between photographs
    saturated: Saturation = ""  # where a small effect says nothing
    quantity: str = ""
    version: int = 0
    words: str = ""  # the quantity in words
    where: str = ""  # of several things the one that the value is of, in words
    among: int = 1  # things of which it is the largest


class Verdict(StrEnum):
    PASS = "PASS"
    FAIL = "FAIL"
    INCONCLUSIVE = "INCONCLUSIVE"
    INVALID = "INVALID"


@dataclass(frozen=True, slots=True, kw_only=True)
class Measure:
    """One measure of what a perturbation does, by arm. The first of an experiment is the share detected."""

    name: str
    dead: Rate
    live: Rate
    clean: Rate | None = None  # without the perturbation, where that has an answer
    difference: Effect | None = None  # live - dead, paired; None in reports of schema 1 that did not keep it


@dataclass(frozen=True, slots=True, kw_only=True)
class FreeResponse:
    """Detection at one rate of false alarms in a picture."""

    false_alarms: float  # a clean picture, wanted
    measured: float  # what came out on the same clean pictures; less where equal scores stay together
    threshold: float
    dead: Rate
    live: Rate


@dataclass(frozen=True, slots=True, kw_only=True)
class Bin:
    """The annotated objects within some limits: how many were reported at dead and at live places."""

    low: float  # the smallest and the largest that came out
    high: float
    objects: int
    dead: Rate
    live: Rate
    loss: Effect | None  # live - dead, paired; None where all lie in one photograph


@dataclass(frozen=True, slots=True, kw_only=True)
class Breakdown:
    """Recall by a property of the objects, in bins of about as many questions each."""

    by: str
    bins: tuple[Bin, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Recall:
    """What was asked about annotated objects on the judged pictures, and how the answer depends on them."""

    objects: int
    alarms: Rate | None  # reports above the threshold that match no object, a picture; None where they are not counted
    breakdowns: tuple[Breakdown, ...]


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
class Needed:
    """Photographs to supply that would decide, those to calibrate on included."""

    photographs: int  # if the value is what was measured
    least: int  # if it lies a standard error further from the margin
    most: int | None  # if it lies a standard error nearer to it; None: a million would not decide


CauseKind = Literal["structural", "learned", "border", "blind area", "not known"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Cause:
    """Why a check failed, by the evidence of this run."""

    kind: CauseKind
    words: str  # the evidence with its numbers, and what helps: a sentence or two


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One check of a suite: the claim, what was measured, and what follows."""

    check: str
    claim: Claim
    effect: Effect
    verdict: Verdict
    reason: str
    needed: Needed | None = None  # what would decide an INCONCLUSIVE
    cause: Cause | None = None  # of a FAIL of what is detected; None of any other, and in reports before there was one


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
class FittedCurve:
    """POD(a) = guess + (1 - guess - lapse) F(intercept + slope ln a), F logistic."""

    intercept: float
    slope: float
    guess: float  # the measured rate of false alarms
    lapse: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Reached:
    """The level from which on a share of the objects is detected: a50, a90."""

    share: float
    value: float | None  # of the fitted curve, moved into the interval; None: not reached at the tested levels
    low: float  # it is shown to lie above; 0: nothing is shown
    high: float | None  # it is shown to lie there or below; None: nothing is shown
    moved: bool = False  # the fitted curve's own value lay outside the interval


@dataclass(frozen=True, slots=True, kw_only=True)
class ArmLevels:
    """Detection against level in one arm."""

    rates: tuple[Rate, ...]  # by level, with intervals that hold for every distribution of photographs
    fit: FittedCurve | None  # None where detection is not shown to rise with the level
    a50: Reached
    a90: Reached
    surely: float | None  # a90/95, one-sided; None: does not exist


@dataclass(frozen=True, slots=True, kw_only=True)
class LevelTable:
    """Probability of detection at the levels of a suite's [levels], in both arms."""

    levels: tuple[float, ...]
    dead: ArmLevels
    live: ArmLevels
    penalty: Effect  # 20 log10(a90 dead / a90 live), in dB
    method: str  # of the bounds
    enough: int  # photographs without any miss, at least, that show a90/95
    warnings: tuple[str, ...] = ()  # where less is detected at a higher level, against the assumption
    side: int = 0  # of the object, in pixels
    series: str = ""  # the same for experiments that differ by their object's size alone; empty: it has no size


@dataclass(frozen=True, slots=True, kw_only=True)
class Experiment:
    """One perturbation measured on one model: the numbers behind one or more findings."""

    name: str
    perturbation: str
    thing: str  # the perturbation in words
    evaluator: str
    verb: str  # what the evaluator did where it answered "yes": noticed, right, ...
    clean: Clean  # what "yes" means without the perturbation
    level: float
    calibrated: bool
    live_target: float | None  # the rate that calibration sought at live places
    layer: str
    period: int
    dead_phases: tuple[Phase, ...]
    live_phases: tuple[Phase, ...]
    balanced: bool
    measures: tuple[Measure, ...]
    realised: Mapping[str, float]  # mean realised change at "dead" and "live" places
    photographs: int
    pairs: int
    worst: Miss | None  # None where no pair was missed at its dead place and seen at its live one
    engine: str = "dense"  # how the network was evaluated: see incremental.engine_name
    training: tuple[Training, ...] = ()
    design: Design = "object"  # what moved
    threshold: float | None = None  # the user's own; None where it was pinned
    free_response: tuple[FreeResponse, ...] = ()
    phases: tuple["PhaseRate", ...] = ()  # the share detected by phase; of a map of the model's own answer
    phases_of: Literal["calibration", "judged"] = "calibration"  # pictures; judged if the dead places take every phase
    clipped: Mapping[str, float] = field(default_factory=dict)  # share of the object that clipping took at "dead" and
    # "live" places
    recall: Recall | None = None  # of annotated objects
    levels: LevelTable | None = None  # where the suite has [levels]
    point: OperatingPoint | None = None  # this and the next three: None too in reports that did not keep them
    pinned_on: Literal["calibration pictures", "clean shots of each crop"] | None = None  # None where nothing is pinned
    thresholds: tuple[float, float] | None = None  # the least and the largest applied; None where one is not finite
    noise: float | None = None  # of the sensor: standard deviation, a fraction of the pixel range

    @property
    def detected(self) -> Measure:
        """The share detected, by arm."""
        return self.measures[0]


@dataclass(frozen=True, slots=True, kw_only=True)
class ChangedLayer:
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
    changed: tuple[ChangedLayer, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Control:
    """A known network measured by the same instrument in the same run."""

    name: str
    expected: str
    observed: str
    passed: bool
