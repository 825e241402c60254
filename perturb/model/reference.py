"""The ways to name a model, and how each is loaded."""

import warnings
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import nn

from perturb.code import load_object
from perturb.errors import InputError, PerturbError, PerturbWarning, UsageError
from perturb.model.callable import BlackBox
from perturb.model.copy import can_be_followed
from perturb.model.libraries import from_timm, from_torchvision, from_transformers
from perturb.model.network import Network
from perturb.model.onnx_file import OnnxFile, open_onnx
from perturb.model.preprocessing import Preprocessing
from perturb.model.weights import load_weights
from perturb.surroundings import Apart

Made = nn.Module | OnnxFile | Callable[[Any], Any]

FORMS = (
    "torchvision:NAME[@WEIGHTS], timm:NAME[@pretrained], onnx:FILE, transformers:FOLDER, file.py:factory or "
    "package.module:factory"
)


def load(
    reference: str, *, weights: str | Path | None = None, device: str = "auto", seed: int = 0
) -> Network | BlackBox:
    """The model that a reference names; one of FORMS.

    Without weights the network is drawn with `seed`; the process's random state and its other global state are left
    alone. A factory takes no arguments and returns a module or any other callable (see BlackBox), alone or as
    `(module, Preprocessing(...))`. A module that cannot be followed (TorchScript, torch.export, int8) is taken as a
    callable.
    Raises UsageError for an unknown name, InputError for what cannot be loaded.
    """
    scheme, rest = parsed(reference)
    where = _device(device)
    loader = LOADERS.get(scheme, _from_factory)
    with Apart(seed)():
        made, preprocessing = loader(scheme, rest)
        own_seed = torch.initial_seed()
    if isinstance(made, OnnxFile):
        _without(weights, f"{reference} holds its own weights")
        return _from_graph(made, reference, where)
    if not isinstance(made, nn.Module) or not can_be_followed(made):
        _without(weights, f"{reference} is a plain function, which takes no weights")
        return BlackBox(made, name=reference, preprocessing=preprocessing, device=where)
    if weights is not None:
        load_weights(made, Path(weights))
    drawn = True if scheme in LOADERS and "@" not in rest and weights is None else None
    network = Network(made, name=reference, preprocessing=preprocessing, device=where, untrained=drawn)
    if own_seed != seed and (network.untrained or (seed and weights is None)):
        note = f"{reference} sets torch's seed itself, to {own_seed}: its weights are the same with every --seed"
        warnings.warn(note, PerturbWarning, stacklevel=2)
    return network


def parsed(reference: str) -> tuple[str, str]:
    """(scheme, the rest). Raises UsageError for a reference that is none of FORMS, whatever exists."""
    scheme, _, rest = reference.rpartition(":") if ".py:" in reference else reference.partition(":")
    if not scheme or not rest:
        raise UsageError(f"model `{reference}` is not understood; expected {FORMS}.")
    return scheme, rest


def load_network(reference: str, *, weights: str | Path | None = None, device: str = "auto", seed: int = 0) -> Network:
    """As `load`, for what needs layers, gradients or weights: raises UsageError for a plain function."""
    model = load(reference, weights=weights, device=device, seed=seed)
    if isinstance(model, BlackBox):
        raise UsageError(
            f"{reference} is a plain function: it has no layers, gradients or weights to look at; "
            "ask `perturb map --kind response --period N` or `perturb shift`."
        )
    return model


def _without(weights: str | Path | None, reason: str) -> None:
    if weights is not None:
        raise UsageError(f"{reason}; leave out --weights.")


def _from_graph(file: OnnxFile, name: str, device: torch.device) -> BlackBox:
    return BlackBox(
        file.function,
        name=name,
        preprocessing=replace(file.preprocessing, arrays="numpy"),
        device=device,
        identity=file.digest,
        period=file.period,
        windows=file.windows,
    )


def _device(wanted: str) -> torch.device:
    if wanted not in ("auto", "cpu", "cuda"):
        raise UsageError(f"device `{wanted}` is unknown, expected auto, cpu or cuda.")
    if wanted == "cuda" and not torch.cuda.is_available():
        raise UsageError("device `cuda` is not available here; use --device cpu.")
    return torch.device("cuda" if wanted != "cpu" and torch.cuda.is_available() else "cpu")


def _from_factory(scheme: str, rest: str) -> tuple[Made, Preprocessing | None]:
    try:
        factory = load_object(f"{scheme}:{rest}")
    except UsageError as error:
        raise UsageError(f"{error} Models are named {FORMS}.") from error
    if not callable(factory):
        raise UsageError(f"`{scheme}:{rest}` is no function that makes a model.")
    try:
        made = factory()
    except PerturbError:
        raise
    except Exception as error:  # the user's own code
        raise InputError(f"{scheme}:{rest} raised {type(error).__name__}: {error}") from error
    model, preprocessing = made if isinstance(made, tuple) and len(made) == 2 else (made, None)
    if isinstance(model, torch.export.ExportedProgram):
        model = model.module()
    if not callable(model) or not isinstance(preprocessing, Preprocessing | type(None)):
        raise InputError(
            f"{scheme}:{rest} must return an nn.Module or another callable, or (one of these, perturb.Preprocessing)."
        )
    return model, preprocessing


def _from_onnx(scheme: str, rest: str) -> tuple[Made, Preprocessing | None]:
    return open_onnx(Path(rest)), None


LOADERS: dict[str, Callable[[str, str], tuple[Made, Preprocessing | None]]] = {
    "torchvision": from_torchvision,
    "timm": from_timm,
    "onnx": _from_onnx,
    "transformers": from_transformers,
}
