"""Records as files: what is written is read back; whatever else a file holds is one line with its name and field."""

import json
import os
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Literal

import numpy as np
import pytest
from test_cli import NET, SUITE, perturb
from toyruns import KEPT, a_run

from perturb import baseline, changes, counterexample, report
from perturb.baseline import accept, compare
from perturb.counterexample import About, Case, to_json
from perturb.errors import InputError, UsageError
from perturb.files import UNWRITTEN, decode, encode, read_text
from perturb.history import Entry, Point
from perturb.perturbations.patches import Pixel
from perturb.visible import plain


class Colour(StrEnum):
    RED = "red"


@dataclass(frozen=True, slots=True, kw_only=True)
class Inner:
    value: float
    colour: Colour
    size: tuple[int, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class Outer:
    schema: int
    inner: tuple[Inner, ...]
    mode: Literal["add", "blend"] = "add"
    sure: bool = True
    drawn: object = field(default=None, compare=False, metadata=UNWRITTEN)


OUTER = Outer(schema=2, inner=(Inner(value=0.5, colour=Colour.RED, size=(1, 2)),), drawn=object())
TEXT = encode(OUTER)


def read(text, **more):
    return decode(Outer, text, "x.json", schema=2, **more)


def test_a_record_survives_its_file():
    """Tuples stay tuples, enums enums; what is not written has its default."""
    again = read(TEXT)
    assert again == OUTER
    assert (type(again.inner), type(again.inner[0].size), type(again.inner[0].colour)) == (tuple, tuple, Colour)
    assert again.drawn is None
    assert encode(again) == TEXT
    assert TEXT.endswith("}\n")


def test_no_number_that_json_lacks_is_written():
    with pytest.raises(ValueError, match="not JSON compliant"):
        encode(Inner(value=float("nan"), colour=Colour.RED, size=(1, 2)))


@pytest.mark.parametrize(
    ("old", "new", "fault"),
    [
        ("0.5", '"x"', 'inner.0.value: expected a number, got "x"'),
        ("0.5", "null", "inner.0.value: expected a number, got null"),
        ("0.5", "true", "inner.0.value: expected a number, got true"),
        ("0.5", "[[1]]", "inner.0.value: expected a number, got a list"),
        ("0.5", "NaN", "inner.0.value: expected a finite number, got NaN"),
        ("0.5", "1e999", "inner.0.value: expected a finite number, got Infinity"),
        ("0.5", "9" * 5000, "inner.0.value: expected a finite number, got Infinity"),
        ("0.5", '"' + "x" * 5000 + '"', 'inner.0.value: expected a number, got "' + "x" * 36 + "..."),
        ("0.5", '"\x1b[31m\u202e"', "line 9, column 17: not JSON: Invalid control character at"),
        ("0.5", '"\\u001b[31m\u202e"', 'inner.0.value: expected a number, got "\\u001b[31m\\u202e"'),
        ('"red"', '"blue"', "inner.0.colour: expected 'red', got \"blue\""),
        ('"red"', '"\\ud800"', "nested too deeply, or with half of a surrogate pair in its text"),
        ('"add"', '"os:system"', "mode: expected 'add' or 'blend', got \"os:system\""),
        ('"sure": true', '"sure": 1', "sure: expected true or false, got 1"),
        ("2\n", "2.0\n", "inner.0.size.1: expected a whole number, got 2.0"),
        ("2\n", "9" * 5000, "inner.0.size.1: expected a whole number, got Infinity"),
        ('"sure"', '"sur\\u001be"', "sur\\x1be: is not a field"),
        ('"value"', '"worth"', "inner.0.value: is missing"),
        ('"value": 0.5', '"value": 0.5, "value": 1', "value is given twice in one object"),
        ('"schema": 2', '"schema": 3', "schema: 3 is not one that this version reads (up to 2)"),
        ('"schema": 2', '"schema": 0', "schema: 0 is not one that this version reads (up to 2)"),
        ('"schema": 2', '"schema": true', "schema: true is not one that this version reads (up to 2)"),
        ('"schema": 2', '"schema": 2.0', "schema: 2.0 is not one that this version reads (up to 2)"),
        ('"schema": 2', '"scheme": 2', "schema: is missing"),
        (TEXT, "null", "expected an object, got null"),
        (TEXT, "[]", "expected an object, got a list"),
        (TEXT, "3", "expected an object, got 3"),
        (TEXT, "", "line 1, column 1: not JSON: Expecting value"),
        (TEXT, TEXT[:60], "line 6, column 1: not JSON: Expecting value"),
        (TEXT, "[" * 10_000, "nested too deeply"),
        (TEXT, '{"schema": 2, "inner": ' + "[" * 10_000 + "]" * 10_000 + "}", "nested too deeply"),
        (TEXT, '{"schema": 2, "inner": ' + "[" * 400 + "]" * 400 + "}", "nested too deeply"),
    ],
)
def test_a_fault_is_one_line_with_the_file_and_the_field(old, new, fault):
    assert old in TEXT
    with pytest.raises(InputError) as told:
        read(TEXT.replace(old, new, 1))
    assert str(told.value).startswith(f"`x.json`: {fault}")
    assert "\n" not in str(told.value)
    assert len(str(told.value)) < 200


def test_an_older_schema_is_upgraded_before_it_is_checked():
    """By one pure function for each step; what is no file of that schema is one line too."""
    old = TEXT.replace('"schema": 2', '"schema": 1').replace('"inner"', '"parts"')

    def upgrade(data):
        data = dict(data)
        data["inner"] = data.pop("parts")
        return data

    assert read(old, upgrades={1: upgrade}) == OUTER
    with pytest.raises(InputError, match="schema: 1 is not one"):
        read(old)
    with pytest.raises(InputError, match=r"`x\.json`: not a file of schema 1: KeyError: 'parts'\.$"):
        read('{"schema": 1}', upgrades={1: upgrade})


def test_what_contradicts_itself_is_refused():
    with pytest.raises(InputError, match=r"^`x\.json`: sure: expected doubt\.$"):
        read(TEXT, check=lambda found: ["sure: expected doubt"] if found.sure else [])


@pytest.mark.parametrize(
    ("make", "error", "words"),
    [
        (lambda path: None, UsageError, "cannot be read: No such file or directory"),
        (os.mkdir, InputError, "expected a file, got a folder"),
        (os.mkfifo, InputError, "expected a file, got a pipe or a device"),
        (lambda path: os.symlink("/dev/zero", path), InputError, "expected a file, got a pipe or a device"),
        (lambda path: os.truncate(os.open(path, os.O_CREAT | os.O_WRONLY), 2**40), InputError, "at most 16 MiB, got"),
        (lambda path: path.write_bytes(b'{"a": "\xff"}'), InputError, "not UTF-8 at byte 7"),
    ],
)
def test_what_is_no_text_file_is_refused_unread(tmp_path, make, error, words):
    """Without waiting for a pipe's writer, without an end to a device, without the memory for a terabyte."""
    make(tmp_path / "x")
    with pytest.raises(error, match=words) as told:
        read_text(tmp_path / "x")
    assert "\n" not in str(told.value)


def a_case():
    about = About(aim="missed", check="pixel", model="net", suite={}, weights_digest="0")
    flat = np.array([[[0.5] * 8] * 8] * 3)
    return to_json(Case(picture=flat, perturbation=Pixel(), level=0.5, dead=(1, 1), live=(2, 2)), about)


def an_entry():
    point = Point(
        run="a", timestamp="t", check="c", quantity="q", value=0.5, low=0.25, high=0.75, n=9, at_most=1, verdict="FAIL"
    )
    return encode(
        Entry(run="a", timestamp="t", suite="s", suite_digest="d", model="m", verdict="FAIL", findings=(point,))
    )


SEALED = {
    "report": (lambda: encode(a_run().report), report.from_json),
    "baseline": (lambda: encode(accept(a_run(), "one")), baseline.from_json),
    "changes": (lambda: encode(compare(accept(a_run(), "one"), a_run(), "two")), changes.from_json),
    "counterexample": (a_case, counterexample.from_json),
    "an index's entry": (an_entry, lambda text: decode(Entry, text, "index")),
}


def leaves_of(data, at=()):
    """The paths of all numbers, texts and truths."""
    if isinstance(data, dict | list):
        for key, value in data.items() if isinstance(data, dict) else enumerate(data):
            yield from leaves_of(value, (*at, key))
    elif data is not None:
        yield at


def with_a_change(text, at):
    data = json.loads(text)
    here = data
    for key in at[:-1]:
        here = here[key]
    old = here[at[-1]]
    here[at[-1]] = not old if isinstance(old, bool) else old * 1.001 + 1 if isinstance(old, int | float) else old + "x"
    return json.dumps(data)


@pytest.mark.parametrize("kind", SEALED)
def test_no_word_or_number_of_a_sealed_file_can_be_changed(kind):
    write, load = SEALED[kind]
    text = write()
    paths = list(leaves_of(json.loads(text)))
    assert ("digest",) in paths
    for at in paths[:: len(paths) // 60 + 1]:
        with pytest.raises(InputError):
            load(with_a_change(text, at))


@pytest.mark.parametrize("kind", SEALED)
def test_a_sealed_file_may_be_laid_out_anew_and_an_older_one_has_no_digest(kind):
    """By a formatter, which may write 1.0 as 1 and sort keys otherwise."""
    write, load = SEALED[kind]
    text = write()
    whole = json.loads(text, parse_float=lambda digits: int(float(digits)) if float(digits) % 1 == 0 else float(digits))
    laid_out = json.dumps(dict(reversed(whole.items())))
    assert laid_out != text
    assert repr(load(laid_out)) == repr(load(text))
    for wrong in ("", "0" * 64):
        with pytest.raises(InputError, match="digest: does not match"):
            load(json.dumps(json.loads(text) | {"digest": wrong}))
    without = json.loads(text)
    del without["digest"]
    if "schema" in without:
        with pytest.raises(InputError, match="digest: is missing"):
            load(json.dumps(without))
        load(json.dumps(without | {"schema": without["schema"] - 1}))
    else:
        with pytest.raises(InputError, match="digest: is missing"):
            load(json.dumps(without))


def test_names_stay_in_their_line():
    assert plain("a\nb\x1b[31m\u202e\udcff é") == "a\\nb\\x1b[31m\\u202e\\udcff é"


FAULTY = {
    "null": b"null",
    "list": b"[]",
    "number": b"3",
    "empty": b"",
    "digits": b'{"schema": ' + b"9" * 5000 + b"}",
    "brackets": b"[" * 10_000,
    "latin": b'{"schema": "\xe9"}',
    "truncated": None,
    "flipped": None,
    "pipe": None,
    "device": None,
}


@pytest.fixture
def work(tmp_path, monkeypatch):
    """A run, a baseline and a counterexample."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "net.py").write_text(NET)
    (tmp_path / "tiny.perturb.toml").write_text(SUITE.format(count=24, at_most=0.1))
    (tmp_path / "run").mkdir()
    for path in (KEPT / "report-1").iterdir():
        (tmp_path / "run" / path.name).write_bytes(path.read_bytes())
    (tmp_path / "baseline.json").write_text(encode(accept(a_run(), "one")))
    (tmp_path / "case.json").write_text(a_case())
    return tmp_path


def spoil(path, how):
    data = path.read_bytes()
    path.unlink()
    if how == "pipe":
        os.mkfifo(path)
    elif how == "device":
        path.symlink_to("/dev/zero")
    elif how == "truncated":
        path.write_bytes(data[: len(data) // 2])
    elif how == "flipped":
        at = data.index(b'"schema"') + 7 if path.suffix == ".json" else len(data) // 2
        path.write_bytes(data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :])
    else:
        path.write_bytes(FAULTY[how])


@pytest.mark.parametrize("how", FAULTY)
@pytest.mark.parametrize(
    ("file", "args"),
    [
        ("run/report.json", ("summary", "run")),
        ("run/report.json", ("baseline", "accept", "new.json", "run")),
        ("run/trials.npz", ("compare", "run", "run")),
        ("baseline.json", ("compare", "baseline.json", "run")),
        ("baseline.json", ("qualify", "net.py:even", "--suite", "tiny.perturb.toml", "--baseline", "baseline.json")),
        ("case.json", ("replay", "net.py:even", "case.json")),
    ],
)
def test_every_command_says_what_is_wrong_with_a_file_in_one_line(work, file, args, how):
    spoil(work / file, how)
    result = perturb(*args)
    assert (result.exit_code, result.stderr.count("\n")) == (4, 1), result.output
    assert file.rpartition("/")[2] in result.stderr
    assert "unforeseen" not in result.stderr
    assert not (work / "new.json").exists()


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"suite": {"name": "x"}}, "about.suite.check: is missing"),
        ({"suite": {"name": "x", "check": [], "seed": "9"}}, "about.suite.check: tuple should have at least 1 item"),
        ({"aim": "hit"}, "about.aim: expected 'missed' or 'flipped', got \"hit\""),
    ],
)
def test_a_counterexamples_suite_is_checked_with_it(work, change, words):
    data = json.loads((work / "case.json").read_text()) | {"schema": 2}  # of which no digest is asked
    del data["digest"]
    (work / "case.json").write_text(json.dumps(data | {"about": data["about"] | change}))
    result = perturb("replay", "net.py:even", "case.json")
    assert (result.exit_code, result.stderr.count("\n")) == (4, 1), result.output
    assert f"`case.json`: {words}" in result.stderr
