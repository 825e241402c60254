"""`perturb publish`: published reports and their index."""

import shlex
from pathlib import Path

import click

from perturb.cli.completion import suites
from perturb.cli.files import folder
from perturb.cli.models import DEVICE, EPILOG, limits
from perturb.cli.terminal import console, progress
from perturb.training.recipe import RECIPES
from perturb.writing import write


@click.command(epilog=EPILOG)
@click.argument("models", metavar="[MODEL]...", nargs=-1)
@click.option(
    "--suite",
    default="paper-reference",
    show_default=True,
    shell_complete=suites,
    help="A shipped name or a .perturb.toml file.",
)
@click.option("--images", help="Pictures in place of the suite's: built-in, folder:PATH, dead-leaves, noise, ...")
@click.option("--recipe", type=click.Choice(list(RECIPES)), help="Training recipe in place of the suite's.")
@click.option("--weights", type=click.Path(path_type=Path), help="Weights of one MODEL; they name its report.")
@click.option("--seeds", default=3, show_default=True, type=click.IntRange(1), help="Draws of untrained weights.")
@DEVICE
@limits
@click.option(
    "--into", default="reports", show_default=True, type=click.Path(file_okay=False), help="Folder of the reports."
)
def command(
    models: tuple[str, ...],
    suite: str,
    images: str | None,
    recipe: str | None,
    weights: Path | None,
    seeds: int,
    device: str,
    into: str,
) -> None:
    """Measure networks, as built and padded, save their reports and write the index.

    Without MODEL only the index is written.
    """
    from perturb.errors import UsageError
    from perturb.files import encode, read_text
    from perturb.render import published as render
    from perturb.report import from_json
    from perturb.stories.publish import published
    from perturb.suite import load_suite

    if weights is not None and len(models) != 1:
        raise UsageError(f"`--weights` are those of one MODEL; {len(models)} are given.")
    asked, where = load_suite(suite).reading(images).taught(recipe), folder(into)
    assert where is not None
    for model in models:
        options = {"--suite": suite, "--images": images, "--recipe": recipe, "--weights": weights}
        given = [word for name, value in options.items() if value is not None for word in (name, str(value))]
        with progress() as begin:
            found = published(
                model,
                asked,
                seeds=seeds,
                command=shlex.join(["perturb", "publish", model, *given]),
                weights=weights,
                device=device,
                progress=begin,
            )
            for name, report in found:
                write(where / asked.name / f"{name}.json", encode(report))
                console().print(f"{asked.name}/{name}: {report.verdict}")
    kept = {
        str(path.relative_to(where).with_suffix("").as_posix()): from_json(read_text(path), path)
        for path in sorted(Path(where).glob("*/*.json"))
    }
    for name, text in render.files(kept).items():
        write(where / name, text)
