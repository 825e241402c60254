"""Mutation tests: small wrong changes of the package, each of which a test must notice.

uv run python tests/mutants.py [NAME...]      a table of all mutants, or of those named; exit code 1 if one survives

Each mutant is made in a temporary copy of the repository. A survivor is a rule that no test holds.
"""

import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parents[1]
NEEDED = ("perturb", "tests", "suites", "examples", "reports", "docs", "pyproject.toml", "README.md")
PYTEST = ("-m", "pytest", "-x", "-q", "-n0", "-p", "no:cacheprovider")


class Mutant(NamedTuple):
    name: str
    file: str
    original: str  # must occur exactly once in the file
    mutated: str
    tests: str  # what pytest is given, separated by spaces


VERDICT, LOCATIONS, STREAMS = "perturb/verdict.py", "perturb/locations.py", "perturb/streams.py"
STATS = "perturb/stats/"
PATCHES = "perturb/perturbations/patches.py"
OF_VERDICT, OF_LOCATIONS, OF_STATS = "tests/test_verdict.py", "tests/test_locations.py", "tests/test_stats.py"
# fmt: off
# ruff: noqa: E501
MUTANTS = [
    Mutant("Holm dropped", VERDICT, "    confidences = holm([decided_at(i) for i in sampled], [questions[i].claim.confidence for i in sampled])", "    confidences = [questions[i].claim.confidence for i in sampled]", OF_VERDICT),
    Mutant("exact effects inside Holm", VERDICT, 'if effect.method not in ("exact", "as measured")', "", OF_VERDICT),
    Mutant("as measured inside Holm", VERDICT, '("exact", "as measured")', '("exact",)', OF_VERDICT),
    Mutant("distance in images needed", VERDICT, "min(margin - effect.value, margin)", "margin - effect.value", OF_VERDICT),
    Mutant("distance above the margin", VERDICT, "effect.value - margin if", "effect.value + margin if", OF_VERDICT),
    Mutant("confidence of images needed", VERDICT, "effect.spread, effect.confidence, effect.n", "effect.spread, 0.95, effect.n", OF_VERDICT),
    Mutant("photographs that did not decide", VERDICT, "effect.confidence, effect.n)", "effect.confidence)", OF_VERDICT),
    Mutant(">= for > in FAIL", VERDICT, "effect.low > margin", "effect.low >= margin", OF_VERDICT),
    Mutant(">= for > in PASS", VERDICT, "effect.high > margin", "effect.high >= margin", OF_VERDICT),
    Mutant(">= for > in power", VERDICT, "effect.detectable > margin", "effect.detectable >= margin", OF_VERDICT),
    Mutant("power forgotten", VERDICT, "effect.detectable > margin", "False", OF_VERDICT),
    Mutant("saturation forgotten", VERDICT, "if effect.saturated:", "if False:", OF_VERDICT),
    Mutant("images needed where saturated", VERDICT, "verdict == Verdict.INCONCLUSIVE and not effect.saturated", "verdict == Verdict.INCONCLUSIVE", OF_VERDICT),
    Mutant("infinity is finite", VERDICT, "math.isfinite", "lambda x: x == x", OF_VERDICT),
    Mutant("order of the overall verdict", VERDICT, "(Verdict.INVALID, Verdict.FAIL, Verdict.INCONCLUSIVE)", "(Verdict.INVALID, Verdict.INCONCLUSIVE, Verdict.FAIL)", OF_VERDICT),
    Mutant("no finding passes", VERDICT, "if not findings or not all", "if not all", OF_VERDICT),
    Mutant("one passed control is enough", VERDICT, "not all(control", "not any(control", OF_VERDICT),
    Mutant("sign of the patch's roll", LOCATIONS, "(-r, -c)", "(r, c)", OF_LOCATIONS),
    Mutant("rows and columns of the roll", LOCATIONS, "(-r, -c)", "(-r, c)", OF_LOCATIONS),
    Mutant("border of fold dropped", LOCATIONS, '!= "structural"', '== "none"', OF_LOCATIONS),
    Mutant("border of fold rounded down", LOCATIONS, "-(-(n // 8) // period)", "(n // 8 // period)", OF_LOCATIONS),
    Mutant("border of fold a sixteenth", LOCATIONS, "n // 8", "n // 16", OF_LOCATIONS),
    Mutant("cells that fold keeps", LOCATIONS, ">= 2 * period", "> 2 * period", OF_LOCATIONS),
    Mutant("overlapping live phases", LOCATIONS, "live & ~dead", "live", OF_LOCATIONS),
    Mutant("overlapping dead phases", LOCATIONS, "dead & ~live", "dead", OF_LOCATIONS),
    Mutant("largest phase in the dead arm", LOCATIONS, " & (phases < flat[-1] - slack)", "", OF_LOCATIONS),
    Mutant("smallest phase in the live arm", LOCATIONS, " & (phases > flat[0] + slack)", "", OF_LOCATIONS),
    Mutant("no phase for a small share", LOCATIONS, "last = max(1, round(share * flat.size)) - 1", "last = max(1, int(share * flat.size)) - 1", OF_LOCATIONS),
    Mutant("rounding splits equal phases", LOCATIONS, "SLACK = 1e-9", "SLACK = 0", OF_LOCATIONS),
    Mutant("random arms overlap", LOCATIONS, "every[count : 2 * count]", "every[: 2 * count]", OF_LOCATIONS),
    Mutant("threshold of the dead share", LOCATIONS, "phases < below", "phases <= below", OF_LOCATIONS),
    Mutant("finite imbalance", LOCATIONS, 'float("inf")', "0.0", OF_LOCATIONS),
    Mutant("dead_below met by its equal", LOCATIONS, "phases < dead_below", "phases <= dead_below", OF_LOCATIONS),
    Mutant("live_above met by its equal", LOCATIONS, "phases > live_above", "phases >= live_above", OF_LOCATIONS),
    Mutant("a patch's sum for its mean", LOCATIONS, " / size**2", "", OF_LOCATIONS),
    Mutant("cluster means unsorted", STATS + "clusters.py", "np.asarray(np.bincount(index, values) / np.bincount(index))", "np.asarray(np.bincount(index, values) / np.bincount(index))[::-1]", OF_STATS),
    Mutant("spread of a population", STATS + "clusters.py", "ddof=1", "ddof=0", OF_STATS),
    Mutant("spread of equal clusters", STATS + "clusters.py", "if np.ptp(means) else 0.0", "", OF_STATS),
    Mutant("bootstrap from 31", STATS + "clusters.py", "n < FEW", "n <= FEW", OF_STATS),
    Mutant("t of n clusters", STATS + "clusters.py", "2, n - 1)", "2, n)", OF_STATS),
    Mutant("degrees of freedom of crossed intervals", STATS + "clusters.py", "2, len(means) - 1)", "2, len(means))", OF_STATS),
    Mutant("seeds' degrees of freedom for both", STATS + "clusters.py", "2, len(means) - 1)", "2, len(table) - 1)", OF_STATS),
    Mutant("one-sided McNemar", STATS + "clusters.py", "above + below).pvalue)", 'above + below, alternative="greater").pvalue)', OF_STATS),
    Mutant("ties count in McNemar", STATS + "clusters.py", "(means > 0)", "(means >= 0)", OF_STATS),
    Mutant("BCa without acceleration", STATS + "bootstrap.py", "acceleration = float(", "acceleration = 0 * float(", OF_STATS),
    Mutant("acceleration's sign", STATS + "bootstrap.py", "acceleration = float(", "acceleration = -float(", OF_STATS),
    Mutant("BCa without bias", STATS + "bootstrap.py", "bias = ndtri(", "bias = 0 * ndtri(", OF_STATS),
    Mutant("ties on one side", STATS + "bootstrap.py", "(found <= mean + tie)", "(found < mean - tie)", OF_STATS),
    Mutant("Holm is Bonferroni", STATS + "multiplicity.py", "/ len(waiting)", "/ len(used)", OF_STATS),
    Mutant("Holm's first step alone", STATS + "multiplicity.py", "waiting = undecided", "break", OF_STATS),
    Mutant("one power quantile", STATS + "power.py", "stats.t.ppf(POWER, n - 1)", "0", OF_STATS),
    Mutant("a handful proves much", STATS + "power.py", "max(float(t) * spread / math.sqrt(n), 1 - (1 - POWER) ** (1 / n))", "float(t) * spread / math.sqrt(n)", OF_STATS),
    Mutant("equal clusters prove much", STATS + "power.py", "if spread == 0:", "if False:", OF_STATS),
    Mutant("as many as did not decide", STATS + "power.py", "range(have + 1,", "range(have,", OF_STATS),
    Mutant("one cluster short", STATS + "power.py", "sizes[first] if", "sizes[first - 1] if", OF_STATS),
    Mutant("Wilson's ends", STATS + "proportion.py", "0.0 if share == 0 else max(0.0, centre - half)", "max(0.0, centre - half) + 1e-9", OF_STATS),
    Mutant("trials do not bound Wilson", STATS + "proportion.py", "float(min(expected * (1 - expected) / variance, trials))", "float(expected * (1 - expected) / variance)", OF_STATS),
    Mutant("only trials bound Wilson", STATS + "proportion.py", "float(min(expected * (1 - expected) / variance, trials))", "float(trials)", OF_STATS),
    Mutant("unseen clusters forgotten", STATS + "proportion.py", "QUARTER = 0.25", "QUARTER = 0.001", OF_STATS),
    Mutant("Wilson's centre", STATS + "proportion.py", "(2 * effective)", "effective", OF_STATS),
    Mutant("variance of rank correlations", STATS + "rank.py", "1 + rho**2 / 2", "1 + rho**2", OF_STATS),
    Mutant("Fisher's variance", STATS + "rank.py", "(1 + rho**2 / 2)", "1", OF_STATS),
    Mutant("n of rank correlations", STATS + "rank.py", "/ (n - 3))", "/ (n - 2))", OF_STATS),
    Mutant("byte order of streams", STREAMS, '"little"', '"big"', "tests/test_streams.py"),
    Mutant("seed of streams dropped", STREAMS, "[seed, *words]", "[*words]", "tests/test_streams.py"),
    Mutant("brightness that decides the sign", PATCHES, "> 0.5, -1, 1", ">= 0.5, -1, 1", "tests/test_perturbations.py"),
    Mutant("a level that is not scaled", PATCHES, "level * value\n", "value\n", "tests/test_perturbations.py"),
]
# fmt: on


