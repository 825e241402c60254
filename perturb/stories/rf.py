"""Receptive fields, in theory and in effect: against depth, and against accuracy."""

import csv
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from perturb.comparisons import Correlation, Field
from perturb.contribution import centre, fit_gaussian, receptive_field
from perturb.errors import InputError, UsageError
from perturb.files import BY_HAND, read_text
from perturb.protocols import Differentiable, Progress, quiet
from perturb.records import Images, ReceptiveField
from perturb.sensor import sensor_of
from perturb.stats.rank import spearman

CONFIDENCE = 0.95


def by_depth(model: Differentiable, images: Images, *, progress: Progress = quiet) -> list[Field]:
    """The field of every block (a module at most one level down) that sees more than the one before it.

    Modules that only wrap one other module are no level.
    Raises InputError where there is none.
    """
    wider: list[ReceptiveField] = []
    for name in _blocks(model.feature_maps):
        theory = receptive_field(model, name)
        if not wider or theory.size != wider[-1].size:
            wider.append(theory)
    if not wider:
        raise InputError(f"{model.name} has no module with a feature map.")
    tick = progress(f"{model.name}: receptive fields", len(wider))
    fields = []
    for theory in wider:
        fields.append(_measure(model, theory, images))
        tick(1)
    return fields


def _blocks(names: Sequence[str]) -> list[str]:
    """The layers at most one level below the innermost module that holds them all."""
    base = ""
    while len(heads := {name[len(base) :].partition(".")[0] for name in names if name.startswith(base)}) == 1:
        inner = f"{base}{heads.pop()}."
        if not any(name.startswith(inner) for name in names):
            break
        base = inner
    return [name for name in names if name.startswith(base) and name[len(base) :].count(".") <= 1]


def at_layer(model: Differentiable, layer: str, images: Images) -> Field:
    """The field of one layer: theory, and a Gaussian laid over the `centre` map of these pictures."""
    return _measure(model, receptive_field(model, layer), images)


def _measure(model: Differentiable, theory: ReceptiveField, images: Images) -> Field:
    sensor = sensor_of(model)
    try:
        fit = fit_gaussian(centre(model, np.asarray(images.pixels), theory.layer).values)
    except InputError:
        fit = None
    return Field(model=model.name, theory=theory if sensor is None else sensor.field(theory), fit=fit)


def read_accuracies(path: Path) -> dict[str, float]:
    """Model -> accuracy, from a table with these two columns."""
    text = read_text(path, limit=BY_HAND)
    try:
        return {row["model"]: float(row["accuracy"]) for row in csv.DictReader(text.splitlines())}
    except (KeyError, TypeError, ValueError, csv.Error) as error:
        raise UsageError(f"--accuracies: `{path}`: expected the columns model,accuracy and a number a row.") from error


def relate(fields: Sequence[Field], accuracies: Mapping[str, float]) -> list[Correlation]:
    """Rank correlation of accuracy with the theoretical size and with the effective one. The whole picture ranks last.

    Raises UsageError for a model that the table lacks, and below four models.
    """
    missing = [f.model for f in fields if f.model not in accuracies]
    if missing:
        raise UsageError(f"--accuracies has no row for {missing}; its models are {list(accuracies)}.")
    if len(fields) < 4:
        raise UsageError(f"--accuracies: {len(fields)} models; a rank correlation's interval needs at least 4.")
    against = np.array([accuracies[f.model] for f in fields])
    sizes = {
        "theoretical size": [np.prod(f.theory.size) ** 0.5 if f.theory.size else np.inf for f in fields],
        "effective size": [(f.fit.sigma_row * f.fit.sigma_column) ** 0.5 if f.fit else np.inf for f in fields],
    }
    found = []
    for name, values in sizes.items():
        rho, low, high = spearman(np.array(values), against, CONFIDENCE)
        found.append(Correlation(of=name, value=rho, low=low, high=high, n=len(fields)))
    return found
