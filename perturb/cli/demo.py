"""`perturb demo`: a network qualified on built-in pictures, before and after kernel padding."""

import click

from perturb.cli.files import folder, save, written
from perturb.cli.models import DEVICE
from perturb.cli.terminal import console, progress

NETWORK = "torchvision:mobilenet_v3_small"  # small, popular, and with one of the strongest lattices


@click.command()
@click.option("--pretrained", is_flag=True, help="Measure EfficientNet-Lite0 with ImageNet weights instead.")
@click.option("--seeds", default=3, show_default=True, type=click.IntRange(1), help="Draws of the untrained weights.")
@DEVICE
@click.option(
    "--out", default="perturb-demo", show_default=True, type=click.Path(file_okay=False), help="Folder for reports."
)
def command(pretrained: bool, seeds: int, device: str, out: str) -> None:
    """Qualify a network before and after kernel padding, on built-in photographs, offline."""
    from perturb.render import before_after, html
    from perturb.shipped import shipped_example
    from perturb.stories import demo as story
    from perturb.suite import load_suite

    suite, where = load_suite("demo"), folder(out)
    assert where is not None
    with progress() as begin:
        if pretrained:
            example = f"{shipped_example('efficientnet_lite0.py')}:build"
            sides = [story.trained(example, suite, device=device, progress=begin)]
        else:
            sides = list(story.before_and_after(NETWORK, suite, seeds=range(seeds), device=device, progress=begin))
    for side in sides:
        save(side.report, where / f"{side.name.replace(' ', '-')}-seed-{side.seed}")
    with written(where / "report.html") as path:
        path.write_text(html.report(sides[0].report, sides), encoding="utf-8")
    console().print(before_after.table(sides, out))
