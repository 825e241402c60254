"""The command line on real files: what it prints, what it writes, how it ends."""

import json
import subprocess
import sys
from io import StringIO

import click
import numpy as np
import pytest
import torch
from click.testing import CliRunner
from PIL import Image
from rich.console import Console

from perturb.cli import COMMANDS, main
from perturb.cli.models import Choice
from perturb.errors import InputError
from perturb.files import encode
from perturb.render.terminal import Lattice
from perturb.report import from_json

NET = """
import torch
from torch import nn
from perturb import Preprocessing
SMALL = Preprocessing(input_shape=(3, 64, 64))
def net(kernel, padding):
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(3, 16, kernel, 2, padding, bias=False), nn.ReLU()), SMALL
def dead(): return net(1, 0)
def even(): return net(2, 0)
def pooled(): return nn.Sequential(net(2, 0)[0], nn.AdaptiveAvgPool2d(1), nn.Flatten()), SMALL
def colours(): return nn.Conv2d(3, 4, 3), Preprocessing(mean=(0.5, 0.5), std=(0.5, 0.5, 0.5))
def caffe(): return nn.Conv2d(3, 4, 3), Preprocessing(mean=(123.7, 116.8, 103.9), std=(58.4, 57.1, 57.4))
def half(): return nn.Conv2d(3, 4, 3).half(), SMALL
def random():
    class R(nn.Module):
        def forward(self, x): return nn.functional.dropout(x, 0.5)
    return R(), SMALL
def broken():
    class B(nn.Module):
        def forward(self, x):
            x = (x * 1).exp()
            return x.add_(1).mean((2, 3))
    return B(), SMALL
def as_dict():
    class D(nn.Module):
        def forward(self, x): return {"low": x, "high": x + 1}
    return D(), SMALL
def one_channel(): return nn.Conv2d(1, 4, 3), SMALL
def squared():
    class S(nn.Module):
        def forward(self, x): return x * x
    return S(), SMALL
"""
SUITE = """
name = "tiny"
[images]
source = "dead-leaves"
count = {count}
[map]
kind = "structural"
[evaluator]
layer = "0"
[[check]]
name = "pixel"
perturbation = {{ kind = "pixel" }}
pairs = 4
claim = {{ quantity = "accuracy-loss", at_most = {at_most} }}
[[check]]
name = "shape"
perturbation = {{ kind = "pixel" }}
pairs = 4
claim = {{ quantity = "imbalance", at_most = 1e9 }}
"""


@pytest.fixture
def work(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "net.py").write_text(NET)
    (tmp_path / "tiny.perturb.toml").write_text(SUITE.format(count=24, at_most=0.1))
    return tmp_path


def perturb(*args):
    return CliRunner().invoke(main, [str(a) for a in args])


@pytest.mark.slow
def test_a_failing_model(work):
    result = perturb("qualify", "net.py:dead", "--suite", "tiny.perturb.toml", "--out", "run")
    assert result.exit_code == 1, result.output
    report = json.loads((work / "run/report.json").read_text())
    assert report["schema"] == 4
    assert report["verdict"] == "FAIL"
    assert report["map"]["period"] == 2
    finding = report["findings"][0]
    assert finding["check"] == "pixel"
    assert finding["claim"] == {"quantity": "accuracy-loss", "at_most": 0.1, "confidence": 0.95}
    assert set(finding["effect"]) >= {"value", "low", "high", "n", "method", "spread"}
    assert finding["effect"]["low"] > 0.3
    assert {"versions", "seed", "suite_digest", "weights_digest", "device"} <= set(report["provenance"])
    assert "FAIL" in result.output
    assert (work / "run/report.md").read_text().startswith("# FAIL: `net.py:dead`")
    assert not list((work / "run").glob(".*"))


@pytest.mark.slow
def test_same_seed_same_bytes(work):
    texts = []
    for name in ("a", "b"):
        perturb("qualify", "net.py:dead", "--suite", "tiny.perturb.toml", "--out", name)
        data = json.loads((work / name / "report.json").read_text())
        data["provenance"].pop("timestamp")
        data["provenance"].pop("command")
        data.pop("digest")
        texts.append(json.dumps(data))
    assert texts[0] == texts[1]


