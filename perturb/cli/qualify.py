"""`perturb qualify`: measure a model by a suite, and judge."""

import shlex
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import click

from perturb.cli.baseline import CHANGED, read_baseline
from perturb.cli.files import HISTORY, folder, kept, save
from perturb.cli.models import EPILOG, IMAGES, Choice, model_options
from perturb.cli.options import as_record
from perturb.cli.terminal import console, finish, progress
from perturb.errors import UsageError
from perturb.training.recipe import RECIPES

if TYPE_CHECKING:
    from perturb.blocks import Executor, Shard
    from perturb.incremental import Engine
    from perturb.suite import Suite

EXIT = {"PASS": 0, "FAIL": 1, "INCONCLUSIVE": 3, "INVALID": 4}


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """What was said of the suite on the command line."""

    suite: str
    images: str | None
    recipe: str | None
    baseline: str | None
    until_decided: bool
    at_most: int | None

    def load(self) -> "Suite":
        from perturb.suite import load_suite

        suite = load_suite(self.suite).reading(self.images).taught(self.recipe)
        if self.at_most and not self.until_decided and not suite.images.until_decided:
            raise UsageError("--at-most goes with --until-decided.")
        return suite.until_decided(self.at_most) if self.until_decided or self.at_most else suite

    def words(self) -> list[str]:
        """The options that say the same again."""
        given = {
            "--suite": self.suite,
            "--images": self.images,
            "--recipe": self.recipe,
            "--baseline": self.baseline,
            "--at-most": str(self.at_most or ""),
        }
        words = [word for option, value in given.items() if value for word in (option, value)]
        return words + ["--until-decided"] * self.until_decided


question_options = as_record(
    "question",
    Question,
    click.option(
        "--suite",
        default="small-perturbation",
        show_default=True,
        help="Name of a shipped suite, or a .perturb.toml file.",
    ),
    IMAGES,
    click.option("--recipe", type=click.Choice(list(RECIPES)), help="Training recipe in place of the suite's."),
    click.option(
        "--baseline", type=click.Path(dir_okay=False), help="Also show what changed since this baseline file."
    ),
    click.option(
        "--until-decided", is_flag=True, help="Judge photograph after photograph, and stop once each check is decided."
    ),
    click.option(
        "--at-most", type=click.IntRange(2), help="With --until-decided, the most photographs that are judged."
    ),
)


@click.command(epilog=EPILOG)
@model_options
@question_options
@click.option(
    "--engine",
    type=click.Choice(["auto", "incremental", "bfloat16", "dense"]),
    default="auto",
    show_default=True,
    help="incremental computes only what a perturbation changes, bfloat16 the same with an error of 1 or 2 %, dense "
    "the whole network. auto chooses between incremental and dense.",
)
@click.option(
    "--out", type=click.Path(file_okay=False), help="Folder for report.html, .md, .json, trials and checkpoints."
)
@click.option(
    "--shard", metavar="K/N", help="Measure the K-th of N shares of the photographs, keep them, and do not judge."
)
@click.option(
    "--on",
    metavar="ray[://HOST:PORT]",
    help="Run blocks on Ray: on one that is started here, or at RAY_ADDRESS, or on that of a cluster.",
)
@HISTORY
def command(
    choice: Choice,
    question: Question,
    engine: "Engine",
    out: str | None,
    shard: str | None,
    on: str | None,
    history: str,
) -> None:
    """Measure a model by a suite, and judge. The run is kept in the history.

    With --baseline each check is also measured at the baseline's places and level. The exit code is then that of the
    worse of verdict and change.

    With --shard K/N so many processes share the work and the history: once all have ended, the same command without it
    finds their blocks, and judges.
    """
    suite, where = question.load(), folder(out)
    share = _share(shard, suite) if shard else None
    if on and on != "ray" and not on.startswith("ray://"):
        raise UsageError(f"--on {on}: expected ray, or ray://HOST:PORT of a cluster.")
    past = read_baseline(question.baseline, suite) if question.baseline else None

    from perturb.baseline import compare, conditions, decided
    from perturb.block_files import BlockFiles
    from perturb.history import BLOCKS, trim_blocks
    from perturb.render import terminal
    from perturb.render.badges import verdict
    from perturb.render.changes import changes
    from perturb.runs import encode
    from perturb.stories.experiment import Wanted
    from perturb.stories.qualify import Context, examine, examine_shard

    model, remedy = choice.see()
    again = shlex.join(["perturb", "qualify", *choice.words(), *question.words()])
    with _executor(on) as executor, progress() as begin:
        blocks = BlockFiles(folder=Path(history) / BLOCKS, executor=executor)
        wanted = Wanted(
            conditions=conditions(past) if past else {},
            decided=partial(decided, past) if past else lambda found: True,
            engine=engine,
            keep=where and where / "training",
            executor=blocks,
            progress=begin,
        )
        context = Context(wanted=wanted, command=again, remedy=remedy)
        if share is not None:
            examine_shard(model, suite, context, share)
            blocks.check_kept()
            console().print(f"The blocks of shard {shard} are kept. The same command without --shard judges.")
            return
        run = examine(model, suite, context)
    view, files = console(), encode(run)
    digest = kept(files, history)
    trim_blocks(Path(history))
    since = compare(past, run, digest) if past else None
    view.print(terminal.report(run.report, since))
    if since is not None:
        view.print()
        view.print(changes(since))
    if blocks.found:
        view.print(f"{blocks.found} of {blocks.asked} blocks were done before.")
    if where is not None:
        save(run.report, where, files, since)
        view.print(f"Report: {where / 'report.html'}, report.md and report.json")
    finish((EXIT | CHANGED)[verdict(run.report, since)])


@contextmanager
def _executor(on: str | None) -> "Iterator[Executor]":
    """What runs the blocks: this process, or Ray."""
    if on is None:
        yield map
        return
    from perturb.ray_blocks import on_ray

    with on_ray(None if on == "ray" else on) as executor:
        yield executor


def _share(text: str, suite: "Suite") -> "Shard":
    """ "2/4": the second of four."""
    from perturb.blocks import Shard

    number, slash, count = text.partition("/")
    if not (slash and number.isdecimal() and count.isdecimal() and 1 <= int(number) <= int(count)):
        raise UsageError(f"--shard {text}: expected K/N with K from 1 to N, as 2/4 for the second of four.")
    if suite.images.until_decided:
        raise UsageError("--shard measures every block, and --until-decided stops early: leave one of them out.")
    return Shard(number=int(number), count=int(count))
