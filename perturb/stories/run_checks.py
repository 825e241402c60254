"""Run the checks of a suite on one model. Checks that differ by their claim alone share one experiment."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from perturb.blocks import Shard
from perturb.errors import InputError
from perturb.plan import CheckPlan, ExperimentPlan, experiments
from perturb.protocols import Sees
from perturb.quantities.levels import OfLevels, own_level
from perturb.records import Contribution, Effect, Finding, Measurements, Pictures, Verdict
from perturb.stories.experiment import Maps, Measured, Wanted, measure_in_turn, measure_shard
from perturb.stories.structure import Structure, structure_of
from perturb.studies import Studies
from perturb.verdict import Question, judge

STEP = 20  # a look after each photograph, then each time that their number has grown by 1 / STEP


@dataclass(frozen=True, slots=True, kw_only=True)
class Results:
    """What the checks gave."""

    findings: tuple[Finding, ...]
    photographs: int  # judged
    measured: tuple[Measured, ...]
    maps: Mapping[str, Contribution]
    structures: Mapping[str, Structure]  # by the layer whose map chose the places

    @property
    def measurements(self) -> Measurements:
        """Each experiment under all conditions."""
        return Measurements(
            measured={each.plan.name: each.measurement for each in self.measured},
            repeated={each.plan.name: each.repeated for each in self.measured if each.repeated},
            own={each.plan.name: each.own for each in self.measured if each.own},
        )


def run_checks(
    model: Sees, checks: Sequence[CheckPlan], pictures: Pictures, wanted: Wanted, *, looks: Sequence[int]
) -> Results:
    """Measure each experiment, and judge each check's claim.

    Looks at the first n judged photographs for each n of `looks`, and stops where every check is decided. The verdict's
    intervals hold however often one looks (see `stats.betting`). Raises InputError where nothing could be judged.
    """
    maps: Maps = {}
    asked, wanted = _sharing(checks, wanted)
    in_turn = [measure_in_turn(model, each, pictures, wanted, maps, looks=looks) for each in asked]
    counts = [len(images.names) for images in (pictures.calibration, pictures.judged)]
    supply = sum(counts) / counts[1]
    structures: dict[str, Structure] = {}
    results = None
    for photographs, measured in zip(looks, zip(*in_turn, strict=True), strict=True):
        found = {each.plan.name: each for each in measured if each}
        if len(found) < len(measured):
            continue
        structures = structures or _structures(found.values())
        findings = judge([_question(check, found[check.experiment.name], structures, supply) for check in checks])
        results = Results(
            findings=tuple(findings),
            photographs=photographs,
            measured=tuple(found.values()),
            maps=maps,
            structures=structures,
        )
        if all(f.verdict != Verdict.INCONCLUSIVE for f in findings) and wanted.decided(results.measurements):
            break
    if results is None:
        raise InputError(f"fewer than two of the first {looks[-1]} photographs have room for an object: raise at_most.")
    return results


def run_shard(model: Sees, checks: Sequence[CheckPlan], pictures: Pictures, wanted: Wanted, shard: Shard) -> None:
    """Measure a shard's judged blocks of each experiment, for an executor that keeps them. Nothing is judged."""
    maps: Maps = {}
    asked, wanted = _sharing(checks, wanted)
    for each in asked:
        measure_shard(model, each, pictures, wanted, maps, shard)


def _sharing(checks: Sequence[CheckPlan], wanted: Wanted) -> tuple[Sequence[ExperimentPlan], Wanted]:
    """The experiments of the checks, which share what is learnt from clean shots."""
    asked = experiments(checks)
    of_model = [each.evaluator for each in asked if each.training.regime == "as-is"]
    return asked, replace(wanted, studies=Studies(of_model))


def looks_at(photographs: int, *, until_decided: bool) -> list[int]:
    """After how many photographs to look: after all, or until it is decided from two on."""
    return [*_growing(photographs)] if until_decided else [photographs]


def _growing(photographs: int) -> Iterator[int]:
    n = min(2, photographs)
    while n < photographs:
        yield n
        n += 1 + n // STEP
    yield photographs


def _structures(found: Iterable[Measured]) -> dict[str, Structure]:
    """What the architecture reads up to each layer whose map chose places."""
    models = {each.contribution.layer: each.experimenter.look.model for each in reversed([*found])}
    return {layer: structure_of(model, layer) for layer, model in models.items()}


def _question(check: CheckPlan, found: Measured, structures: Mapping[str, Structure], supply: float) -> Question:
    quantity, every = check.quantity, found.measurement.seen
    seen = every if isinstance(quantity, OfLevels) else own_level(every)
    contribution = replace(found.contribution, unread=structures[found.contribution.layer].unread)

    def effect_at(confidence: float) -> Effect:
        effect = quantity.effect(seen, contribution, confidence=confidence, seed=check.experiment.seed)
        return replace(effect, quantity=check.claim.quantity, version=quantity.version, words=quantity.words)

    return Question(check=check.name, claim=check.claim, effect_at=effect_at, bounds=quantity.range, supply=supply)
