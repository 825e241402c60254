"""`perturb qualify A B C`: what models share, how they stand side by side, and that none loses another's result."""

import json
import os
import signal
from dataclasses import replace
from io import StringIO

import pytest
from click.testing import CliRunner
from preloaded import Preloaded
from rich.console import Console
from toy_project import LOSS, NET, SHAPE, suite
from toyruns import REPORT, a_report

from perturb.cli import main
from perturb.cli.models import Choice
from perturb.cli.qualify import EXIT
from perturb.cli.several import by_folder
from perturb.render import models
from perturb.render.badges import BADGES
from perturb.render.models import Row, SideBySide

WHOLE = {"report.json", "report.md", "report.html", "trials.npz", "maps.npz"}
GREEDY = """
class Greedy(nn.Sequential):
    def forward(self, x): return super().forward(x.mul_(0.5))
def greedy(): return Greedy(net(2)[0]), SMALL
def exits(): raise SystemExit(0)
def large(): return net(2)[0], Preprocessing(input_shape=(3, 96, 96))
"""


@pytest.fixture
def work(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "net.py").write_text(NET + GREEDY)
    (tmp_path / "tiny.perturb.toml").write_text(suite(LOSS, SHAPE))
    return tmp_path


def perturb(*args):
    return CliRunner().invoke(main, ["qualify", *map(str, args), "--suite", "tiny.perturb.toml"])


def numbers(path):
    found = json.loads(path.read_text())
    del found["digest"], found["provenance"]["timestamp"]
    return found


def choice(model):
    return Choice(model=model, weights=None, device="auto", seed=0, remedy=None)


def row(folder, verdict=None, error=""):
    report = replace(a_report(verdict=verdict), findings=REPORT.findings) if verdict else None
    return Row(folder=folder, reference=f"net.py:{folder}", report=report, error=error)


@pytest.mark.slow
def test_models_share_controls_and_have_the_runs_that_they_have_alone(work, monkeypatch):
    """Controls are measured once for an input shape; a model that changes its input in place changes no other's."""
    from perturb.stories import qualify

    shapes, true = [], qualify.set_up
    monkeypatch.setattr(qualify, "set_up", lambda suite, shape: shapes.append(shape) or true(suite, shape))
    together = perturb("net.py:greedy", "net.py:dead", "net.py:large", "--out", "run", "--history", "a")
    assert shapes == [(3, 64, 64), (3, 96, 96)]
    assert together.exit_code == 1, together.output
    assert perturb("net.py:dead", "--out", "alone", "--history", "b").exit_code == 1
    assert {path.name for path in (work / "run/net-dead").iterdir()} == WHOLE
    assert numbers(work / "run/net-dead/report.json") == numbers(work / "alone/report.json")
    assert len(list((work / "a/runs").iterdir())) == 3


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(os, "fork"), reason="commands are watched where processes can fork")
def test_models_that_crash_exit_or_raise_lose_their_own_rows_alone(work):
    asked = [f"net.py:{name}" for name in ("crash", "dead", "exits", "broken")]
    with Preloaded() as preloaded:
        ended = preloaded.run("qualify", *asked, "--suite", "tiny.perturb.toml", "--out", "run", cwd=work)
    assert ended.code == 4
    assert "3 ERROR, 1 FAIL" in ended.out
    told = " ".join(ended.out.split())
    for words in ("net-crash: the model's code crashed", "net-exits: the model's code called", "out of order"):
        assert words in told
    assert {path.name for path in (work / "run").iterdir()} == {"index.html", "models.md", "net-dead"}
    assert 'href="net-dead/report.html"' in (work / "run/index.html").read_text()


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(os, "fork"), reason="commands are watched where processes can fork")
def test_an_interrupt_ends_all_models_and_a_time_limit_one(work):
    with Preloaded() as preloaded:
        asked = ("qualify", "net.py:hang", "net.py:broken", "--suite", "tiny.perturb.toml")
        ended = preloaded.run(*asked, cwd=work, kill_after=3, send=signal.SIGINT)
        assert (ended.code, ended.out) == (130, "")
        ended = preloaded.run(*asked, "--time-limit", 3, cwd=work)
    assert ended.code == 4
    assert "net-hang: no result within 3 s" in ended.out
    assert "out of order" in ended.out


