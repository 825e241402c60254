"""The chain of maps: what the structure, the gradients and the responses say at the same phases."""

import math
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Bool, Float, Int
from scipy.stats import rankdata

from perturb.comparisons import Contrast, Estimate, Link
from perturb.contribution import Options, at_places, energy, structural
from perturb.contribution.period import periods_of
from perturb.errors import UsageError
from perturb.locations import choose, fold
from perturb.protocols import Differentiable, Progress
from perturb.records import Contribution
from perturb.stats.clusters import mean_interval
from perturb.stats.jackknife import jackknife_interval
from perturb.streams import stream

CONFIDENCE = 0.95
PROBES = 4  # random directions a photograph
RESPONSES = 32  # phases at which the response is measured: a quarter of them dead, a quarter live
FAINTEST = 1e-3  # of the liveliest phase: what counts less, counts as so much
FLAT = 1e-9
FEWEST_CELLS = 2  # of the lattice in a picture
CHOOSING, JUDGING = slice(0, None, 2), slice(1, None, 2)  # photographs: no number is of those that chose its places

Pictures = Float[np.ndarray, "image channel row column"]
ByPhase = Float[np.ndarray, "image phase_row phase_column"]
Mask = Bool[np.ndarray, "phase_row phase_column"]
Arms = tuple[Mask, Mask]  # dead, live
Which = slice | Int[np.ndarray, " image"]
Sides = Callable[[Int[np.ndarray, " image"]], tuple[np.ndarray, np.ndarray]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Maps:
    """The structural map N, and the gradients S of each photograph."""

    structure: Contribution
    squares: Float[np.ndarray, "image row column"]  # S^2, mean 1
    measured: Contribution  # their mean
    n: Float[np.ndarray, "phase_row phase_column"]
    s: ByPhase  # S^2 of each photograph

    @property
    def period(self) -> int:
        return self.measured.period

    def structural_arms(self) -> Arms | None:
        """The phases that the structure reads least and most; None where it reads all alike."""
        return self._arms(self.structure)

    def own_arms(self) -> Arms | None:
        """The phases at which the gradients of half of the photographs are least and greatest."""
        values = self.squares[CHOOSING].mean(0)
        return self._arms(replace(self.measured, values=values))

    def _arms(self, chosen_by: Contribution) -> Arms | None:
        found = choose(chosen_by)
        if found.balanced:
            return None
        dead, live = np.zeros((2, found.period, found.period), dtype=bool)
        dead[tuple(found.dead.T)], live[tuple(found.live.T)] = True, True
        repeats = (self.period // found.period,) * 2
        return np.tile(dead, repeats), np.tile(live, repeats)

    def contrast(self, arms: Arms, photographs: Which) -> Contrast:
        """N and S at these phases."""
        return Contrast(
            structure=float(_log_ratio(self.n, arms)), gradient=mean_of(_log_ratio(self.s[photographs], arms))
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Responses:
    """ln R of the photographs that judge, at one place of each of some phases."""

    phases: Int[np.ndarray, "phase 2"]
    logs: Float[np.ndarray, "image phase"]

    def contrast(self, arms: Arms) -> Estimate:
        dead, live = (self.logs[:, arm[tuple(self.phases.T)]].mean(1) for arm in arms)
        return mean_of(live - dead)


def maps_of(model: Differentiable, pixels: Pictures, layer: str, progress: Progress) -> Maps:
    """Every photograph weighs alike, and its probes are its own."""
    structure = structural(model, layer)
    own = structure.periods or (structure.period, structure.period)
    rows, columns = np.lcm(own, periods_of(model, layer)).tolist()
    period = math.lcm(rows, columns)
    if math.prod(n // period for n in pixels.shape[2:]) < FEWEST_CELLS:
        size = " x ".join(map(str, pixels.shape[2:]))
        raise UsageError(
            f"the lattice of `{layer}` repeats every {period} pixels, and a picture of {size} holds fewer than "
            f"{FEWEST_CELLS} such cells: use a larger input, or --layer stride:N with a smaller N."
        )
    found, tick = [], progress("gradients", len(pixels))
    for number in range(len(pixels)):
        found.append(energy(model, pixels[number : number + 1], layer, Options(probes=PROBES, seed=number)))
        tick(1)
    periods = (rows, columns) if rows != columns else None
    squares = np.stack([each.values**2 for each in found])
    squares /= squares.mean((1, 2), keepdims=True)
    every = [replace(found[0], values=each, period=period, periods=periods) for each in squares]
    return Maps(
        structure=structure,
        squares=squares,
        measured=replace(every[0], values=squares.mean(0), images=len(found)),
        n=fold(structure, period),
        s=np.stack([fold(each) for each in every]),
    )


def responses_of(
    model: Differentiable, pixels: Pictures, layer: str, maps: Maps, arms: Arms | None, progress: Progress
) -> Responses:
    """Of the photographs that judge; places near the border are left out where the picture has room."""
    pixels, phases = pixels[JUDGING], _asked(maps.period, arms)
    cells = np.array(pixels.shape[2:]) // maps.period
    border = np.where(cells > 2, -(-cells // 8), 0)
    drawn = stream(0, "explain/responses").integers(border, cells - border, (len(pixels), len(phases), 2))
    tick = progress("responses", drawn[..., 0].size)
    found = at_places(model, pixels, drawn * maps.period + phases, layer, Options(tick=tick))
    return Responses(phases=phases, logs=np.log(np.maximum(found, FAINTEST * found.max())))


def _asked(period: int, arms: Arms | None) -> Int[np.ndarray, "phase 2"]:
    """All phases where they are few; else 32 at random, a quarter of them dead and a quarter live."""
    every = stream(0, "explain/phases").permutation(np.argwhere(np.ones((period, period), dtype=bool)))
    if len(every) <= RESPONSES or arms is None:
        return np.asarray(every[:RESPONSES])
    dead, live = (arm[tuple(every.T)] for arm in arms)
    ends = np.concatenate([every[dead][: RESPONSES // 4], every[live][: RESPONSES // 4]])
    return np.concatenate([ends, every[~(dead | live)][: RESPONSES - len(ends)]])


def links_of(maps: Maps, responses: Responses, detected: ByPhase | None) -> tuple[Link, ...]:
    """Neighbouring maps of the chain. Detection is of other photographs, so the gradients are then their mean."""
    n, s, at = maps.n.ravel(), maps.s.reshape(len(maps.s), -1), tuple(responses.phases.T)
    here = maps.s[JUDGING][:, *at]
    found = [
        _link("structure and gradient", len(s), lambda which: (n, s[which].mean(0))),
        _link("gradient and response", len(here), lambda which: (here[which].mean(0), responses.logs[which].mean(0))),
    ]
    if detected is not None:
        d = detected.reshape(len(detected), -1)
        found.append(_link("gradient and detection", len(d), lambda which: (s.mean(0), d[which].mean(0))))
    return tuple(found)


def _link(of: str, photographs: int, sides: Sides) -> Link:
    """Spearman's rho with the jackknife's interval of Fisher's z. Values that differ by rounding are tied."""
    whole = sides(np.arange(photographs))
    phases = len(whole[0])
    if phases < 4 or any(np.ptp(side) <= FLAT * abs(side).max() for side in whole):
        return Link(of=of, phases=phases, rank=None)

    def fisher(which: Int[np.ndarray, " image"]) -> Float[np.ndarray, "1"]:
        ranks = [rankdata(np.round(side / abs(side).max(), 9)) for side in sides(which)]
        return np.arctanh(np.corrcoef(*ranks)[:1, 1].clip(FLAT - 1, 1 - FLAT))

    value, low, high = (float(np.tanh(each[0])) for each in jackknife_interval(fisher, photographs, CONFIDENCE))
    return Link(of=of, phases=phases, rank=Estimate(value=value, low=low, high=high, n=photographs))


def between(detected: ByPhase, arms: Arms) -> Estimate:
    """The share detected at live phases, less that at dead ones."""
    dead, live = (detected[:, arm].mean(1) for arm in arms)
    return mean_of(live - dead)


def _log_ratio(squares: np.ndarray, arms: Arms) -> np.ndarray:
    """Half of ln(live / dead), of squares by phase."""
    dead, live = (squares[..., arm].mean(-1) for arm in arms)
    least = FAINTEST**2 * np.maximum(dead, live)
    return np.asarray(np.log(np.maximum(live, least) / np.maximum(dead, least)) / 2)


def mean_of(values: Float[np.ndarray, " photograph"]) -> Estimate:
    low, high, _ = mean_interval(values, CONFIDENCE, rng=stream(0, "explain"))
    return Estimate(value=float(values.mean()), low=low, high=high, n=len(values))
