"""What the shell completes: names of shipped suites, ways to name a model, and files. Loads neither NumPy nor torch."""

from collections.abc import Iterable

import click
from click.shell_completion import CompletionItem

from perturb.shipped import shipped

SCHEMES = ("torchvision:", "timm:", "onnx:", "transformers:")


def suites(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Shipped suites and files."""
    return _with_files(shipped(), incomplete)


def models(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """The beginnings of references, and files of code."""
    return _with_files(SCHEMES, incomplete)


def _with_files(names: Iterable[str], incomplete: str) -> list[CompletionItem]:
    """Files first: bash forgets what came before them."""
    fitting = [CompletionItem(name) for name in names if name.startswith(incomplete)]
    return [CompletionItem(incomplete, type="file"), *fitting]
