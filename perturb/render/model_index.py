"""Reports as the `model-index` of a Hugging Face model card, where a model's measured results stand."""

import json
from collections.abc import Iterator, Sequence
from typing import Any

from perturb.report import Report
from perturb.visible import plained


def model_index(reports: Sequence[Report]) -> str:
    """YAML for the head of a README.md; every value is quoted as JSON, which YAML reads."""
    lines: list[tuple[Any, ...]] = [("model-index:",)]
    for report in reports:
        lines += _result(plained(report))
    return "".join(f"{key}{json.dumps(*value) if value else ''}\n" for key, *value in lines)


def _result(report: Report) -> Iterator[tuple[Any, ...]]:
    """Lines of YAML: what stands in front, and the value where there is one."""
    judged = report.images.judged
    yield ("- name: ", report.model.reference)
    yield ("  results:",)
    yield ("  - task:",)
    yield ("      type: ", "other")
    yield ("      name: ", "small-perturbation detection")
    yield ("    dataset:",)
    yield ("      type: ", report.images.source)
    yield ("      name: ", f"{report.suite.name}: {judged.photographs} photographs, {judged.crops} crops")
    yield ("    metrics:",)
    for f in report.findings:
        yield ("    - type: ", f.effect.quantity)
        yield ("      name: ", f"{f.check}: {f.effect.quantity}, claimed at most {f.claim.at_most:g}, {f.verdict}")
        yield ("      value: ", f.effect.value)
        yield ("      args: ", {"low": f.effect.low, "high": f.effect.high, "confidence": f.effect.confidence})
