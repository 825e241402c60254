"""The model that a command is about: its argument, its options, and how they become a Network."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from perturb.model import Network
    from perturb.records import Remedy

EPILOG = "MODEL is torchvision:NAME[@WEIGHTS], timm:NAME[@pretrained], file.py:factory or package.module:factory."
DEVICE = click.option("--device", default="auto", show_default=True, help="auto, cpu or cuda.")


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """What was said of the model on the command line."""

    model: str
    weights: str | None
    device: str
    seed: int
    remedy: str | None

    def load(self) -> "tuple[Network, Remedy | None]":
        """The network, and what was done to it.

        Weights that fit the network as built are loaded ahead of the remedy, which keeps them; others after it.
        """
        from perturb.model import fits, load, load_weights
        from perturb.remedies import apply_remedy

        if self.remedy is None:
            return load(self.model, weights=self.weights, device=self.device, seed=self.seed), None
        built = load(self.model, device=self.device, seed=self.seed)
        early = self.weights is not None and fits(built.module, Path(self.weights))
        if early:
            built = load(self.model, weights=self.weights, device=self.device, seed=self.seed)
        remedy = f"{self.remedy}:kept" if early and ":" not in self.remedy else self.remedy
        module, done = apply_remedy(built, remedy, seed=self.seed)
        if self.weights is not None and not early:
            load_weights(module, Path(self.weights))
            done = replace(done, weights="loaded")
        return built.with_module(module), done

    def words(self) -> list[str]:
        """The arguments that say the same again."""
        device = "" if self.device == "auto" else self.device
        given = {"--weights": self.weights, "--remedy": self.remedy, "--seed": str(self.seed or ""), "--device": device}
        return [self.model, *(word for option, value in given.items() if value for word in (option, value))]


def model_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Adds the argument MODEL and its options; the command takes them as one Choice, first."""

    @wraps(command)
    def with_choice(model: str, weights: str | None, device: str, seed: int, remedy: str | None, **others: Any) -> Any:
        return command(Choice(model=model, weights=weights, device=device, seed=seed, remedy=remedy), **others)

    for option in (
        click.option("--remedy", metavar="NAME", help="Apply it first: padding, blurpool, ...; see `perturb remedy`."),
        click.option("--seed", default=0, show_default=True, type=click.IntRange(0), help="Of untrained weights."),
        DEVICE,
        click.option("--weights", type=click.Path(), help="A .safetensors file or a state dict."),
        click.argument("model", metavar="MODEL"),
    ):
        with_choice = option(with_choice)
    return with_choice