@pytest.mark.slow
def test_report_survives_its_json(work):
    perturb("qualify", "net.py:dead", "--suite", "tiny.perturb.toml", "--out", "run")
    text = (work / "run/report.json").read_text()
    assert encode(from_json(text)) == text
    with pytest.raises(InputError, match="schema: 99 is not one that this version reads"):
        from_json(text.replace('"schema": 4', '"schema": 99'))


@pytest.mark.long
def test_a_balanced_model_passes(work):
    (work / "many.perturb.toml").write_text(SUITE.format(count=250, at_most=0.1))
    result = perturb("qualify", "net.py:even", "--suite", "many.perturb.toml")
    assert result.exit_code == 0, result.output
    assert "balanced: no dead arm" in result.output


def test_too_few_pictures_are_inconclusive(work):
    (work / "few.perturb.toml").write_text(SUITE.format(count=6, at_most=0.1))
    result = perturb("qualify", "net.py:even", "--suite", "few.perturb.toml")
    assert result.exit_code == 3, result.output
    assert "would decide" in " ".join(result.output.split())


def test_folder_of_pictures(work):
    rng = np.random.default_rng(0)
    (work / "pictures").mkdir()
    for i in range(5):
        Image.fromarray(rng.integers(0, 255, (80, 90, 3), dtype=np.uint8)).save(work / f"pictures/{i}.png")
    (work / "pictures/cut.png").write_bytes((work / "pictures/0.png").read_bytes()[:99])
    result = perturb("qualify", "net.py:dead", "--suite", "tiny.perturb.toml", "--images", "folder:pictures")
    assert result.exit_code in (1, 3), result.output
    assert result.stderr.count("\n") == 1
    assert "perturb: note: pictures: 6 looked at; 1 left out, unreadable: cut.png" in result.stderr


@pytest.mark.parametrize(
    ("args", "code", "words"),
    [
        (("lint", "torchvision:resnet19"), 2, "Did you mean `resnet18`"),
        (("lint", "net.py:dead", "--layer", "nothing"), 2, "no layer `nothing`"),
        (("lint", "net.py:squared"), 4, "product of two activations"),
        (("lint", "net.py:as_dict"), 2, "net.py:as_dict returns low, high: choose one"),
        (("lint", "net.py:one_channel"), 4, "does not accept a picture of shape (3, 64, 64)"),
        (("lint", "net.py:colours"), 4, "1 value or one for each of 3 channels"),
        (("lint", "net.py:caffe"), 4, "are they (0, 255)?"),
        (("lint", "net.py:half"), 4, "its weights are torch.float16: hand over `module.float()`"),
        (("lint", "net.py:random"), 4, "draws random numbers in evaluation mode"),
        (("shift", "net.py:dead", "--images", "noise", "--count", "4"), 4, "that moves with the crop"),
        (("lint", "net.py:dead", "--weights", "nan.pt"), 4, "weight `0.weight` holds NaN"),
        (("lint", "net.py:even", "--remedy", "padding"), 4, "remedy `padding` found no layer to change"),
        (("lint", "net.py:dead", "--device", "tpu"), 2, "device `tpu` is unknown"),
        (("map", "net.py:dead", "--out", "map.jpg"), 2, "expected a .png or .npy file"),
        (("qualify", "net.py:dead", "--suite", "absent"), 2, "no suite `absent`"),
        (("qualify", "net.py:dead", "--suite", "typo.perturb.toml"), 2, "typo.perturb.toml: [map] kin is not a key"),
        (
            ("qualify", "net.py:dead", "--suite", "tiny.perturb.toml", "--images", "folder:empty"),
            4,
            "no pictures in folder",
        ),
        (("qualify", "net.py:dead", "--suite", "tiny.perturb.toml", "--out", "net.py/x"), 2, "cannot be written"),
    ],
)
def test_bad_input_is_one_line_and_an_exit_code(work, args, code, words):
    (work / "empty").mkdir()
    (work / "typo.perturb.toml").write_text('name = "t"\n[map]\nkin = "energy"\n')
    torch.save({"0.weight": torch.full((16, 3, 1, 1), float("nan"))}, work / "nan.pt")
    result = perturb(*args)
    assert result.exit_code == code, result.output
    assert words in result.stderr
    assert result.stderr.count("\n") == 1


