"""The whole way from a suite with a [task] to a report; and what a suite's words may not say together."""

import json

import numpy as np
import pytest
import torch
from click.testing import CliRunner
from PIL import Image
from torch import nn
from toys import network, window

from perturb.cli import main
from perturb.errors import InputError, UsageError
from perturb.files import encode
from perturb.render import markdown, terminal
from perturb.report import from_json
from perturb.shipped import shipped
from perturb.stories.experiment import Wanted
from perturb.stories.qualify import Context, qualify
from perturb.suite import load_suite, parse_suite

SUITE = """
name = "tiny"
[images]
source = "{source}"
count = 40
calibration = 0.8
[task]
kind = "{task}"
classes = 3
[map]
kind = "structural"
[evaluator]
kind = "{evaluator}"
layer = "0"
{training}
[[check]]
name = "box"
perturbation = {{ kind = "{kind}", size = {size} }}
level = 0.5
pairs = 2
search = {search}
claim = {{ quantity = "{quantity}", at_most = 0.1 }}
"""


TRAINING = """[training]
regime = "{regime}"
recipe = "short"
epochs = 2
seeds = {seeds}
"""


def text_of(task="presence", regime="from-scratch", *, seeds=1, **changes):
    """`regime` as in SCIENCE: as-is and probe are ways to read a network as it is."""
    given = {
        "source": "dead-leaves",
        "evaluator": "features" if regime == "probe" else "label",
        "training": "" if regime in ("as-is", "probe") else TRAINING.format(regime=regime, seeds=seeds),
        "kind": "box",
        "size": 1,
        "search": "false",
        "quantity": "accuracy-loss",
    }
    return SUITE.format(task=task, **(given | changes))


def suite(*words, **changes):
    return parse_suite(text_of(*words, **changes), "tiny.perturb.toml")


CHECK = """[[check]]
name = "x"
perturbation = { kind = "pixel" }
claim = { quantity = "accuracy-loss", at_most = 0.1 }
"""


def model(outputs=2):
    torch.manual_seed(0)
    head = [nn.BatchNorm2d(16), nn.ReLU(), nn.AdaptiveMaxPool2d(1), nn.Flatten(), nn.Linear(16, outputs)]
    return network(nn.Sequential(window(3, padding=1), *head), shape=(3, 32, 32))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("regime", "task", "options"),
    [
        ("from-scratch", "presence", {"seeds": 2}),
        ("fine-tuned", "intensity", {}),
        ("probe", "presence", {}),
        ("as-is", "presence", {"search": "true"}),
        ("from-scratch", "digits", {"source": "digits", "kind": "digit", "size": 7}),
        ("fine-tuned", "labels", {"source": "digits", "quantity": "flip-rate"}),
        ("as-is", "labels", {"quantity": "flip-rate"}),
    ],
)
def test_every_task_and_regime_ends_in_a_report(regime, task, options):
    report = qualify(model(), suite(task, regime, **options))
    (experiment,) = report.experiments
    kind = {"as-is": "label", "probe": "features, probe"}.get(regime, f"label, {regime}")
    assert (experiment.evaluator, experiment.photographs, experiment.verb) == (kind, 8, "right")
    assert [t.seed for t in experiment.training] == list(
        range(options.get("seeds", 1) if regime in ("from-scratch", "fine-tuned") else 0)
    )
    assert len(experiment.measures) == (9 if "search" in options else 7)
    assert all(control.passed for control in report.controls), report.controls
    clean = {"presence": "absent", "labels": "right"}.get(task, "none")
    assert (experiment.clean, experiment.detected.clean is not None) == (clean, clean != "none")
    assert experiment.dead_phases == ((0, 0),) or task == "digits"
    text = encode(report)
    assert encode(from_json(text)) == text
    assert markdown.report(report).count("| squared-change |") == 1
    assert terminal.report(report)


def test_strictly_dead_places_change_nothing_and_the_others_do():
    module = nn.Sequential(window(1, channels=8), nn.ReLU(), nn.AdaptiveMaxPool2d(1), nn.Flatten(), nn.Linear(8, 2))
    (experiment,) = qualify(network(module, shape=(3, 32, 32)), suite(seeds=2)).experiments
    changes = {m.name: m for m in experiment.measures}["squared-change"]
    assert changes.dead.value == 0 < changes.live.value
    assert experiment.detected.dead.value == pytest.approx(experiment.detected.clean.value)


@pytest.mark.slow
@pytest.mark.parametrize(("regime", "search"), [("as-is", "true"), ("probe", "false"), ("fine-tuned", "false")])
def test_answers_do_not_depend_on_the_engine(regime, search):
    found = {}
    for engine in ("dense", "incremental"):
        context = Context(wanted=Wanted(engine=engine))
        (found[engine],) = qualify(model(), suite("presence", regime, search=search), context).experiments
        assert found[engine].engine == engine
    for dense, swift in zip(found["dense"].measures, found["incremental"].measures, strict=True):
        for arm in ("dead", "live"):
            assert getattr(swift, arm).value == pytest.approx(getattr(dense, arm).value, rel=1e-3, abs=1e-6), dense.name


@pytest.mark.slow
def test_the_same_seed_gives_the_same_numbers_and_another_seed_others():
    first, again = (qualify(model(), suite()) for _ in range(2))
    other = qualify(model(), suite().model_copy(update={"seed": 1}))
    assert first.findings == again.findings
    assert first.experiments[0].measures == again.experiments[0].measures
    assert first.experiments[0].measures != other.experiments[0].measures


