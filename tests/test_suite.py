"""Suite files: what is shipped, and how mistakes are told."""

import json
import os
from pathlib import Path

import pytest

from perturb.errors import InputError, UsageError
from perturb.shipped import shipped
from perturb.suite import DEFAULTS, TABLES, Suite, load_suite, parse_suite

CHECK = (
    '[[check]]\nname = "x"\nperturbation = { kind = "pixel" }\nclaim = { quantity = "accuracy-loss", at_most = 0.1 }\n'
)


def test_shipped_suites_are_valid():
    assert {"demo", "single-pixel", "small-patch", "small-perturbation", "smoke"} <= set(shipped())
    for name in shipped():
        assert load_suite(name).name == name


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (
            '[map]\nkind = "enrgy"\n' + CHECK,
            r"\[map\] kind = 'enrgy' is unknown, expected one of .* Did you mean 'energy'",
        ),
        ('[images]\nsauce = "x"\n' + CHECK, r"\[images\] sauce is not a key, .* Did you mean 'source'"),
        (CHECK.replace("pixel", "pixle"), r"perturbation\] kind = 'pixle' is unknown.* Did you mean 'pixel'"),
        (
            CHECK.replace("accuracy-loss", "acuracy-loss"),
            r"claim\] quantity = 'acuracy-loss'.* Did you mean 'accuracy-loss'",
        ),
        (CHECK.replace(", at_most = 0.1", ""), r"claim\] at_most is missing"),
        (CHECK.replace("0.1", "nan"), "at_most = nan: input should be a finite number"),
        (CHECK + "level = 2\n", r"level = 2: input should be less than or equal to 1"),
        (CHECK + "levle = 0.5\n", "levle is not a key.* Did you mean 'level'"),
        (
            '[detector]\nkind = "reference"\n' + CHECK,
            r"detector is not a key any more: write \[evaluator\] with kind change",
        ),
        (
            '[evaluator]\nkind = "label"\nlyer = "0"\n' + CHECK,
            r"\[evaluator\] lyer is not a key.* Did you mean 'layer'",
        ),
        ('[evaluator]\nkind = "lable"\n' + CHECK, r"\[evaluator\] kind = 'lable' is unknown.* Did you mean 'label'"),
        ('[task]\nkind = "my.module:Task"\n' + CHECK, r"\[task\] kind = 'my.module:Task' is unknown"),
        ("x = [", "not TOML"),
        ("", "check is missing"),
        (CHECK + CHECK, "'x' is used twice"),
        ("seed = -1\n" + CHECK, "seed = -1"),
        (f"seed = {2**63}\n" + CHECK, "seed = 9223372036854775808: input should be less than or equal to"),
        (f"seed = {'9' * 5000}\n" + CHECK, "not TOML: Exceeds the limit"),
        ('"\\u001b\\u202e" = 1\n' + CHECK, r"\\x1b\\u202e is not a key"),
    ],
)
def test_mistakes_are_named_with_file_and_key(text, words):
    with pytest.raises(UsageError, match=r"^my\.toml: .*" + words) as told:
        parse_suite('name = "s"\n' + text, "my.toml")
    assert "more)" not in str(told.value)  # each holds one mistake


def test_unknown_suite():
    with pytest.raises(UsageError, match=r"no suite `single-pixl`, .* Did you mean 'single-pixel'"):
        load_suite("single-pixl")


def test_the_digest_knows_every_key():
    base = parse_suite('name = "s"\n' + CHECK, "x")
    assert base.digest == parse_suite('name = "s"\nseed = 0\n' + CHECK, "x").digest
    assert base.digest != parse_suite('name = "s"\nseed = 1\n' + CHECK, "x").digest
    told = "[images]\nuntil_decided = true\nat_most = 9\n"
    assert base.digest == parse_suite('name = "s"\n' + told + CHECK, "x").digest  # how many is no part of what


