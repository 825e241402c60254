"""What goes elsewhere: Markdown for pull requests, the schema of report.json, the model-index."""

import json
from dataclasses import replace
from pathlib import Path

import jsonschema
import numpy as np
import pytest
import yaml
from test_cli import perturb
from toyruns import KEPT, a_measurement, a_report, a_run

from perturb.baseline import accept, compare
from perturb.cli.schema import of_report
from perturb.files import encode
from perturb.records import Verdict
from perturb.render.model_index import model_index
from perturb.render.summary import LIMIT, Sheet, summary

PUBLISHED = Path(__file__).parents[1] / "docs/report.schema.json"


def a_sheet(verdict=Verdict.PASS, *, name="net", changes=None):
    report = a_report()
    findings = tuple(replace(finding, verdict=verdict) for finding in report.findings)
    model = replace(report.model, reference=name)
    return Sheet(report=replace(report, verdict=verdict, findings=findings, model=model), changes=changes)


def regressed():
    before, after = (a_run(a_measurement(np.full((60, 2), seen), np.ones((60, 2)))) for seen in (1, 0))
    return compare(accept(before, "one"), after, "two")


def test_what_failed_comes_first():
    sheets = [a_sheet(), a_sheet(Verdict.FAIL, name="bad"), a_sheet(Verdict.INCONCLUSIVE, changes=regressed())]
    text = summary(sheets)
    assert text.startswith("## perturb: 1 FAIL, 1 REGRESSED, 1 INCONCLUSIVE, 1 PASS\n")
    rows = [line.split("**")[1] for line in text.splitlines() if line.startswith("| **")]
    assert rows == ["FAIL"] * 2 + ["INCONCLUSIVE"] * 2 + ["PASS"] * 2 + ["REGRESSED", "INCONCLUSIVE"]
    assert text.index("<summary>FAIL: pixel, bad") < text.index("<summary>INCONCLUSIVE: pixel, net")
    assert "<summary>PASS" not in text


def test_a_failed_instrument_is_above_all():
    sheet = a_sheet(Verdict.FAIL)
    controls = (replace(sheet.report.controls[0], passed=False),)
    broken = replace(sheet, report=replace(sheet.report, controls=controls, verdict=Verdict.INVALID))
    first = next(line for line in summary([sheet, broken]).splitlines() if line.startswith("| **"))
    assert first.startswith("| **INVALID** | `chance at strictly dead pixels`")


def test_names_stay_text():
    hostile = "a`|b\n<script>alert(1)</script>\n\n# head"
    text = summary([a_sheet(Verdict.FAIL, name=hostile)])
    lines = [line for line in text.splitlines() if "script" in line]
    assert lines
    for line in lines:
        in_span = line.startswith("| ") and r"`a'¦b\n<script>alert(1)</script>" in line
        assert in_span or line.startswith("    ") or "&lt;script&gt;" in line
    assert not [line for line in text.splitlines() if line.startswith("# ")]


@pytest.mark.slow
@pytest.mark.parametrize(("count", "limit"), [(2000, LIMIT), (40, 4000), (3, 1000)])
def test_it_stays_within_its_limit_and_counts_what_is_left_out(count, limit):
    text = summary([a_sheet(Verdict.FAIL, name="näme" * 10)] * count, limit=limit)
    assert len(text.encode()) <= limit
    assert text.endswith("more rows and explanations are left out for their size.*\n")


def test_a_summary_of_folders(tmp_path):
    for name, files in (("a/b", {}), ("c", {"changes.json": encode(regressed())})):
        (tmp_path / name).mkdir(parents=True)
        for file, text in ({"report.json": (KEPT / "report-1/report.json").read_text()} | files).items():
            (tmp_path / name / file).write_text(text)
    result = perturb("summary", tmp_path)
    assert result.exit_code == 0
    assert result.output.startswith("## perturb: 1 REGRESSED, 2 INCONCLUSIVE\n")
    read = yaml.safe_load(perturb("summary", "--as", "model-index", tmp_path).output)
    assert len(read["model-index"]) == 2
    (tmp_path / "c/changes.json").write_text("{}")
    broken = perturb("summary", tmp_path)
    assert (broken.exit_code, broken.stderr.count("\n")) == (4, 1)
    assert perturb("summary", tmp_path / "none").exit_code == 2


def test_the_model_index_is_yaml_whatever_the_name():
    sheet = a_sheet(name='a: "b"\n- c')
    (model,) = yaml.safe_load(model_index([sheet.report]))["model-index"]
    assert model["name"] == r'a: "b"\n- c'
    (result,) = model["results"]
    assert {"type", "name"} <= result["task"].keys() & result["dataset"].keys()
    assert [metric["value"] for metric in result["metrics"]] == [f.effect.value for f in sheet.report.findings]


def test_the_published_schema_is_that_of_the_records():
    """After a change: uv run perturb schema --report > docs/report.schema.json"""
    assert json.loads(PUBLISHED.read_text()) == of_report() == json.loads(perturb("schema", "--report").output)


def test_the_schema_takes_reports_and_nothing_else():
    schema = json.loads(PUBLISHED.read_text())
    jsonschema.Draft202012Validator.check_schema(schema)
    report = json.loads((KEPT / "report-3/report.json").read_text())
    jsonschema.validate(report, schema)
    for broken in (report | {"verdict": "GOOD"}, report | {"findings": [{}]}, {"schema": 1}):
        with pytest.raises(jsonschema.ValidationError):
            jsonschema.validate(broken, schema)
