"""Commands are killed at random moments; what is there afterwards must be whole, and what was said must be true.

uv run python tests/kills.py [--count 500] [--seed 0] [--kinds KIND...]      a table; exit code 1 for a fault
"""

import argparse
import json
import os
import random
import shutil
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from itertools import count
from pathlib import Path

from odd_models import SUITE, net
from preloaded import Ended, Preloaded
from safetensors import safe_open
from toyruns import a_run

from perturb.baseline import accept
from perturb.baseline import from_json as baseline_from
from perturb.cli.files import save
from perturb.files import encode as encode_record
from perturb.files import read_text
from perturb.history import keep
from perturb.images import load_images, split
from perturb.model.copy import digest_of
from perturb.records import Images
from perturb.render import html
from perturb.report import from_json
from perturb.runs import FILES, Run, decode, encode, identify, read
from perturb.training.head import with_head
from perturb.training.lessons import Lessons
from perturb.training.sgd import TrainingSetup, train
from perturb.writing import PARTIAL, clean, write

KINDS = ("qualify", "resume", "accept", "train", "keep", "writes", "writes", "writes", "writes", "writes", "writes")
SAME = ("findings", "controls", "experiments", "map", "model", "images")  # of a report, whoever made it and when


def train_once(folder: str) -> None:
    """Train a small network, going on from a checkpoint where there is one, and tell its weights apart."""
    from test_training import QUICK, RED, small

    lessons = [Lessons(part, RED) for part in split(drawn(), share=0.7, seed=0)]
    model = small()
    module = with_head(model, 2, seed=0)
    asked = TrainingSetup(lessons=lessons[0], validation=lessons[1], recipe=QUICK, seed=0)
    train(module, model, asked, keep=Path(folder, "training"), tick=lambda done, note="": None)
    write(Path(folder, "weights"), digest_of(module))


def drawn() -> Images:
    return load_images("dead-leaves", shape=(3, 32, 32), count=40)


def keep_once(folder: str, name: str) -> None:
    files = encode(a_run(command=name))
    write(Path(folder, f"said-{name}"), keep(files, Path(folder, "history")))


def two_runs() -> list[Run]:
    return [a_run(command=name, pictures=name) for name in ("first", "second")]


def write_forever(folder: str) -> None:
    """What the commands write, without the time that they take to find it out: a kill hits a write in its midst."""
    html.report = lambda *args, **rest: "<html></html>\n"
    for number in count():
        run = two_runs()[number % 2]
        save(run.report, Path(folder, "written"), encode(run))
        digest = keep(encode(a_run(command=f"{os.getpid()} {number}")), Path(folder, "history"))
        write(Path(folder, "written.json"), encode_record(accept(run, digest)))


def folder_of(root: Path) -> Path:
    (root / "odd.py").write_text(net())
    (root / "tiny.perturb.toml").write_text(SUITE)
    return root


def judged(report: Path) -> object:
    told = json.loads(report.read_text())
    return {key: told.get(key) for key in SAME}


