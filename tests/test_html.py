"""What people look at: report.html, in a real browser too, plots, and what a notebook shows."""

import dataclasses
import json
import re
import subprocess
import sys
from html import unescape
from pathlib import Path

import matplotlib as mpl
import numpy as np
import pytest
from browser import CHROMIUM, Page
from PIL import Image
from torch import nn
from toyruns import KEPT, REPORT
from toys import network, window

from perturb import ContributionDisplay, DetectionDisplay, IntervalDisplay, Report, UsageError, qualify
from perturb.files import encode
from perturb.records import PhaseRate, Verdict
from perturb.render import gallery, html, notebook
from perturb.render.trend import Kept, courses, trend
from perturb.report import Side, from_json
from perturb.runs import decode, read, table
from perturb.stories.qualify import Context
from perturb.suite import parse_suite

EVIL = "<img src=x onerror=\"document.title='owned'\">"
SUITE = f"""
name = "tiny"
description = "{EVIL.replace('"', "'")}</script><script>document.title='owned'</script>"
[images]
source = "folder:{{folder}}"
crops = 3
[map]
kind = "{{kind}}"
[evaluator]
layer = "{{layer}}"
[[check]]
name = "pixel"
perturbation = {{{{ kind = "pixel" }}}}
pairs = 4
claim = {{{{ quantity = "accuracy-loss", at_most = 0.1 }}}}
[[check]]
name = "shape"
perturbation = {{{{ kind = "pixel" }}}}
pairs = 4
claim = {{{{ quantity = "imbalance", at_most = 2 }}}}
"""


