"""The map of a model's own answer: how often the object is reported at each phase, measured on calibration pictures."""

import math
from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Float, Int

from perturb.blocks import Executor, cut, joined
from perturb.contribution.period import periods_of, place
from perturb.errors import InputError
from perturb.locations import anywhere
from perturb.looking import Look
from perturb.observe import Experimenter, Observing
from perturb.placing import fits, nearest, placed
from perturb.plan import ExperimentPlan
from perturb.protocols import Progress, Taps, Tick
from perturb.quantities.detection import detected
from perturb.quantities.statistics import rate
from perturb.records import Contribution, Images, PhaseRate, Trials
from perturb.sensor import sensor_of
from perturb.stories.calibrate import Calibration, Setting, calibrate
from perturb.stories.prepare import Subject
from perturb.streams import stream
from perturb.trials import Scenes, identity, only

TARGET = 0.5  # detection over all phases at the level at which phases are told apart: neither floor nor ceiling
PHASES = 64  # that one image is asked about, at most; further ones are spread over the images
LONGEST = 16  # period that is looked for, along rows and along columns
DRAWS, CHANCE = 999, 0.01  # of the permutation test that a period leaves nothing to explain


@dataclass(frozen=True, slots=True, kw_only=True)
class _Survey:
    """What was seen of the objects that one map is made of."""

    phase: Int[np.ndarray, "image object 2"]  # (row, column) mod the periods
    yes: Float[np.ndarray, "image object"]  # 1 where it was reported
    owner: Int[np.ndarray, "image object"]  # the photograph


