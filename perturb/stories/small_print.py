"""The second demonstration: small print that a deployed detector finds or loses by the row on which it lies."""

from dataclasses import replace

import numpy as np
from jaxtyping import Int

from perturb.blocks import Block
from perturb.figures import Page
from perturb.images import load_images
from perturb.looking import look_at
from perturb.model import load
from perturb.observe import Experimenter, observe
from perturb.plan import plan
from perturb.protocols import Progress, quiet
from perturb.quantities.detection import detected
from perturb.records import DEAD, LIVE, Trials
from perturb.report import Report
from perturb.showing import show
from perturb.stories.experiment import Wanted
from perturb.stories.qualify import Context, examine
from perturb.suite import Suite

PAGES = {"count": 8, "calibration": 0.4}  # what two cores measure in well under a minute
APART = 40, 48  # rows and columns from word to word on the page that is shown
EDGE = 96  # of that page, without words


def small_print(reference: str, suite: Suite, *, progress: Progress = quiet) -> tuple[Report, Page, Page]:
    """The first check of the suite on few pages; and one more page, at the row where words are lost, and found.

    All words of that page lie on one row of the lattice, the first of each arm.
    """
    model = load(reference)
    images = suite.images.model_copy(update=PAGES)
    short = suite.model_copy(update={"check": suite.check[:1], "images": images})
    run = examine(model, short, Context(wanted=Wanted(progress=progress), command="perturb demo --small-print"))
    page = load_images(suite.images.source, shape=model.input_shape, count=4, seed=suite.seed + 1)
    page = replace(page, pixels=page.pixels[:1], photograph=page.photograph[:1], crop=page.crop[:1])
    experiment = plan(short, model, page)[0].experiment
    measured = run.measured[experiment.name]
    places = measured.conditions.locations[0]
    dead, live = (int(phases[:, 0].min()) for phases in (places.dead, places.live))
    scene = _grid(model.input_shape[1:], experiment.task.extent, dead, places.period)
    trials = Trials(
        dead=scene[None],
        live=scene[None] - [(dead - live) % places.period, 0],
        photograph=page.photograph,
        seed=suite.seed,
        purpose="small-print",
        scene=scene[None],
        together=True,
    )
    by = Experimenter(
        look=look_at(model, experiment.evaluator.layer, "auto"),
        evaluator=experiment.evaluator,
        task=experiment.task,
        levels=(measured.conditions.level,),
        point=experiment.point,
        threshold=float(measured.seen.threshold[0, 0]),
    )
    seen, shown = observe(Block(images=page, trials=trials), by), show(page, trials, 0, by.exposure)
    pictures = np.concatenate([shown.clean, shown.changed])

    def view(arm: int, words: np.ndarray, row: int) -> Page:
        return Page(
            pixels=pictures[shown.number[0, 0, arm]],
            words=words,
            extent=experiment.task.extent,
            found=detected(seen, "dead" if arm == DEAD else "live")[0, 0, 0] > 0,
            row=row,
        )

    return run.report, view(DEAD, trials.dead[0], dead), view(LIVE, trials.live[0], live)


def _grid(shape: tuple[int, ...], extent: tuple[int, int], row: int, period: int) -> Int[np.ndarray, "word 2"]:
    """Places of words whose rows have this phase."""
    axes = [np.arange(EDGE, n - EDGE - long, step) for n, long, step in zip(shape, extent, APART, strict=True)]
    axes[0] = axes[0] // period * period + row
    return np.stack(np.meshgrid(*axes, indexing="ij"), -1).reshape(-1, 2)
