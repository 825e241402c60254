"""Records as JSON, and back: the one way in which every file that perturb wrote is read.

Whatever is wrong with a file is an InputError of one line: the file, the field, what was expected and what was there.
"""

import dataclasses
import hashlib
import json
import os
import re
import stat
import tomllib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import cache
from pathlib import Path
from types import MappingProxyType
from typing import Any, NotRequired, TypeVar, get_type_hints

from pydantic import ConfigDict, TypeAdapter, ValidationError
from typing_extensions import TypedDict

from perturb.errors import InputError, UsageError
from perturb.visible import plain

Kind = TypeVar("Kind")
Upgrade = Callable[[dict[str, Any]], dict[str, Any]]  # the fields of one schema -> those of the next

LIMIT = 16 * 2**20  # bytes of a text: a report of ours has some thousands
WEIGHTS = 2**36  # of a model
BY_HAND = 2**20  # of a text that a person writes: a suite, a list of names
PARTS = 50  # of one dotted key in TOML, whose reader takes quadratic time in them
PART = r"""(?:(?<![\w-])[\w-]+|"[^"\n]*"|'[^'\n]*')[ \t]*\.[ \t]*"""
LONG_KEY = re.compile(f"(?:{PART}){{{PARTS}}}")
DIGITS = 300  # of a whole number; a longer one is read as a float, and refused where it is beyond its range
UNWRITTEN = MappingProxyType({"written": False})  # metadata of a field that stays out of the file
SEALED = MappingProxyType({"sealed": True})  # of the field that holds a digest of the rest of the file
STRICT = ConfigDict(extra="forbid", strict=True, allow_inf_nan=False)
EXPECTED = {
    "float_type": "a number",
    "finite_number": "a finite number",
    "int_type": "a whole number",
    "int_from_float": "a whole number",
    "string_type": "text",
    "bool_type": "true or false",
    "tuple_type": "a list",
    "dict_type": "an object",
    "dataclass_type": "an object",
}


def encode(record: Any) -> str:
    """Strict JSON, sorted keys: the same record gives the same text. Raises ValueError for NaN.

    A record with a sealed field is written with the digest of the rest in it.
    """
    data = {field.name: getattr(record, field.name) for field in _written(type(record))}
    if (seal := _seal(type(record))) is not None:
        del data[seal]
        data[seal] = digest(json.loads(json.dumps(data, default=dataclasses.asdict, allow_nan=False)))
    return json.dumps(data, default=dataclasses.asdict, indent=2, sort_keys=True, allow_nan=False) + "\n"


def decode(
    kind: type[Kind],
    text: str,
    where: object,
    *,
    schema: int | None = None,
    upgrades: Mapping[int, Upgrade] = MappingProxyType({}),
    check: Callable[[Kind], Iterable[str]] = lambda _: (),
) -> Kind:
    """The record that `encode` wrote; `where` names the file in errors.

    A file of schema N, older than `schema`, goes through `upgrades[N]` first, and so on up to `schema`. `check` gives
    what contradicts itself in a record whose fields are all of their types. Raises InputError for any fault, and for a
    sealed file that is not as it was written. A file of an earlier version has no digest, and is read without.
    """
    data = _parsed(text, where)
    broken = _broken(data, seal := _seal(kind), schema, where)
    if schema is not None:
        data = _upgraded(data, where, schema, upgrades)
    record = build(kind, data, where)
    for fault in check(record):
        raise _fault(where, "", fault)
    if broken:  # said last: whatever else is wrong says more
        raise _fault(where, str(seal), broken)
    return record


def build(kind: type[Kind], data: Any, where: object, *, at: str = "") -> Kind:
    """The record with these fields, which came from JSON; `at` is their path in the file."""
    try:
        return kind(**adapter(kind).validate_json(json.dumps(data)))  # type: ignore[arg-type]
    except ValidationError as error:
        raise invalid(error, where, at=at) from error
    except RecursionError as error:
        raise _fault(where, at, "nested too deeply") from error
    except ValueError as error:  # of the record itself, for values that do not fit
        raise _fault(where, at, str(error)) from error


