"""The tables of reference.md, made from the code when the site is built: a comment `<!-- NAME -->` becomes its table.

Keys, types, ranges and defaults are those of the suite's JSON Schema; kinds and their keys those of the tables `KINDS`;
examples are the lines of keys.toml.
"""

import json
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import MISSING, fields, is_dataclass
from functools import cache
from pathlib import Path
from typing import Any

from perturb import evaluators, perturbations, quantities, tasks
from perturb.kinds import Kinds, load_kind
from perturb.kinds import table as words_of
from perturb.suite import TABLES, EvaluatorTable, PerturbationTable, Suite

NONE = (None, "", "common")  # "common": a threshold that is pinned
EXAMPLES = Path(__file__).with_name("keys.toml")
OF_KINDS = {"perturbation": perturbations.KINDS, "evaluator": evaluators.KINDS}  # tables whose keys belong to kinds
HEADS = {"suite": "The file", "check": "`[[check]]`", "models": "`[models.NAME]`", "perturbation": "`perturbation`"}
HEADS |= {"claim": "`claim`"}
FAR = 10**9  # a bound beyond it is none that a user meets
LISTED = 6  # more choices than these are a link to their table


@cache
def schemas() -> dict[str, dict[str, Any]]:
    """Of each table of a suite (`suite`: the file itself) the schema of each key, by its name in TOML."""
    found = {}
    for name, model in {"suite": Suite, **TABLES}.items():
        schema = model.model_json_schema()
        required = schema.get("required", [])
        found[name] = {key: {**of, "required": key in required} for key, of in schema["properties"].items()}
    return found


@cache
def examples() -> dict[tuple[str, str], str]:
    """The line of keys.toml for each (table, key), as it is written there."""
    found, table = {}, ""
    for line in EXAMPLES.read_text(encoding="utf-8").splitlines():
        if head := re.fullmatch(r"\[(\w+)\]", line):
            table = head[1]
        elif key := re.match(r"([\w-]+) = ", line):
            found[table, key[1]] = line
    return found


def suite_keys() -> str:
    """Each table of a suite with its keys: type and range, default, meaning, an example."""
    return "\n".join(f"### {HEADS.get(table, f'`[{table}]`')}\n\n{_keys(table)}" for table in schemas())


def _keys(table: str) -> str:
    rows = []
    for key, schema in schemas()[table].items():
        line = examples().get((table, key))
        example = f"`{line}`" if line else f"see [its table](#{key})"
        words = schema.get("description", "")
        rows.append((f"`{key}`", _type(schema, table, key), _default(schema, table, key), words, example))
    return _table(("key", "type", "default", "meaning", "example"), rows)


def _type(schema: Mapping[str, Any], table: str = "", key: str = "") -> str:
    """What a value may be, in words, with its range."""
    if "anyOf" in schema:
        return " or ".join(_type(each, table, key) for each in schema["anyOf"] if each.get("type") != "null")
    if "$ref" in schema or "additionalProperties" in schema:
        return "table"
    if "enum" in schema or "const" in schema:
        choices = schema.get("enum", [schema.get("const")])
        one = {"perturbation": "perturbations", "evaluator": "evaluators", "claim": "quantities"}.get(table)
        return f"[a kind](#{one})" if one and len(choices) > LISTED else ", ".join(_code(each) for each in choices)
    if "prefixItems" in schema:
        return f"[{len(schema['prefixItems'])} x {_type(schema['prefixItems'][0])}]"
    if schema.get("type") == "array":
        return f"list of {_type(schema['items'])}"
    if "pattern" in schema and table in (*OF_KINDS, "claim"):
        return "`file.py:NAME`"
    return schema.get("type", "") + _range(schema)


def _range(schema: Mapping[str, Any]) -> str:
    bounds = (("minimum", "from"), ("exclusiveMinimum", "above"), ("maximum", "to"), ("exclusiveMaximum", "below"))
    return "".join(f" {word} {schema[bound]}" for bound, word in bounds if abs(schema.get(bound, FAR)) < FAR)


def _default(schema: Mapping[str, Any], table: str, key: str) -> str:
    if schema["required"]:
        return "*required*"
    if table in OF_KINDS and key != "kind" and (found := _of_each_kind(OF_KINDS[table], key)):
        return found
    default = schema.get("default")
    return "" if default in (None, "", [], {}) or isinstance(default, dict) else _code(default)


def _of_each_kind(kinds: Kinds, key: str) -> str:
    """The default of a key with the kinds that have it: `2` (box), `4` (noise)."""
    found: dict[str, list[str]] = {}
    for kind in kinds:
        for field, default in options(kind, kinds).items():
            if field == key:
                found.setdefault(_code(default) if default not in NONE else "none", []).append(kind)
    return ", ".join(f"{default} ({', '.join(of)})" for default, of in found.items())


def options(kind: str, kinds: Kinds) -> dict[str, Any]:
    """The keys that a suite may give to a kind, with their defaults."""
    known = {*PerturbationTable.model_fields, *EvaluatorTable.model_fields} - {"kind"}
    made = load_kind(kind, kinds)
    if not is_dataclass(made):
        return {}
    free = [f for f in fields(made) if f.name in known and f.default is not MISSING and "Literal[1]" not in str(f.type)]
    return {f.name: f.default for f in free}


def of_kinds(kinds: Kinds) -> str:
    """Each kind, what it is, and its keys where it has some."""
    if kinds not in OF_KINDS.values():
        return words_of(kinds)
    rows = []
    for kind in kinds:
        keys = [f"`{key}`" for key in options(kind, kinds)]
        rows.append((f"`{kind}`", load_kind(kind, kinds).words, ", ".join(keys)))
    return _table(("kind", "what it is", "its keys"), rows)


def _code(value: object) -> str:
    return f"`{json.dumps(value)}`"


def _table(head: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> str:
    lines = [head, ("---",) * len(head), *rows]
    return "".join("| " + " | ".join(cell.replace("|", "\\|") for cell in row) + " |\n" for row in lines)


MADE: dict[str, Callable[[], str]] = {
    "suite keys": suite_keys,
    "perturbations": lambda: of_kinds(perturbations.KINDS),
    "evaluators": lambda: of_kinds(evaluators.KINDS),
    "quantities": lambda: of_kinds(quantities.KINDS),
    "tasks": lambda: of_kinds(tasks.KINDS),
}


def filled(text: str) -> str:
    """`text` with the table of each comment that names one."""
    for name, made in MADE.items():
        if (comment := f"<!-- table: {name} -->") in text:
            text = text.replace(comment, made())
    return text
