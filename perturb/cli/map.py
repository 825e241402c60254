"""`perturb map`: a contribution map, in the terminal and as a picture."""

import io
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from perturb.cli.files import png
from perturb.cli.models import EPILOG, Choice, Shown, model_options, shown_options
from perturb.cli.options import as_record
from perturb.cli.terminal import console, progress
from perturb.contribution import KINDS, Options
from perturb.errors import UsageError
from perturb.protocols import Differentiable, Sees, Taps
from perturb.writing import write

if TYPE_CHECKING:
    from perturb.records import Contribution

estimate_options = as_record(
    "options",
    Options,
    click.option(
        "--probes", default=8, show_default=True, type=click.IntRange(1), help="Random output directions (energy)."
    ),
    click.option(
        "--target",
        "output",
        type=click.IntRange(0),
        help="Output number, or channel of a map (target).  [default: each picture's largest number]",
    ),
    click.option(
        "--level",
        default=0.5,
        show_default=True,
        type=click.FloatRange(0, 1, min_open=True),
        help="Change of a pixel, a fraction of the pixel range (response).",
    ),
    click.option("--full", is_flag=True, help="Measure every pixel instead of about 3 % of them (response)."),
    click.option(
        "--period",
        type=click.IntRange(1),
        help="Period of the lattice in pixels; needed for a plain Python function (response).",
    ),
)


@click.command(epilog=EPILOG)
@model_options
@click.option("--kind", type=click.Choice(list(KINDS)), default="energy", show_default=True, help="Kind of map.")
@click.option(
    "--layer", default=None, help="output, last, stride:N or a module's name.  [default: output; of centre, last]"
)
@shown_options
@estimate_options
@click.option(
    "--out", type=click.Path(dir_okay=False), help="Save to this file: .png for a picture, .npy for the values."
)
def command(choice: Choice, kind: str, layer: str | None, shown: Shown, options: Options, out: str | None) -> None:
    """Map how strongly each pixel moves the output.

    --kind response also accepts a model that is any Python function of a batch of pictures.
    """
    from perturb.contribution import fit_gaussian
    from perturb.locations import fold, imbalance, one_cell
    from perturb.render import terminal
    from perturb.render.lattice import repeats, sentences

    if out is not None and Path(out).suffix not in (".png", ".npy"):
        raise UsageError(f"--out {out}: expected a .png or .npy file.")
    model, _ = choice.see()
    if options.period is not None and not KINDS[kind].pictures:
        raise UsageError(f"--period {options.period}: a {kind} map finds its own period; leave it out.")
    found = _estimate(model, kind, layer or KINDS[kind].layer, shown, options)
    phases, cell = fold(found), one_cell(found)
    view = console()
    view.print(terminal.Lattice(cell.tolist()))
    view.print(
        f"{kind} map of {model.name}, `{found.layer}`"
        + (f", {found.images} pictures" if found.images else "")
        + f": period {repeats(found)}, liveliest / deadest phase {imbalance(phases):.4g}"
    )
    for sentence in sentences(found.lattice):
        view.print(sentence)
    if kind == "centre":
        fit = fit_gaussian(found.values)
        view.print(
            f"effective receptive field: sigma {fit.sigma_row:.1f} x {fit.sigma_column:.1f} pixels, "
            f"R² {fit.r_squared:.3f}"
        )
    if out is not None:
        _save(found, cell, model, Path(out))
        view.print(f"Saved to {out}")


def _estimate(model: Sees, kind: str, layer: str, shown: Shown, options: Options) -> "Contribution":
    """The map, on as many pictures as asked for; an untrained network is settled on them."""
    import numpy as np

    from perturb.stories.witness import witness

    estimator = KINDS[kind]
    estimator.check(model)
    where = model.find_layer(layer) if isinstance(model, Taps) else layer
    if not estimator.pictures:
        return estimator(model, None, where)
    pictures = np.asarray(shown.load(model.input_shape).pixels[: shown.count])
    if model.untrained and isinstance(model, Differentiable):
        model.settle(pictures)
    seen = witness(model, pictures, [where])
    steps = pictures[0, 0].size if options.full and kind == "response" else 1  # places
    with progress() as begin:
        tick = begin(f"{kind} map", len(pictures) * steps)
        found = estimator(model, pictures, where, replace(options, tick=tick))
    seen.confirm(model)
    return found


def _save(found: "Contribution", phases: Any, model: Sees, out: Path) -> None:
    import numpy as np

    from perturb.locations import fold, imbalance
    from perturb.render.lattice import period, repeats
    from perturb.render.picture import picture

    if out.suffix == ".npy":
        buffer = io.BytesIO()
        np.save(buffer, found.values)
        write(out, buffer.getvalue())
        return
    rows, columns = model.input_shape[1:]
    size = found.values.shape
    values = np.tile(found.values, (-(-rows // size[0]), -(-columns // size[1])))[:rows, :columns]
    every = period(found.lattice) if found.lattice else repeats(found)
    measured = f"{found.images} pictures" if found.images else "exact"
    drawn = picture(
        values,
        phases,
        title=f"{found.kind} contribution map of {model.name}",
        subtitle=f"of `{found.layer}`, {measured}; period {every}, "
        f"liveliest / deadest phase {imbalance(fold(found)):.3g}; dark = dead, bright = live",
    )
    write(out, png(drawn))
