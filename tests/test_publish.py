"""Published reports: what is measured, how it is filed, and that the shipped ones are what the renderers give."""

import json
from pathlib import Path

import pytest
import torch
from click.testing import CliRunner
from safetensors.torch import save_file

from perturb import lint, load
from perturb.cli import main
from perturb.files import encode
from perturb.render import published as render
from perturb.report import SCHEMA, from_json
from perturb.stories.publish import slug

REPORTS = Path(__file__).parents[1] / "reports"
NET = """
import torch
from torch import nn
from perturb import Preprocessing
SMALL = Preprocessing(input_shape=(3, 64, 64))
def net(): return nn.Sequential(nn.Conv2d(3, 16, 1, 2, bias=False), nn.ReLU()), SMALL
def even(): return nn.Sequential(nn.Conv2d(3, 16, 2, 2, bias=False), nn.ReLU()), SMALL
"""
SUITE = """
name = "tiny"
[images]
source = "dead-leaves"
count = 12
[map]
kind = "structural"
[evaluator]
layer = "0"
[[check]]
name = "pixel"
perturbation = { kind = "pixel" }
pairs = 2
claim = { quantity = "accuracy-loss", at_most = 0.1 }
"""


def kept(folder):
    """Reports by their path without suffix."""
    return {
        str(path.relative_to(folder).with_suffix("").as_posix()): from_json(path.read_text(encoding="utf-8"))
        for path in sorted(folder.glob("*/*.json"))
    }


@pytest.mark.slow
def test_networks_are_published_as_built_and_padded_at_the_same_places(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "net.py").write_text(NET)
    (tmp_path / "tiny.perturb.toml").write_text(SUITE)
    result = CliRunner().invoke(
        main, ["publish", "net.py:net", "net.py:even", "--suite", "tiny.perturb.toml", "--seeds", "2"]
    )
    assert result.exit_code == 0, result.output
    reports = kept(tmp_path / "reports")
    assert list(reports) == [
        f"tiny/{n}"
        for n in ("net-even-0", "net-even-1", "net-net-0", "net-net-1", "net-net-padded-0", "net-net-padded-1")
    ]
    built, padded = reports["tiny/net-net-0"], reports["tiny/net-net-padded-0"]
    assert built.experiments[0].dead_phases == padded.experiments[0].dead_phases == ((0, 1), (1, 0), (1, 1))
    assert [change.name for change in padded.model.remedy.changed] == ["0"]
    for path, text in render.files(reports).items():
        assert (tmp_path / "reports" / path).read_text(encoding="utf-8") == text
    lines = render.lines(reports, "tiny")
    assert [(line.model, line.remedy, len(line.losses)) for line in lines] == [
        ("net.py:net", "as built", 2),
        ("net.py:net", "padding", 2),
        ("net.py:even", "as built", 2),
    ]
    assert lines[0].loss > 0.4 > lines[1].loss
    assert lines[0].low < lines[0].loss < lines[0].high
    assert "net.py:net" in (tmp_path / "reports/README.md").read_text()


@pytest.mark.slow
def test_a_network_is_published_with_weights_under_their_name(tmp_path, monkeypatch):
    """Once, whatever `--seeds` says: loaded weights are not drawn. They belong to one model."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "net.py").write_text(NET)
    (tmp_path / "tiny.perturb.toml").write_text(SUITE)
    save_file({"0.weight": torch.ones(16, 3, 1, 1)}, tmp_path / "ones.safetensors")
    command = ["publish", "net.py:net", "--suite", "tiny.perturb.toml", "--weights", "ones.safetensors"]
    result = CliRunner().invoke(main, command)
    assert result.exit_code == 0, result.output
    reports = kept(tmp_path / "reports")
    assert list(reports) == ["tiny/ones"]
    assert reports["tiny/ones"].provenance.command == "perturb " + " ".join(command)
    refused = CliRunner().invoke(main, ["publish", "net.py:net", "net.py:even", "--weights", "ones.safetensors"])
    assert (refused.exit_code, refused.output.count("\n")) == (2, 1)
    assert "`--weights` are those of one MODEL; 2 are given" in refused.output


@pytest.mark.parametrize(
    ("reference", "name"),
    [
        ("torchvision:resnet18", "resnet18"),
        ("torchvision:resnet50@DEFAULT", "resnet50-DEFAULT"),
        ("examples/efficientnet_lite0.py:build", "efficientnet_lite0-build"),
        ("pkg.mod:factory", "factory"),
    ],
)
def test_a_reference_gives_its_file_a_name(reference, name):
    assert slug(reference) == name


def test_the_published_reports_are_what_the_renderers_give():
    """Byte for byte: the JSON is the truth. One of an earlier schema stays as it was; the page of the first says so."""
    reports = kept(REPORTS)
    assert reports
    for path, found in reports.items():
        written = (REPORTS / f"{path}.json").read_text(encoding="utf-8")
        schema = json.loads(written)["schema"]
        assert (written == encode(found)) == (schema == SCHEMA)
        assert ("Measured by an earlier version" in (REPORTS / f"{path}.md").read_text(encoding="utf-8")) == (
            schema == 1
        )
    files = render.files(reports)
    for path, text in files.items():
        assert (REPORTS / path).read_text(encoding="utf-8") == text
    there = {str(path.relative_to(REPORTS).as_posix()) for path in REPORTS.rglob("*") if path.is_file()}
    assert there == set(files) | {f"{path}.json" for path in reports}


def test_the_indexs_structure_is_what_lint_finds():
    found = lint(load("torchvision:mobilenet_v3_small"))
    faulty = sum(not layer["balanced"] for layer in found["layers"])
    row = f"| MobileNetV3-small | {faulty} | {found['period']} | {found['imbalance']:.4g} |"
    assert row in (REPORTS / "README.md").read_text(encoding="utf-8")