@pytest.mark.parametrize(
    ("args", "words"),
    [
        (("net.py:dead", "net.py:even", "resnet18"), "model `resnet18` is not understood"),
        (("net.py:dead", "net.py:even", "--weights", "w.pt"), "--weights are those of one MODEL; 2 are given"),
        (("net.py:dead", "net.py:even", "--baseline", "b.json"), "--baseline is of one MODEL; 2 are given"),
        (("net.py:dead", "net.py:even", "--at-most", "9"), "--at-most goes with --until-decided"),
    ],
)
def test_what_holds_for_all_models_ends_the_command_before_any_is_measured(work, monkeypatch, args, words):
    monkeypatch.setattr(Choice, "see", lambda self: pytest.fail("it was loaded"))
    ended = perturb(*args, "--out", "run")
    assert ended.exit_code == 2
    assert words in ended.stderr
    assert ended.stderr.count("\n") == 1
    assert not (work / "run").exists()


def test_pictures_that_no_model_can_have_end_the_command(work):
    ended = perturb("net.py:dead", "net.py:even", "--images", "nowhere", "--out", "run")
    assert ended.exit_code == 2
    assert "nowhere" in ended.stderr
    assert not (work / "run").exists()


@pytest.mark.slow
def test_shards_of_several_models_are_kept_and_found(work):
    for shard in ("1/2", "2/2"):
        ended = perturb("net.py:even", "net.py:dead", "--shard", shard, "--out", "run")
        assert ended.exit_code == 0, ended.output
        assert ended.stdout == f"The blocks of shard {shard} are kept. The same command without --shard judges.\n"
    kept = set((work / ".perturb/blocks").iterdir())
    assert perturb("net.py:even", "net.py:dead").exit_code == 1
    assert set((work / ".perturb/blocks").iterdir()) == kept
    ended = perturb("net.py:even", "net.py:broken", "--shard", "1/2")
    assert ended.exit_code == 4
    assert ended.stdout.startswith("ERROR: net-broken: net.py:broken raised RuntimeError: out of order")
    assert "kept" not in ended.stdout


@pytest.mark.parametrize(
    ("references", "names"),
    [
        (("torchvision:resnet18", "timm:resnet18", "timm:ResNet18"), ["resnet18", "resnet18-2", "ResNet18-3"]),
        (("a:x", "a:x", "a:x-2"), ["x", "x-2", "x-2-2"]),
        (("onnx:../far/net.onnx", "transformers:..", "a/b.py:net"), ["net.onnx", "model", "b-net"]),
        (("onnx:index.html", "onnx:a/.hidden", "a:" + "x" * 300), ["index.html-2", "hidden", "x" * 60]),
    ],
)
def test_each_model_has_a_folder_of_a_safe_name(references, names):
    assert list(by_folder([choice(each) for each in references])) == names


@pytest.mark.parametrize(
    ("verdicts", "code"),
    [
        (("PASS", "PASS"), 0),
        (("PASS", "INCONCLUSIVE"), 3),
        (("INCONCLUSIVE", "FAIL"), 1),
        (("FAIL", "INVALID", "PASS"), 4),
        (("FAIL", None), 4),
    ],
)
def test_the_worst_verdict_is_the_exit_code(verdicts, code):
    rows = tuple(row(str(i), verdict) for i, verdict in enumerate(verdicts))
    assert EXIT[SideBySide(suite="s", description="", rows=rows).verdict] == code


def test_the_table_says_the_same_in_the_terminal_in_markdown_and_on_the_page():
    found = SideBySide(suite="s", description="", rows=(row("a", "FAIL"), row("b", error="no | <b>\u202ename</b>")))
    finding = REPORT.findings[0]
    value = models.measured(finding.effect)
    assert value.count(",") == 1
    screen = StringIO()
    Console(file=screen, width=80).print(models.table(found))
    for text in (screen.getvalue(), models.markdown(found), models.page_of(found)):
        for words in ("1 ERROR, 1 FAIL", finding.check, value, str(REPORT.images.judged.photographs)):
            assert words in text
        assert "\u202e" not in text
    assert max(map(len, screen.getvalue().splitlines())) <= 80
    assert f"{BADGES[finding.verdict].mark} {value}" in screen.getvalue()
    assert "| **ERROR** | | no \\| \\<b\\>" in models.markdown(found)
    assert "](a/report.md) | **FAIL** |" in models.markdown(found)
    assert "(b/report.md)" not in models.markdown(found)
    page = models.page_of(found)
    assert 'href="a/report.html"' in page
    assert 'href="b/report.html"' not in page
    assert "no | &lt;b&gt;" in page


def test_a_run_that_was_cut_off_names_the_models_that_it_did_not_come_to():
    found = SideBySide(suite="s", description="", rows=(row("a", "FAIL"),), waiting=("net.py:next",))
    text, page = models.markdown(found), models.page_of(found)
    assert "2 models" in text
    assert "1 FAIL, 1 not measured" in text
    assert "| `net.py:next` | not measured |" in text
    assert "Not measured: " in page
    whole = SideBySide(suite="s", description="", rows=(row("a", "FAIL"),))
    assert "ot measured" not in models.markdown(whole) + models.page_of(whole)
