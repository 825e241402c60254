"""A run and its files."""

from dataclasses import replace

import numpy as np
import pytest
from toyruns import KEPT, a_measurement, a_run

from perturb.errors import InputError
from perturb.report import SCHEMA, to_json
from perturb.runs import FILES, decode, encode, identify, read, table


@pytest.mark.parametrize("schema", range(1, SCHEMA + 1))
def test_every_schema_stays_readable(schema):
    """Each version's kept run is read by this one, its trials and maps with it."""
    run = decode(read(KEPT / f"report-{schema}"))
    assert run.report.schema == SCHEMA
    assert set(run.measured) == {e.name for e in run.report.experiments}
    for experiment in run.report.experiments:
        outcomes = run.measured[experiment.name].outcomes
        assert outcomes.dead.size == experiment.pairs
        detected = (outcomes.dead > outcomes.threshold[:, None]).mean()
        assert detected == pytest.approx(experiment.rates["dead"].value)
    assert next(iter(run.maps.values())).values.sum() == pytest.approx(1, abs=1e-5)


def test_a_run_survives_its_files():
    """The same run gives the same bytes, and reading them back loses nothing."""
    run = a_run(a_measurement(np.eye(4), np.ones((4, 4))))
    files = encode(run)
    assert set(files) == set(FILES)
    assert encode(run) == files
    again = decode(files)
    assert encode(again) == files
    assert to_json(again.report) == to_json(run.report)
    np.testing.assert_array_equal(again.measured["pixel"].trials.dead, run.measured["pixel"].trials.dead)


def test_its_name_is_that_of_every_byte():
    files = encode(a_run())
    names = {identify(files)}
    for name in FILES:
        names.add(identify(files | {name: files[name] + b" "}))
    assert len(names) == 4


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("damage", [lambda b: b[: len(b) // 2], lambda b: b"", lambda b: b"{}"])
def test_damaged_files_are_an_input_error(name, damage):
    files = encode(a_run())
    with pytest.raises(InputError, match="cannot be read"):
        decode(files | {name: damage(files[name])})


def test_a_folder_without_trials_is_no_run(tmp_path):
    (tmp_path / "report.json").write_bytes(encode(a_run())["report.json"])
    with pytest.raises(InputError, match=r"not a whole run: trials\.npz: No such file"):
        read(tmp_path)


def test_a_row_for_each_pair():
    run = a_run(a_measurement([[0, 1], [1, 1]], [[1, 1], [0, 1]]))
    rows = table(replace(run, photographs=("a", "b")), "pixel")
    assert list(rows["photograph"]) == ["a", "a", "b", "b"]
    assert list(rows["pair"]) == [0, 1, 0, 1]
    assert list(rows["detected_dead"]) == [False, True, True, True]
    assert list(rows["detected_live"]) == [True, True, False, True]
    assert list(rows["live_row"]) == [1, 3, 1, 3]
