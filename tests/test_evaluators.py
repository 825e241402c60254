"""Evaluators: what each reads in outputs that are known."""

import numpy as np
import pytest
import torch
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from perturb.errors import InputError, UsageError
from perturb.evaluators.boxes import BoxScores
from perturb.evaluators.change import ChangeDetector
from perturb.evaluators.features import Features
from perturb.evaluators.label import Label
from perturb.evaluators.map import Map
from perturb.evaluators.own import OwnFunction
from perturb.evaluators.score import Score
from perturb.evaluators.text import Text
from perturb.protocols import Asked


def asked(truth, twin=None):
    count = len(truth)
    twin = np.zeros(count, dtype=int) if twin is None else np.array(twin)
    place = np.zeros((count, 2), dtype=int)
    return Asked(place=place, extent=(1, 1), shape=(8, 8), truth=np.array(truth), twin=twin)


def test_label_measures_are_their_formulas(rng):
    """Kim et al. (2023): y of the clean twin, y' of the picture, t the right class."""
    y, changed = rng.normal(size=4), rng.normal(size=4)
    outputs, t = torch.from_numpy(np.stack([y, changed])), 2
    expected = {
        "truth": t,
        "score": np.exp(changed[t]) / np.exp(changed).sum(),
        "flips": float(changed.argmax() != y.argmax()),
        "target-drop": y[t] - changed[t],
        "squared-change": ((changed - y) ** 2).sum() / 4,
        "absolute-change": np.abs(changed - y).sum() / 4,
        "rectified-drop": np.maximum(y - changed, 0).sum() / 4,
    }
    found = Label().measures(outputs, asked([t, t]))
    assert {name: float(values[1]) for name, values in found.items()} == pytest.approx(expected)
    evidence = Label().evidence(outputs, asked([t, t]), None)
    assert float(evidence[1]) == pytest.approx(changed[t] - np.delete(changed, t).max())


def test_a_label_without_a_truth_is_the_clean_twins_own_answer():
    outputs = torch.tensor([[0.0, 3, 1], [0, 1, 2], [5, 0, 0], [6, 0, 0]])
    evidence = Label().evidence(outputs, asked([-1] * 4, twin=[0, 0, 2, 2]), None)
    assert evidence.tolist() == [2, -1, 5, 6]


def test_each_picture_is_compared_with_its_own_twin():
    outputs = torch.tensor([[1.0, 0], [5, 0], [1, 3], [5, 2]])
    found = Label().measures(outputs, asked([0] * 4, twin=[0, 1, 0, 1]))
    assert found["absolute-change"].tolist() == [0, 0, 1.5, 1]
    assert found["flips"].tolist() == [0, 0, 1, 0]


def test_the_first_class_may_be_right():
    """Class 0 is told; the clean twin answers class 1."""
    assert Label().evidence(torch.tensor([[0.0, 3], [1, 5]]), asked([0, 0]), None).tolist() == [-3, -4]


def test_a_tied_label_is_not_right():
    outputs = torch.tensor([[1.0, 1], [0, 0]])
    assert Label().evidence(outputs, asked([0, 1]), None).tolist() == [0, 0]
    assert Label().threshold == 0


def test_labels_need_two_classes():
    with pytest.raises(UsageError, match=r"gives \(1,\) for a picture: no labels"):
        Label().evidence(torch.zeros(2, 1), asked([0, 0]), None)


def test_a_head_comes_between_outputs_and_scores():
    head = Label(head=lambda maps: maps.amax((2, 3)))
    maps = torch.zeros(1, 2, 3, 3)
    maps[0, 1, 2, 2] = 4
    assert head.evidence(maps, asked([1]), None).tolist() == [4]


def test_score_is_one_output():
    outputs = torch.arange(6.0).view(2, 3)
    assert Score(target=2).evidence(outputs, asked([0, 0]), None).tolist() == [2, 5]
    with pytest.raises(UsageError, match=r"`target` = 3: the model has outputs 0 to 2"):
        Score(target=3).evidence(outputs, asked([0, 0]), None)


def test_change_standardises_by_the_spread_of_the_shots():
    """Two channels of one position: the shots are -1, 1 and -2, 2, so a picture at (2, 2) lies 2 and 1 spreads away."""
    shots = torch.tensor([[-1.0, -2], [1, 2], [-1, -2], [1, 2]])[:, :, None, None]
    golden, _ = ChangeDetector(layer="0").study(shots)
    spread = np.sqrt([4 / 3, 16 / 3])
    assert golden.spread.flatten().tolist() == pytest.approx(spread)
    evidence = ChangeDetector(layer="0").evidence(torch.tensor([[[[2.0]], [[2.0]]]]), asked([1]), golden)
    assert float(evidence[0]) == pytest.approx(np.mean((2 / spread) ** 2))


def test_the_spread_of_a_channel_is_over_its_positions_too():
    """Two shots of two positions: -1 and 1 at one, -3 and 3 at the other: (1 + 1 + 9 + 9) / (1 * 2)."""
    golden, _ = ChangeDetector(layer="0").study(torch.tensor([[[[-1.0, -3]]], [[[1.0, 3]]]]))
    assert float(golden.spread) == pytest.approx(10**0.5)


