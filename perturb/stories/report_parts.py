"""What a report says of its model, its map, its pictures and its origin."""

import hashlib
import math
import platform
from datetime import UTC, datetime

import numpy as np

from perturb.contribution import structural
from perturb.errors import InputError, PerturbError
from perturb.locations import dead_share, fold, imbalance, one_cell
from perturb.machine import device_name, versions
from perturb.model.copy import has_statistics
from perturb.model.preprocessing import Preprocessing
from perturb.protocols import Differentiable, Sees
from perturb.records import Contribution, Images, Pictures, Remedy, Window
from perturb.report import ImagesSummary, MapSummary, ModelSummary, Provenance, Sample, SuiteSummary
from perturb.suite import Suite


def windows_of(model: Sees, contribution: Contribution) -> tuple[Window, ...]:
    """The sliding windows up to the map's layer; none where the network cannot be followed."""
    if contribution.windows or not isinstance(model, Differentiable):
        return contribution.windows
    try:
        return structural(model, contribution.layer).windows
    except PerturbError:  # no rule, or several outputs: the map was measured, its makers stay unnamed
        return ()


def summary(contribution: Contribution, windows: tuple[Window, ...], unread: float | None) -> MapSummary:
    """Of the map that chose the places, and the share of pixels unread. Raises InputError where it is not finite."""
    phases, shown = fold(contribution), one_cell(contribution)
    ratio = imbalance(phases)
    if not np.isfinite(phases).all():
        raise InputError(f"the {contribution.kind} map is not finite.")
    return MapSummary(
        kind=contribution.kind,
        layer=contribution.layer,
        period=contribution.period,
        periods=contribution.periods,
        imbalance=ratio if np.isfinite(ratio) else None,
        dead_share=dead_share(phases),
        images=contribution.images,
        phases=tuple(tuple(float(v) for v in row) for row in shown),
        makers=tuple(
            f"{w.name or 'forward'} ({w.kind} {w.kernel[0]} x {w.kernel[1]}, stride {w.stride[0]})"
            for w in windows
            if not w.balanced
        ),
        lattice=contribution.lattice,
        unread=unread,
    )


def describe(model: Sees, remedy: Remedy | None, *, taught: bool) -> ModelSummary:
    """The model as it came, and what was done to it; `taught` says that what was judged has learnt here."""
    return ModelSummary(
        reference=model.name,
        weights=model.digest,
        parameters=sum(p.numel() for p in model.module.parameters()) if isinstance(model, Differentiable) else 0,
        input_shape=model.input_shape,
        untrained=model.untrained and not taught,
        settled=isinstance(model, Differentiable) and has_statistics(model.module),
        remedy=remedy,
        preprocessing=preprocessing_of(model),
    )


def describe_suite(suite: Suite) -> SuiteSummary:
    """The suite that was asked."""
    return SuiteSummary(
        name=suite.name, description=" ".join(suite.description.split()), digest=suite.digest, settings=suite.settings
    )


def describe_images(pictures: Pictures, region: str, *, at_most: int | None) -> ImagesSummary:
    """Where they are from, how many were calibrated on and judged, and what was done to their files.

    `region` says where in them an object could be put, `at_most` how many could have been judged until it was decided.
    """
    calibration, judged = (_sample(images) for images in (pictures.calibration, pictures.judged))
    within = pictures.judged.region
    return ImagesSummary(
        source=pictures.judged.source,
        calibration=calibration,
        judged=judged,
        region=region,
        allowed=None if within is None else sum(map(np.count_nonzero, within)) / math.prod(within.shape),
        account=pictures.judged.account,
        at_most=at_most,
    )


def provenance(model: Sees, suite: Suite, command: str) -> Provenance:
    """What it takes to run it again."""
    packages = ["perturb-suite", "torch", "torchvision", "numpy", "scipy", "scikit-learn", "scikit-image", "pillow"]
    packages += ["onnxruntime"] if model.name.startswith("onnx:") else []
    return Provenance(
        command=command,
        device=device_name(model.device),
        python=platform.python_version(),
        seed=suite.seed,
        suite_digest=suite.digest,
        timestamp=datetime.now(UTC).isoformat(timespec="seconds"),
        versions=versions(packages),
        weights_digest=model.digest,
        machine=f"{platform.system()} {platform.release()}, {platform.machine()}",
    )


def _sample(images: Images) -> Sample:
    digest = hashlib.sha256("\n".join(sorted(images.digests)).encode()).hexdigest()
    return Sample(photographs=len(images.names), crops=len(images.pixels), digest=digest)


def preprocessing_of(model: Sees) -> str:
    """How a picture becomes the model's input; empty for a model that does not say."""
    asked = getattr(model, "preprocessing", None)
    if not isinstance(asked, Preprocessing):
        return ""
    (low, high), mean, std = asked.bounds, _listed(asked.mean), _listed(asked.std)
    ahead = "".join(f"{step!r}; " for step in asked.steps)
    return (
        f"{ahead}pixels from {low:g} to {high:g}, minus {mean}, divided by {std}; {asked.dtype}, {asked.layout}, "
        f"{asked.arrays}"
    )


def _listed(values: tuple[float, ...]) -> str:
    return f"({', '.join(f'{value:g}' for value in values)})" if len(values) > 1 else f"{values[0]:g}"
