"""`perturb ...`: options in, exit codes out. 0 PASS, 1 FAIL, 2 usage, 3 INCONCLUSIVE, 4 INVALID or broken input."""

import json
import shlex
import sys
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from perturb import __version__
from perturb.errors import PerturbError, PerturbWarning, UsageError

if TYPE_CHECKING:
    from perturb.model import Network
    from perturb.report import Report

NETWORK = "torchvision:mobilenet_v3_small"  # small, popular, and with one of the strongest lattices
EXIT = {"PASS": 0, "FAIL": 1, "INCONCLUSIVE": 3, "INVALID": 4}
MAPS = ["structural", "energy", "target", "centre"]
MODEL = "torchvision:NAME[@WEIGHTS], timm:NAME[@pretrained], file.py:factory or package.module:factory"


class _Group(click.Group):
    """Turns a PerturbError into one line and its exit code, and warnings into one line each."""

    def invoke(self, ctx: click.Context) -> Any:
        with warnings.catch_warnings():
            warnings.simplefilter("always", PerturbWarning)
            warnings.showwarning = lambda message, *_: click.echo(f"perturb: note: {message}", err=True)
            try:
                return super().invoke(ctx)
            except PerturbError as error:
                click.echo(f"perturb: {error}", err=True)
                sys.exit(error.exit_code)
            except BrokenPipeError:
                sys.exit(0)


@click.group(cls=_Group, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="perturb")
def main() -> None:
    """Find a vision model's dead pixels, measure the detection accuracy they cost, decide.

    Exit codes: 0 PASS, 1 FAIL, 2 usage, 3 INCONCLUSIVE, 4 INVALID or broken input.
    """


def _model_options(command: Callable[..., Any]) -> Callable[..., Any]:
    for option in (
        click.option("--pad", type=click.Choice(["kept", "fresh"]), help="Pad the kernels first."),
        click.option("--seed", default=0, show_default=True, type=click.IntRange(0), help="Of untrained weights."),
        click.option("--device", default="auto", show_default=True, help="auto, cpu or cuda."),
        click.option("--weights", type=click.Path(), help="A .safetensors file or a state dict."),
        click.argument("model", metavar="MODEL"),
    ):
        command = option(command)
    return command


def _load(
    model: str, weights: str | None, device: str, seed: int, pad: str | None
) -> "tuple[Network, dict[str, Any] | None]":
    from perturb.model import load
    from perturb.remedy import pad_kernels

    network = load(model, weights=weights, device=device, seed=seed)
    if pad is None:
        return network, None
    module, changed = pad_kernels(network, pad, seed=seed)  # type: ignore[arg-type]
    return network.with_module(module), {"kind": "kernel padding", "weights": pad, "changed": [c.name for c in changed]}


@main.command(epilog=f"MODEL is {MODEL}.")
@_model_options
@click.option("--layer", default="output", show_default=True, help="output, last, stride:N or a module's name.")
@click.option("--json", "as_json", is_flag=True, help="Print the certificate as JSON.")
def lint(model: str, weights: str | None, device: str, seed: int, pad: str | None, layer: str, as_json: bool) -> None:
    """Which layers make dead pixels: the exact structural certificate. No data, no trained weights."""
    from perturb.render import terminal
    from perturb.stories.lint import lint as certify

    network, _ = _load(model, weights, device, seed, pad)
    found = certify(network, layer)
    if as_json:
        click.echo(json.dumps(found, indent=2, sort_keys=True, allow_nan=False))
    else:
        _console().print(terminal.certificate(found))


