"""Run the checks of a suite on one model. Checks that differ by their claim alone share one experiment."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from perturb.plan import CheckPlan, experiments
from perturb.protocols import Sees
from perturb.records import Contribution, Effect, Measurement, Pictures
from perturb.stories.experiment import Measured, Wanted, measure
from perturb.stories.structure import Structure, structure_of
from perturb.verdict import Question


@dataclass(frozen=True, slots=True, kw_only=True)
class Results:
    """What the checks gave."""

    questions: tuple[Question, ...]
    measured: tuple[Measured, ...]
    maps: Mapping[str, Contribution]
    structures: Mapping[str, Structure]  # by the layer whose map chose the places

    @property
    def repeated(self) -> dict[str, Measurement]:
        """The experiments that were measured at the conditions of a baseline, too."""
        return {each.plan.name: each.repeated for each in self.measured if each.repeated}


def run_checks(model: Sees, checks: Sequence[CheckPlan], pictures: Pictures, wanted: Wanted) -> Results:
    """Measure each experiment, and make each check's claim a question."""
    maps: dict[str, Contribution] = {}
    found = {each.name: measure(model, each, pictures, wanted, maps) for each in experiments(checks)}
    counts = [len(images.names) for images in (pictures.calibration, pictures.judged)]
    supply = sum(counts) / counts[1]
    looks = {each.contribution.layer: each.experimenter.look.model for each in reversed(found.values())}
    structures = {layer: structure_of(looked_at, layer) for layer, looked_at in looks.items()}
    return Results(
        questions=tuple(_question(check, found[check.experiment.name], structures, supply) for check in checks),
        measured=tuple(found.values()),
        maps=maps,
        structures=structures,
    )


def _question(check: CheckPlan, found: Measured, structures: Mapping[str, Structure], supply: float) -> Question:
    quantity, seen = check.quantity, found.measurement.seen
    contribution = replace(found.contribution, unread=structures[found.contribution.layer].unread)

    def effect_at(confidence: float) -> Effect:
        effect = quantity.effect(seen, contribution, confidence=confidence, seed=check.experiment.seed)
        return replace(effect, quantity=check.claim.quantity, version=quantity.version, words=quantity.words)

    return Question(check=check.name, claim=check.claim, effect_at=effect_at, bounds=quantity.range, supply=supply)