def answer_map(
    subject: Subject, plan: ExperimentPlan, look: Look, images: Images, executor: Executor, progress: Progress
) -> tuple[Contribution, Calibration]:
    """The share detected by phase, at a level at which about half is detected; as a map whose values sum to 1.

    Also gives the calibration that it was measured with. A period of [rows, columns] is repeated to the least common
    one; a period that neither the suite nor the model tells is looked for. The map is flat where nothing is detected.
    """
    told, sensor = _told(subject, plan, look), sensor_of(subject.model)
    setting = Setting(
        plan=replace(plan, live_target=TARGET, name=f"{plan.name}/phases"),
        look=look,
        locations=anywhere(math.lcm(*(told or (LONGEST, LONGEST))), None if sensor is None else sensor.area),
        images=images,
        executor=executor,
        tick=progress(f"{plan.name}: level for the phases", len(images.pixels)),
    )
    found = calibrate(subject.evaluator, setting)
    periods = told or _looked_for(setting, found, progress)
    seen = _surveyed(setting, found, periods, progress(f"{plan.name}: phases", len(images.pixels)))
    shares, rates, period = np.zeros(periods), [], math.lcm(*periods)
    for row, column in np.ndindex(*periods):
        here = (seen.phase == (row, column)).all(-1)
        if not here.any():
            raise InputError(f"too few calibration pictures: no object lay on phase ({row}, {column}).")
        shares[row, column] = seen.yes[here].mean()
        rates.append(PhaseRate(phase=(row, column), rate=rate(seen.yes[here][None, :, None], seen.owner[here])))
    if not shares.any():
        shares += 1  # nothing is reported anywhere: a flat map, at whose places the verdict will say so
    shape = (period, period) if sensor is None else sensor.shape
    values = np.tile(shares, [-(-n // p) for n, p in zip(shape, periods, strict=True)])[: shape[0], : shape[1]]
    answered = Contribution(
        values=values / values.sum(),
        kind="response",
        layer=look.layer,
        images=len(images.pixels),
        rates=tuple(rates),
        **place(subject.model, look.layer, periods),
    )
    return answered, found


def _told(subject: Subject, plan: ExperimentPlan, look: Look) -> tuple[int, int] | None:
    """The period of rows and of columns that the suite gives or the model tells; None where neither does."""
    given = plan.map.period
    if isinstance(given, tuple):
        return given
    graph = getattr(subject.model, "period", None)
    if given is None and graph is None and not isinstance(subject.model, Taps):
        return None
    if sensor_of(subject.model) is not None:
        placed = place(subject.model, look.layer, given)
        lattice = placed["lattice"]
        if lattice is not None and not lattice.whole:
            raise InputError(
                f"{subject.model.name}: the lattice has no whole period in the picture ({lattice.period[0]:.4g} x "
                f"{lattice.period[1]:.4g} pixels), so that its answers cannot be told by phase: "
                "use [map] kind = 'energy' or 'sensor', or resize by a whole ratio."
            )
        return placed["period"], placed["period"]
    if given is None and not isinstance(subject.model, Taps):
        return graph
    return periods_of(subject.model, look.layer, given)


def _looked_for(setting: Setting, found: Calibration, progress: Progress) -> tuple[int, int]:
    """The shortest periods, of 1, 2, 4, 8 and 16 rows or columns, that explain what was seen on 16 of them."""
    periods = []
    for axis, words in enumerate(("rows", "columns")):
        along = (LONGEST, 1) if axis == 0 else (1, LONGEST)
        tick = progress(f"{setting.plan.name}: period of {words}", len(setting.images.pixels))
        seen = _surveyed(setting, found, along, tick)
        line = seen.phase[..., axis]
        by_image = np.stack([np.nan_to_num(_means(seen.yes, line, n)) for n in range(LONGEST)], 1)
        rng = stream(setting.plan.seed, f"phases/period/{words}")
        fits = (n for n in (1, 2, 4, 8) if explains(by_image, n, rng))
        periods.append(next(fits, LONGEST))
    return periods[0], periods[1]


def _means(yes: np.ndarray, line: np.ndarray, number: int) -> Float[np.ndarray, " image"]:
    """The share reported on one row or column, by image."""
    return np.array([values[at == number].mean() for values, at in zip(yes, line, strict=True)])


def explains(by_image: Float[np.ndarray, "image line"], period: int, rng: np.random.Generator) -> bool:
    """Whether lines that are a period apart differ by no more than chance: a permutation test within images.

    If the period explains everything, the values of an image may change places among lines of one phase. The statistic
    is the sum over lines of (mean over images - mean of the phase)^2.
    """
    images, lines = by_image.shape
    phases = by_image.reshape(images, lines // period, period)

    def spread(values: np.ndarray) -> float:
        means = values.mean(0)
        return float(((means - means.mean(0)) ** 2).sum())

    seen = spread(phases)
    drawn = [spread(rng.permuted(phases, axis=1)) for _ in range(DRAWS)]
    return (1 + sum(one >= seen - 1e-12 for one in drawn)) / (1 + DRAWS) > CHANCE


def _surveyed(setting: Setting, found: Calibration, periods: tuple[int, int], tick: Tick) -> _Survey:
    """Objects on every phase, at the level and threshold that were found."""
    plan = setting.plan
    by = Experimenter(
        look=setting.look,
        evaluator=found.evaluator,
        task=plan.task,
        levels=(found.level,),
        point=plan.point,
        threshold=found.threshold,
        studies=setting.studies,
    )
    images, trials = _visits(setting.images, plan, periods)
    seen = joined(list(setting.executor(Observing(by=by, tick=tick), cut(images, trials))))
    yes = np.concatenate([detected(seen, arm)[0, 0] for arm in ("dead", "live")], 1)
    return _Survey(
        phase=np.concatenate([trials.dead, trials.live], 1) % periods,
        yes=yes,
        owner=np.repeat(trials.photograph[:, None], yes.shape[1], 1),
    )


def _visits(images: Images, plan: ExperimentPlan, periods: tuple[int, int]) -> tuple[Images, Trials]:
    """The images that have room, and trials that visit the phases evenly; the two places of a pair are two of them.

    Where the picture moves, each object of a scene visits all of an image's phases. Where the object moves within a
    region, it visits those phases that the region holds, each at the nearest place.
    """
    period, scenes, purpose = math.lcm(*periods), plan.scenes, plan.name
    every = np.argwhere(np.ones(periods, dtype=bool))
    order = stream(plan.seed, f"phases/{purpose}").permutation(len(every))
    which, objects = placed(
        images,
        anywhere(period),
        extent=plan.task.extent,
        size=plan.task.size,
        pairs=plan.pairs if scenes and scenes.apart else 1,
        seed=plan.seed,
        purpose=purpose,
        scenes=scenes or Scenes(),
    )
    assert objects.scene is not None
    images = only(images, which)
    turn = np.argsort(np.argsort([identity(images, image) for image in range(len(images.pixels))]))
    visited = []
    for image, lie in enumerate(objects.scene):
        own = np.roll(order, -PHASES * turn[image])[:PHASES]
        phases = every[np.resize(own, len(own) + len(own) % 2)]
        if images.region is None or scenes:
            visited.append([place - (place - phases) % periods for place in lie])
        else:
            free = fits(images.region[image], plan.task.extent)
            visited.append([nearest(free, place, phases, periods) for place in lie])
    half = np.array(visited).reshape(len(visited), -1, 2, 2)  # image, pair, place, 2
    each = half.shape[1] // objects.scene.shape[1]  # pairs of an object
    return images, replace(
        objects,
        dead=half[:, :, 0],
        live=half[:, :, 1],
        scene=objects.scene.repeat(each, 1) if scenes else None,
        asked=None if objects.asked is None else objects.asked.repeat(each, 1),
    )
