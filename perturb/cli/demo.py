"""`perturb demo`: a network qualified on built-in pictures, before and after kernel padding."""

from pathlib import Path

import click

from perturb.cli.files import folder, png, save
from perturb.cli.models import DEVICE
from perturb.cli.terminal import console, progress
from perturb.errors import UsageError
from perturb.writing import write

NETWORK = "torchvision:mobilenet_v3_small"  # small, popular, and with one of the strongest lattices


@click.command()
@click.option("--pretrained", is_flag=True, help="Measure EfficientNet-Lite0 with ImageNet weights instead.")
@click.option("--small-print", is_flag=True, help="Ask a deployed text detector to find small print; extra `ocr`.")
@click.option("--seeds", default=3, show_default=True, type=click.IntRange(1), help="Draws of the untrained weights.")
@DEVICE
@click.option(
    "--out", default="perturb-demo", show_default=True, type=click.Path(file_okay=False), help="Folder for reports."
)
def command(pretrained: bool, small_print: bool, seeds: int, device: str, out: str) -> None:
    """Qualify a network before and after kernel padding, on built-in photographs, offline."""
    from perturb.render import before_after, html
    from perturb.shipped import shipped_example
    from perturb.stories import demo as story
    from perturb.suite import load_suite

    if pretrained and small_print:
        raise UsageError("--pretrained and --small-print are two demonstrations; ask for one.")
    where = folder(out)
    assert where is not None
    if small_print:
        _small_print(where)
        return
    suite = load_suite("demo")
    with progress() as begin:
        if pretrained:
            example = f"{shipped_example('efficientnet_lite0.py')}:build"
            sides = [story.trained(example, suite, device=device, progress=begin)]
        else:
            sides = list(story.before_and_after(NETWORK, suite, seeds=range(seeds), device=device, progress=begin))
    for side in sides:
        save(side.report, where / f"{side.name.replace(' ', '-')}-seed-{side.seed}")
    write(where / "report.html", html.report(sides[0].report, sides))
    console().print(before_after.table(sides, out))


def _small_print(where: Path) -> None:
    from perturb.render import html
    from perturb.render import small_print as view
    from perturb.shipped import shipped_example
    from perturb.stories.small_print import small_print as story
    from perturb.suite import load_suite

    example = f"{shipped_example('small_print.py')}:detector_v4"
    with progress() as begin:
        report, lost, found = story(example, load_suite("small-print"), progress=begin)
    write(where / "small-print.png", png(view.picture("PP-OCRv4's detector", lost, found)))
    write(where / "report.html", html.report(report))
    console().print(view.view(report, lost, found, str(where)))