@pytest.fixture(scope="session")
def found(tmp_path_factory) -> Report:
    """A network that fails; its layer, its pictures and its suite have names that try to run."""
    folder, rng = tmp_path_factory.mktemp("pictures"), np.random.default_rng(0)
    for i in range(24):
        pixels = rng.integers(0, 255, (80, 90, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(folder / f"{EVIL.replace('/', '')}{i}.png")
    module = nn.Sequential()
    module.add_module("<b>layer</b>", window(1))
    model = network(module, name=EVIL)
    suite = parse_suite(SUITE.format(folder=folder, kind="energy", layer="<b>layer</b>"), "tiny.perturb.toml")
    command = f"perturb qualify '{EVIL}' </pre><script>document.title='owned'</script>"
    return qualify(model, suite, Context(command=command))


@pytest.fixture(scope="session")
def sides(found) -> list[Side]:
    return [Side(name=name, seed=0, report=found, lattice=found.map.phases) for name in (EVIL, "padded")]


@pytest.fixture(scope="session")
def file(found, sides, tmp_path_factory):
    path = tmp_path_factory.mktemp("report") / "report.html"
    path.write_text(html.report(found, sides), encoding="utf-8")
    return path


@pytest.fixture(scope="session")
def page(tmp_path_factory):
    if CHROMIUM is None:
        pytest.skip("no Chromium here: `apt-get install chromium` to see the report in a real browser")
    page = Page(tmp_path_factory.mktemp("profile"))
    yield page
    page.close()


@pytest.fixture
def opened(page, file):
    page.open(file)
    page.until("document.querySelectorAll('svg.marks').length == document.querySelectorAll('script.spec').length")
    return page


@pytest.mark.slow
def test_the_page_names_nothing_outside_itself(file):
    text = unescape(file.read_text(encoding="utf-8"))
    assert not re.search(r"""(src|href|action)=["']?(https?:|//)""", text)
    assert "default-src 'none'" in text
    assert "unsafe" not in text.partition("<title>")[0]
    assert len(text) < 5_000_000


def test_a_large_map_stays_light(found, rng):
    """Of a map that does not compress, the middle is shown."""
    shape = (2000, 3000)
    noise = dataclasses.replace(found.figures.contribution, values=rng.random(shape))
    text = html.report(
        dataclasses.replace(found, figures=dataclasses.replace(found.figures, contribution=noise, shape=shape))
    )
    assert "The middle 768 × 768 of 2000 × 3000 pixels." in text
    assert 'data-top="616" data-left="1116"' in text
    assert len(text) < 5_000_000


def test_figures_stay_out_of_the_json(found):
    assert "figures" not in json.loads(encode(found))
    again = from_json(encode(found))
    assert again == found
    text = html.report(again)
    assert "The whole map" not in text
    assert "One period" in text


def test_the_order_of_what_is_said(file):
    """The verdict and why, first."""
    text = file.read_text(encoding="utf-8")
    headings = re.findall(r"<h[12]>(.*?)</h", text.partition("</main>")[0])
    assert headings == [
        "Accuracy lost at dead places exceeds the claim: 0.90, at most 0.1 was claimed",
        "What was claimed, and what was measured",
        "How strongly each pixel moves the network",
        "How strong a change must be to be noticed",
        "Every measure, by place",
        "The layers that make it",
        "What it looks like",
        "Before and after",
        "Why the instrument can be trusted",
        "Where this comes from",
    ]


def test_pictures_are_of_the_trials(found):
    """Clean and perturbed differ at the place alone; of the pair, dead is missed and live seen."""
    specimens = found.figures.specimens
    assert [s.role for s in specimens] == ["pair"] * 2 + ["least"] * 3 + ["most"] * 3
    for s in specimens:
        changed = np.argwhere((s.clean != s.perturbed).any(2)) + s.corner
        assert changed.tolist() == [list(s.place)]
        (top, left), (rows, columns) = s.corner, s.clean.shape[:2]
        assert (s.whole[top : top + rows, left : left + columns] == s.clean).all()
    dead, live = specimens[:2]
    assert dead.evidence <= dead.threshold
    assert live.evidence > live.threshold
    least, most = specimens[2:5], specimens[5:]
    assert len({s.photograph for s in least}) == 3
    assert max(s.evidence - s.threshold for s in least) < min(s.evidence - s.threshold for s in most)


def test_a_miss_leads_to_its_case(file):
    """From the row of its check to the picture, which says that it was missed."""
    text = file.read_text(encoding="utf-8")
    (anchor,) = re.findall(r'<a href="#(case-\d+)">A miss, and the same thing seen</a>', text)
    case = text.partition(f'id="{anchor}"')[2].partition("</figure>")[0]
    assert "<strong>missed</strong>" in case
    assert f'<a href="#{anchor}">Link to this case</a>' in case


def test_the_lines_of_a_case_print_its_trial(found, monkeypatch, capsys):
    """In the folder of a run, whatever its experiment is called."""
    monkeypatch.chdir(KEPT / "report-1")
    run = decode(read(Path(".")))
    columns = table(run, "pixel")
    row, column = int(columns["live_row"][-1]), int(columns["live_column"][-1])
    crop, specimen = int(columns["crop"][-1]), found.figures.specimens[1]
    case = dataclasses.replace(specimen, experiment="pixel", arm="live", crop=crop, place=(row, column))
    (wall,) = gallery.walls([case], REPORT.experiments, REPORT.experiments[0])
    exec(wall.hung[0].again, {})
    assert f"'live_row': array([{row}" in capsys.readouterr().out


def test_detection_against_level(found):
    """Strictly dead pixels stay at the false-alarm rate however strong the change; live ones rise to be seen."""
    sweep = found.figures.sweeps["pixel"]
    assert sweep.levels == tuple(sorted(sweep.levels))
    assert len({rate.value for rate in sweep.dead}) == 1
    assert sweep.live[0].value < sweep.live[-1].value > 0.85
    assert all(rate.low <= rate.value <= rate.high for rate in (*sweep.dead, *sweep.live))


@pytest.mark.slow
def test_a_browser_opens_it_in_silence(opened):
    """No error, no warning, no request; names that try to run are text."""
    assert opened.console == []
    assert [address for address in opened.requests if not address.startswith(("file:", "data:"))] == []
    assert opened.run("document.title") == f"FAIL: {EVIL}"
    assert opened.run("document.querySelector('img[src=x]')") is None
    shown = opened.run("document.body.innerText")
    for name in (EVIL, "<b>layer</b>", "</pre><script>document.title='owned'</script>"):
        assert name in shown


def test_the_policy_refuses_what_the_page_does_not_need(opened):
    refused = "('went'), () => 'refused')"
    assert opened.run(f"fetch('data:,x').then(() => {refused}") == "refused"
    assert opened.run("(() => { try { return eval('1') } catch { return 'refused' } })()") == "refused"


@pytest.mark.slow
@pytest.mark.parametrize("dark", [False, True])
@pytest.mark.parametrize("width", [360, 800, 1400])
def test_it_fits(page, file, width, dark):
    page.open(file, width=width, dark=dark)
    page.until("document.querySelectorAll('svg.marks').length == document.querySelectorAll('script.spec').length")
    assert page.run("document.documentElement.scrollWidth") <= width
    assert (
        page.run("Math.max(...[...document.querySelectorAll('svg.marks')].map(s => s.getBoundingClientRect().right))")
        <= width
    )
    background = page.run("getComputedStyle(document.body).backgroundColor")
    assert (sum(map(int, re.findall(r"\d+", background))) < 200) == dark


def test_the_value_under_the_pointer(opened, found):
    values = found.figures.contribution.values
    opened.run("document.querySelector('.map').scrollIntoView({block: 'center'})")
    box = opened.run("document.querySelector('.map').getBoundingClientRect().toJSON()")
    opened.point(box["x"] + box["width"] * 10.5 / 64, box["y"] + box["height"] * 20.5 / 64)
    opened.until("document.querySelector('.map ~ output').textContent.startsWith('row 20, column 10, phase (0, 0)')")
    told = float(re.search(r": ([\d.]+) ×", opened.run("document.querySelector('.map ~ output').textContent"))[1])
    assert told == pytest.approx(values[20, 10] / values.mean(), rel=5e-3)


def test_the_keyboard_reaches_a_map(opened, found):
    for _ in range(20):
        opened.press("Tab", 9)
        if opened.run("document.activeElement.className") == "map":
            break
    opened.press("ArrowRight", 39)
    opened.press("ArrowDown", 40)
    opened.until(
        "document.querySelector('.map ~ output').textContent.startsWith('row 1, column 1, phase (1, 1): 0.00 ×')"
    )


def test_a_chart_tells_its_numbers(opened):
    opened.run("document.querySelector('#before-after .chart').scrollIntoView({block: 'center'})")
    point = "document.querySelector('#before-after .chart .mark-symbol path').getBoundingClientRect().toJSON()"
    box = opened.run(point)
    opened.point(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    opened.until("document.querySelector('#vg-tooltip-element.visible')?.textContent.includes('claimed at most')")
    assert opened.console == []


def test_displays_plot_on_given_axes_or_on_new_ones(found):
    mpl.use("agg")
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(1, 3)
    for kind, ax in zip((ContributionDisplay, DetectionDisplay, IntervalDisplay), axes, strict=True):
        display = kind.from_report(found)
        assert display.plot(ax) is display
        assert (display.ax_, display.figure_) == (ax, figure)
        assert display.plot().ax_ is not ax
    assert axes[0].images[0].get_array().mean() == pytest.approx(1)
    assert axes[1].lines[1].get_ydata().tolist() == [rate.value for rate in found.figures.sweeps["pixel"].live]
    assert axes[2].lines[0].get_xdata().tolist() == [found.findings[0].effect.value]
    pyplot.close("all")
    with pytest.raises(UsageError, match="read from JSON"):
        ContributionDisplay.from_report(from_json(encode(found)))


@pytest.mark.slow
def test_records_show_themselves_in_a_notebook():
    """In a shell of their own; what draws them is loaded when one is shown."""
    code = """
import sys
from IPython.core.interactiveshell import InteractiveShell
shell = InteractiveShell.instance()
import perturb
assert "perturb.render.notebook" not in sys.modules
import numpy as np
from perturb.records import Contribution
found = Contribution(values=np.full((4, 4), 1 / 16), kind="structural", layer="<b>", period=4)
data, _ = shell.display_formatter.format(found)
assert "<figure>" in data["text/html"]
assert "&lt;b&gt;" in data["text/html"]
"""
    subprocess.run([sys.executable, "-W", "ignore", "-c", code], check=True)


def test_a_report_in_a_notebook(found):
    text = notebook.report(found)
    assert text.count("<svg") == 1  # an infinite ratio has no axis
    assert "infinite" in text
    assert "Accuracy lost at dead places exceeds the claim" in text
    assert "<img src=x" not in text


def test_the_trend_page(page, found, tmp_path):
    """A course for each check, worst first, oldest to newest; it opens as a report does."""
    dates = ("2026-03-01T08:00:00+00:00", "2026-01-01T08:00:00+00:00", "2026-02-01T08:00:00+00:00")
    runs = [
        dataclasses.replace(found, provenance=dataclasses.replace(found.provenance, timestamp=date)) for date in dates
    ]
    passed = dataclasses.replace(found.findings[0], verdict=Verdict.PASS)
    runs[0] = dataclasses.replace(runs[0], verdict=Verdict.FAIL, findings=(passed, found.findings[1]))
    runs = [Kept(report=run) for run in runs]
    shape, pixel = courses(runs)
    assert [course.newest[0].verdict for course in (shape, pixel)] == ["FAIL", "PASS"]
    assert [point.when for point in pixel.points] == sorted(dates)
    assert shape.chart is None  # infinite
    path = tmp_path / "trend.html"
    path.write_text(trend(runs), encoding="utf-8")
    page.open(path, width=360)
    page.until("document.querySelectorAll('svg.marks').length == 1")
    assert page.console == []
    assert page.run("document.querySelector('h1').innerText") == f"{EVIL} by tiny: 1 FAIL, 1 PASS"
    assert EVIL in page.run("document.body.innerText")
    assert page.run("document.documentElement.scrollWidth") <= 360
    assert "No runs yet" in trend([])


def test_a_grid_of_phases_names_its_check_on_a_phone_too():
    """There a row is a block of its own, without the head of the table."""
    shown = REPORT.experiments[0]
    rates = tuple(PhaseRate(phase=(r, c), rate=shown.detected.live) for r in (0, 1) for c in (0, 1))
    found = dataclasses.replace(
        REPORT, experiments=tuple(dataclasses.replace(e, phases=rates) for e in REPORT.experiments)
    )
    text = html.report(found)
    for one in found.experiments:
        assert text.count(f'<th scope="row" data-name="{one.name}, {one.verb}">row ') == 2


def test_a_task_shows_its_measures_and_trainings():
    published = Path(__file__).parents[1] / "reports" / "paper-presence" / "micro-resnet.json"
    found = from_json(published.read_text(encoding="utf-8"))
    text = html.report(found)
    assert "a small box was put into 90 photographs" in text
    assert "this often it was right" in text
    for measured in found.experiments[0].measures:
        assert f'<th scope="row" data-name="measure">{measured.name}<td' in text
    assert text.count("<br>Trained, seed") == sum(len(e.training) for e in found.experiments)
