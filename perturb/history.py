"""The history: every run kept, each under the digest of its files, never changed.

A folder holds `runs/<digest>/`, `blocks/` (finished parts of runs, which the same run would find again), and an SQLite
index, which only saves reading every report again: it is brought up to date by whoever reads, and rebuilt from the runs
when it is lost or damaged. Writers do not touch it, so any number may write at once, and what a killed writer leaves is
removed by the next one.
"""

import os
import sqlite3
import uuid
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass, field
from pathlib import Path

from perturb.errors import InputError, PerturbError, PerturbWarning, UsageError
from perturb.files import SEALED, as_text, check_regular, encode
from perturb.files import decode as decoded
from perturb.records import Finding, Verdict
from perturb.report import Report, from_json
from perturb.runs import Run, decode, identify, read
from perturb.writing import beside, clean, explained, put, sync

TABLE = "CREATE TABLE runs (run TEXT PRIMARY KEY, entry TEXT NOT NULL)"
LARGEST = 2**30  # bytes of an index
BLOCKS = "blocks"  # finished blocks of runs, see perturb.block_files
MOST = 2**28  # bytes of these
INDEX = "index-3.sqlite"  # the number is that of Entry's form: another version has an index of its own


@dataclass(frozen=True, slots=True, kw_only=True)
class Point:
    """One finding of one run, as a trend shows it."""

    run: str
    timestamp: str
    check: str
    quantity: str
    value: float
    low: float
    high: float
    n: int
    at_most: float
    verdict: Verdict


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One run in a line; `findings` holds what a trend is drawn from."""

    run: str
    timestamp: str
    suite: str
    suite_digest: str
    model: str  # and what was done to it
    verdict: Verdict
    findings: tuple[Point, ...]
    digest: str = field(default="", compare=False, metadata=SEALED)  # of the rest; written by `encode`


@dataclass(frozen=True, slots=True, kw_only=True)
class Series:
    """One check of one suite on one model over time; `points` oldest first."""

    suite: str
    suite_digest: str
    model: str
    check: str
    points: tuple[Point, ...]


def keep(files: Mapping[str, bytes], history: Path) -> str:
    """Put a run's files into the history; returns its digest. The same files again change nothing."""
    run = identify(files)
    final = history / "runs" / run
    if final.is_dir():
        return run
    clean(history)
    final.parent.mkdir(parents=True, exist_ok=True)
    (history / ".gitignore").write_text("*\n")
    with beside(history) as stage:
        made = stage / run
        made.mkdir()
        for name, data in files.items():
            put(made / name, data)
        sync(made)
        try:
            made.rename(final)
        except OSError:
            if not final.is_dir():  # else another writer was faster, with the same bytes
                raise
    sync(final.parent)
    return run


def load(run: str, history: Path) -> tuple[str, Run]:
    """The run whose digest begins so, after its whole digest.

    Raises UsageError for none or several, InputError where its files are not those that were kept.
    """
    found = [name for name in _present(history) if run and name.startswith(run)]
    if len(found) != 1:
        raise UsageError(f"`{run}` is neither a run's folder nor one run in `{history}` ({len(found)} begin so).")
    files = read(history / "runs" / found[0])
    if identify(files) != found[0]:
        raise InputError(f"run {found[0][:12]} in `{history}` is damaged: its files are not those that were kept.")
    return found[0], decode(files, history / "runs" / found[0])


def entries(history: Path) -> list[Entry]:
    """Every run, oldest first. A damaged index is rebuilt, one that cannot be used is passed by, each said once."""
    try:
        found = _indexed(history)
    except (sqlite3.Error, OSError, InputError) as error:
        note = f"the index of `{history}` is of no use ({error}): rebuilt from its runs"
        warnings.warn(note, PerturbWarning, stacklevel=2)
        found = rebuild(history)
    return sorted(found, key=lambda entry: (entry.timestamp, entry.run))


def rebuild(history: Path) -> list[Entry]:
    """Read every run and write the index anew, where the folder lets it be written."""
    found = list(_entries(history, _present(history)))
    fresh = history / f"index.{uuid.uuid4().hex}"
    with suppress(sqlite3.Error, OSError):
        with closing(_opened(fresh)) as index:
            _add(index, found)
        (history / f"{INDEX}-journal").unlink(missing_ok=True)
        fresh.replace(history / INDEX)
    with suppress(OSError):
        fresh.unlink(missing_ok=True)
    return found


def trend(found: Sequence[Entry]) -> tuple[Series, ...]:
    """A series for each suite, model and check, in order of the first run."""
    points: dict[tuple[str, str, str, str], list[Point]] = {}
    for entry in found:
        for finding in entry.findings:
            key = (entry.suite, entry.suite_digest, entry.model, finding.check)
            points.setdefault(key, []).append(finding)
    return tuple(
        Series(suite=suite, suite_digest=digest, model=model, check=check, points=tuple(each))
        for (suite, digest, model, check), each in points.items()
    )