@pytest.mark.slow
def test_faint_levels_are_answered_in_float64():
    """At 1e-6, float32 would give the rounding of scores near 1000."""
    module = nn.Sequential(window(2, channels=4), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 3))
    module[3].bias.data[:] = 1000
    asked = suite("labels", "as-is", quantity="flip-rate")
    check = asked.check[0].model_copy(update={"level": 1e-6})
    (experiment,) = qualify(
        network(module, shape=(3, 32, 32)), asked.model_copy(update={"check": (check,)})
    ).experiments
    change = {m.name: m for m in experiment.measures}["absolute-change"]
    assert 0 < change.live.value < 1e-6
    assert all(weight.dtype == torch.float32 for weight in module.parameters())


def test_labelled_folders_meet_networks_with_as_many_outputs(tmp_path):
    for seed, name in enumerate(("a", "b", "c")):
        (tmp_path / name).mkdir()
        for i in range(4):
            values = np.random.default_rng([seed, i]).integers(0, 256, (40, 40, 3), dtype=np.uint8)
            Image.fromarray(values).save(tmp_path / name / f"{i}.png")
    asked = suite("labels", "as-is", source=f"labelled:{tmp_path}", quantity="flip-rate")
    (experiment,) = qualify(model(3), asked).experiments
    assert experiment.detected.clean.trials == 4
    with pytest.raises(UsageError, match="2 outputs and the task 3 classes"):
        qualify(model(2), asked)
    with pytest.raises(InputError, match="no labels to learn from"):
        qualify(model(), suite("labels", "fine-tuned", quantity="flip-rate"))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ('kind = "label"', 'kind = "change"', r"'change' pins its threshold on clean pictures and has no \[task\]"),
        ('[task]\nkind = "presence"\nclasses = 3', "", r"\[training\] needs a \[task\]"),
        ("level = 0.5", "", "give a number"),
        ("at_most = 0.1", "at_most = 1", "at_most = 1 decides nothing: 'accuracy-loss' lies between -1 and 1"),
        ('"box"', '"digit"', "'presence' does not go with perturbation.kind = 'digit'"),
        ('kind = "presence"', 'kind = "digits"', "'digits' does not go with perturbation.kind = 'box'"),
        (
            "accuracy-loss",
            "miss-rate",
            r"'miss-rate' needs a threshold that is pinned .* which a \[task\] does not have",
        ),
        ("accuracy-loss", "flip-rate", "'flip-rate' is about labelled pictures.* expected one of .'accuracy-loss'"),
        (
            "size = 1",
            "size = 1, colour = [1, 0, 0], mode = 'add', seize = 3",
            "seize is not a key.* Did you mean 'size'",
        ),
    ],
)
def test_what_does_not_go_together_is_told(old, new, words):
    text = text_of()
    assert old in text
    with pytest.raises(UsageError, match=words):
        qualify(
            model(), parse_suite(text.replace(old, new).replace('name = "digit"', 'name = "box"'), "tiny.perturb.toml")
        )


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('kind = "label"', "evaluator.kind = 'label' needs a .task."),
        ('kind = "change"\nnoise = 0', "evaluator 'change' with .*noise.* must be within 0 and 1"),
        ('kind = "nowhere.py:Eye"', "there is no file `nowhere.py`"),
    ],
)
def test_what_an_evaluator_without_a_task_may_not_be(text, words):
    with pytest.raises(UsageError, match=words):
        qualify(model(), parse_suite(f'name = "s"\n[images]\nsource = "noise"\n[evaluator]\n{text}\n{CHECK}', "s.toml"))


def test_labels_are_only_disturbed():
    with pytest.raises(UsageError, match="'accuracy-loss' is about a perturbation that is to be found"):
        qualify(model(), suite("labels", "as-is"))


def test_the_papers_suites_are_shipped_with_its_recipe():
    papers = [load_suite(name) for name in shipped() if name.startswith("paper-")]
    assert {s.task.kind for s in papers if s.task} == {"presence", "intensity", "digits", "labels"}
    learnt = [s for s in papers if s.training and s.name != "paper-compensation"]
    assert all(s.training.recipe == "paper" and s.images.calibration == 0.85 for s in learnt)
    assert len(learnt) == 6


@pytest.mark.slow
def test_on_the_command_line_a_training_is_kept_and_gone_on_with(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "net.py").write_text(
        "from torch import nn\nfrom perturb import Preprocessing\n"
        "def net(): return nn.Sequential(nn.Conv2d(3, 8, 3, 2, 1), nn.ReLU()), Preprocessing(input_shape=(3, 32, 32))\n"
    )
    text = text_of("presence", "fine-tuned", source="noise", size=2)
    (tmp_path / "tiny.perturb.toml").write_text(text.replace('layer = "0"', 'layer = "last"'))
    numbers = []
    for _ in range(2):
        result = CliRunner().invoke(main, ["qualify", "net.py:net", "--suite", "tiny.perturb.toml", "--out", "run"])
        assert result.exit_code in (1, 3), result.output
        numbers.append(json.loads((tmp_path / "run/report.json").read_text())["experiments"])
        assert len(list((tmp_path / "run/training").iterdir())) == 1
    assert numbers[0] == numbers[1]  # the seconds of training too: they are those of the first time
    assert "trained, seed 0: 2 epochs of" in result.output


def test_a_picture_too_small_is_told_before_training(monkeypatch):
    monkeypatch.setattr("perturb.stories.prepare.train", None)
    with pytest.raises(InputError, match="no interior cell of period 2"):
        qualify(model(), suite("digits", source="digits", kind="digit", size=28))
