"""Files that a command writes: each is written whole or not at all, in a folder that is made before the work begins."""

import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

import click

from perturb.errors import PerturbWarning, UsageError

if TYPE_CHECKING:
    from perturb.changes import Changes
    from perturb.report import Report
    from perturb.runs import Run

HISTORY = click.option(
    "--history", default=".perturb", show_default=True, type=click.Path(file_okay=False), help="Folder of kept runs."
)


def save(
    report: "Report", folder: Path, files: Mapping[str, bytes] | None = None, since: "Changes | None" = None
) -> None:
    """report.json, report.md and report.html, the run's other files, and what changed since a baseline."""
    from perturb.files import encode
    from perturb.render import html, markdown

    texts = {
        "report.json": encode(report),
        "report.md": markdown.report(report, since),
        "report.html": html.report(report, since=since),
    }
    if since is not None:
        texts["changes.json"] = encode(since)
    for name, data in ({name: text.encode() for name, text in texts.items()} | dict(files or {})).items():
        with written(folder / name) as path:
            path.write_bytes(data)
    if since is None:
        (folder / "changes.json").unlink(missing_ok=True)  # an earlier run's


def kept(files: Mapping[str, bytes], history: str) -> str:
    """The run's digest; a history that cannot be written loses the record, not the verdict."""
    from perturb.history import keep
    from perturb.runs import identify

    try:
        return keep(files, Path(history))
    except OSError as error:
        warnings.warn(f"not kept in the history `{history}`: {error.strerror}", PerturbWarning, stacklevel=2)
        return identify(files)


def find_run(reference: str, history: str) -> "tuple[str, Run]":
    """A run and its digest: by its folder, its report.json, or the beginning of its digest in the history."""
    from perturb.history import load
    from perturb.runs import decode, identify, read

    path = Path(reference)
    folder = path.parent if path.name == "report.json" else path
    if not folder.is_dir() or (path == folder and not (folder / "report.json").exists()):
        return load(reference, Path(history))
    files = read(folder)
    return identify(files), decode(files, folder)


@contextmanager
def written(path: Path) -> Iterator[Path]:
    """A temporary path beside `path` that takes its place when all is written: a reader never sees a half."""
    temporary = path.with_name(f".{path.name}.partial")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        yield temporary
        temporary.replace(path)
    except OSError as error:
        raise UsageError(f"`{path}` cannot be written: {error.strerror}.") from error
    finally:
        with suppress(OSError):
            temporary.unlink(missing_ok=True)


def folder(out: str | None) -> Path | None:
    """Made before the work begins: an hour's run is not lost to a path that cannot be written."""
    if out is None:
        return None
    try:
        Path(out).mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UsageError(f"--out: `{out}` cannot be written: {error.strerror}.") from error
    return Path(out)
