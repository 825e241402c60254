"""The index of published reports: a small paper, its tables and its picture made from the reports alone."""

from collections.abc import Mapping, Sequence

import numpy as np
from scipy import stats

from perturb.records import Experiment
from perturb.render import published_charts
from perturb.render.environment import fill
from perturb.render.markdown import report
from perturb.render.published_charts import Line
from perturb.report import Report

DEPLOYED = ("decimal-point", "small-print")  # suites of text detectors and recognisers as they are shipped


def index(reports: Mapping[str, Report]) -> str:
    """The text of reports/README.md; `reports` by their path without suffix, suite/model."""
    suites = {name: lines(reports, name) for name in _suites(reports)}
    described = {found.suite.name: found.suite.description for found in reports.values()}
    tasks = {path: found for path, found in sorted(reports.items()) if is_task(found)}
    courses = [path for path, found in tasks.items() if is_course(found)]
    answers = {path: found for path, found in sorted(reports.items()) if is_answer(found)}
    deployed = {path: found for path, found in answers.items() if found.suite.name in DEPLOYED}
    examples = {
        name: {path: found for path, found in answers.items() if found.suite.name == name}
        for name in sorted({found.suite.name for found in answers.values()} - set(DEPLOYED))
    }
    return fill(
        "index.md.j2",
        markup=False,
        suites=suites,
        described=described,
        tasks=tasks,
        courses=courses,
        answers=deployed,
        examples=examples,
        reference=suites.get("paper-reference"),
    )


def files(reports: Mapping[str, Report]) -> dict[str, str]:
    """Everything in reports/ but the JSON, by path: the index, the picture, and each report's Markdown."""
    drawn = [line for suite in _suites(reports) for line in lines(reports, suite)]
    return {
        "README.md": index(reports),
        "loss.svg": published_charts.losses(drawn),
        **{f"{path}.svg": published_charts.lengths(found) for path, found in reports.items() if is_course(found)},
        **{f"{path}.md": report(found) for path, found in reports.items()},
    }


def is_task(found: Report) -> bool:
    """Whether a classifier was asked: it was trained, or its answer to the clean picture is itself right or wrong."""
    return any(e.training or e.clean != "absent" for e in found.experiments)


def is_answer(found: Report) -> bool:
    """Whether the model's own answer was asked at phases that it was measured at."""
    return any(e.phases for e in found.experiments)


def is_course(found: Report) -> bool:
    """Whether its experiments are trainings of different lengths."""
    return len({t.epochs for e in found.experiments for t in e.training}) > 1


def lines(reports: Mapping[str, Report], suite: str) -> list[Line]:
    """A line for each network and remedy of a detection suite, networks in order of the loss as built."""
    groups: dict[tuple[str, str], list[str]] = {}
    for path, one in sorted(reports.items()):
        if path.startswith(f"{suite}/") and not is_task(one) and not is_answer(one):
            remedy = one.model.remedy.kind if one.model.remedy else "as built"
            groups.setdefault((one.model.reference, remedy), []).append(path)
    found = [_line(model, remedy, [(p, reports[p]) for p in paths]) for (model, remedy), paths in groups.items()]
    worst = {line.model: line.loss for line in found if line.remedy == "as built"}
    return sorted(found, key=lambda line: (-worst.get(line.model, 0.0), line.model, line.remedy))


def _suites(reports: Mapping[str, Report]) -> list[str]:
    return sorted({path.partition("/")[0] for path in reports})


def _line(model: str, remedy: str, given: Sequence[tuple[str, Report]]) -> Line:
    experiments: list[Experiment] = [one.experiments[0] for _, one in given]
    effects = [one.findings[0].effect for _, one in given]
    losses = tuple(effect.value for effect in effects)
    low, high = effects[0].low, effects[0].high
    if len(losses) > 1:
        within = float(np.mean([effect.high - effect.low for effect in effects])) / 2
        among = stats.t.ppf(0.975, len(losses) - 1) * np.std(losses, ddof=1) / len(losses) ** 0.5
        loss, half = float(np.mean(losses)), float(np.hypot(within, among))
        low, high = max(loss - half, -1.0), min(loss + half, 1.0)
    return Line(
        model=model,
        remedy=remedy,
        files=tuple(path for path, _ in given),
        level=float(np.mean([e.level for e in experiments])),
        dead=float(np.mean([e.detected.dead.value for e in experiments])),
        live=float(np.mean([e.detected.live.value for e in experiments])),
        losses=losses,
        low=low,
        high=high,
        photographs=effects[0].n,
        verdicts=tuple(one.verdict for _, one in given),
    )
