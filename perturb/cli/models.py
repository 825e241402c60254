"""The model that a command is about: its argument, its options, and how they become a Network."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import wraps
from typing import TYPE_CHECKING, Any, Literal

import click

if TYPE_CHECKING:
    from perturb.model import Network

EPILOG = "MODEL is torchvision:NAME[@WEIGHTS], timm:NAME[@pretrained], file.py:factory or package.module:factory."
DEVICE = click.option("--device", default="auto", show_default=True, help="auto, cpu or cuda.")


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """What was said of the model on the command line."""

    model: str
    weights: str | None
    device: str
    seed: int
    pad: Literal["kept", "fresh"] | None

    def load(self) -> "tuple[Network, dict[str, Any] | None]":
        """The network, and what was done to it."""
        from perturb.model import load
        from perturb.remedy import pad_kernels

        network = load(self.model, weights=self.weights, device=self.device, seed=self.seed)
        if self.pad is None:
            return network, None
        module, changed = pad_kernels(network, self.pad, seed=self.seed)
        remedy = {"kind": "kernel padding", "weights": self.pad, "changed": [c.name for c in changed]}
        return network.with_module(module), remedy

    def words(self) -> list[str]:
        """The arguments that say the same again."""
        device = "" if self.device == "auto" else self.device
        given = {"--weights": self.weights, "--pad": self.pad, "--seed": str(self.seed or ""), "--device": device}
        return [self.model, *(word for option, value in given.items() if value for word in (option, value))]


def model_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Adds the argument MODEL and its options; the command takes them as one Choice, first."""

    @wraps(command)
    def with_choice(
        model: str, weights: str | None, device: str, seed: int, pad: Literal["kept", "fresh"] | None, **others: Any
    ) -> Any:
        return command(Choice(model=model, weights=weights, device=device, seed=seed, pad=pad), **others)

    for option in (
        click.option("--pad", type=click.Choice(["kept", "fresh"]), help="Pad the kernels first."),
        click.option("--seed", default=0, show_default=True, type=click.IntRange(0), help="Of untrained weights."),
        DEVICE,
        click.option("--weights", type=click.Path(), help="A .safetensors file or a state dict."),
        click.argument("model", metavar="MODEL"),
    ):
        with_choice = option(with_choice)
    return with_choice
