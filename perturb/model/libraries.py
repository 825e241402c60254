"""Models out of libraries: torchvision, timm, and transformers from local files."""

import difflib
import math
import os
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.error import URLError

import torch
from torch import nn

from perturb.errors import InputError, UsageError, first_line
from perturb.files import BY_HAND, check_regular, read_json
from perturb.model.preprocessing import Preprocessing
from perturb.sensor import Crop, Resize, Step

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
        default = getattr(models.get_model_weights(name), "DEFAULT", None)
        return module, _taken_by(module, default and default.transforms())
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
    return module, Preprocessing(
        input_shape=(3, side, side), mean=tuple(transform.mean), std=tuple(transform.std), usual=_steps(transform)
    )


def _steps(transform: Any) -> tuple[Step, ...]:
    """How torchvision prepares pictures for these weights: a resize, and for classifiers a crop."""
    size, crop = transform.resize_size, getattr(transform, "crop_size", None)
    resize = Resize(
        size[0] if len(size) == 1 else tuple(size), transform.interpolation.value, bool(transform.antialias)
    )
    return (resize, Crop(crop[0])) if crop else (resize,)


def _taken_by(module: nn.Module, transform: Any = None) -> Preprocessing:
    """A detector normalises and resizes for itself, and takes a square of its shorter side without resizing it."""
    own = getattr(module, "transform", None)
    if own is None:
        return replace(IMAGENET, usual=_steps(transform)) if _fits(transform) else IMAGENET
    side = own.fixed_size[0] if getattr(own, "fixed_size", None) else own.min_size[-1]
    return Preprocessing(input_shape=(3, side, side), usual=())


def _fits(transform: Any) -> bool:
    """Whether pictures are resized, and cropped to no other size than networks without weights are given here."""
    size = [IMAGENET.input_shape[1]]
    return hasattr(transform, "resize_size") and list(getattr(transform, "crop_size", size)) == size


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
    return module, Preprocessing(
        input_shape=shape, mean=tuple(config["mean"]), std=tuple(config["std"]), usual=_timm_steps(config)
    )


def _timm_steps(config: dict[str, Any]) -> tuple[Step, ...] | None:
    """How timm prepares pictures for this network; None where it is neither resize and crop, nor resize alone."""
    rows, columns = config["input_size"][1:]
    scaled = tuple(math.floor(n / config["crop_pct"]) for n in (rows, columns))
    if config["interpolation"] not in ("bilinear", "bicubic") or config["crop_mode"] not in ("center", "squash"):
        return None
    size = scaled if config["crop_mode"] == "squash" or rows != columns else scaled[0]
    return Resize(size, config["interpolation"]), Crop((rows, columns))


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
    check_regular(folder / "config.json", limit=BY_HAND)
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
    path = folder / "preprocessor_config.json"
    told = read_json(path) if os.path.lexists(path) else {}
    if not isinstance(told, dict):
        raise InputError(f"`{path}`: expected an object, got {type(told).__name__}.")
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
        usual=_transformers_steps(told),
    )


def _transformers_steps(told: dict[str, Any]) -> tuple[Step, ...] | None:
    """How the folder's pictures are resized and cropped; None where it does not say, or by another filter."""
    size, crop = _sides(told.get("size")), _sides(told.get("crop_size"))
    filters = {0: "nearest-exact", 2: "bilinear", 3: "bicubic"}  # Pillow's numbers
    if not told.get("do_resize") or size is None or told.get("resample") not in filters:
        return None
    resize = Resize(size, filters[told["resample"]])
    return (resize, Crop(crop)) if crop is not None and told.get("do_center_crop") else (resize,)


def _sides(size: Any) -> int | tuple[int, int] | None:
    """The shorter side, or rows and columns."""
    if isinstance(size, dict):
        size = size.get("shortest_edge") or [size.get("height"), size.get("width")]
    if isinstance(size, list | tuple):
        return (int(size[0]), int(size[1])) if len(size) == 2 and all(size) else None
    return size if isinstance(size, int) else None


def _suggest(name: str, known: Iterable[str]) -> str:
    close = difflib.get_close_matches(name, list(known), n=1)
    return f" Did you mean `{close[0]}`?" if close else ""
