"""The map of a model's own answer: how often the object is reported at each phase, measured on calibration pictures."""

import math
from dataclasses import replace

import numpy as np

from perturb.blocks import Executor, cut, joined
from perturb.contribution.period import period_of
from perturb.errors import InputError
from perturb.locations import anywhere
from perturb.looking import Look
from perturb.observe import Experimenter, observe
from perturb.plan import ExperimentPlan
from perturb.protocols import Progress
from perturb.quantities.detection import detected
from perturb.quantities.statistics import rate
from perturb.records import DEAD, LIVE, Contribution, Images, PhaseRate, Trials
from perturb.stories.calibrate import Calibration, Setting, calibrate
from perturb.stories.prepare import Subject
from perturb.streams import stream
from perturb.trials import Scenes, design, identity

TARGET = 0.5  # detection over all phases at the level at which phases are told apart: neither floor nor ceiling
PHASES = 64  # that one image is asked about, at most; further ones are spread over the images
TIE = 1e-6  # of a share: phases of equal shares are ordered by their evidence


def answer_map(
    subject: Subject, plan: ExperimentPlan, look: Look, images: Images, executor: Executor, progress: Progress
) -> tuple[Contribution, Calibration]:
    """The share detected by phase, at a level at which about half is detected; as a map whose values sum to 1.

    Also gives the calibration that it was measured with. A period of [rows, columns] is repeated to the least common
    one. Raises InputError where nothing is detected.
    """
    periods = _periods(subject, plan, look)
    period = math.lcm(*periods)
    setting = Setting(
        plan=replace(plan, live_target=TARGET, name=f"{plan.name}/phases"),
        look=look,
        locations=anywhere(period),
        images=images,
        executor=executor,
        tick=progress(f"{plan.name}: level for the phases", len(images.pixels)),
    )
    found = calibrate(subject.evaluator, setting)
    by = Experimenter(
        look=look,
        evaluator=found.evaluator,
        task=plan.task,
        levels=(found.level,),
        point=plan.point,
        threshold=found.threshold,
    )
    trials = _survey(images, plan, periods)
    tick = progress(f"{plan.name}: phases", len(images.pixels))
    seen = joined(list(executor(lambda block: observe(block, by, tick), cut(images, trials))))
    places = np.concatenate([trials.dead, trials.live], 1) % periods
    yes = np.concatenate([detected(seen, arm)[0, 0] for arm in ("dead", "live")], 1)
    evidence = np.concatenate([seen.evidence[0, 0, ..., arm] for arm in (DEAD, LIVE)], 1)
    rank = evidence.ravel().argsort().argsort().reshape(evidence.shape) / evidence.size
    owner = np.repeat(trials.photograph[:, None], yes.shape[1], 1)
    shares = np.zeros(periods)
    rates = []
    for row, column in np.ndindex(*periods):
        here = (places == (row, column)).all(-1)
        if not here.any():
            raise InputError(f"too few calibration pictures: no object lay on phase ({row}, {column}).")
        shares[row, column] = yes[here].mean() + TIE * rank[here].mean()
        rates.append(PhaseRate(phase=(row, column), rate=rate(yes[here][None, :, None], owner[here])))
    if not yes.any():
        raise InputError(f"nothing was reported at any phase, not even at level {found.level:.3g}.")
    values = np.tile(shares, [period // n for n in periods])
    answered = Contribution(
        values=values / values.sum(),
        kind="response",
        layer=look.layer,
        period=period,
        images=len(images.pixels),
        level=found.level,
        rates=tuple(rates),
    )
    return answered, found


def _periods(subject: Subject, plan: ExperimentPlan, look: Look) -> tuple[int, int]:
    given = plan.map.period
    if isinstance(given, tuple):
        return given
    period = period_of(subject.model, look.layer, given)
    return period, period


def _survey(images: Images, plan: ExperimentPlan, periods: tuple[int, int]) -> Trials:
    """Trials that visit the phases evenly; the two places of a pair are two of them.

    Where the picture moves, each object of a scene visits all of an image's phases.
    """
    period, scenes = math.lcm(*periods), plan.scenes
    purpose = f"{plan.name}/phases"
    every = np.argwhere(np.ones(periods, dtype=bool))
    objects = design(
        images,
        anywhere(period),
        size=plan.task.size,
        pairs=plan.pairs if scenes and scenes.apart else 1,
        seed=plan.seed,
        purpose=purpose,
        scenes=scenes or Scenes(),
    )
    assert objects.scene is not None
    visited = []
    for image, lie in enumerate(objects.scene):
        rng = stream(plan.seed, f"phases/{purpose}/{identity(images, image)}")
        order = np.roll(rng.permutation(len(every)), -PHASES * image)[: PHASES + PHASES % 2]
        phases = every[np.resize(order, len(order) + len(order) % 2)]
        visited.append([place - (place - phases) % periods for place in lie])
    places = np.array(visited)  # image, object, phase, 2
    images_, count, _, _ = places.shape
    half = places.reshape(images_, count, -1, 2, 2)
    return replace(
        objects,
        dead=half[..., 0, :].reshape(images_, -1, 2),
        live=half[..., 1, :].reshape(images_, -1, 2),
        scene=objects.scene.repeat(half.shape[2], 1) if scenes else None,
    )