class Killing:
    """One project, what its commands say when nobody disturbs them, and how often they were killed."""

    def __init__(self, perturb: Preloaded, root: Path, moments: random.Random) -> None:
        self.perturb, self.root, self.moments = perturb, folder_of(root), moments
        self.counts: Counter[str] = Counter()
        self.faults: list[str] = []
        self.truth: dict[str, object] = {}
        self.seconds: dict[str, float] = {}

    def learn(self) -> None:
        """What undisturbed commands say, and how long they take."""
        for model in ("even", "dead"):
            done = self._qualify(model, f"whole-{model}")
            report = self.root / f"whole-{model}" / "report.json"
            self.truth[model], self.seconds["qualify"] = judged(report), done.seconds
        self.seconds["train"], self.seconds["keep"] = self._train().seconds, self._keep("whole").seconds
        done = self._accept("whole-even")
        assert done.code == 0, done.err
        self.seconds["accept"] = done.seconds

    def _qualify(self, model: str, out: str, *more: str, **kill: float) -> Ended:
        return self.perturb.run(
            "qualify", f"odd.py:{model}", "--suite", "tiny.perturb.toml", "--out", out, *more, cwd=self.root, **kill
        )

    def _accept(self, run: str, **kill: float) -> Ended:
        return self.perturb.run("baseline", "accept", "net.json", run, cwd=self.root, **kill)

    def qualify(self) -> None:
        """Over the run of another model: either run is whole, or there is none."""
        model = self.moments.choice(["even", "dead"])
        late = self.moments.random() < 0.5  # most of what is written is written at the end
        share = self.moments.uniform(0.8, 1.05) if late else self.moments.uniform(0, 1)
        done = self._qualify(model, "run", kill_after=share * self.seconds["qualify"])
        self._count("qualify", done)
        self._check_run(model if done.code >= 0 else None)
        self._check_history()

    def resume(self) -> None:
        """What the killed run finished is not measured again, and the run ends as the undisturbed one did."""
        model, name = self.moments.choice(["even", "dead"]), f"resumed-{self.moments.random()}"
        with_history = ("--history", f"{name}-history")
        done = self._qualify(
            model, name, *with_history, kill_after=self.moments.uniform(0, 1) * self.seconds["qualify"]
        )
        self._count("resume", done)
        left = len([*(self.root / f"{name}-history").glob("blocks/*.npz")])
        again = self._qualify(model, name, *with_history)
        self.counts["resume: blocks found"] += left
        if left and f"{left} of " not in again.out:
            self.faults.append(f"resume: {left} blocks were finished, and the run says: {again.out[-300:]}")
        whole, own = (self.root / folder for folder in (f"whole-{model}", name))
        if any((whole / file).read_bytes() != (own / file).read_bytes() for file in FILES[1:]):
            self.faults.append("resume: other trials or maps than those of an undisturbed run")
        if judged(own / "report.json") != self.truth[model]:
            self.faults.append("resume: another report than that of an undisturbed run")

    def accept(self) -> None:
        before = (self.root / "net.json").read_bytes()
        run = self.moments.choice(["whole-even", "whole-dead"])
        done = self._accept(run, kill_after=self.moments.uniform(0, 1.1) * self.seconds["accept"])
        self._count("accept", done)
        baseline_from(read_text(self.root / "net.json"), "net.json")
        if done.code < 0 and (self.root / "net.json").read_bytes() != before:
            self.counts["accept: killed after it was done"] += 1

    def _train(self, **kill: float) -> Ended:
        """From the beginning where nobody was killed before."""
        return self.perturb.call("kills:train_once", self.root, cwd=self.root, **kill)

    def _keep(self, name: str, **kill: float) -> Ended:
        return self.perturb.call("kills:keep_once", self.root, name, cwd=self.root, **kill)

    def train(self) -> None:
        """Whatever the killed training left is gone on with, and ends as the undisturbed one did."""
        if self.moments.random() < 0.5:
            shutil.rmtree(self.root / "training")
        (self.root / "weights").rename(self.root / "true-weights")
        done = self._train(kill_after=self.moments.uniform(0, 1.1) * self.seconds["train"])
        self._count("train", done)
        for path in (self.root / "training").glob("*.safetensors"):
            with safe_open(path, "pt") as file:
                file.get_tensor(next(iter(file.keys())))
        self._train()
        if (self.root / "weights").read_bytes() != (self.root / "true-weights").read_bytes():
            self.faults.append("training: other weights than those of an undisturbed one")

    def keep(self) -> None:
        name = f"{self.moments.random()}"
        self._count("keep", self._keep(name, kill_after=self.moments.uniform(0, 1.1) * self.seconds["keep"]))
        said = self.root / f"said-{name}"
        if said.exists() and not (self.root / "history" / "runs" / said.read_text()).is_dir():
            self.faults.append("history: a run was said to be kept, and is not there")
        self._check_history("history")

    def writes(self) -> None:
        """A run that replaces another, a history that grows and a baseline, while they are written."""
        self._count("writes", self.perturb.call("kills:write_forever", self.root, cwd=self.root, **self._soon()))
        written = self.root / "written"
        if (written / "report.json").exists():
            if identify(read(written)) not in [identify(encode(run)) for run in two_runs()]:
                self.faults.append("writes: a run that is none of the two")
        else:
            self.counts["writes: no run there when killed"] += 1
        if (self.root / "written.json").exists():
            baseline_from(read_text(self.root / "written.json"), "written.json")
        self._check_history("history")

    def _soon(self) -> dict[str, float]:
        return {"kill_after": self.moments.uniform(0, 1)}

    def _count(self, what: str, done: Ended) -> None:
        self.counts[f"{what}: {'killed' if done.code < 0 else 'ended before'}"] += 1
        if done.code not in (-9, 0, 1, 3):
            self.faults.append(f"{what}: exit code {done.code}: {done.err[-300:]}")
        self.counts["leftovers of killed writers"] += len(list(self.root.rglob(PARTIAL)))

    def _check_run(self, expected: str | None) -> None:
        run = self.root / "run"
        present = [name for name in FILES if (run / name).exists()]
        if (run / "report.json").exists():
            if len(present) < len(FILES):
                self.faults.append(f"run: only {present}")
                return
            decode(read(run), run)
            told = judged(run / "report.json")
            if told not in ([self.truth[expected]] if expected else list(self.truth.values())):
                self.faults.append("run: a report that no undisturbed run gives")
            if (run / "report.html").read_text()[-8:].strip() != "</html>":
                self.faults.append("run: half a page")
        elif expected:
            self.faults.append("run: a verdict was said, and there is no report")

    def _check_history(self, name: str = ".perturb") -> None:
        runs = self.root / name / "runs"
        for run in runs.iterdir() if runs.is_dir() else ():
            if identify(read(run)) != run.name:
                self.faults.append(f"history: {run.name} is not what was kept")

    def finish(self, kinds: Sequence[str]) -> None:
        """Undisturbed again, everything is as if nothing had happened."""
        for folder in ("written", "history"):
            if (self.root / folder).is_dir():
                clean(self.root / folder)
                if left := list((self.root / folder).glob(PARTIAL)):
                    self.faults.append(f"left for good: {left}")
        if "writes" in kinds and not (self.root / "written" / "report.json").exists():
            self.faults.append("writes: the earlier run did not come back")
        if "qualify" not in kinds:
            return
        for model in ("dead", "even"):
            self._qualify(model, "run")
            self._check_run(model)
        if self.perturb.run("history", "list", cwd=self.root).code != 0:
            self.faults.append("history: cannot be listed")
        if left := list((self.root / "run").rglob(PARTIAL)) + list((self.root / ".perturb").rglob(PARTIAL)):
            self.faults.append(f"left for good: {left}")
        from_json(read_text(self.root / "run/report.json"), "report.json")


def kill(number_of_kills: int, seed: int, kinds: Sequence[str] = KINDS) -> tuple[Counter[str], list[str]]:
    """Each kind in turn: whole commands, or `writes`, what they write alone."""
    root = Path(tempfile.mkdtemp(prefix="perturb-kills-"))
    try:
        with Preloaded() as perturb:
            killing = Killing(perturb, root, random.Random(seed))
            if set(kinds) != {"writes"}:
                killing.learn()
            for number in range(number_of_kills):
                getattr(killing, kinds[number % len(kinds)])()
            killing.finish(kinds)
        return killing.counts, killing.faults
    finally:
        shutil.rmtree(root, ignore_errors=True)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=500)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--kinds", nargs="+", choices=KINDS, default=KINDS)
    asked = parser.parse_args()
    started = time.monotonic()
    counts, faults = kill(asked.count, asked.seed, asked.kinds)
    for what, number in sorted(counts.items()):
        sys.stdout.write(f"{number:6}  {what}\n")
    for fault in faults:
        sys.stdout.write(f"FAULT   {fault}\n")
    sys.stdout.write(f"{len(faults)} faults, {time.monotonic() - started:.0f} s\n")
    return int(bool(faults))


if __name__ == "__main__":
    sys.exit(main())
