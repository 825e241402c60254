"""The checks of a suite, run on one model: each experiment once, whatever is claimed of it."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from perturb.incremental import Engine
from perturb.locations import choose
from perturb.model import Network
from perturb.protocols import Task
from perturb.records import Conditions, Contribution, Experiment, Images, Locations, Measurement, Responses
from perturb.stories.asked import estimate, experiment_key, perturbation_of, protocol_of, question
from perturb.stories.classification import assign, classify, task_of
from perturb.stories.experiment import Measured, Progress, Protocol, measure, repeat
from perturb.suite import CheckTable, Suite
from perturb.verdict import Question


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """What a caller may add to a suite."""

    places: Mapping[str, Locations]  # by check, in place of those that the map chooses
    conditions: Mapping[str, Conditions]  # of a baseline, at which a check is measured as well
    engine: Engine
    keep: Path | None  # where trainings leave their checkpoints
    progress: Progress


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """What the checks gave."""

    questions: tuple[Question, ...]
    experiments: tuple[Experiment, ...]
    maps: Mapping[str, Contribution]
    measured: tuple[tuple[Protocol, Measured], ...] = ()
    repeated: Mapping[str, Measurement] = field(default_factory=dict)


def detect(model: Network, suite: Suite, calibration: Images, judged: Images, wanted: Wanted) -> Found:
    """Every check as the detection of what was put in."""
    maps: dict[str, Contribution] = {}
    measured: dict[str, tuple[Protocol, Measured]] = {}
    repeated: dict[str, Measurement] = {}
    questions, progress = [], wanted.progress
    for check in suite.check:
        protocol = replace(protocol_of(model, check, suite), engine=wanted.engine)
        layer, key = protocol.detector.layer, experiment_key(check)
        if layer not in maps:
            maps[layer] = estimate(model, suite.map, layer, calibration, seed=suite.seed, progress=progress)
        if key not in measured:
            chosen = wanted.places.get(check.name) or choose(
                maps[layer], size=protocol.perturbation.size, share=suite.map.share, seed=suite.seed
            )
            own = measure(model, protocol, chosen, calibration, judged, progress=progress)
            measured[key] = (protocol, own)
            if (asked := wanted.conditions.get(check.name)) is not None:
                repeated[check.name] = repeat(
                    own.measurement, asked, model, protocol, calibration, judged, progress=progress
                )
        questions.append(question(check, measured[key][1].measurement.outcomes, maps[layer], suite.seed))
    return Found(
        questions=tuple(questions),
        experiments=tuple(own.account for _, own in measured.values()),
        maps=maps,
        measured=tuple(measured.values()),
        repeated=repeated,
    )


def answer(model: Network, suite: Suite, calibration: Images, judged: Images, wanted: Wanted) -> Found:
    """Every check as a classifier's task."""
    maps: dict[str, Contribution] = {}
    answered: dict[str, tuple[Responses, Experiment, Contribution]] = {}
    questions = []
    for check in suite.check:
        if (key := experiment_key(check)) not in answered:
            answered[key] = _classified(model, check, suite, calibration, judged, wanted, maps)
        responses, _, contribution = answered[key]
        questions.append(question(check, responses, contribution, suite.seed))
    experiments = tuple(account for _, account, _ in answered.values())
    return Found(questions=tuple(questions), experiments=experiments, maps=maps)


def task_for(model: Network, check: CheckTable, suite: Suite, judged: Images) -> Task:
    """The suite's task with the check's perturbation."""
    put = None if check.perturbation.kind == "digit" else perturbation_of(check.perturbation)
    return task_of(model, check, suite, judged, put)


def _classified(
    model: Network,
    check: CheckTable,
    suite: Suite,
    calibration: Images,
    judged: Images,
    wanted: Wanted,
    maps: dict[str, Contribution],
) -> tuple[Responses, Experiment, Contribution]:
    """The map that chooses the places is that of the network which has learnt."""
    table = check.detector or suite.detector
    assignment = assign(check, suite, task_for(model, check, suite, judged))

    def mapped(network: Network, images: Images) -> Contribution:
        layer = network.find_layer(table.layer if "layer" in table.model_fields_set else "output")
        name = layer if network is model else f"{check.name}: {layer}"
        found = maps.get(name) if network is model else None
        if found is None:
            found = estimate(network, suite.map, layer, images, seed=suite.seed, progress=wanted.progress)
            maps.setdefault(name, found)
        return found

    places = wanted.places.get(check.name)
    return classify(
        model,
        assignment,
        calibration,
        judged,
        mapped,
        engine=wanted.engine,
        places=places,
        keep=wanted.keep,
        progress=wanted.progress,
    )
