"""Models out of libraries: torchvision, timm, and transformers from local files."""

import difflib
from collections.abc import Iterable
from pathlib import Path
from typing import Any
from urllib.error import URLError

import torch
from torch import nn

from perturb.errors import InputError, UsageError
from perturb.model.copy import first_line
from perturb.model.preprocessing import Preprocessing

IMAGENET = Preprocessing(mean=(0.485, 0.456, 0.406), std=(0.229, 0.224, 0.225))


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


def from_torchvision(scheme: str, rest: str) -> tuple[nn.Module, Preprocessing]:
    models = import_torchvision().models
    name, _, weights_name = rest.partition("@")
    known = [n for module in (models, models.detection, models.segmentation) for n in models.list_models(module=module)]
    if name not in known:
        raise UsageError(f"torchvision has no model `{name}`.{_suggest(name, known)}")
    options: dict[str, Any] = {}
    if name in ("googlenet", "inception_v3"):
        options = {"init_weights": False}  # their default takes minutes
    if name not in models.list_models(module=models):
        options = {"weights_backbone": None}
    if not weights_name:
        module = models.get_model(name, weights=None, **options)
        return module, _taken_by(module)
    choices = models.get_model_weights(name).__members__
    if weights_name not in choices:
        raise UsageError(f"{name} has no weights `{weights_name}`, expected one of {list(choices)}.")
    chosen = choices[weights_name]
    try:
        module = models.get_model(name, weights=chosen)
    except (URLError, OSError) as error:
        raise InputError(f"the weights of {rest} could not be downloaded ({error}); use --weights FILE.") from error
    transform = chosen.transforms()
    if not hasattr(transform, "crop_size"):
        return module, _taken_by(module)
    side = transform.crop_size[0]
    return module, Preprocessing(input_shape=(3, side, side), mean=tuple(transform.mean), std=tuple(transform.std))


def _taken_by(module: nn.Module) -> Preprocessing:
    """A detector normalises for itself, and takes a square of its shorter side without resizing it."""
    own = getattr(module, "transform", None)
    if own is None:
        return IMAGENET
    side = own.fixed_size[0] if getattr(own, "fixed_size", None) else own.min_size[-1]
    return Preprocessing(input_shape=(3, side, side))


def from_timm(scheme: str, rest: str) -> tuple[nn.Module, Preprocessing]:
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


def from_transformers(scheme: str, rest: str) -> tuple[nn.Module, Preprocessing]:
    """A model that `save_pretrained` wrote: its configuration, safetensors, and how its pictures are prepared.

    Nothing is downloaded, and no code in the folder runs.
    """
    try:
        import transformers
    except ImportError as error:
        raise InputError("transformers is not installed: `pip install 'perturb-suite[transformers]'`.") from error
    folder = Path(rest)
    if not (folder / "config.json").is_file():
        raise UsageError(f"transformers:{rest}: there is no `{folder / 'config.json'}`; name a folder that holds one.")
    local = {"local_files_only": True, "trust_remote_code": False}
    try:
        config = transformers.AutoConfig.from_pretrained(folder, **local)
        kind = getattr(transformers, (config.architectures or ["AutoModel"])[0])
        module = kind.from_pretrained(folder, config=config, local_files_only=True, use_safetensors=True)
    except Exception as error:  # the library's own, of many kinds
        raise InputError(f"transformers could not load `{folder}`: {first_line(error)}") from error
    return module, _prepared(folder, config)


def _prepared(folder: Path, config: Any) -> Preprocessing:
    """From preprocessor_config.json: the size, and mean and std where it normalises."""
    import json

    path = folder / "preprocessor_config.json"
    told = json.loads(path.read_text("utf-8")) if path.is_file() else {}
    if told.get("do_flip_channel_order"):
        raise InputError(
            f"`{path}` asks for blue, green, red (do_flip_channel_order), which a folder's model is not given: let a "
            "factory return `lambda x: network(x.flip(1))` with perturb.Preprocessing."
        )
    size = told.get("crop_size") or told.get("size") or getattr(config, "image_size", None) or 224
    if isinstance(size, dict):
        shortest = size.get("shortest_edge", 224)
        size = size.get("height", shortest), size.get("width", shortest)
    rows, columns = size if isinstance(size, list | tuple) else (size, size)
    normal = told.get("do_normalize", bool(told))
    mean, std = (tuple(told.get(key, one)) for key, one in (("image_mean", (0.0,)), ("image_std", (1.0,))))
    scale = 1 if told.get("do_rescale", True) else 255
    return Preprocessing(
        input_shape=(getattr(config, "num_channels", 3), int(rows), int(columns)),
        bounds=(0, scale),
        mean=mean if normal else (0.0,),
        std=std if normal else (1.0,),
    )


def _suggest(name: str, known: Iterable[str]) -> str:
    close = difflib.get_close_matches(name, list(known), n=1)
    return f" Did you mean `{close[0]}`?" if close else ""
