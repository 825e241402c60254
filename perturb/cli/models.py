"""Options for the model and the pictures of a command, and how they become a Network and Images."""

import warnings
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from perturb.cli.completion import models as completed
from perturb.cli.options import as_record
from perturb.cli.worker import tell
from perturb.errors import PerturbWarning, UsageError
from perturb.streams import LARGEST

if TYPE_CHECKING:
    from perturb.model import BlackBox, Network
    from perturb.records import Images, Remedy
    from perturb.suite import SensorTable

EPILOG = (
    "MODEL is torchvision:NAME[@WEIGHTS], timm:NAME[@pretrained], onnx:FILE, transformers:FOLDER, file.py:factory or "
    "package.module:factory."
)
DEVICE = click.option("--device", default="auto", show_default=True, help="Where to run: auto, cpu or cuda.")
SENSOR = click.option(
    "--sensor",
    metavar="ROWSxCOLUMNS[,KEY=VALUE...]",
    help="Size of your camera's pictures, and how they are resized; see docs/sensor.md.",
)
SEED = click.option(
    "--seed", default=0, show_default=True, type=click.IntRange(0, LARGEST), help="Seed of untrained weights."
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """What was said of the model on the command line."""

    model: str
    weights: str | None
    device: str
    seed: int
    remedy: str | None
    sensor: str | None = None

    def see(self) -> "tuple[Network | BlackBox, Remedy | None]":
        """The model, for a command that can do with its answers alone, and what was done to it."""
        from perturb.model import ask_twice, load, shifts_of
        from perturb.records import Remedy

        shifts = shifts_of(self.remedy)
        if self.remedy is not None and shifts is None:
            return self.load()
        model = load(self.model, weights=self.weights, device=self.device, seed=self.seed)
        if shifts is None:
            return behind_camera(model, self.sensor), None
        done = Remedy(kind=f"ask-twice:{shifts}", weights="kept", changed=())
        return behind_camera(ask_twice(model, shifts=shifts), self.sensor), done

    def load(self) -> "tuple[Network, Remedy | None]":
        """The network, and what was done to it. Raises UsageError for a plain function."""
        network, done = self._load()
        return behind_camera(network, self.sensor), done

    def _load(self) -> "tuple[Network, Remedy | None]":
        """The network ahead of any camera.

        Weights that fit the network as built are loaded ahead of the remedy, which keeps them; others after it.
        """
        from perturb.model import fits, load_network, load_weights, shifts_of
        from perturb.remedies import apply_remedy

        if shifts_of(self.remedy):
            raise UsageError(f"--remedy {self.remedy} joins answers, and leaves no layers or gradients to look at.")
        if self.remedy is None:
            return load_network(self.model, weights=self.weights, device=self.device, seed=self.seed), None
        built = load_network(self.model, device=self.device, seed=self.seed)
        early = self.weights is not None and fits(built.module, Path(self.weights))
        if early:
            built = load_network(self.model, weights=self.weights, device=self.device, seed=self.seed)
        remedy = f"{self.remedy}:kept" if early and ":" not in self.remedy else self.remedy
        module, done = apply_remedy(built, remedy, seed=self.seed)
        if self.weights is not None and not early:
            load_weights(module, Path(self.weights))
            done = replace(done, weights="loaded")
        drawn = True if built.untrained and self.weights is None else None
        return built.with_module(module, untrained=drawn), done

    def words(self) -> list[str]:
        """The arguments that say the same again."""
        device = "" if self.device == "auto" else self.device
        given = {"--weights": self.weights, "--remedy": self.remedy, "--seed": str(self.seed or ""), "--device": device}
        given |= {"--sensor": self.sensor}
        return [self.model, *(word for option, value in given.items() if value for word in (option, value))]


def behind_camera(model: Any, sensor: str | None) -> Any:
    """The model for the camera's pictures; as it is where none is named."""
    from perturb.model import behind

    if sensor is None:
        return model
    asked = camera(sensor)
    return behind(model, asked.shape, asked.steps)


def camera(sensor: str) -> "SensorTable":
    """ROWSxCOLUMNS, and further keys of [sensor] as key=value, as the suite's table has them."""
    from pydantic import ValidationError

    from perturb.suite import SensorTable

    shape, *others = sensor.split(",")
    given = {"shape": _value(shape)} | {
        key.strip(): _value(value) for key, _, value in (o.partition("=") for o in others)
    }
    try:
        return SensorTable.model_validate(given)
    except ValidationError as error:
        fault = error.errors()[0]
        raise UsageError(
            f"--sensor {sensor}: `{fault['loc'][0]}`: {fault['msg'].lower()}; expected ROWSxCOLUMNS, then any of "
            f"{', '.join(f'{key}=' for key in SensorTable.model_fields if key != 'shape')} after commas."
        ) from error


def _value(text: str) -> Any:
    """A number, numbers joined by x, or a word."""
    parts = text.strip().split("x")
    if all(part.isdecimal() for part in parts):
        return int(parts[0]) if len(parts) == 1 else [int(part) for part in parts]
    return text.strip()


@dataclass(frozen=True, slots=True, kw_only=True)
class Shown:
    """What was said of the pictures: `count` of those that `load` gives are measured on."""

    images: str
    count: int

    def load(self, shape: tuple[int, int, int]) -> "Images":
        """Of every photograph one crop, or at least `count` made pictures."""
        from perturb.images import load_images

        return load_images(self.images, shape=shape, crops=1, count=max(4, self.count), seed=0)

    def on(self, network: "Network") -> "Images":
        """Those to measure on; an untrained network gets its normalisation statistics from all that there are."""
        import numpy as np

        from perturb.trials import only

        found = self.load(network.input_shape)
        if network.untrained:
            network.settle(found.pixels)
        return only(found, np.arange(min(self.count, len(found.pixels))))


IMAGES = click.option(
    "--images", help="Pictures in place of the suite's: built-in, folder:PATH, dead-leaves, noise, ..."
)
_TREATED = (
    click.option("--weights", type=click.Path(), help="Weights to load: a .safetensors file or a state dict."),
    DEVICE,
    SEED,
    click.option(
        "--remedy", metavar="NAME", help="Remedy to apply first: padding, ask-twice, ...; see docs/remedies.md."
    ),
    SENSOR,
)
_named = as_record("choice", Choice, click.argument("model", metavar="MODEL", shell_complete=completed), *_TREATED)
_if_named = as_record(
    "choice",
    Choice,
    click.argument("model", metavar="[MODEL]", required=False, default="", shell_complete=completed),
    *_TREATED,
)


def each_choice(models: tuple[str, ...], **options: Any) -> tuple[Choice, ...]:
    """A choice for each model, with the same options. Raises UsageError for weights that fit only one of them."""
    if options["weights"] is not None and len(models) > 1:
        raise UsageError(f"--weights are those of one MODEL; {len(models)} are given.")
    return tuple(Choice(model=model, **options) for model in models)


_each_named = as_record(
    "choices",
    each_choice,
    click.argument("models", metavar="MODEL...", nargs=-1, required=True, shell_complete=completed),
    *_TREATED,
)


def limits(command: Callable[..., Any]) -> Callable[..., Any]:
    """Options that bound what a command may take; the process that watches it keeps to them."""
    for option in (
        click.option(
            "--memory-limit",
            metavar="GIB",
            type=click.FloatRange(0, min_open=True),
            expose_value=False,
            callback=lambda ctx, option, given: _bound(option.opts[0], given, bytes=int((given or 0) * 2**30)),
            help="End with exit code 4 beyond so much memory.  [default: 9/10 of what is free at the start]",
        ),
        click.option(
            "--time-limit",
            metavar="SECONDS",
            type=click.FloatRange(0, min_open=True),
            expose_value=False,
            callback=lambda ctx, option, given: _bound(option.opts[0], given, seconds=given),
            help="End with exit code 4 after so long.  [default: none]",
        ),
    ):
        command = option(command)
    return command


def _bound(option: str, given: float | None, **told: Any) -> None:
    if given is not None and not tell(**told):
        warnings.warn(f"{option} {given:g} has no effect: no process watches this one", PerturbWarning, stacklevel=2)


def model_options(command: Callable[..., Any]) -> Callable[..., Any]:
    return _named(limits(command))


def each_model_options(command: Callable[..., Any]) -> Callable[..., Any]:
    return _each_named(limits(command))


def if_named_options(command: Callable[..., Any]) -> Callable[..., Any]:
    return _if_named(limits(command))


shown_options = as_record(
    "shown",
    Shown,
    click.option(
        "--images", default="built-in", show_default=True, help="Pictures: built-in, folder:PATH, dead-leaves or noise."
    ),
    click.option("--count", default=16, show_default=True, type=click.IntRange(1), help="Pictures to measure on."),
)
