"""A run and its files."""

import io
import json
import zipfile
from dataclasses import replace

import numpy as np
import pytest
from toyruns import KEPT, a_measurement, a_run

from perturb.errors import InputError
from perturb.npz import unpack
from perturb.quantities.detection import detected
from perturb.records import DEAD, Contribution
from perturb.report import SCHEMA
from perturb.runs import FILES, decode, encode, identify, read, table


@pytest.mark.parametrize("schema", range(1, SCHEMA + 1))
def test_every_schema_stays_readable(schema):
    """Each version's kept run is read by this one, its trials and maps with it."""
    run = decode(read(KEPT / f"report-{schema}"))
    assert run.report.schema == SCHEMA
    assert set(run.measured) == {e.name for e in run.report.experiments}
    for experiment in run.report.experiments:
        seen = run.measured[experiment.name].seen
        assert seen.evidence[..., DEAD].size == experiment.pairs
        assert detected(seen, "dead").mean() == pytest.approx(experiment.detected.dead.value)
    assert next(iter(run.maps.values())).values.sum() == pytest.approx(1, abs=1e-5)


def test_a_check_of_an_old_run_may_be_named_as_an_array_is():
    given = read(KEPT / "report-1")
    name, *_ = decode(given).measured
    with np.load(io.BytesIO(given["trials.npz"])) as stored:
        arrays = {key.replace(f"/{name}/", "/evidence/"): value for key, value in stored.items()}
    arrays["header"] = np.array(str(arrays["header"]).replace(f'"{name}"', '"evidence"'))
    buffer = io.BytesIO()
    np.savez(buffer, **arrays)
    assert "evidence" in decode(given | {"trials.npz": buffer.getvalue()}).measured


def test_a_run_survives_its_files():
    """The same run gives the same bytes, and reading them back loses nothing."""
    run = a_run(a_measurement(np.eye(4), np.ones((4, 4))))
    files = encode(run)
    assert set(files) == set(FILES)
    assert encode(run) == files
    again = decode(files)
    assert encode(again) == files
    assert again.report == run.report
    assert set(again.report.files) == {"trials.npz", "maps.npz"}
    np.testing.assert_array_equal(again.measured["pixel"].trials[0].dead, run.measured["pixel"].trials[0].dead)


def test_a_map_keeps_the_periods_of_rows_and_columns():
    found = Contribution(values=np.ones((4, 4)) / 16, kind="energy", layer="output", period=4, periods=(4, 2))
    again = decode(encode(replace(a_run(), maps={"output": found})), "a run")
    assert again.maps["output"].periods == (4, 2)


def test_trials_and_maps_are_those_that_the_report_was_written_with():
    files, other = encode(a_run()), encode(a_run(a_measurement(np.eye(4), np.ones((4, 4)))))
    for name in ("trials.npz", "maps.npz"):
        data = other[name] if files[name] != other[name] else files[name] + b"\0"
        with pytest.raises(InputError, match=rf"`run/{name}`: not the file that its report\.json names by digest"):
            decode(files | {name: data})
    older = json.loads(files["report.json"])
    del older["files"], older["digest"]
    older["schema"] = 3
    assert decode(files | {"report.json": json.dumps(older).encode(), "maps.npz": other["maps.npz"]}).report.files == {}


def test_a_member_that_is_no_array_is_refused():
    """NumPy hands out the bytes of a member whose name or head is damaged."""
    packed = io.BytesIO()
    np.savez(packed, header=np.array("{}"))
    with zipfile.ZipFile(packed, "a") as archive:
        archive.writestr("measured/pixel/evidence", b"\0" * 99)
    with pytest.raises(InputError, match=r"^`x`: measured/pixel/evidence: expected an array\.$"):
        unpack(packed.getvalue(), "x")


