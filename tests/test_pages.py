"""What every page must offer: heads of tables, names of pictures and controls, colours with enough contrast."""

import re
from dataclasses import replace
from functools import cache
from html.parser import HTMLParser
from itertools import pairwise
from pathlib import Path

import pytest
from toyruns import REPORT, a_measurement, a_run

from perturb.baseline import accept, compare
from perturb.changes import ChangeVerdict
from perturb.comparisons import Treated
from perturb.records import ChangedLayer, Effect, Finding, Remedy, Verdict
from perturb.render import bars, checks, html, models, remedy_page, trend
from perturb.render.environment import breakable, with_code

CSS = Path(html.__file__).parent / "templates" / "report.css"
PIXEL, BOX = REPORT.findings
TEXTS = "ink faint dead live pass fail inconclusive invalid".split()


@cache
def since():
    """Of the kept report's check `pixel`: detection at dead places fell on every photograph."""
    before, after = (
        a_run(a_measurement([[1, 1]] * 40, [[1, 1]] * 40)),
        a_run(a_measurement([[0, 0]] * 40, [[1, 1]] * 40)),
    )
    return compare(accept(before, "one"), after, "two")


def treated(name, loss, **more):
    done = None if name == "as built" else Remedy(kind=name, weights="kept", changed=(CHANGED,))
    effect = None if loss is None else replace(PIXEL.effect, value=loss, low=loss - 0.25, high=loss + 0.25)
    measured = {"energy": 2.0, "dead": 0.5, "live": 0.75, "accuracy": 0.9, "time": 1.5} if effect else {}
    return Treated(
        name=name,
        done=done,
        parameters=1000,
        multiply_adds=2000,
        layer="output",
        structural=1.5,
        loss=effect,
        **measured,
        **more,
    )


CHANGED = ChangedLayer(name="stem", kind="Conv2d", before="3 x 3 / 2", after="4 x 4 / 2")
ROWS = [treated("as built", 0.5), treated("padding", 0.0, front=True)]


def kept(day, *, model="net.py:one", **more):
    made = replace(REPORT, model=replace(REPORT.model, reference=model))
    return trend.Kept(report=replace(made, provenance=replace(made.provenance, timestamp=day)), **more)


RUNS = [
    kept("2026-05-03T08:00:00+00:00", accepted=True),
    kept("2026-05-03T17:30:00+00:00", run="abcdef0123456789"),
    kept("2026-05-04T08:00:00+00:00", model="net.py:two"),
]
MODELS = models.SideBySide(
    suite="s",
    description="",
    rows=(
        models.Row(folder="a", reference="net.py:a", report=REPORT, error=""),
        models.Row(folder="b", reference="net.py:b", report=None, error="no `file`"),
    ),
)
PAGES = {
    "report": lambda: html.report(REPORT, since=since()),
    "models": lambda: models.page_of(MODELS),
    "trend": lambda: trend.trend(RUNS),
    "remedy": lambda: remedy_page.html(ROWS, {"pool": "it has `none`"}, "net.py:one"),
}