def test_the_digest_relies_on_defaults_that_stay():
    """Keys with their default are no part of a digest. Where one changes, raise `DEFAULTS` here and there."""
    kept = json.loads((Path(__file__).parent / "kept" / "defaults.json").read_text())
    now = {
        f"{name}.{key}": repr(field.default)
        for name, table in {"suite": Suite, **TABLES}.items()
        for key, field in table.model_fields.items()
    }
    assert kept.pop("DEFAULTS") == DEFAULTS
    assert {key: now[key] for key in kept} == kept


def test_a_kind_of_ones_own_takes_its_own_keys():
    suite = parse_suite('name = "s"\n[evaluator]\nkind = "mine:Eye"\nreach = 3\n' + CHECK, "folder/my.toml")
    assert suite.evaluator.model_extra == {"reach": 3}
    assert suite.folder.name == "folder"


def test_another_recipe_needs_a_training():
    plain = parse_suite('name = "s"\n' + CHECK, "x")
    assert plain.taught("short") == plain
    learnt = parse_suite('name = "s"\n[training]\nseeds = 2\n' + CHECK, "x").taught("short")
    assert (learnt.training.recipe, learnt.training.seeds) == ("short", 2)


@pytest.mark.parametrize(
    "text",
    [
        "a = " + "[" * 10_000,
        "[images]\ncount = 99999999999999999999",
        ".".join(["a"] * 20_000) + " = 1",
        "x = {" + ". ".join(['"a b"'] * 20_000) + " = 1}",
        f"[{'.'.join(['a'] * 20_000)}]",
    ],
)
def test_what_would_exhaust_the_machine_is_refused(text):
    with pytest.raises(UsageError, match=r"x\.perturb\.toml"):
        parse_suite(text, "x.perturb.toml")


@pytest.mark.parametrize(
    ("make", "error", "words"),
    [
        (os.mkdir, InputError, "got a folder"),
        (os.mkfifo, InputError, "got a pipe or a device"),
        (lambda path: os.symlink("/dev/zero", path), InputError, "got a pipe or a device"),
        (lambda path: os.symlink(path, path), UsageError, "cannot be read: Too many levels of symbolic links"),
        (lambda path: os.truncate(os.open(path, os.O_CREAT | os.O_WRONLY), 2**30), InputError, "at most 1 MiB, got"),
        (lambda path: path.write_bytes(b'name = "\xff"'), InputError, "not UTF-8 at byte 8"),
    ],
)
def test_a_suite_is_a_small_regular_file(tmp_path, make, error, words):
    make(tmp_path / "x.perturb.toml")
    with pytest.raises(error, match=words):
        load_suite(str(tmp_path / "x.perturb.toml"))


def test_a_folder_hides_no_shipped_suite(tmp_path, monkeypatch):
    (tmp_path / "smoke").mkdir()
    monkeypatch.chdir(tmp_path)
    assert load_suite("smoke").name == "smoke"


def test_lists_of_numbers_and_sentences_are_no_keys():
    words = 'description = "' + "A sentence. Another one: 1.5, 2.5. " * 100 + '"\n'
    assert parse_suite('name = "s"\n' + words + CHECK, "x").name == "s"


def test_the_settings_are_what_the_digest_is_of():
    """Each key that is not its default, nested ones by their path; how many are judged is no part of it."""
    told = '[images]\ncount = 9\nuntil_decided = true\nat_most = 3\n[expected-failures]\nx = "known"\n'
    suite = parse_suite('name = "s"\nseed = 0\n' + told + CHECK, "x")
    assert suite.settings == parse_suite('name = "s"\n[images]\ncount = 9\n' + CHECK, "x").settings
    assert suite.settings["images.count"] == "9"
    assert {"name": "s", "check.0.name": "x", "check.0.perturbation.kind": "pixel"}.items() <= suite.settings.items()
    assert "seed" not in suite.settings