def collect_garbage(history: Path, *, newest: int | None = None) -> tuple[int, int]:
    """Remove what killed writers left and damaged runs, and all but the `newest` of each suite and model.

    Returns how many unfinished and how many runs.
    """
    gone = [run for run in _present(history) if not _whole(history / "runs" / run, run)]
    if newest is not None:
        groups: dict[tuple[str, str], list[str]] = {}
        for entry in entries(history):
            groups.setdefault((entry.suite_digest, entry.model), []).append(entry.run)
        gone += [run for runs in groups.values() for run in runs[: len(runs) - newest] if run not in gone]
    unfinished = clean(history)
    if gone:
        with explained(history), beside(history) as aside:
            for run in gone:
                (history / "runs" / run).rename(aside / run)
    return unfinished, len(gone)


def trim_blocks(history: Path, *, most: int = MOST) -> int:
    """Remove the oldest finished blocks, until the others take at most so many bytes; returns how many went."""
    folder, gone = history / BLOCKS, 0
    clean(folder)
    with suppress(OSError):  # another process may remove them too, or this one may not
        kept = [(path.stat(), path) for path in folder.glob("*.npz")]
        for stat, path in sorted(kept, key=lambda each: each[0].st_mtime_ns, reverse=True):
            most -= stat.st_size
            if most < 0:
                path.unlink()
                gone += 1
    return gone


def _present(history: Path) -> list[str]:
    runs = history / "runs"
    return sorted(path.name for path in runs.iterdir() if len(path.name) == 64) if runs.is_dir() else []


def _whole(folder: Path, run: str) -> bool:
    try:
        return identify(read(folder)) == run
    except InputError:
        return False


def _indexed(history: Path) -> list[Entry]:
    present = _present(history)
    if not present:
        return []
    with closing(_opened(history / INDEX)) as index:
        lines = index.execute("SELECT run, entry FROM runs")
        known = {run: decoded(Entry, str(line), INDEX) for run, line in lines}
        if any(entry.run != run for run, entry in known.items()):
            raise InputError("an entry is of another run")
        fresh = list(_entries(history, [run for run in present if run not in known]))
        _add(index, fresh)
        with index:
            index.executemany("DELETE FROM runs WHERE run = ?", [(run,) for run in known.keys() - set(present)])
    return [known[run] for run in present if run in known] + fresh


def _opened(path: Path) -> sqlite3.Connection:
    """Raises sqlite3.Error or InputError for what is no index of ours: a view or a trigger in it would be code."""
    if os.path.lexists(path):
        check_regular(path, limit=LARGEST)
    index = sqlite3.connect(path, timeout=30)
    try:
        with index:
            index.execute("PRAGMA trusted_schema = OFF")
            found = index.execute("SELECT sql FROM sqlite_master WHERE sql IS NOT NULL").fetchall()
            if found not in ([], [(TABLE,)]) or index.execute("PRAGMA quick_check").fetchone() != ("ok",):
                raise sqlite3.DatabaseError("it is malformed")
            if not found:
                index.execute(TABLE.replace("TABLE", "TABLE IF NOT EXISTS", 1))
    except UnicodeDecodeError as error:  # what SQLite says of a damaged index may quote its bytes
        index.close()
        raise sqlite3.DatabaseError("it is malformed") from error
    except sqlite3.Error:
        index.close()
        raise
    return index


def _add(index: sqlite3.Connection, found: Sequence[Entry]) -> None:
    with index:
        lines = [(entry.run, encode(entry)) for entry in found]
        index.executemany("INSERT OR REPLACE INTO runs VALUES (?, ?)", lines)


def _entries(history: Path, runs: Sequence[str]) -> Iterator[Entry]:
    """Of the runs that can be read; the others are named in one warning."""
    unreadable = []
    for run in runs:
        folder = history / "runs" / run
        try:
            kept = read(folder)
            if identify(kept) != run:
                raise InputError("its files are not those that were kept.")
            path = folder / "report.json"
            yield _entry(run, from_json(as_text(kept["report.json"], path), path))
        except PerturbError:
            unreadable.append(run[:12])
    if unreadable:
        warnings.warn(f"damaged runs in `{history}`: {', '.join(unreadable)}", PerturbWarning, stacklevel=2)


def _entry(run: str, report: Report) -> Entry:
    remedy, timestamp = report.model.remedy, report.provenance.timestamp
    return Entry(
        run=run,
        timestamp=timestamp,
        suite=report.suite.name,
        suite_digest=report.suite.digest,
        model=report.model.reference + (f" ({remedy.kind}, weights {remedy.weights})" if remedy else ""),
        verdict=report.verdict,
        findings=tuple(_point(run, timestamp, finding) for finding in report.findings),
    )


def _point(run: str, timestamp: str, found: Finding) -> Point:
    effect = found.effect
    return Point(
        run=run,
        timestamp=timestamp,
        check=found.check,
        quantity=effect.quantity,
        value=effect.value,
        low=effect.low,
        high=effect.high,
        n=effect.n,
        at_most=found.claim.at_most,
        verdict=found.verdict,
    )
