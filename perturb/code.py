"""Code that the user named: an object out of a file or a module."""

import hashlib
import importlib
import importlib.util
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any

from perturb.errors import InputError, PerturbError, UsageError


def load_object(reference: str, beside: Path | None = None) -> Any:
    """The object that "file.py:Name" or "package.module:Name" names.

    A file is looked for relative to the folder `beside`, then to the current folder; a module is importable from both.
    A file can import its neighbours, as when it is run.
    Raises UsageError for what does not exist, InputError where the code itself fails.
    """
    source, _, name = reference.rpartition(":")
    if not source or not name:
        raise UsageError(f"`{reference}` is not understood; expected file.py:NAME or package.module:NAME.")
    folders = [folder.resolve() for folder in (beside, Path()) if folder is not None]
    try:
        with _importable(folders):
            code = _run(source, folders) if source.endswith(".py") else importlib.import_module(source)
    except PerturbError:
        raise
    except ModuleNotFoundError as error:
        raise UsageError(f"`{source}` cannot be imported: {error}.") from error
    except Exception as error:  # the user's own code
        raise InputError(f"`{source}` raised {type(error).__name__} on import: {error}") from error
    if not hasattr(code, name):
        raise UsageError(f"`{source}` has no `{name}`.")
    return getattr(code, name)


@contextmanager
def _importable(folders: list[Path]) -> Iterator[None]:
    """While open, modules in these folders can be imported, ahead of others."""
    added = [str(folder) for folder in folders]
    sys.path[:0] = added
    try:
        yield
    finally:
        for folder in added:
            sys.path.remove(folder)


def _run(source: str, folders: list[Path]) -> ModuleType:
    """Run a file as a module whose name no other file has."""
    path = next((folder / source for folder in folders if (folder / source).is_file()), None)
    if path is None:
        raise UsageError(f"there is no file `{source}`.")
    name = f"{path.stem}_{hashlib.sha256(str(path.resolve()).encode()).hexdigest()[:8]}"  # two files, one name
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None
    assert spec.loader is not None
    code = importlib.util.module_from_spec(spec)
    sys.modules[name] = code  # dataclasses and pickling look it up there
    try:
        with _importable([path.parent.resolve()]):
            spec.loader.exec_module(code)
    except BaseException:
        del sys.modules[name]
        raise
    return code
