"""The records of `perturb remedy`, `rf` and `shift`: remedies, receptive fields, translation consistency."""

from dataclasses import dataclass

from perturb.records import Effect, GaussianFit, Rate, ReceptiveField, Remedy


@dataclass(frozen=True, slots=True, kw_only=True)
class Treated:
    """A network beside its remedies: what it costs, its lattice, and the loss that is left."""

    name: str  # "as built", or the remedy
    done: Remedy | None
    parameters: int
    multiply_adds: int
    layer: str  # from which the lattice is seen
    structural: float | None  # max/min over its phases, exact; None where a phase is strictly dead
    energy: float | None  # the same of the root mean square gradient; None where it was not measured
    dead: float | None  # share detected at dead places
    live: float | None
    accuracy: float | None  # share of right answers: see stories.remedy.accuracy
    loss: Effect | None


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
