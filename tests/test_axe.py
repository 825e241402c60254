"""axe-core reads the pages in a real Chromium, as assistive technology would."""

import json
from importlib.resources import files

import pytest
from browser import CHROMIUM, Page
from test_pages import PAGES

CARRIER = pytest.importorskip("axe_core_python", reason="axe-core is not installed: `uv sync` brings it")
ASKED = "axe.run(document, {resultTypes: ['violations']}).then(found => JSON.stringify(found.violations))"


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    if CHROMIUM is None:
        pytest.skip("no Chromium here")
    page = Page(tmp_path_factory.mktemp("profile"))
    yield page
    page.close()


@pytest.mark.slow
@pytest.mark.parametrize("name", PAGES)
def test_axe_finds_nothing(page, name, tmp_path):
    """In light, and on a phone in the dark; what is folded away is opened."""
    path = tmp_path / f"{name}.html"
    path.write_text(PAGES[name](), encoding="utf-8")
    axe = (files(CARRIER) / "axe.min.js").read_text(encoding="utf-8")
    for width, dark in ((1000, False), (360, True)):
        page.open(path, width=width, dark=dark)
        page.until("document.querySelectorAll('svg.marks').length == document.querySelectorAll('script.spec').length")
        unnamed = "document.querySelectorAll('.chart:not([aria-label])').length"
        assert page.run(unnamed) == 0, "Vega takes the name from the description of the chart"
        page.run("document.querySelectorAll('details').forEach(each => each.open = true)")
        page.run(f"{axe}; 0")
        found = [(each["id"], each["nodes"][0]["html"]) for each in json.loads(page.run(ASKED))]
        assert found == []


@pytest.mark.slow
def test_a_filter_leaves_the_rows_that_are_asked_for(page, tmp_path):
    """By the keyboard alone. What the page shows of a check goes with its row."""
    path = tmp_path / "report.html"
    path.write_text(PAGES["report"](), encoding="utf-8")
    page.open(path)
    shown = "[...document.querySelectorAll('#checks tbody tr:not([hidden])')].map(row => row.dataset.check)"
    parts = "[...document.querySelectorAll('[data-of]:not([hidden])')].map(part => part.dataset.of)"
    assert page.run(shown) == ["pixel", "box"]
    assert {"pixel", "box"} <= set(page.run(parts))
    page.run("document.querySelector('.filter [name=check]').focus()")
    for _ in range(2):  # all, pixel, box
        page.press("ArrowDown", 40)
    page.until(f"{shown}.join() == 'box'")
    assert set(page.run(parts)) == {"box"}
    assert page.run("document.querySelector('.filter output').textContent") == "1 of 2 shown"
    page.run("document.querySelector('.filter [name=check]').value = ''")
    page.run("document.querySelector('.filter [name=text]').focus()")
    page.press("z", 90)
    page.run("document.querySelector('.filter').dispatchEvent(new Event('input', {bubbles: true}))")
    page.until(f"{shown}.join() == 'pixel,box'")


@pytest.mark.slow
@pytest.mark.parametrize("allowed", [True, False])
def test_a_command_is_copied_or_selected(page, tmp_path, allowed):
    path = tmp_path / "report.html"
    path.write_text(PAGES["report"](), encoding="utf-8")
    page.open(path)
    told = "Promise.resolve(window.copied = text)" if allowed else "Promise.reject(new Error('not allowed'))"
    page.run(f"Object.defineProperty(navigator, 'clipboard', {{value: {{writeText: text => {told}}}}})")
    page.run("document.querySelector('.command button').click()")
    page.until("document.querySelector('.command output').textContent != ''")
    taken = page.run("window.copied" if allowed else "getSelection().toString()")
    assert taken == page.run("document.querySelector('.command pre').textContent") != ""
    said = page.run("document.querySelector('.command output').textContent")
    assert said == ("Copied." if allowed else "Selected: press Ctrl+C or ⌘C to copy.")
