"""README and docs say what the code does: tables of kinds, exit codes, the package layout, public names."""

import doctest
import re
import runpy
from pathlib import Path

import pytest

from perturb import evaluators, perturbations, quantities, tasks
from perturb.kinds import table

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


def test_the_layout_names_every_module():
    """Each module and package of perturb/ stands in the table, and nothing else does."""
    text = (ROOT / "docs/contributing.md").read_text(encoding="utf-8")
    layout = text.partition("## Package layout")[2].partition("## Checks")[0]
    rows = re.findall(r"^\| (`[^|]*) \|", layout, re.M)
    named = {name for row in rows for name in re.findall(r"`(\w+)`", row)}
    there = {p.stem for p in (ROOT / "perturb").iterdir() if p.suffix == ".py" or (p / "__init__.py").is_file()}
    assert named == there - {"__init__"}


def test_every_command_answers_a_question():
    """The table of commands leaves none out."""
    from perturb.cli import COMMANDS

    asked = set(re.findall(r"`perturb ([a-z]+)", CLI.partition("## Exit codes")[0]))
    assert set(COMMANDS) - asked == {"demo", "replay", "compare", "schema"}  # README, pytest.md, changes.md, suites.md


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


def test_every_public_name_is_documented():
    """docs/api.md shows the members of `perturb`, so each needs words of its own."""
    import perturb

    assert "automodule:: perturb" in (ROOT / "docs/api.md").read_text(encoding="utf-8")
    unsaid = [name for name in perturb.__all__ if not (vars(perturb).get(name) or getattr(perturb, name)).__doc__]
    assert unsaid == []
    for name in perturb.__all__:
        own = getattr(perturb, name)
        parents = {each.__doc__ for each in getattr(own, "__mro__", ())[1:]}
        assert own.__doc__ not in parents, f"{name} has the words of its parent"


def test_every_way_to_name_a_model_is_in_the_table():
    from perturb.model.reference import FORMS

    section = (ROOT / "docs/models.md").read_text(encoding="utf-8").partition("## How a model is named")[2]
    rows = re.findall(r"^\| (`[^|]*) \|", section.partition("\n\nOnly")[0], re.M)
    assert {form for row in rows for form in re.findall(r"`([^`]+)`", row)} == set(re.split(", | or ", FORMS))


def test_every_source_of_pictures_and_every_map_is_in_the_docs():
    from perturb.images import SOURCES
    from perturb.suite import MAPS

    text = SUITES.read_text(encoding="utf-8")
    assert [source for source in SOURCES if not re.search(rf"\b{re.escape(source)}", text)] == []
    assert [kind for kind in MAPS if f"`{kind}`" not in text] == []