def test_a_shot_is_held_against_the_others():
    """Left out of the mean, a shot's distance is n / (n - 1) of what it is with it."""
    shots = torch.tensor([0.0, 0, 0, 4])[:, None, None, None]
    golden, evidence = ChangeDetector(layer="0").study(shots)
    variance = (3 * 1 + 9) / 3
    assert float(evidence[3]) == pytest.approx(4**2 / variance)
    assert float(golden.mean) == 1


def test_change_takes_the_largest_position():
    shots = torch.randn(6, 3, 4, 4, generator=torch.Generator().manual_seed(0))
    golden, _ = ChangeDetector(layer="0").study(shots)
    picture = golden.mean.clone()
    picture[0, :, 2, 1] += 3 * golden.spread[0, :, 0, 0]
    assert float(ChangeDetector(layer="0").evidence(picture, asked([1]), golden)[0]) == pytest.approx(9, rel=1e-4)


def test_change_ignores_channels_that_noise_does_not_move():
    """A channel that is constant has no spread: it must not divide by zero."""
    shots = torch.randn(4, 5, 3, 3, generator=torch.Generator().manual_seed(0))
    shots[:, 3] = 1
    golden, evidence = ChangeDetector(layer="0").study(shots)
    assert torch.isfinite(evidence).all()
    assert torch.isinf(golden.spread[:, 3]).all()
    with pytest.raises(InputError, match="sensor noise moves no channel of `0`"):
        ChangeDetector(layer="0").study(torch.ones(4, 5, 3, 3))


@pytest.mark.parametrize(("options", "words"), [({"noise": 0}, "every change is seen"), ({"shots": 1}, "no spread")])
def test_change_needs_noise_and_shots(options, words):
    with pytest.raises(ValueError, match=words):
        ChangeDetector(**options)


def test_change_needs_a_feature_map():
    with pytest.raises(InputError, match=r"`output` gives no feature map, but \(7,\) a picture"):
        ChangeDetector(layer="output").study(torch.zeros(4, 7))


def test_features_learn_the_direction_that_tells(rng):
    """A bump in channel 1 at any one position; the other channel is noise."""
    clean = torch.from_numpy(rng.normal(0, 0.1, (40, 2, 4, 4)))
    perturbed = clean.clone()
    rows, columns = rng.integers(0, 4, (2, 40))
    perturbed[torch.arange(40), 1, rows, columns] += 2
    learnt = Features(layer="0").learn(clean[:20], perturbed[:20])
    truth = asked([1] * 20)
    without, with_ = (learnt.evidence(maps[20:], truth, None) for maps in (clean, perturbed))
    assert float(with_.min()) > 0 > float(without.max())


def test_features_give_the_largest_log_odds_of_scikit_learn(rng):
    """One position a map, so that it is known what teaches; channels of unequal mean and scale."""
    scale, mean = np.array([0.1, 1, 10]), np.array([1, -2, 5])
    clean, perturbed = (scale * rng.normal(shift, 1, (30, 3)) + mean for shift in (0, 1))
    learnt = Features(layer="0").learn(*(torch.from_numpy(x)[:, :, None, None] for x in (clean, perturbed)))
    x, y = np.concatenate([perturbed, clean, clean]), [1] * 30 + [0] * 60
    model = make_pipeline(StandardScaler(), LogisticRegression(C=0.1, class_weight="balanced", max_iter=1000)).fit(x, y)
    maps = rng.normal(mean, scale, (5, 2, 4, 3))
    expected = model.decision_function(maps.reshape(-1, 3)).reshape(5, 8).max(1)
    found = learnt.evidence(torch.from_numpy(maps).permute(0, 3, 1, 2), asked([1] * 5), None)
    assert found.tolist() == pytest.approx(expected, rel=1e-4)


def at(*places, shape=(16, 16), extent=(1, 1)):
    count = len(places)
    truth = np.ones(count, dtype=int)
    return Asked(place=np.array(places), extent=extent, shape=shape, truth=truth, twin=np.arange(count))


def test_a_map_gives_its_largest_value_within_the_radius():
    """A peak 3 rows and 4 columns from the place lies at distance 5, not nearer."""
    maps = torch.zeros(1, 16, 16)
    maps[0, 8, 9] = 7.0
    for radius, expected in ((5, 7), (4.9, 0)):
        assert float(Map(radius=radius).evidence(maps, at((5, 5)), None)[0]) == expected
    assert float(Map(radius=0).evidence(maps, at((8, 9)), None)[0]) == 7


def test_a_coarse_map_is_read_in_pixels_of_the_picture():
    """Position 3 of 4 covers pixels 12 to 15: its centre is 13.5. The nearest position counts at any radius."""
    maps = torch.arange(16.0).view(1, 1, 4, 4)
    assert float(Map(radius=0).evidence(maps, at((13, 2)), None)[0]) == 12
    assert float(Map(radius=2.2).evidence(maps, at((11, 13)), None)[0]) == 11  # its nearest, row 2
    assert float(Map(radius=2.6).evidence(maps, at((11, 13)), None)[0]) == 15  # row 3 is 2.5 away
    assert float(Map(radius=0).evidence(maps, at((11, 1), extent=(5, 3)), None)[0]) == 12  # the centre is (13, 2)