@pytest.mark.parametrize("kind", ["structural", "energy", "target", "centre"])
def test_maps(work, kind):
    asked = ["map", "net.py:dead", "--kind", kind, "--target", "2", "--images", "noise", "--count", "4", "--out"]
    result = perturb(*asked, "map.png")
    assert result.exit_code == 0, result.output
    with Image.open(work / "map.png") as picture:
        assert picture.size == (1016, 636)
    result = perturb(*asked, "map.npy")
    values = np.load(work / "map.npy")
    assert values.sum() == pytest.approx(1)
    assert values.min() >= 0


def test_what_nobody_foresaw_is_no_verdict(work):
    """Autograd refuses this network's own code: a traceback, and not the exit code of FAIL."""
    result = perturb("map", "net.py:broken", "--kind", "energy", "--layer", "output", "--out", "map.png")
    assert result.exit_code == 4
    assert "Traceback" in result.stderr
    assert result.stderr.splitlines()[-1].startswith("perturb: unforeseen RuntimeError")


def test_lint_for_people_and_machines():
    result = perturb("lint", "torchvision:resnet18")
    assert result.exit_code == 0
    assert "maxpool" in result.output
    found = json.loads(perturb("lint", "torchvision:resnet18", "--json", "--remedy", "padding").stdout)
    assert set(found) >= {"model", "period", "imbalance", "phases", "strictly_dead", "layers"}
    assert (found["period"], found["imbalance"], found["balanced"]) == (1, 1.0, True)
    assert set(found["layers"][0]) == {"name", "kind", "kernel", "stride", "dilation", "coverage", "balanced"}


def test_shades_do_not_hang_on_the_last_bit():
    edges = np.arange(1, 6).repeat(5).reshape(5, 5) / 5

    def drawn(values):
        with StringIO() as text:
            Console(file=text, color_system=None).print(Lattice(values.tolist(), 1.0))
            return text.getvalue()

    assert drawn(edges * (1 - 1e-9)) == drawn(edges) == drawn(edges + 1e-9)
    assert set(drawn(edges)) - {"\n"} == set("░▒▓█")


@pytest.mark.parametrize("command", ["qualify", "lint", "tiles"])
def test_help_names_every_kind_of_model(command):
    said = " ".join(perturb(command, "--help").output.split())
    assert "onnx:FILE, transformers:FOLDER, file.py:factory or package.module:factory." in said


def test_a_command_has_the_name_that_it_is_called_by():
    context = click.Context(main)
    assert [main.get_command(context, name).name for name in COMMANDS] == list(COMMANDS)


def test_schema_is_json_schema():
    assert json.loads(perturb("schema").stdout)["properties"]["check"]["type"] == "array"


@pytest.mark.slow
@pytest.mark.parametrize(
    ("statement", "absent"),
    [
        ("import perturb", {"torch", "numpy"}),
        ("import perturb.cli", {"torch", "numpy", "rich"}),
        ("import perturb.render.terminal, perturb.render.markdown, perturb.suite, perturb.history", {"torch"}),
        ("import perturb.locations, perturb.trials, perturb.verdict, perturb.quantities, perturb.images", {"torch"}),
    ],
)
def test_what_an_import_does_not_load(statement, absent):
    code = f"import sys; {statement}; print(*sys.modules)"
    loaded = set(
        subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    )
    assert not loaded & absent


@pytest.mark.slow
def test_demo_shows_before_and_after(tmp_path):
    """Every number comes from the run; the padded network loses less."""
    result = perturb("demo", "--seeds", "1", "--out", tmp_path)
    assert result.exit_code == 0, result.output
    losses = {}
    for folder in ("as-built-seed-0", "kernels-padded-seed-0"):
        report = from_json((tmp_path / folder / "report.json").read_text())
        losses[folder] = report.findings[0].effect
        assert f"{report.findings[0].effect.value:+.2f}" in result.output
    assert losses["as-built-seed-0"].low > losses["kernels-padded-seed-0"].high


