"""`perturb qualify`: measure a model by a suite, and judge."""

import shlex
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

import click

from perturb.cli.baseline import CHANGED, read_baseline
from perturb.cli.completion import suites
from perturb.cli.files import HISTORY, folder, kept, save
from perturb.cli.models import EPILOG, IMAGES, Choice, each_model_options
from perturb.cli.options import as_record
from perturb.cli.several import by_folder, check_references, rows, shared_bench, write_tables
from perturb.cli.terminal import console, finish, progress
from perturb.errors import UsageError
from perturb.training.recipe import RECIPES

if TYPE_CHECKING:
    from perturb.baseline import Baseline
    from perturb.block_files import BlockFiles
    from perturb.blocks import Executor, Shard
    from perturb.incremental import Engine
    from perturb.report import Report
    from perturb.runs import Run
    from perturb.stories.qualify import Bench
    from perturb.suite import Suite

KEPT = "The blocks of shard {} are kept. The same command without --shard judges."
EXIT = {"PASS": 0, "FAIL": 1, "INCONCLUSIVE": 3, "INVALID": 4, "ERROR": 4}


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
        shell_complete=suites,
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


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """What is done with each model."""

    question: Question
    suite: "Suite"
    engine: "Engine"
    history: Path
    shard: "Shard | None"
    executor: "Executor"
    past: "Baseline | None" = None

    def measured(
        self,
        choice: Choice,
        where: Path | None,
        *,
        bench: "Callable[[tuple[int, int, int]], Bench] | None" = None,
        title: str = "",
    ) -> "tuple[Run | None, BlockFiles]":
        """The model's run, None of a shard, and its blocks; `bench` is shared with other models, by input shape."""
        from perturb.baseline import conditions, decided
        from perturb.block_files import BlockFiles
        from perturb.history import BLOCKS
        from perturb.stories.experiment import Wanted
        from perturb.stories.qualify import Context, examine, examine_shard

        model, remedy = choice.see()
        blocks, past = BlockFiles(folder=self.history / BLOCKS, executor=self.executor), self.past
        again = shlex.join(["perturb", "qualify", *choice.words(), *self.question.words()])
        with progress(title) as begin:
            wanted = Wanted(
                conditions=conditions(past) if past else {},
                decided=partial(decided, past) if past else lambda found: True,
                engine=self.engine,
                keep=where and where / "training",
                executor=blocks,
                progress=begin,
            )
            context = Context(wanted=wanted, command=again, remedy=remedy)
            if self.shard is not None:
                examine_shard(model, self.suite, context, self.shard)
                blocks.check_kept()
                return None, blocks
            shared = bench and bench(model.input_shape)
            return examine(model, self.suite, replace(context, bench=shared)), blocks


@click.command(epilog=EPILOG)
@each_model_options
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
    choices: tuple[Choice, ...],
    question: Question,
    engine: "Engine",
    out: str | None,
    shard: str | None,
    on: str | None,
    history: str,
) -> None:
    """Measure a model by a suite, and judge. The run is kept in the history.

    Several models share pictures and controls, and are shown side by side. --out then has a folder for each, and the
    exit code is that of the worst.

    With --baseline each check is also measured at the baseline's places and level. The exit code is then that of the
    worse of verdict and change.

    With --shard K/N so many processes share the work and the history: once all have ended, the same command without it
    finds their blocks, and judges.
    """
    if len(choices) > 1:
        check_references(choices)
        if question.baseline:
            raise UsageError(f"--baseline is of one MODEL; {len(choices)} are given.")
    suite, where = question.load(), folder(out)
    share = _share(shard, suite) if shard else None
    if on and on != "ray" and not on.startswith("ray://"):
        raise UsageError(f"--on {on}: expected ray, or ray://HOST:PORT of a cluster.")
    past = read_baseline(question.baseline, suite) if question.baseline else None
    with _executor(on) as executor:
        order = Order(
            question=question,
            suite=suite,
            engine=engine,
            history=Path(history),
            shard=share,
            executor=executor,
            past=past,
        )
        if len(choices) > 1:
            _several(choices, order, where)
        else:
            _one(choices[0], order, where)


def _one(choice: Choice, order: Order, where: Path | None) -> None:
    """The whole report."""
    from perturb.baseline import compare
    from perturb.history import trim_blocks
    from perturb.render import terminal
    from perturb.render.badges import verdict
    from perturb.render.changes import changes
    from perturb.runs import encode

    run, blocks = order.measured(choice, where)
    view, past = console(), order.past
    if run is None:
        view.print(KEPT.format(order.shard))
        return
    files = encode(run)
    digest = kept(files, str(order.history))
    trim_blocks(order.history)
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


def _several(choices: tuple[Choice, ...], order: Order, where: Path | None) -> NoReturn:
    """A table of the models, written anew after each: a run that is killed leaves those that it measured."""
    from perturb.history import trim_blocks
    from perturb.render import models
    from perturb.runs import encode

    bench = shared_bench(order.suite)

    def measure(name: str, choice: Choice) -> "Report | None":
        place = where and where / name
        run, _ = order.measured(choice, place, bench=bench, title=f"{name}: ")
        if run is None:
            return None
        files = encode(run)
        kept(files, str(order.history))
        trim_blocks(order.history)
        if place is not None:
            save(run.report, place, files)
        return run.report

    found = models.SideBySide(suite=order.suite.name, description=order.suite.description)
    for row in rows(by_folder(choices), measure):
        measured = (*found.rows, row)
        waiting = tuple(choice.model for choice in choices[len(measured) :])
        found = replace(found, rows=measured, waiting=waiting)
        if where is not None and order.shard is None:
            write_tables(found, where)
    view = console()
    if order.shard is not None:
        view.print(*models.errors(found), *([] if models.errors(found) else [KEPT.format(order.shard)]), sep="\n")
        finish(EXIT["ERROR"] if models.errors(found) else 0)
    view.print(models.table(found))
    if where is not None:
        view.print(f"Reports: {where / 'index.html'}, models.md and a folder of each model")
    finish(EXIT[found.verdict])


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
