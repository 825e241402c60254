"""README and docs say what the code does: tables of kinds, keys of suites, the package layout."""

import doctest
import re
import runpy
from pathlib import Path

import pytest

from perturb import evaluators, perturbations, quantities, tasks
from perturb.kinds import table
from perturb.suite import TABLES, Suite, parse_suite

ROOT = Path(__file__).parents[1]
SUITES = ROOT / "docs" / "suites.md"
README = (ROOT / "README.md").read_text(encoding="utf-8")
CLI = (ROOT / "docs/cli.md").read_text(encoding="utf-8")
ROOMS = {"evaluators": evaluators, "perturbations": perturbations, "quantities": quantities, "tasks": tasks}


@pytest.mark.parametrize("name", ROOMS)
def test_tables_of_kinds_are_those_of_the_code(name):
    """`KINDS` and each object's words are the truth; the docs hold what they give."""
    text = SUITES.read_text(encoding="utf-8")
    written = text.partition(f"<!-- kinds: {name} -->\n")[2].partition("<!-- end -->")[0]
    assert written == table(ROOMS[name].KINDS)


def test_every_key_of_a_suite_is_in_the_docs():
    text = SUITES.read_text(encoding="utf-8")
    keys = {field.alias or name for table in (Suite, *TABLES.values()) for name, field in table.model_fields.items()}
    assert {key for key in keys if not re.search(rf"\b{re.escape(key)}\b", text)} == set()


def test_every_suite_in_the_docs_is_one():
    blocks = re.findall(r"```toml\n(.*?)```", SUITES.read_text(encoding="utf-8"), re.S)
    assert [parse_suite(block, "docs.toml").name for block in blocks] == ["weld-scratches", "red-box"]


def test_the_layout_names_every_module():
    """Each module and package of perturb/ stands in the table, and nothing else does."""
    text = (ROOT / "docs/contributing.md").read_text(encoding="utf-8")
    layout = text.partition("## Package layout")[2].partition("## Checks")[0]
    rows = re.findall(r"^\| (`[^|]*) \|", layout, re.M)
    named = {name for row in rows for name in re.findall(r"`(\w+)`", row)}
    there = {p.stem for p in (ROOT / "perturb").iterdir() if p.suffix == ".py" or (p / "__init__.py").is_file()}
    assert named == there - {"__init__"}


def test_the_commands_of_the_docs_exist():
    from perturb.cli import COMMANDS

    asked = set(re.findall(r"(?:^|`|uv run )perturb ([a-z]+)", README + CLI, re.M))
    assert asked >= {"lint", "map", "qualify", "remedy", "rf", "shift", "search", "baseline", "summary", "history"}
    assert asked <= set(COMMANDS)


def test_exit_codes_of_verdicts_are_those_of_the_code():
    from perturb.cli.qualify import CHANGED, EXIT

    rows = {int(code): words for code, words in re.findall(r"^\| (\d+) \| (.*) \|$", CLI, re.M)}
    said = {name: [code for code, words in rows.items() if re.search(rf"\b{name}\b", words)] for name in EXIT | CHANGED}
    assert said == {name: [code] for name, code in (EXIT | CHANGED).items()}
    verdicts = {name: int(code) for name, code in re.findall(r"^\| ([A-Z]+) \| (\d) \|", README, re.M)}
    assert verdicts | {"ERROR": 4} == EXIT


def test_the_readme_is_a_front_door():
    assert len(README.splitlines()) <= 120


def test_links_lead_to_the_same_files_on_the_site():
    """A page is linked as a page, a file outside of docs/ as a file, whatever folder the text comes from."""
    on_the_site = runpy.run_path(str(ROOT / "docs/conf.py"))["on_the_site"]
    readme = "[a](docs/cli.md#exit-codes) [b](reports/README.md) ![c](docs/c.png) [d](https://d.org/e.md)"
    assert on_the_site(readme, ".") == "[a](cli.md#exit-codes) [b](results.md) ![c](c.png) [d](https://d.org/e.md)"
    report = "[a](b/c.md) ![d](d.svg) [e](../README.md) [f](#g)"
    assert on_the_site(report, "reports") == "[a](path:../reports/b/c.md) ![d](../reports/d.svg) [e](index.md) [f](#g)"


def test_dead_pixels_are_counted_as_the_page_says():
    page = (ROOT / "docs/dead-pixels.md").read_text(encoding="utf-8").replace("```", "")
    example = doctest.DocTestParser().get_doctest(page, {}, "dead-pixels.md", None, 0)
    result = doctest.DocTestRunner().run(example)
    assert result.attempted
    assert not result.failed


@pytest.mark.parametrize("path", [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))], ids=lambda p: p.name)
def test_links_lead_somewhere(path):
    text = path.read_text(encoding="utf-8")
    for target in re.findall(r"\]\(([^)#]+)[^)]*\)", text):
        assert (path.parent / target).exists(), target