def invalid(error: ValidationError, where: object, *, at: str = "") -> InputError:
    """The first of the faults that pydantic found, in one line."""
    told = error.errors(include_url=False)[0]
    path = ".".join(([at] if at else []) + [_name(part) for part in told["loc"]])
    return _fault(where, path, _what(told))


@cache
def adapter(kind: type) -> TypeAdapter[dict[str, Any]]:
    """What validates the fields of this record, each nested record becoming one of its class."""
    types = get_type_hints(kind, include_extras=True)
    given = {f.name: NotRequired[types[f.name]] if _has_default(f) else types[f.name] for f in _written(kind)}
    make: Any = TypedDict
    table = make(kind.__name__, given)
    table.__pydantic_config__ = STRICT
    return TypeAdapter(table)


def digest(data: Any) -> str:
    """SHA-256 of what a JSON value says: the order of keys, blanks, and 1 or 1.0 make no difference."""
    return hashlib.sha256(json.dumps(_canonical(data), sort_keys=True).encode()).hexdigest()


def read_text(path: Path, *, limit: int = LIMIT) -> str:
    """The text of a file. Raises as `read_bytes` does, and InputError where it is not UTF-8."""
    return as_text(read_bytes(path, limit=limit), path)


def as_text(data: bytes, where: object) -> str:
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError as error:
        raise _fault(where, "", f"not UTF-8 at byte {error.start}") from error


def read_json(path: Path) -> Any:
    """What a JSON file of another program holds. Raises as `read_text` does, and InputError for what is no JSON."""
    return _parsed(read_text(path), path)


def read_toml(path: Path) -> dict[str, Any]:
    """The tables of a TOML file that a person wrote. Raises as `read_text` does, and UsageError for what is no TOML."""
    return toml(read_text(path, limit=BY_HAND), path)


def toml(text: str, where: object) -> dict[str, Any]:
    if LONG_KEY.search(text):
        raise UsageError(f"{where}: not TOML that is read here: a key of {PARTS} parts or more.")
    try:
        return tomllib.loads(text)
    except RecursionError as error:
        raise UsageError(f"{where}: not TOML: nested too deeply.") from error
    except ValueError as error:  # also for a whole number of thousands of digits
        raise UsageError(f"{where}: not TOML: {error}") from error


def read_bytes(path: Path, *, limit: int) -> bytes:
    """The bytes of a regular file. Raises as `check_regular` does."""
    check_regular(path, limit=limit)
    try:
        with path.open("rb") as file:
            return file.read(min(limit, os.fstat(file.fileno()).st_size))  # read(n) takes n bytes of memory first
    except OSError as error:
        raise UsageError(f"`{path}` cannot be read: {error.strerror}.") from error


def check_regular(path: Path, *, limit: int) -> None:
    """For readers that open a path themselves; every other file is read by `read_bytes`.

    Raises UsageError where there is no such file, InputError for a folder, a pipe, a device or more than `limit`
    bytes. None of them is opened.
    """
    try:
        found = path.stat()
    except (OSError, ValueError) as error:  # ValueError: a zero within the name
        raise UsageError(f"`{path}` cannot be read: {getattr(error, 'strerror', error)}.") from error
    if not stat.S_ISREG(found.st_mode):
        what = "a folder" if stat.S_ISDIR(found.st_mode) else "a pipe or a device"
        raise _fault(path, "", f"expected a file, got {what}")
    if found.st_size > limit:
        raise _fault(path, "", f"expected at most {limit >> 20} MiB, got {found.st_size >> 20} MiB")


def listed(names: Sequence[str], most: int = 5) -> str:
    """These names in one line, the first ones only where there are more."""
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return plain(", ".join(names[:most]) + more)


def _fault(where: object, path: str, what: str) -> InputError:
    return InputError(plain(f"`{where}`: {path}{': ' if path else ''}{what.removesuffix('.')}."))