class Tags(HTMLParser):
    """The start tags of a page in their order, scripts and styles left out."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.feed(re.sub(r"<(script|style)\b.*?</\1>", "", text, flags=re.DOTALL))

    def handle_starttag(self, tag, attrs):
        self.found.append((tag, dict(attrs)))

    def of(self, *names):
        return [(tag, told) for tag, told in self.found if tag in names]


@pytest.mark.parametrize("name", PAGES)
def test_a_page_can_be_read_without_seeing_it(name):
    """What axe asks for, as far as the text of a page shows it."""
    page = Tags(PAGES[name]())
    levels = [int(tag[1]) for tag, _ in page.of("h1", "h2", "h3", "h4")]
    assert levels[0] == 1
    assert all(below - above <= 1 for above, below in pairwise(levels))
    assert all(told.get("scope") in ("col", "row") for _, told in page.of("th"))
    for (tag, _), (first, told) in pairwise(page.found):
        if tag == "tr":
            assert (first, told.get("scope")) in (("th", "col"), ("th", "row"))
    for _, told in page.of("svg"):
        assert told.get("aria-hidden") or (told["role"] == "img" and told["aria-label"])
    assert all(told.get("alt") is not None for _, told in page.of("img"))
    regions = [told["aria-label"] for _, told in page.found if told.get("role") == "region"]
    assert len(regions) == len(set(regions)) > 0
    anchors = [told["id"] for _, told in page.found if "id" in told]
    assert len(anchors) == len(set(anchors))
    assert {told["href"][1:] for _, told in page.of("a") if (told["href"] or "").startswith("#")} <= set(anchors)
    before = [tag for (tag, _), (control, _) in pairwise(page.found) if control in ("select", "input")]
    assert before == ["label"] * len(before)


def contrast(one: str, other: str) -> float:
    """WCAG 2.2: (lighter + 0.05) / (darker + 0.05) of relative luminance."""

    def luminance(colour: str) -> float:
        parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
        linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]

    dark, light = sorted(map(luminance, (one, other)))
    return (light + 0.05) / (dark + 0.05)


def test_colours_have_contrast_in_light_and_in_dark():
    """4.5 for text on both grounds, on the ground of a marked row too; 3 for the marks of a chart."""
    assert contrast("#000000", "#ffffff") == pytest.approx(21)
    light, dark = (dict(re.findall(r"--([\w-]+): (#\w{6})", part)) for part in CSS.read_text().split("@media")[:2])
    for colours in (light, dark):
        for ground in ("paper", "raised", "margin"):
            assert min(contrast(colours[name], colours[ground]) for name in TEXTS) >= 4.5, ground
        assert (
            min(
                contrast(colours[f"series-{n}"], colours[ground]) for n in range(1, 7) for ground in ("paper", "margin")
            )
            >= 3
        )


def test_words_between_backticks_become_code_and_names_stay_names():
    assert with_code("run `perturb <b>` & `x") == "run <code>perturb &lt;b&gt;</code> &amp; `x"
    assert breakable("a_<b>/c") == "a_<wbr>&lt;b&gt;/<wbr>c"
    assert "no <code>file</code>" in PAGES["models"]()


def finding(quantity: str, value: float, low: float, high: float, at_most: float) -> Finding:
    effect = replace(PIXEL.effect, quantity=quantity, value=value, low=low, high=high)
    return replace(PIXEL, effect=effect, claim=replace(PIXEL.claim, quantity=quantity, at_most=at_most))


def test_bars_of_one_quantity_share_a_scale():
    """From -1 to 1 with 6 % room: 0 lies in the middle. Another quantity has its own, an infinite one no bar."""
    one, two, other, endless = bars.of_findings(
        [
            finding("loss", 0.5, 0.25, 1.0, 0.0),
            finding("loss", 0.0, -1.0, 0.25, 0.5),
            finding("ratio", 1.0, 0.0, 2.0, 1.0),
            finding("ratio", 1e308, 1e308, 1e308, 1.0),
        ]
    )
    assert endless is None
    assert (one.zero, two.zero) == (50, 50)
    assert (one.claim, two.claim) == (50, pytest.approx(50 + 50 * 0.5 / 1.12, abs=0.01))
    assert (two.low, one.high) == (
        pytest.approx(100 * 0.12 / 2.24, abs=0.01),
        pytest.approx(100 * 2.12 / 2.24, abs=0.01),
    )
    assert (other.zero, other.value) == (pytest.approx(100 * 0.12 / 2.24, abs=0.01), 50)
    assert one.words == "0.50, between 0.25 and 1.00, claimed at most 0"
    assert bars.of_effects([None, one_effect(0.5)])[0] is None


def one_effect(value: float) -> Effect:
    return replace(PIXEL.effect, value=value, low=value, high=value)


def test_a_row_of_what_is_no_detection_shows_none():
    """A ratio of a map has no share and no change; an INVALID run has no other verdict."""
    exact = replace(PIXEL, effect=replace(PIXEL.effect, method="exact"))
    report = replace(REPORT, findings=(exact, replace(BOX, verdict=Verdict.PASS)), verdict=Verdict.INVALID)
    ((shape, box),) = checks.rows([report], since())
    assert (shape.dead, shape.live, shape.since) == (None, None, None)
    assert (box.dead[0], box.live[0]) == (REPORT.experiments[1].detected.dead, REPORT.experiments[1].detected.live)
    assert [row.verdict for row in (shape, box)] == ["INVALID", "INVALID"]


def test_each_check_tells_its_change_since_the_baseline():
    ((pixel, box),) = checks.rows([REPORT], since())
    assert pixel.since.verdict == ChangeVerdict.REGRESSED
    assert (pixel.since.loss.before, pixel.since.loss.after) == (0, 1)
    assert (box.since.verdict, box.since.loss) == (None, None)
    text = PAGES["report"]()
    assert "loss +1.00 (0.00 → 1.00)" in text
    assert re.search(
        r"<h1>.*REGRESSED since \d+ \w+ 20\d\d: pixel, detection at dead places -1.00 \(1.00 -&gt; 0.00\)", text
    )


def test_models_share_a_chart_over_time_and_differ_by_more_than_colour():
    pixel, _ = trend.courses([*RUNS[:2], replace(RUNS[2], since=since())])
    assert pixel.models == ("net.py:one", "net.py:two")
    assert [point.change for point in pixel.points] == ["baseline", "", "REGRESSED"]
    (values,) = pixel.chart["datasets"].values()
    assert [(row["model"], row["mark"]) for row in values] == [
        ("net.py:one", "◆"),
        ("net.py:one", ""),
        ("net.py:two", "▼"),
    ]
    point = next(layer["encoding"] for layer in pixel.chart["layer"] if layer["mark"]["type"] == "point")
    assert len(set(point["color"]["scale"]["range"])) == len(set(point["shape"]["scale"]["range"])) == 2
    text = PAGES["trend"]()
    assert "<h1>2 models by " in text
    assert re.findall(r'data-name="when">([^<]*)', text)[:3] == [
        "2026-05-04 08:00",
        "2026-05-03 17:30",
        "2026-05-03 08:00",
    ]
    assert "<code>abcdef012345</code>" in text


def test_a_page_about_one_model_names_it():
    assert f"<title>net.py:one by {REPORT.suite.name}: 2 runs</title>" in trend.trend(RUNS[:2])


def test_remedies_on_the_front_are_marked_with_their_loss():
    text = PAGES["remedy"]()
    rows = re.findall(r'<tr( class="front")?><th scope="row" data-name="network">([\w ]+)', text)
    assert rows == [("", "as built"), (' class="front"', "padding")] * 2
    assert re.findall(r'class="whole">(.*?)<', text) == ["0.50 [0.25, 0.75]", "0.00 [-0.25, 0.25]"]
    assert text.count("★ front</strong>") == 1
    assert "<li>pool: it has <code>none</code>" in text
    bare = remedy_page.html([treated("as built", None)], {}, "net.py:one")
    assert "What loss is left" not in bare
    assert "do not apply" not in bare