def test_remedies_side_by_side(work):
    """Exact columns: a 3 x 3 kernel moved by 2 meets phases 1, 2, 2 and 4 times; padded to 4 x 4 all 4 times."""
    (work / "three.py").write_text(NET + "def three(): return net(3, 1)\n")
    result = perturb("remedy", "three.py:three", "--json")
    assert result.exit_code == 0, result.output
    found = json.loads(result.stdout)
    rows = {row["name"]: row for row in found["rows"]}
    assert list(rows) == ["as built", "padding", "slicing", "blurpool", "space-to-depth", "ask-twice"]
    assert rows["ask-twice"]["structural"] == pytest.approx(1)
    assert rows["ask-twice"]["multiply_adds"] == 4 * rows["as built"]["multiply_adds"]
    assert set(found["refused"]) == {"pool", "mean-shortcut"}
    assert (rows["as built"]["structural"], rows["padding"]["structural"]) == pytest.approx((4, 1))
    assert (rows["as built"]["parameters"], rows["padding"]["parameters"]) == (16 * 3 * 9, 16 * 3 * 16)
    assert rows["padding"]["multiply_adds"] == 16 * 3 * 16 * 32 * 32
    assert rows["padding"]["done"]["changed"] == [
        {"name": "0", "kind": "Conv2d", "before": "3 x 3 / 2", "after": "4 x 4 / 2"}
    ]
    said = perturb("remedy", "three.py:three", "--out", work / "remedies.html").output
    assert "What each costs" in (work / "remedies.html").read_text(encoding="utf-8")
    assert perturb("remedy", "three.py:three", "--out", "remedies.txt").exit_code == 2
    assert "Does not apply: pool, mean-shortcut: found no layer to change" in said


@pytest.mark.slow
def test_remedies_measured(work):
    """A strictly dead network loses; with its 1 x 1 kernel padded and drawn afresh it does not."""
    (work / "drawn.py").write_text(
        NET + "def drawn(): return nn.Sequential(nn.Conv2d(3, 16, 1, 2), nn.BatchNorm2d(16), nn.ReLU()), SMALL\n"
    )
    (work / "short.perturb.toml").write_text(SUITE.format(count=12, at_most=0.1))
    asked = ("--with", "padding", "--suite", "short.perturb.toml", "--seeds", "2")
    result = perturb("remedy", "drawn.py:drawn", *asked, "--json")
    assert result.exit_code == 0, result.output
    built, padded = json.loads(result.stdout)["rows"]
    assert (built["loss"]["n"], built["loss"]["method"]) == (2, "t over 2 seeds")
    assert built["energy"] is None
    assert built["loss"]["value"] > 0.5 > abs(padded["loss"]["value"])
    assert built["accuracy"] < 0.75 < padded["accuracy"] <= 1
    assert padded["done"]["weights"] == "fresh"
    assert (built["time"], built["kept"]["value"], built["front"]) == (1, 0, True)
    assert padded["kept"]["value"] == pytest.approx(padded["accuracy"] - built["accuracy"])
    assert padded["time"] > 0


@pytest.mark.slow
def test_a_changed_network_is_saved_and_loaded_again(work):
    result = perturb("remedy", "net.py:dead", "--with", "padding:fresh", "--save", "padded.safetensors")
    assert result.exit_code == 0, result.output
    assert "load it with --remedy padding --weights padded.safetensors" in result.stderr
    arguments = ("--remedy", "padding", "--weights", "padded.safetensors")
    assert json.loads(perturb("lint", "net.py:dead", *arguments, "--json").stdout)["balanced"]
    perturb("qualify", "net.py:dead", *arguments, "--suite", "tiny.perturb.toml", "--out", "run")
    report = json.loads((work / "run/report.json").read_text())
    assert report["model"]["remedy"]["weights"] == "loaded"
    assert "--remedy padding" in report["provenance"]["command"]
    assert perturb("lint", "net.py:dead", "--weights", "padded.safetensors").exit_code == 4
    assert perturb("remedy", "net.py:dead", "--save", "all.safetensors").exit_code == 2