@main.command("map", epilog=f"MODEL is {MODEL}.")
@_model_options
@click.option(
    "--kind", type=click.Choice(["structural", "energy", "target", "centre"]), default="energy", show_default=True
)
@click.option("--layer", default=None, help="output, last, stride:N or a module's name.")
@click.option("--images", default="built-in", show_default=True, help="built-in, folder:PATH, dead-leaves or noise.")
@click.option("--count", default=16, show_default=True, type=click.IntRange(1), help="Pictures to measure on.")
@click.option("--probes", default=8, show_default=True, type=click.IntRange(1), help="Random directions (energy).")
@click.option("--target", type=click.IntRange(0), help="Output number (target).  [default: each picture's largest]")
@click.option("--out", type=click.Path(dir_okay=False), help="A .png picture, or .npy for the values.")
def map_(
    model: str,
    weights: str | None,
    device: str,
    seed: int,
    pad: str | None,
    kind: str,
    layer: str | None,
    images: str,
    count: int,
    probes: int,
    target: int | None,
    out: str | None,
) -> None:
    """How strongly each pixel moves the output: a map as a picture."""
    import torch

    from perturb import contribution
    from perturb.images import load_images
    from perturb.locations import fold, imbalance
    from perturb.render import terminal

    if out is not None and Path(out).suffix not in (".png", ".npy"):
        raise UsageError(f"--out {out}: expected a .png or .npy file.")
    network, _ = _load(model, weights, device, seed, pad)
    where = network.find_layer(layer or ("last" if kind == "centre" else "output"))
    if kind == "structural":
        found = contribution.structural(network, where)
    else:
        pictures = load_images(images, shape=network.input_shape, crops=1, count=max(4, count), seed=0).pixels
        pictures = pictures[:count]
        if network.untrained:
            network.settle(torch.from_numpy(pictures))
        with _progress() as progress:
            tick = progress(f"{kind} map", len(pictures))
            if kind == "energy":
                found = contribution.energy(network, pictures, where, probes=probes, tick=tick)
            elif kind == "target":
                found = contribution.target(network, pictures, output=target, tick=tick)
            else:
                found = contribution.centre(network, pictures, where, tick=tick)
    phases = fold(found)
    console = _console()
    console.print(terminal.Lattice(phases.tolist()))
    console.print(
        f"{kind} map of {network.name}, `{found.layer}`"
        + (f", {found.images} pictures" if found.images else "")
        + f": period {found.period}, liveliest / deadest phase {imbalance(phases):.4g}"
    )
    if kind == "centre":
        fit = contribution.fit_gaussian(found.values)
        console.print(
            f"effective receptive field: sigma {fit.sigma_row:.1f} x {fit.sigma_column:.1f} pixels, "
            f"R² {fit.r_squared:.3f}"
        )
    if out is not None:
        _save_map(found, phases, network, Path(out))
        console.print(f"Saved to {out}")