def _seal(kind: type) -> str | None:
    return next((field.name for field in dataclasses.fields(kind) if field.metadata.get("sealed")), None)


def _broken(data: Any, seal: str | None, schema: int | None, where: object) -> str:
    """What is wrong with the digest in a file; empty where it is that of the rest, or where none is asked for."""
    if seal is None or not isinstance(data, dict):
        return ""
    if seal not in data:
        return "is missing" if data.get("schema") == schema else ""
    try:
        found = digest({key: value for key, value in data.items() if key != seal})
    except RecursionError as error:
        raise _fault(where, "", "nested too deeply") from error
    return "" if data[seal] == found else "does not match: the file was damaged or edited; write it anew"


def _canonical(data: Any) -> Any:
    if isinstance(data, dict):
        return {key: _canonical(value) for key, value in data.items()}
    if isinstance(data, list):
        return [_canonical(value) for value in data]
    return int(data) if isinstance(data, float) and data.is_integer() else data


def _written(kind: type) -> Iterator["dataclasses.Field[Any]"]:
    return (field for field in dataclasses.fields(kind) if field.metadata.get("written", True))


def _has_default(field: "dataclasses.Field[Any]") -> bool:
    return field.default is not dataclasses.MISSING or field.default_factory is not dataclasses.MISSING


def _parsed(text: str, where: object) -> Any:
    try:
        return json.loads(text, object_pairs_hook=_unique, parse_int=_whole)
    except json.JSONDecodeError as error:
        raise _fault(where, f"line {error.lineno}, column {error.colno}", f"not JSON: {error.msg}") from error
    except RecursionError as error:
        raise _fault(where, "", "nested too deeply") from error
    except ValueError as error:
        raise _fault(where, "", str(error)) from error


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in found if names.count(name) > 1)
        raise ValueError(f"{_name(twice)} is given twice in one object")
    return found


def _whole(digits: str) -> int | float:
    return int(digits) if len(digits) <= DIGITS else float(digits)


def _upgraded(data: Any, where: object, schema: int, upgrades: Mapping[int, Upgrade]) -> Any:
    if not isinstance(data, dict):
        raise _fault(where, "", f"expected an object, got {_shown(data)}")
    if "schema" not in data:
        raise _fault(where, "schema", "is missing")
    number = data["schema"]
    if type(number) is not int or not (number == schema or number in upgrades):
        raise _fault(where, "schema", f"{_shown(number)} is not one that this version reads (up to {schema})")
    try:
        for past in range(number, schema):
            data = {**upgrades[past](data), "schema": past + 1}
    except (KeyError, TypeError, ValueError, AttributeError, IndexError) as error:
        raise _fault(where, "", f"not a file of schema {number}: {type(error).__name__}: {error}") from error
    return data


def _what(told: Any) -> str:
    """A fault that pydantic found, in our words."""
    kind, given = told["type"], told["input"]
    if kind == "missing":
        return "is missing"
    if kind in ("extra_forbidden", "unexpected_keyword_argument"):
        return "is not a field"
    if kind == "json_invalid":
        return "nested too deeply, or with half of a surrogate pair in its text"
    if kind == "value_error":
        return str(told["ctx"]["error"])
    if kind in ("enum", "literal_error"):
        return f"expected {told['ctx']['expected']}, got {_shown(given)}"
    if kind in EXPECTED:
        return f"expected {EXPECTED[kind]}, got {_shown(given)}"
    return f"{told['msg'][0].lower()}{told['msg'][1:]}"


def _shown(value: Any) -> str:
    if isinstance(value, (dict, list)):
        return "an object" if isinstance(value, dict) else "a list"
    text = json.dumps(value)
    return text if len(text) <= 40 else f"{text[:37]}..."


def _name(part: object) -> str:
    """A part of a path; a name that came from the file may be of any length."""
    text = plain(part)
    return text if len(text) <= 40 else f"{text[:37]}..."
