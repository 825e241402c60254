"""Upgrade a report of an earlier schema.

Schema 2: rates, choices and measures are all measures. Schema 3: effects have no p-value and nothing "detectable".
Schema 4: a digest of the file, and of the trials and maps beside it; what was there is as it was.
"""

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


def from_schema_2(report: Fields) -> Fields:
    """Effects lose what their intervals say already. Raises KeyError or TypeError for what is no report."""

    def kept(effect: Fields | None) -> Fields | None:
        return effect and {key: value for key, value in effect.items() if key not in ("pvalue", "detectable")}

    def measure(old: Fields) -> Fields:
        return old | {"difference": kept(old.get("difference"))}

    def finding(old: Fields) -> Fields:
        return {key: value for key, value in old.items() if key != "images_needed"} | {"effect": kept(old["effect"])}

    return report | {
        "findings": [finding(old) for old in report["findings"]],
        "experiments": [old | {"measures": [measure(m) for m in old["measures"]]} for old in report["experiments"]],
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
