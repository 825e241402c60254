"""Commands are killed at random moments; what is there afterwards must be whole, and what was said must be true.

uv run python tests/kills.py [--count 500] [--seed 0]      a table; exit code 1 if anything is half-written or wrong
"""

import argparse
import json
import random
import shutil
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

from odd_models import SUITE, net
from preloaded import Ended, Preloaded
from safetensors import safe_open
from toyruns import a_run

from perturb.baseline import from_json as baseline_from
from perturb.files import read_text
from perturb.history import keep
from perturb.images import load_images, split
from perturb.model.copy import digest_of
from perturb.records import Images
from perturb.report import from_json
from perturb.runs import FILES, decode, encode, identify, read
from perturb.training.head import with_head
from perturb.training.lessons import Lessons
from perturb.training.sgd import TrainingSetup, train
from perturb.writing import PARTIAL, write

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
        for model in ("even", "dead"):
            done = self._qualify(model, f"whole-{model}")
            self.truth[model], self.seconds["qualify"] = judged(root / f"whole-{model}" / "report.json"), done.seconds
        self.seconds["train"], self.seconds["keep"] = self._train().seconds, self._keep("whole").seconds
        done = self._accept("whole-even")
        assert done.code == 0, done.err
        self.seconds["accept"] = done.seconds

    def _qualify(self, model: str, out: str, **kill: float) -> Ended:
        return self.perturb.run(
            "qualify", f"odd.py:{model}", "--suite", "tiny.perturb.toml", "--out", out, cwd=self.root, **kill
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

    def finish(self) -> None:
        """Undisturbed again, everything is as if nothing had happened."""
        for model in ("dead", "even"):
            self._qualify(model, "run")
            self._check_run(model)
        if self.perturb.run("history", "list", cwd=self.root).code != 0:
            self.faults.append("history: cannot be listed")
        if left := list((self.root / "run").rglob(PARTIAL)) + list((self.root / ".perturb").rglob(PARTIAL)):
            self.faults.append(f"left for good: {left}")
        from_json(read_text(self.root / "run/report.json"), "report.json")


def kill(count: int, seed: int) -> tuple[Counter[str], list[str]]:
    """Of every ten: two `qualify` with its history, two trainings, three `baseline accept` and three kept runs."""
    root = Path(tempfile.mkdtemp(prefix="perturb-kills-"))
    try:
        with Preloaded() as perturb:
            killing = Killing(perturb, root, random.Random(seed))
            for number in range(count):
                each = (killing.qualify, killing.train, *[killing.accept, killing.keep] * 2)
                (each + each[:-2])[number % 10]()
            killing.finish()
        return killing.counts, killing.faults
    finally:
        shutil.rmtree(root, ignore_errors=True)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=500)
    parser.add_argument("--seed", type=int, default=0)
    asked = parser.parse_args()
    started = time.monotonic()
    counts, faults = kill(asked.count, asked.seed)
    for what, number in sorted(counts.items()):
        sys.stdout.write(f"{number:6}  {what}\n")
    for fault in faults:
        sys.stdout.write(f"FAULT   {fault}\n")
    sys.stdout.write(f"{len(faults)} faults, {time.monotonic() - started:.0f} s\n")
    return int(bool(faults))


if __name__ == "__main__":
    sys.exit(main())
