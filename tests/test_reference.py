"""The reference is made from the code: every key of a suite has its type, meaning and an example that parses."""

import importlib.util
import tomllib
from pathlib import Path

import pytest

from perturb.suite import TABLES, Suite

DOCS = Path(__file__).parents[1] / "docs"
_spec = importlib.util.spec_from_file_location("reference", DOCS / "reference.py")
reference = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(reference)

KEYS = [(table, key) for table, keys in reference.schemas().items() for key in keys]
TABLE_KEYS = {("suite", key) for key in Suite.model_fields if key in TABLES} - {("suite", "models")}
NEEDED = {  # what a table needs besides the key
    "images": {"until_decided": True},
    "sensor": {"shape": [8, 8]},
    "task": {"kind": "presence"},
    "perturbation": {"kind": "box"},
    "claim": {"at_most": 0.1},
    "check": {"name": "speck", "perturbation": {"kind": "box"}, "claim": {"at_most": 0.1}},
    "models": {"reference": "net.py:build"},
}


def suite_with(table: str, given: dict) -> dict:
    """A suite in which one table has what it needs and what is given."""
    filled = NEEDED.get(table, {}) | given
    if table in ("perturbation", "claim"):
        return suite_with("check", {table: filled})
    if table == "check":
        return {"name": "s", "check": [filled]}
    inside = given if table == "suite" else {table: {"ours": filled} if table == "models" else filled}
    return suite_with("check", {}) | inside


@pytest.mark.parametrize(("table", "key"), KEYS, ids=[f"{table}.{key}" for table, key in KEYS])
def test_every_key_has_a_meaning_and_an_example_that_parses(table, key):
    assert reference.schemas()[table][key]["description"]
    line = reference.examples().get((table, key))
    if (table, key) in TABLE_KEYS:
        assert line is None
        return
    given = tomllib.loads(line)
    assert list(given) == [key]
    assert Suite.model_validate(suite_with(table, given))


def test_every_example_is_of_a_key():
    assert set(reference.examples()) <= set(KEYS)


def test_the_table_says_what_the_schema_says():
    rows = reference.suite_keys()
    assert "| `pairs` | integer from 1 to 1000 | `8` | dead/live pairs on each crop | `pairs = 16` |" in rows
    assert "`2` (box), `4` (noise), `14` (digit)" in rows  # as the classes say
    assert '| `design` | `"object"`, `"picture"` |' in rows
    assert "| `at_most` | number | *required* |" in rows
    assert rows.count("see [its table]") == len(TABLE_KEYS)


def test_a_page_names_each_table_once():
    page = (DOCS / "reference.md").read_text(encoding="utf-8")
    assert all(page.count(f"<!-- table: {name} -->") == 1 for name in reference.MADE)
    assert "<!-- table" not in reference.filled(page)
