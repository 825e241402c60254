"""What a value's results depend on, as a digest: its state, its code, and the surroundings in which it runs.

Two values of one digest give the same results, in any process. A value that changes in any bit of its state, or in a
line of the user's own code behind it, has another digest. Library code counts by its version, and ours by its source.
"""

import copyreg
import hashlib
import os
import platform
import sys
import sysconfig
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import is_dataclass
from functools import cache
from pathlib import Path
from types import BuiltinFunctionType, CodeType, FunctionType, ModuleType
from typing import Any

import numpy as np
import torch
from torch import Tensor

from perturb.surroundings import SETTINGS

PLAIN = (type(None), type(...), bool, int, float, complex, str, bytes)
PACKAGE = Path(__file__).parent
INSTALLED = tuple(sysconfig.get_paths()[name] for name in ("purelib", "platlib"))
LIBRARIES = (*(sysconfig.get_paths()[name] for name in ("stdlib", "platstdlib")), *INSTALLED)
MADE = {"__dict__", "__weakref__", "__doc__", "__module__", "__annotations__", "__parameters__", "__orig_bases__"}
MADE |= {"__abstractmethods__", "_abc_impl", "__dataclass_fields__", "__dataclass_params__"}  # by Python, for any class
CACHED = type(cache(len))
CODE = "co_code co_names co_varnames co_freevars co_cellvars co_argcount co_kwonlyargcount co_flags co_exceptiontable"


def _source() -> str:
    found = hashlib.sha256()
    for path in sorted(PACKAGE.rglob("*.py")):
        found.update(f"\n{path.relative_to(PACKAGE)}\n".encode() + path.read_bytes())
    return found.hexdigest()


SOURCE = _source()  # read with the code that runs, not later


class UntoldError(Exception):
    """The value holds something whose state cannot be told: an open file, a lock, a session."""


Known = dict[int, tuple[Any, str]]  # objects by their id, and their digests


def digest_of(value: Any, known: Known | None = None) -> str:
    """SHA-256 of everything that the value's results depend on. Raises UntoldError.

    An object may have a method `identity_parts()` that gives what stands for it. Any other is told by what it would be
    pickled from (nothing is pickled), and by its class. Of the user's functions and classes the code counts, with the
    globals that it names. Objects with `identity_parts` are put into `known`, and those in it are not told again.
    """
    told = _Telling({} if known is None else known)
    try:
        told.tell(value)
    except RecursionError as error:
        raise UntoldError("objects within objects, too deep to be told") from error
    return told.hash.hexdigest()


def surroundings() -> tuple[Any, ...]:
    """What every result depends on beside its own values: our source, the libraries, the machine and its settings."""
    entries = [Path(entry) for entry in sys.path if not _within_library(Path(entry))]
    libraries = {path.name for entry in entries for path in entry.glob("*.dist-info")}
    accelerator = torch.cuda.get_device_name() if torch.cuda.is_initialized() else ""
    return (
        SOURCE,
        sorted(libraries),
        (sys.version, platform.platform(), _processor(), os.cpu_count(), torch.backends.cpu.get_cpu_capability()),
        accelerator,
        [get() for get, _ in SETTINGS if get is not os.getcwd],
    )


def _within_library(entry: Path) -> bool:
    """Whether an installed library brings this folder along, as Ray does: its version stands for what lies in it."""
    return any(entry != Path(folder) and entry.is_relative_to(folder) for folder in INSTALLED)


@cache
def _processor() -> str:
    told = Path("/proc/cpuinfo")
    lines = told.read_text().splitlines() if told.exists() else []
    return next((line for line in lines if line.startswith("model name")), platform.processor())


