"""`perturb map`: a contribution map, in the terminal and as a picture."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from perturb.cli.files import written
from perturb.cli.models import EPILOG, Choice, model_options
from perturb.cli.terminal import console, progress
from perturb.errors import UsageError

if TYPE_CHECKING:
    from perturb.model import Network


@click.command(epilog=EPILOG)
@model_options
@click.option(
    "--kind",
    type=click.Choice(["structural", "energy", "target", "centre", "response"]),
    default="energy",
    show_default=True,
)
@click.option("--layer", default=None, help="output, last, stride:N or a module's name.")
@click.option("--images", default="built-in", show_default=True, help="built-in, folder:PATH, dead-leaves or noise.")
@click.option("--count", default=16, show_default=True, type=click.IntRange(1), help="Pictures to measure on.")
@click.option("--probes", default=8, show_default=True, type=click.IntRange(1), help="Random directions (energy).")
@click.option("--target", type=click.IntRange(0), help="Output number (target).  [default: each picture's largest]")
@click.option(
    "--level",
    default=0.5,
    show_default=True,
    type=click.FloatRange(0, 1, min_open=True),
    help="What a pixel is changed by, a fraction of the range (response).",
)
@click.option("--full", is_flag=True, help="Every pixel instead of phases and borders (response).")
@click.option("--out", type=click.Path(dir_okay=False), help="A .png picture, or .npy for the values.")
def command(
    choice: Choice,
    kind: str,
    layer: str | None,
    images: str,
    count: int,
    probes: int,
    target: int | None,
    level: float,
    full: bool,
    out: str | None,
) -> None:
    """How strongly each pixel moves the output: a map as a picture."""
    import torch

    from perturb import contribution
    from perturb.images import load_images
    from perturb.incremental import choose_engine
    from perturb.locations import fold, imbalance
    from perturb.render import terminal

    if out is not None and Path(out).suffix not in (".png", ".npy"):
        raise UsageError(f"--out {out}: expected a .png or .npy file.")
    network, _ = choice.load()
    where = network.find_layer(layer or ("last" if kind == "centre" else "output"))
    if kind == "structural":
        found = contribution.structural(network, where)
    else:
        pictures = load_images(images, shape=network.input_shape, crops=1, count=max(4, count), seed=0).pixels
        pictures = pictures[:count]
        if network.untrained:
            network.settle(torch.from_numpy(pictures))
        with progress() as begin:
            steps = pictures[0, 0].size if full and kind == "response" else 1  # places
            tick = begin(f"{kind} map", len(pictures) * steps)
            if kind == "energy":
                found = contribution.energy(network, pictures, where, probes=probes, tick=tick)
            elif kind == "target":
                found = contribution.target(network, pictures, output=target, tick=tick)
            elif kind == "centre":
                found = contribution.centre(network, pictures, where, tick=tick)
            else:
                scan = contribution.full_scan if full else contribution.quotient_scan
                engine = choose_engine(network, where, "auto", places=1000)
                found = scan(network, pictures, where, level=level, engine=engine, tick=tick)
    phases = fold(found)
    view = console()
    view.print(terminal.Lattice(phases.tolist()))
    view.print(
        f"{kind} map of {network.name}, `{found.layer}`"
        + (f", {found.images} pictures" if found.images else "")
        + f": period {found.period}, liveliest / deadest phase {imbalance(phases):.4g}"
    )
    if kind == "centre":
        fit = contribution.fit_gaussian(found.values)
        view.print(
            f"effective receptive field: sigma {fit.sigma_row:.1f} x {fit.sigma_column:.1f} pixels, "
            f"R² {fit.r_squared:.3f}"
        )
    if out is not None:
        _save(found, phases, network, Path(out))
        view.print(f"Saved to {out}")


def _save(found: Any, phases: Any, network: "Network", out: Path) -> None:
    import numpy as np

    from perturb.locations import imbalance
    from perturb.render.picture import picture

    with written(out) as path:
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