def test_a_map_of_classes_is_the_targets_lead():
    maps = torch.tensor([1.0, 5.0, 2.0]).view(1, 3, 1, 1).expand(1, 3, 4, 4)
    assert float(Map(target=1).evidence(maps, at((0, 0)), None)[0]) == 3
    assert float(Map(target=2).evidence(maps, at((0, 0)), None)[0]) == -3
    with pytest.raises(UsageError, match="channels 0 to 2: give `target`"):
        Map().evidence(maps, at((0, 0)), None)


def test_a_mask_of_labels_is_one_where_the_target_is():
    labels = torch.zeros(1, 8, 8, dtype=torch.long)
    labels[0, 2, 2] = 3
    for target, expected in ((None, 1), (3, 1), (2, 0)):
        assert float(Map(target=target, radius=1).evidence(labels, at((2, 2), shape=(8, 8)), None)[0]) == expected
    assert float(Map(radius=1).evidence(labels.bool(), at((2, 3), shape=(8, 8)), None)[0]) == 1


def test_a_score_is_no_map_and_a_map_no_score():
    with pytest.raises(UsageError, match="no map: use kind = 'score'"):
        Map().evidence(torch.zeros(2, 5), at((0, 0), (0, 0)), None)
    with pytest.raises(UsageError, match="no score: use kind = 'map'"):
        Score().evidence(torch.zeros(2, 5, 5), at((0, 0), (0, 0)), None)


def test_the_alarms_of_a_map_are_its_peaks():
    """A plateau is one peak; a lower value within the radius is none."""
    maps = torch.zeros(1, 16, 16)
    maps[0, 2, 2], maps[0, 2, 3], maps[0, 3, 3], maps[0, 10:12, 10:12] = 5, 5, 4, 3
    (found,) = Map(radius=3).alarms(maps, at((0, 0)))
    assert sorted(found[found > 0].tolist()) == [3, 5]


BOXES = {
    "boxes": torch.tensor([[0.0, 0, 4, 4], [8, 8, 10, 10], [6, 6, 16, 16], [8, 8, 11, 11]]),
    "scores": torch.tensor([0.9, 0.5, 0.8, 0.7]),
    "labels": torch.tensor([1, 1, 1, 2]),
}


@pytest.mark.parametrize(
    ("given", "place", "expected"),
    [
        ({"radius": 2, "max_area": 10}, (8, 8), 0.7),  # the box of 100 pixels is too large
        ({"radius": 2, "max_area": 10, "target": 1}, (8, 8), 0.5),
        ({"radius": 4, "max_area": 100}, (8, 8), 0.8),
        ({"radius": 0.4, "max_area": 10}, (8, 8), 0),  # centres lie half a pixel and more away
        ({"radius": 2, "target": "3"}, (8, 8), 0),
        ({"radius": 2, "max_area": 16}, (1, 2), 0.9),
        ({"radius": 2, "max_area": 15}, (1, 2), 0),
    ],
)
def test_boxes_give_the_best_score_at_the_place(given, place, expected):
    found = BoxScores(**given).evidence([BOXES], at(place), None)
    assert found.tolist() == pytest.approx([expected])


def test_the_alarms_of_boxes_are_of_their_class_and_area():
    assert sorted(BoxScores(max_area=16, target=1).alarms([BOXES], at((0, 0)))[0].tolist()) == pytest.approx([0.5, 0.9])


def test_text_holds_its_pattern():
    read = [[["125", 0.9]], [["12.5", 0.8]], None, "1.25"]
    assert Text(pattern="[.]").evidence(read, at(*[(0, 0)] * 4), None).tolist() == [0, 1, 0, 1]
    for pattern, words in (("", "is missing"), ("[", "no regular expression")):
        with pytest.raises(ValueError, match=words):
            Text(pattern=pattern)


def test_a_function_of_ones_own_is_told_the_place():
    own = OwnFunction(function=lambda answer, row, column: answer[row][column])
    assert own.evidence([[[1, 2], [3, 4]]] * 2, at((0, 1), (1, 0)), None).tolist() == [2, 3]
    with pytest.raises(InputError, match=r"gives 'x', wanted one number"):
        OwnFunction(function=lambda *_: "x").evidence([0], at((0, 0)), None)
    with pytest.raises(InputError, match=r"raised AttributeError: 'int' object has no attribute 'own'"):
        OwnFunction(function=lambda answer, *_: answer.own).evidence([0], at((0, 0)), None)


@pytest.mark.parametrize(
    ("kind", "given", "words"),
    [
        (Map, {"radius": -1}, "at least 0"),
        (BoxScores, {"radius": 0}, "above 0"),
        (BoxScores, {"max_area": 0}, "above 0"),
    ],
)
def test_radius_and_area_are_checked(kind, given, words):
    with pytest.raises(ValueError, match=words):
        kind(**given)