def test_an_array_whose_check_sum_does_not_match_is_refused():
    data = bytearray(encode(a_run())["maps.npz"])
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        first = archive.infolist()[0]
    data[first.header_offset + 30 + len(first.filename) + 20 + first.compress_size // 2] ^= 1
    with pytest.raises(InputError, match=r"^`maps\.npz`: "):
        unpack(bytes(data), "maps.npz")


def test_its_name_is_that_of_every_byte():
    files = encode(a_run())
    names = {identify(files)}
    for name in FILES:
        names.add(identify(files | {name: files[name] + b" "}))
    assert len(names) == 4


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("damage", [lambda b: b[: len(b) // 2], lambda b: b"", lambda b: b"{}", lambda b: b"\xff" * 99])
def test_damaged_files_are_one_line_with_their_name(name, damage):
    files = encode(a_run())
    with pytest.raises(InputError, match=f"^`run/{name}`: [^\n]+$"):
        decode(files | {name: damage(files[name])})


def repacked(data, header=None, **arrays):
    """The .npz with some arrays replaced, or, for None, left out; `header` changes its text."""
    with np.load(io.BytesIO(data)) as stored:
        kept = dict(stored) | {key.replace("__", "/"): value for key, value in arrays.items()}
    if header is not None:
        kept["header"] = np.array(header(str(kept["header"])))
    buffer = io.BytesIO()
    np.savez(buffer, **{key: value for key, value in kept.items() if value is not None})
    return buffer.getvalue()


@pytest.mark.parametrize(
    ("arrays", "words"),
    [
        ({"measured__pixel__realised": None}, "measured/pixel/realised: is missing"),
        (
            {"measured__pixel__realised": np.ones((1, 4, 3, 3))},
            "floats of shape 1 x 4 x 2 x 4, got float64 of 1 x 4 x 3 x",
        ),
        ({"measured__pixel__evidence": np.ones(4)}, "floats of shape 1 x any x any x 4, got float64 of 4"),
        ({"measured__pixel__threshold": np.ones(())}, "expected floats of shape 1 x 4, got float64 of one number"),
        ({"measured__pixel__photograph": np.ones(4)}, "photograph: expected integers of shape 4, got float64 of 4"),
        (
            {"measured__pixel__places__dead": np.ones((4, 2, 2), dtype="U3")},
            "expected integers of shape 1 x 4 x 2 x 2, got <U3",
        ),
        ({"measured__pixel__photograph": np.array([0, 1, 2, 4])}, "photograph: expected numbers below 4"),
        ({"measured__pixel__photograph": np.array([0, 1, 2, -1])}, "photograph: expected numbers below 4"),
        (
            {"header": lambda text: text.replace('"level": 0.5', '"level": "x"')},
            "measured.pixel.level: expected a number",
        ),
        ({"header": lambda text: text.replace('"schema": 3', '"schema": 9')}, "schema: 9 is not one that this version"),
        ({"header": None, "measured__pixel__evidence": np.array([{}])}, "Object arrays cannot be loaded"),
    ],
)
def test_arrays_are_checked_against_each_other(arrays, words):
    files = encode(a_run())
    with pytest.raises(InputError, match=f"^`run/trials.npz`: [^\n]*{words}"):
        decode(files | {"trials.npz": repacked(files["trials.npz"], **arrays)})


def test_arrays_that_would_fill_the_memory_are_refused(monkeypatch):
    """By the sizes that the archive states, before any is unpacked."""
    monkeypatch.setattr("perturb.npz.LIMIT", 2**20)
    files, large = encode(a_run()), io.BytesIO()
    np.savez_compressed(large, header=np.array("{}"), zeros=np.zeros(2**20))
    assert len(large.getvalue()) < 2**20
    with pytest.raises(InputError, match=r"`run/maps.npz`: expected at most 1 MiB of arrays, got 8 MiB"):
        decode(files | {"maps.npz": large.getvalue()})


def test_two_maps_of_one_layer_both_survive():
    """Each is stored under its key in `Run.maps`, whatever its layer is called."""
    made = {
        key: Contribution(values=np.full((2, 2), value), kind="energy", layer="4", period=2, images=3)
        for key, value in (("4", 0.25), ("pixel: 4", 0.5))
    }
    again = decode(encode(replace(a_run(), maps=made))).maps
    assert list(again) == list(made)
    for key, contribution in again.items():
        np.testing.assert_array_equal(contribution.values, made[key].values)
        assert (contribution.kind, contribution.layer, contribution.period, contribution.images) == (
            "energy",
            "4",
            2,
            3,
        )


def test_a_folder_without_trials_is_no_run(tmp_path):
    (tmp_path / "report.json").write_bytes(encode(a_run())["report.json"])
    with pytest.raises(InputError, match=r"not a whole run: .*trials\.npz` cannot be read: No such file"):
        read(tmp_path)


def test_a_row_for_each_pair():
    run = a_run(a_measurement([[0, 1], [1, 1]], [[1, 1], [0, 1]]))
    rows = table(replace(run, photographs=("a", "b")), "pixel")
    assert list(rows["photograph"]) == ["a", "a", "b", "b"]
    assert list(rows["pair"]) == [0, 1, 0, 1]
    assert list(rows["detected_dead"]) == [False, True, True, True]
    assert list(rows["detected_live"]) == [True, True, False, True]
    assert list(rows["live_row"]) == [1, 3, 1, 3]
