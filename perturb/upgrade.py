"""Upgrade a report of schema 1 to schema 2, in which rates, choices and measures are all measures."""

from typing import Any

from perturb.kinds import load_kind
from perturb.quantities import KINDS

Fields = dict[str, Any]
EVALUATORS = {"reference": "change", "probe": "features", "asis": "score"}
THINGS = {  # a perturbation's class, as its repr begins
    "Pixel": "one changed pixel",
    "Box": "a small box",
    "Noise": "a small patch of noise",
    "Digits": "a small digit",
}


def from_schema_1(report: Fields) -> Fields:
    """Rates, choices and measures become measures. Raises KeyError or TypeError for what is no report."""
    return report | {
        "findings": [finding | {"effect": _effect(finding["effect"])} for finding in report["findings"]],
        "experiments": [_experiment(experiment) for experiment in report["experiments"]],
    }


def _effect(effect: Fields) -> Fields:
    known = effect["quantity"] in KINDS
    return effect | {"words": load_kind(effect["quantity"], KINDS).words if known else ""}


def _experiment(old: Fields) -> Fields:
    rates, choices, measures = old["rates"], old["two_afc"], old.get("measures", ())
    task = bool(measures)
    kept = {key: value for key, value in old.items() if key not in ("rates", "two_afc", "measures", "detector")}
    put = old["perturbation"].rpartition("perturbation=")[2]
    differences = {measure["name"]: measure["difference"] for measure in measures}
    detected = {"name": "detected", **rates, "difference": differences.get("accuracy")}
    told_apart = [{"name": "told-apart", **choices, "difference": None}] if choices else []
    return kept | {
        "thing": THINGS.get(put.partition("(")[0], f"the perturbation {old['perturbation']}"),
        "evaluator": old["detector"] if task else EVALUATORS.get(old["detector"], old["detector"]),
        "verb": "right" if task else "noticed",
        "clean": ("right" if "clean" in rates else "none") if task else "absent",
        "measures": [detected, *told_apart, *(m for m in measures if m["name"] != "accuracy")],
    }
