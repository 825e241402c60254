"""The ways to name a model, and how each is loaded."""

import difflib
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any
from urllib.error import URLError

import torch
from torch import Tensor, nn

from perturb.code import load_object
from perturb.errors import InputError, PerturbError, UsageError
from perturb.model.callable import BlackBox
from perturb.model.network import Network
from perturb.model.preprocessing import Preprocessing
from perturb.model.weights import load_weights

Made = nn.Module | Callable[[Tensor], Any]
IMAGENET = Preprocessing(mean=(0.485, 0.456, 0.406), std=(0.229, 0.224, 0.225))

FORMS = "torchvision:NAME[@WEIGHTS], timm:NAME[@pretrained], file.py:factory or package.module:factory"


def load(
    reference: str, *, weights: str | Path | None = None, device: str = "auto", seed: int = 0
) -> Network | BlackBox:
    """The model that a reference names; one of FORMS.

    Without weights the network is drawn with `seed`; the caller's random state is left alone. A factory takes no
    arguments and returns a module or any other callable (see BlackBox), alone or as `(module, Preprocessing(...))`.
    Raises UsageError for an unknown name, InputError for what cannot be loaded.
    """
    scheme, _, rest = reference.rpartition(":") if ".py:" in reference else reference.partition(":")
    if not scheme or not rest:
        raise UsageError(f"model `{reference}` is not understood; expected {FORMS}.")
    where = _device(device)
    loader = LOADERS.get(scheme, _from_factory)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        made, preprocessing = loader(scheme, rest)
    if not isinstance(made, nn.Module):
        if weights is not None:
            raise UsageError(f"{reference} is a plain function, which takes no weights; leave out --weights.")
        return BlackBox(made, name=reference, preprocessing=preprocessing, device=where)
    if weights is not None:
        load_weights(made, Path(weights))
    drawn = True if scheme in LOADERS and "@" not in rest and weights is None else None
    return Network(made, name=reference, preprocessing=preprocessing, device=where, untrained=drawn)


def load_network(reference: str, *, weights: str | Path | None = None, device: str = "auto", seed: int = 0) -> Network:
    """As `load`, for what needs layers, gradients or weights: raises UsageError for a plain function."""
    model = load(reference, weights=weights, device=device, seed=seed)
    if isinstance(model, BlackBox):
        raise UsageError(
            f"{reference} is a plain function: it has no layers, gradients or weights to look at; "
            "ask `perturb map --kind response --period N` or `perturb shift`."
        )
    return model


def _device(wanted: str) -> torch.device:
    if wanted not in ("auto", "cpu", "cuda"):
        raise UsageError(f"device `{wanted}` is unknown, expected auto, cpu or cuda.")
    if wanted == "cuda" and not torch.cuda.is_available():
        raise UsageError("device `cuda` is not available here; use --device cpu.")
    return torch.device("cuda" if wanted != "cpu" and torch.cuda.is_available() else "cpu")


def import_torchvision() -> Any:
    """torchvision's models, or one line on how to mend a torch and torchvision that do not fit together."""
    try:
        import torchvision
    except (ImportError, RuntimeError) as error:
        raise InputError(
            f"torchvision does not import beside torch {torch.__version__} ({str(error).splitlines()[0]}). "
            "Install a matching pair from one registry: `pip install --force-reinstall torch torchvision`."
        ) from error
    return torchvision


def _from_torchvision(scheme: str, rest: str) -> tuple[nn.Module, Preprocessing]:
    models = import_torchvision().models
    name, _, weights_name = rest.partition("@")
    known = models.list_models(module=models)
    if name not in known:
        raise UsageError(f"torchvision has no model `{name}`.{_suggest(name, known)}")
    options = {"init_weights": False} if name in ("googlenet", "inception_v3") else {}  # their default takes minutes
    if not weights_name:
        return models.get_model(name, weights=None, **options), IMAGENET
    choices = models.get_model_weights(name).__members__
    if weights_name not in choices:
        raise UsageError(f"{name} has no weights `{weights_name}`, expected one of {list(choices)}.")
    chosen = choices[weights_name]
    try:
        module = models.get_model(name, weights=chosen)
    except (URLError, OSError) as error:
        raise InputError(f"the weights of {rest} could not be downloaded ({error}); use --weights FILE.") from error
    transform = chosen.transforms()
    side = transform.crop_size[0]
    return module, Preprocessing(input_shape=(3, side, side), mean=tuple(transform.mean), std=tuple(transform.std))


def _from_timm(scheme: str, rest: str) -> tuple[nn.Module, Preprocessing]:
    try:
        import timm
    except ImportError as error:
        raise InputError("timm is not installed: `pip install 'perturb-suite[timm]'`.") from error
    name, _, option = rest.partition("@")
    if option not in ("", "pretrained"):
        raise UsageError(f"timm:{rest}: `@{option}` is unknown, expected @pretrained.")
    if not timm.is_model(name.split(".")[0]):
        raise UsageError(f"timm has no model `{name}`.{_suggest(name, timm.list_models())}")
    try:
        module = timm.create_model(name, pretrained=bool(option))
    except Exception as error:  # a download may fail in many ways
        raise InputError(f"timm could not make `{rest}`: {str(error).splitlines()[0]}") from error
    config = timm.data.resolve_model_data_config(module)
    shape = tuple(config["input_size"])
    return module, Preprocessing(input_shape=shape, mean=tuple(config["mean"]), std=tuple(config["std"]))


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
    if not callable(model) or not isinstance(preprocessing, Preprocessing | type(None)):
        raise InputError(
            f"{scheme}:{rest} must return an nn.Module or another callable, or (one of these, perturb.Preprocessing)."
        )
    return model, preprocessing


def _suggest(name: str, known: Iterable[str]) -> str:
    close = difflib.get_close_matches(name, list(known), n=1)
    return f" Did you mean `{close[0]}`?" if close else ""


LOADERS: dict[str, Callable[[str, str], tuple[Made, Preprocessing | None]]] = {
    "torchvision": _from_torchvision,
    "timm": _from_timm,
}