@contextmanager
def copied() -> Iterator[Path]:
    """The repository's files that tests read, in a folder that is then removed."""
    with tempfile.TemporaryDirectory() as folder:
        for name in NEEDED:
            source, target = ROOT / name, Path(folder) / name
            if source.is_dir():
                shutil.copytree(source, target, ignore=shutil.ignore_patterns("__pycache__"))
            elif source.exists():
                shutil.copy(source, target)
        yield Path(folder)


def killed_by(mutant: Mutant, root: Path) -> str | None:
    """The first test that fails with the mutant in place, None where none does; the file is put back."""
    path = root / mutant.file
    text = path.read_text(encoding="utf-8")
    if (count := text.count(mutant.original)) != 1:
        raise ValueError(f"`{mutant.original}` occurs {count} times in {mutant.file}, wanted once")
    path.write_text(text.replace(mutant.original, mutant.mutated), encoding="utf-8")
    try:
        environment = os.environ | {"PYTHONPATH": str(root), "PYTHONDONTWRITEBYTECODE": "1"}
        command = [sys.executable, *PYTEST, *mutant.tests.split()]
        done = subprocess.run(command, cwd=root, env=environment, capture_output=True, text=True, check=False)
    finally:
        path.write_text(text, encoding="utf-8")
    if done.returncode not in (0, 1):  # not the tests' own answer
        raise ValueError(f"pytest ended with {done.returncode}: {done.stdout[-500:]}{done.stderr[-500:]}")
    found = re.search(r"^(?:FAILED|ERROR) \S+::(\w+)", done.stdout, re.MULTILINE)
    return found[1] if found else None


def main(names: list[str]) -> int:
    """Print the table; 1 where a mutant survives or cannot be made."""
    if unknown := set(names) - {mutant.name for mutant in MUTANTS}:
        print(f"no mutant is named {', '.join(sorted(unknown))}", file=sys.stderr)  # noqa: T201
        return 2
    lost = 0
    print("| mutant | file | fate | by |\n|---|---|---|---|", flush=True)  # noqa: T201
    with copied() as root:
        for mutant in MUTANTS:
            if names and mutant.name not in names:
                continue
            try:
                test = killed_by(mutant, root)
                fate, by = ("killed", f"`{test}`") if test else ("**NOT KILLED**", "")
            except ValueError as error:
                fate, by = "**NOT MADE**", " ".join(str(error).split())
            lost += not fate.startswith("killed")
            print(f"| {mutant.name} | `{mutant.file}` | {fate} | {by} |", flush=True)  # noqa: T201
    return int(lost > 0)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
