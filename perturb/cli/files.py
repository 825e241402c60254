"""What a command leaves on disk: whole files or none, in folders made before the work begins."""

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from perturb.errors import UsageError

if TYPE_CHECKING:
    from perturb.report import Report


def save(report: "Report", folder: Path) -> None:
    from perturb.render import html, markdown
    from perturb.report import to_json

    texts = {
        "report.json": to_json(report),
        "report.md": markdown.report(report),
        "report.html": html.report(report),
    }
    for name, text in texts.items():
        with written(folder / name) as path:
            path.write_text(text, encoding="utf-8")


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