def _save_map(found: Any, phases: Any, network: "Network", out: Path) -> None:
    import numpy as np

    from perturb.locations import imbalance
    from perturb.render.picture import picture

    with _written(out) as path:
        if out.suffix == ".npy":
            with path.open("wb") as file:
                np.save(file, found.values)
            return
        rows, columns = network.input_shape[1:]
        size = found.values.shape
        values = np.tile(found.values, (-(-rows // size[0]), -(-columns // size[1])))[:rows, :columns]
        measured = f"{found.images} pictures" if found.images else "exact"
        picture(
            values,
            phases,
            title=f"{found.kind} contribution map of {network.name}",
            subtitle=f"of `{found.layer}`, {measured}; period {found.period}, "
            f"liveliest / deadest phase {imbalance(phases):.3g}; dark = dead, bright = live",
        ).save(path, format="PNG")


@main.command(epilog=f"MODEL is {MODEL}.")
@_model_options
@click.option(
    "--suite", default="small-perturbation", show_default=True, help="A shipped name or a .perturb.toml file."
)
@click.option("--images", help="built-in, folder:PATH, dead-leaves or noise; in place of the suite's.")
@click.option("--out", type=click.Path(file_okay=False), help="Folder for report.json and report.md.")
def qualify(
    model: str,
    weights: str | None,
    device: str,
    seed: int,
    pad: str | None,
    suite: str,
    images: str | None,
    out: str | None,
) -> None:
    """Measure a model by a suite and judge: the main job."""
    from perturb.suite import load_suite

    asked, folder = load_suite(suite), _folder(out)
    if images is not None:
        asked = asked.model_copy(update={"images": asked.images.model_copy(update={"source": images})})

    from perturb.render import terminal
    from perturb.stories.qualify import qualify as measure

    network, remedy = _load(model, weights, device, seed, pad)
    command = _command(model, weights, device, seed, pad, suite, images)
    with _progress() as progress:
        report = measure(network, asked, command=command, remedy=remedy, progress=progress)
    console = _console()
    console.print(terminal.report(report))
    if folder is not None:
        _save(report, folder)
        console.print(f"Report: {folder / 'report.md'} and report.json")
    sys.exit(EXIT[report.verdict])


@main.command()
@click.option("--pretrained", is_flag=True, help="EfficientNet-Lite0 with ImageNet weights instead.")
@click.option("--seeds", default=3, show_default=True, type=click.IntRange(1), help="Draws of the untrained weights.")
@click.option("--device", default="auto", show_default=True, help="auto, cpu or cuda.")
@click.option(
    "--out", default="perturb-demo", show_default=True, type=click.Path(file_okay=False), help="Folder for reports."
)
def demo(pretrained: bool, seeds: int, device: str, out: str) -> None:
    """The main job on real pictures, offline, in under a minute: a network before and after kernel padding."""
    from perturb.render import before_after
    from perturb.stories import demo as story
    from perturb.suite import load_suite, shipped_example

    suite, folder = load_suite("demo"), _folder(out)
    assert folder is not None
    with _progress() as progress:
        if pretrained:
            example = f"{shipped_example('efficientnet_lite0.py')}:build"
            sides = [story.trained(example, suite, device=device, progress=progress)]
        else:
            sides = list(story.before_and_after(NETWORK, suite, seeds=range(seeds), device=device, progress=progress))
    for side in sides:
        _save(side.report, folder / f"{side.name.replace(' ', '-')}-seed-{side.seed}")
    _console().print(before_after.table(sides, out))


@main.command()
def schema() -> None:
    """The JSON Schema of a suite file."""
    from perturb.suite import Suite

    click.echo(json.dumps(Suite.model_json_schema(), indent=2, sort_keys=True))


def _save(report: "Report", folder: Path) -> None:
    from perturb.render import markdown
    from perturb.report import to_json

    for name, text in (("report.json", to_json(report)), ("report.md", markdown.report(report))):
        with _written(folder / name) as path:
            path.write_text(text, encoding="utf-8")


@contextmanager
def _written(path: Path) -> Iterator[Path]:
    """A temporary path beside `path` that takes its place when all is written: a reader never sees a half."""
    temporary = path.with_name(f".{path.name}.partial")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        yield temporary
        temporary.replace(path)
    except OSError as error:
        raise UsageError(f"`{path}` cannot be written: {error.strerror}.") from error
    finally:
        with suppress(OSError):
            temporary.unlink(missing_ok=True)


def _command(
    model: str, weights: str | None, device: str, seed: int, pad: str | None, suite: str, images: str | None
) -> str:
    """The line that measures the same again, wherever its report goes."""
    line = ["perturb", "qualify", model, "--suite", suite]
    given = {"--images": images, "--weights": weights, "--pad": pad, "--seed": str(seed or "")}
    given["--device"] = "" if device == "auto" else device
    return shlex.join([*line, *(word for option, value in given.items() if value for word in (option, value))])


def _folder(out: str | None) -> Path | None:
    """Made before the work begins: an hour's run is not lost to a path that cannot be written."""
    if out is None:
        return None
    try:
        Path(out).mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UsageError(f"--out: `{out}` cannot be written: {error.strerror}.") from error
    return Path(out)


def _console() -> Any:
    from rich.console import Console

    return Console(highlight=False)


@contextmanager
def _progress() -> Iterator[Any]:
    """A bar on the error stream for whatever takes long; gone when done, silent where nobody watches."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    console = Console(stderr=True)
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as bar:

        def begin(stage: str, steps: int) -> Callable[[int], None]:
            task = bar.add_task(stage, total=steps)
            return lambda done: bar.advance(task, done)

        yield begin


if __name__ == "__main__":
    main()