class _Telling:
    """Walks through a value. What was met before is told by its number, so that a value may hold itself."""

    def __init__(self, known: Known) -> None:
        self.hash, self.known = hashlib.sha256(), known
        self.met: dict[int, tuple[int, Any]] = {}  # the object too: no other gets its id

    def tell(self, value: Any) -> None:
        if type(value) in PLAIN:
            self._say(type(value).__name__, repr(value))
        elif type(value) is tuple:
            self._each("tuple", value)
        elif id(value) in self.met:
            self._say("met", str(self.met[id(value)][0]))
        else:
            self.met[id(value)] = len(self.met), value
            self._object(value)

    def _say(self, *words: str) -> None:
        for word in words:
            self.hash.update(f"{len(word)}:{word}".encode("utf-8", "surrogatepass"))

    def _each(self, what: str, values: Iterable[Any]) -> None:
        listed = list(values)
        self._say(what, str(len(listed)))
        for value in listed:
            self.tell(value)

    def _object(self, value: Any) -> None:
        if isinstance(value, np.ndarray) and value.dtype != object:
            self._say("array", value.dtype.str, str(value.shape))
            self.hash.update(np.ascontiguousarray(value).tobytes())
        elif isinstance(value, Tensor):
            self._tensor(value)
        elif type(value) is list:
            self._each("list", value)
        elif type(value) is dict:
            self._each("dict", (part for pair in value.items() for part in pair))
        elif isinstance(value, set | frozenset):
            self._each("set", sorted(digest_of(one) for one in value))
        elif isinstance(value, ModuleType):
            self._say("module", value.__name__)
        elif isinstance(value, type):
            self._class(value)
        elif isinstance(value, FunctionType):
            self._function(value)
        elif isinstance(value, CodeType):
            self._each("code", (getattr(value, name) for name in CODE.split()))
            self._each("constants", value.co_consts)
        elif isinstance(value, property):
            self._each("property", (value.fget, value.fset, value.fdel))
        elif isinstance(value, staticmethod | classmethod | CACHED):
            self._each(type(value).__name__, (value.__wrapped__,))
        elif isinstance(value, BuiltinFunctionType) and isinstance(value.__self__, ModuleType | None):
            self._say("builtin", str(value.__module__), value.__qualname__)
        else:
            self._instance(value)

    def _tensor(self, value: Tensor) -> None:
        try:
            data = value.detach().cpu().contiguous().flatten().view(torch.uint8).numpy()
            self._say("tensor", str(value.dtype), str(value.device), str(tuple(value.shape)), str(value.stride()))
        except (RuntimeError, TypeError, NotImplementedError) as error:  # sparse, quantised, without data
            raise UntoldError("a tensor whose numbers cannot be told") from error
        self.hash.update(data.tobytes())

    def _class(self, value: type) -> None:
        self._say("class", value.__qualname__)
        if of_library(value.__module__):
            self._say(value.__module__)
            return
        made = {name for name, part in vars(value).items() if is_dataclass(value) and _generated(part)}
        own = [(name, part) for name, part in vars(value).items() if name not in MADE | made]
        self._each("bases", value.__bases__)
        self._each("members", (part for pair in sorted(own, key=lambda pair: pair[0]) for part in pair))

    def _function(self, value: FunctionType) -> None:
        self._say("function", value.__qualname__)
        if of_library(value.__module__) and value.__closure__ is None and "<lambda>" not in value.__qualname__:
            self._say(value.__module__)
            return
        self.tell(value.__code__)
        self._each("defaults", (value.__defaults__, value.__kwdefaults__))
        self._each("closure", _contents(value.__closure__ or ()))
        if not of_library(value.__module__):
            self._each("globals", _named(value.__code__, value.__globals__))

    def _instance(self, value: Any) -> None:
        if hasattr(value, "identity_parts"):
            if id(value) not in self.known:
                self.known[id(value)] = value, digest_of((type(value), value.identity_parts()), self.known)
            self._say("parts", self.known[id(value)][1])
            return
        try:
            told = value.__reduce_ex__(4)
        except Exception as error:  # locks, files, sessions, and whatever somebody's own code raises
            raise UntoldError(f"a {type(value).__qualname__}, whose state cannot be told") from error
        if isinstance(told, str):  # the name of a global
            self._say("named", str(getattr(value, "__module__", "")), told)
            return
        made, given, *rest = told
        parts = [list(part) if isinstance(part, Iterator) else part for part in rest]
        self._each("object", (type(value), None if made is copyreg.__newobj__ else made, given, *parts))  # type: ignore[attr-defined]


def _named(code: CodeType, scope: dict[str, Any]) -> Iterator[Any]:
    """The globals that the code names, each after its name; of a module of the user's, what is named within it."""
    names = sorted(_names(code))
    for name in names:
        if name not in scope:
            continue
        yield name
        yield scope[name]
        if isinstance(scope[name], ModuleType) and not of_library(scope[name].__name__):
            inner = vars(scope[name])
            yield from (part for each in names if each in inner for part in (each, inner[each]))


def _names(code: CodeType) -> set[str]:
    inner = (_names(part) for part in code.co_consts if isinstance(part, CodeType))
    return set(code.co_names).union(*inner)


def _generated(part: Any) -> bool:
    return isinstance(part, FunctionType) and part.__code__.co_filename == "<string>"


def _contents(cells: Iterable[Any]) -> Iterator[Any]:
    for cell in cells:
        with suppress(ValueError):  # one that is not filled yet
            yield cell.cell_contents


def of_library(module: str | None) -> bool:
    """Whether a module is one of ours, of Python's or of an installed package: its version tells its code."""
    if module is None:
        return True
    top = module.partition(".")[0]
    if top == "perturb" or top in sys.stdlib_module_names:
        return True
    file = getattr(sys.modules.get(top), "__file__", None)
    return file is not None and any(Path(file).is_relative_to(folder) for folder in LIBRARIES)