def test_receptive_fields_and_accuracy(work):
    """By depth for one model; for four the rank correlation of a table that rises with their size."""
    lines = [f"def k{k}(): return nn.Sequential(nn.Conv2d(3, 4, {k}, 2, {k // 2})), SMALL" for k in (3, 5, 7, 9)]
    (work / "sizes.py").write_text(NET + "\n".join(lines))
    (work / "table.csv").write_text("model,accuracy\n" + "".join(f"sizes.py:k{k},0.{k}\n" for k in (3, 5, 7, 9)))
    shared = ("--images", "noise", "--count", "4", "--json")
    one = json.loads(perturb("rf", "sizes.py:k5", *shared).stdout)
    assert [f["theory"]["size"] for f in one["fields"]] == [[5, 5]]
    found = json.loads(perturb("rf", "--accuracies", "table.csv", *shared).stdout)
    assert [f["theory"]["size"][0] for f in found["fields"]] == [3, 5, 7, 9]
    assert found["relations"][0]["value"] == pytest.approx(1)
    shown = perturb("rf", "--accuracies", "table.csv", *shared[:-1]).output
    assert "theoretical size and accuracy: " in shown
    few = perturb("rf", "sizes.py:k3", "sizes.py:k5", "--accuracies", "table.csv", *shared)
    assert (few.exit_code, "needs at least 4" in few.stderr) == (2, True)
    absent = perturb("rf", "net.py:dead", "--accuracies", "table.csv", *shared)
    assert (absent.exit_code, "no row for ['net.py:dead']" in absent.stderr) == (2, True)
    assert perturb("rf").exit_code == 2


@pytest.mark.slow
def test_where_dead_pixels_come_from(work):
    """In the terminal, and in files by their suffix; what shows no gradients is refused, and so are other suffixes."""
    asked = ("explain", "net.py:dead", "--images", "noise", "--count", "4")
    shown = perturb(*asked, "--out", "found.json")
    assert "net.py:dead, its output: structural" in shown.output
    found = json.loads((work / "found.json").read_text())
    assert (found["origin"], found["period"], len(found["shares"]["layers"])) == ("structural", 2, 1)
    for suffix, holds in (("md", "# `net.py:dead`, `output`: structural"), ("html", "<td data-name="), ("svg", "<svg")):
        assert perturb(*asked, "--out", f"found.{suffix}").exit_code == 0
        assert holds in (work / f"found.{suffix}").read_text()
    other = perturb(*asked, "--out", "found.pdf")
    assert (other.exit_code, "ends in .html, .json, .md, .svg" in other.stderr) == (2, True)
    camera = perturb(*asked, "--sensor", "80x80")
    assert (camera.exit_code, "leave out --sensor" in camera.stderr) == (2, True)


def test_shift_for_people_and_machines(work):
    asked = ("shift", "net.py:pooled", "--images", "noise", "--count", "4", "--span", "4")
    assert json.loads(perturb(*asked, "--json").stdout)["photographs"] == 4
    assert "By phase" in perturb(*asked).output


def test_weights_that_are_kept_are_no_cure(work):
    """A network without batch normalisation may be trained: whoever reads imbalance 1 is told what it takes."""
    assert "dead pixels stay" in perturb("remedy", "net.py:dead", "--with", "padding:kept").output
    assert "dead pixels stay" not in perturb("remedy", "net.py:dead", "--with", "padding:fresh").output


def test_saved_weights_are_the_ones_measured(work):
    """Of a remedy that changes no shape, and an untrained network with a seed of its own."""
    (work / "drawn.py").write_text(
        NET + "def drawn(): return nn.Sequential(nn.Conv2d(3, 16, 3, 2, 1), nn.BatchNorm2d(16)), SMALL\n"
    )
    perturb("remedy", "drawn.py:drawn", "--seed", "3", "--with", "blurpool", "--save", "blurred.safetensors")
    asked = {"model": "drawn.py:drawn", "device": "cpu", "remedy": "blurpool"}
    drawn, _ = Choice(**asked, weights=None, seed=3).load()
    loaded, done = Choice(**asked, weights="blurred.safetensors", seed=0).load()
    assert (loaded.digest, done.weights) == (drawn.digest, "kept")
