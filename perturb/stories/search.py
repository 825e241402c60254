"""The worst case: the place and level at which a perturbation that is seen elsewhere goes unseen, or flips the label.

Every phase of one cell of a picture is tried at every level, or, where the budget does not reach that far, the phases
that contribute least (for a flip: most). What is found is shrunk by hypothesis to the simplest case that still holds.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Int

from perturb.case import Aim, Answer, Case, Found, Sweep, as_images, as_trials, eight_bits
from perturb.detectors import Label
from perturb.errors import InputError, UsageError
from perturb.locations import Phases, fold, patch_sum
from perturb.model import Network
from perturb.outcomes import collect, pin_threshold
from perturb.protocols import Detector, Perturbation
from perturb.records import Contribution, Images, Locations, Trials
from perturb.stories.asked import detector_of, estimate, pictures_of, protocol_of
from perturb.stories.experiment import LEVELS, Progress, quiet
from perturb.streams import stream
from perturb.suite import CheckTable, DetectorTable, Suite
from perturb.tasks import Presence
from perturb.trials import interior_cells

AT_ONCE = 16  # places of one picture that are composed together
SHRINKING = 200  # cases that hypothesis may try


@dataclass(frozen=True, slots=True, kw_only=True)
class Eye:
    """Who looks, and for what."""

    detector: Detector
    false_alarms: float  # that the threshold is pinned to, on each picture's own clean shots
    aim: Aim


def search(
    model: Network,
    suite: Suite,
    *,
    check: str | None = None,
    aim: Aim = "missed",
    budget: int = 4096,
    progress: Progress = quiet,
) -> tuple[Sweep, Found | None]:
    """The worst place and level for a check of the suite, by at most `budget` looks at a perturbed picture.

    `missed`: the highest level that is missed at one place and seen at another of the same cell. `flipped`: the lowest
    level that changes the model's label. Pictures are those that the suite judges; what the detector needs to know is
    learnt on the others. Raises UsageError for an unknown check, InputError for a detector that must be taught.
    """
    asked = _asked(suite, check)
    calibration, judged = _settled(model, suite)
    eye = _eye(model, asked.detector or suite.detector, aim)
    perturbation = protocol_of(model, asked, suite).perturbation
    layer = model.find_layer("last") if eye.detector.layer == "output" else eye.detector.layer
    contribution = estimate(model, suite.map, layer, calibration, seed=suite.seed, progress=progress)
    sweep = _sweep(model, eye, perturbation, contribution, judged, budget, progress)
    worst = _worst(sweep, perturbation)
    if worst is None or not _answer(model, eye, worst[0]).holds:
        return sweep, None
    case, name = worst
    simplest = _simplest(model, eye, case, sweep.period)
    return sweep, Found(met=case, name=name, simplest=_answer(model, eye, simplest))


def replay(model: Network, suite: Suite, case: Case, *, check: str | None = None, aim: Aim = "missed") -> Answer:
    """What the model makes of a case that a search by this suite kept. Raises InputError where it does not fit."""
    if case.picture.shape != model.input_shape:
        raise InputError(f"the case's picture is {case.picture.shape}, {model.name} takes {model.input_shape}.")
    asked = _asked(suite, check)
    if model.untrained:
        _settled(model, suite)
    return _answer(model, _eye(model, asked.detector or suite.detector, aim), case)


def _asked(suite: Suite, check: str | None) -> CheckTable:
    for asked in suite.check:
        if check in (None, asked.name):
            return asked
    raise UsageError(f"{suite.name} has no check `{check}`, expected one of {[c.name for c in suite.check]}.")


def _settled(model: Network, suite: Suite) -> tuple[Images, Images]:
    calibration, judged = pictures_of(suite, model.input_shape)
    if model.untrained:
        model.settle(torch.from_numpy(calibration.pixels))
    return calibration, judged


def _eye(model: Network, table: DetectorTable, aim: Aim) -> Eye:
    detector = Label() if aim == "flipped" else detector_of(model, table)
    if detector.needs_examples:
        raise InputError("a probe is taught anew at each level: search with a reference or as-is detector.")
    return Eye(detector=detector, false_alarms=table.false_alarms, aim=aim)


def _answer(model: Network, eye: Eye, case: Case, known: dict[bytes, Any] | None = None) -> Answer:
    """`known` keeps what was studied of each picture, where many cases share one."""
    known = {} if known is None else known
    task = Presence(perturbation=case.perturbation, levels=(case.level,), noise=eye.detector.noise)
    shown = next(task.show(as_images(case), as_trials(case), ("dead", "live"), shots=eye.detector.shots))
    key = case.picture.tobytes()
    if key not in known:
        golden, shots = eye.detector.study(model, torch.from_numpy(shown.shots[None]))
        known[key] = golden, float(_threshold(shots.double().cpu().numpy(), eye)[0])
    golden, threshold = known[key]
    dead, live = eye.detector.evidence(model, golden, torch.from_numpy(shown.retakes[0, :, 0][None]))[0].tolist()
    holds = dead > threshold if eye.aim == "flipped" else dead <= threshold < live
    return Answer(case=case, dead=dead, live=live, threshold=threshold, holds=holds)


def _threshold(shots: Float[np.ndarray, "image shot"], eye: Eye) -> Float[np.ndarray, " image"]:
    return np.zeros(len(shots)) if eye.aim == "flipped" else pin_threshold(shots, eye.false_alarms)


def _sweep(
    model: Network,
    eye: Eye,
    perturbation: Perturbation,
    contribution: Contribution,
    judged: Images,
    budget: int,
    progress: Progress,
) -> Sweep:
    phases = _order(patch_sum(fold(contribution), perturbation.size), eye.aim)[: max(2, budget // len(LEVELS))]
    count = min(len(judged.names), max(1, budget // (len(LEVELS) * len(phases))))
    pixels = eight_bits(judged.pixels[[int(np.flatnonzero(judged.photograph == p)[0]) for p in range(count)]])
    cells = interior_cells(pixels.shape[2:], contribution.period, perturbation.size)
    chosen = cells[stream(0, "search/cells").choice(len(cells), count)]
    task = Presence(perturbation=perturbation, levels=(0.0, *LEVELS), noise=eye.detector.noise)
    tick = progress("searching", count * len(phases))
    lowest = np.empty((count, len(phases)))
    for i in range(count):
        one = Images(
            pixels=pixels[i : i + 1], photograph=np.zeros(1, dtype=np.int64), names=("",), source=judged.source
        )
        for start in range(0, len(phases), AT_ONCE):
            places = (chosen[i] + phases[start : start + AT_ONCE])[None]
            trials = Trials(dead=places, live=places, photograph=one.photograph, seed=0, purpose=f"search/{i}/{start}")
            found = collect(model, eye.detector, task, one, trials, ("dead",))
            unchanged, *changed = found.retakes[:, 0, 0] > _threshold(found.shots, eye)
            lowest[i, start : start + AT_ONCE] = np.where(unchanged, np.nan, _from_which_on(np.array(changed)))
            tick(places.shape[1])
    names = judged.names[:count]
    return Sweep(
        aim=eye.aim,
        phases=phases,
        cells=chosen,
        lowest=lowest,
        pictures=pixels,
        names=names,
        period=contribution.period,
    )


def _order(phases: Phases, aim: Aim) -> Int[np.ndarray, "place 2"]:
    """The liveliest phase and then the rest from the deadest up; for a flip from the liveliest down."""
    order = np.argsort(phases, axis=None, kind="stable")
    order = order[::-1] if aim == "flipped" else np.r_[order[-1], order[:-1]]
    return np.stack(np.unravel_index(order, phases.shape), 1)


def _from_which_on(shown: Float[np.ndarray, "level place"]) -> Float[np.ndarray, " place"]:
    """The lowest level from which on all are shown: one lucky hit below a miss does not count."""
    unbroken = np.logical_and.accumulate(shown[::-1], 0)[::-1]
    return np.where(unbroken.any(0), np.array(LEVELS)[unbroken.argmax(0)], 2.0)


def _worst(sweep: Sweep, perturbation: Perturbation) -> tuple[Case, str] | None:
    """Of all pictures the one whose places differ most; just below the level that the blindest place needs."""
    if sweep.aim == "flipped":
        lowest = np.nan_to_num(sweep.lowest, nan=2.0)
        image, dead = (int(v) for v in np.unravel_index(lowest.argmin(), lowest.shape))
        live, level = dead, float(lowest[image, dead])
        if level > 1:
            return None
    else:
        spread = np.nan_to_num(np.fmax.reduce(sweep.lowest, 1) / np.fmin.reduce(sweep.lowest, 1))
        image = int(spread.argmax())
        if not spread[image]:
            return None
        dead, live = int(np.nanargmax(sweep.lowest[image])), 0  # the liveliest of the map, unless it is blind here
        below = [level for level in LEVELS if level < sweep.lowest[image, dead]]
        if not below or below[-1] < np.nanmin(sweep.lowest[image]):
            return None
        level = below[-1]
        if not sweep.lowest[image, live] <= level:
            live = int(np.nanargmin(sweep.lowest[image]))
    places = [sweep.cells[image] + sweep.phases[p] for p in (dead, live)]
    case = Case(
        picture=sweep.pictures[image],
        perturbation=perturbation,
        level=level,
        dead=(int(places[0][0]), int(places[0][1])),
        live=(int(places[1][0]), int(places[1][1])),
    )
    return case, sweep.names[image]


def _simplest(model: Network, eye: Eye, met: Case, period: int) -> Case:
    """What hypothesis shrinks it to at the same two phases, on a flat picture if it can be; else `met` itself."""
    try:
        import hypothesis

        from perturb import strategies
    except ImportError:
        return met
    settings = hypothesis.settings(
        max_examples=SHRINKING,
        deadline=None,
        database=None,
        derandomize=True,
        suppress_health_check=list(hypothesis.HealthCheck),
    )
    dead, live = (np.array([place]) % period for place in (met.dead, met.live))
    pair = Locations(dead=dead, live=live, period=period, balanced=False)
    sizes = strategies.perturbations(largest=met.perturbation.size)
    known: dict[bytes, Any] = {}
    for picture in (strategies.flat_pictures(model.input_shape), hypothesis.strategies.just(met.picture)):
        drawn = strategies.cases(pair, model.input_shape, picture=picture, perturbation=sizes)
        try:
            return hypothesis.find(drawn, lambda case: _answer(model, eye, case, known).holds, settings=settings)
        except hypothesis.errors.NoSuchExample:
            continue
    return met
