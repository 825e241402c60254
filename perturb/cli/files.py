"""Files that a command writes, and the runs that it reads."""

import io
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from perturb.errors import PerturbError, PerturbWarning
from perturb.writing import check_writable, clean, write_together

if TYPE_CHECKING:
    from perturb.changes import Changes
    from perturb.report import Report
    from perturb.runs import Run

HISTORY = click.option(
    "--history", default=".perturb", show_default=True, type=click.Path(file_okay=False), help="Folder of kept runs."
)

OF_A_RUN = frozenset({"report.json", "report.md", "report.html", "changes.json", "trials.npz", "maps.npz"})


def save(
    report: "Report", folder: Path, files: Mapping[str, bytes] | None = None, since: "Changes | None" = None
) -> None:
    """report.json, report.md and report.html, the run's other files, and what changed since a baseline."""
    from perturb.files import encode
    from perturb.render import html, markdown

    run = dict(files or {"report.json": encode(report).encode()})
    run["report.md"] = markdown.report(report, since).encode()
    run["report.html"] = html.report(report, since=since).encode()
    if since is not None:
        run["changes.json"] = encode(since).encode()
    write_together(folder, run, without=OF_A_RUN - run.keys())


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
    clean(folder)
    if not folder.is_dir() or (path == folder and not (folder / "report.json").exists()):
        return load(reference, Path(history))
    files = read(folder)
    return identify(files), decode(files, folder)


def png(image: Any) -> bytes:
    """A picture as the bytes of its file."""
    buffer = io.BytesIO()
    image.save(buffer, format="PNG")
    return buffer.getvalue()


def folder(out: str | None) -> Path | None:
    """Checked before the work begins: an hour's run is not lost to a path that cannot be written."""
    if out is None:
        return None
    try:
        check_writable(Path(out))
    except PerturbError as error:
        raise type(error)(f"--out: {error}") from error
    return Path(out)
