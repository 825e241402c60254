"""Where a lattice comes from: aliases, Shapley shares, border against lattice, and the name of the origin."""

import math
from dataclasses import replace

import numpy as np
import pytest
from planted_origins import PLANTED, found, names_the_layer
from scipy import stats
from torch import nn
from toys import network, window

from perturb.comparisons import Border, Contrast, Estimate
from perturb.contribution.aliasing import alias_ratio, even_shape, samplings
from perturb.contribution.architecture import propagate
from perturb.contribution.rules import BY_TAPS, RULES
from perturb.contribution.shares import shapley, shares_by_shape, shares_by_weights
from perturb.errors import UsageError
from perturb.images import load_images
from perturb.locations import fold
from perturb.protocols import quiet
from perturb.records import Contribution
from perturb.render import explain as view
from perturb.stats.border import two_way, variance_shares
from perturb.stats.jackknife import jackknife_interval
from perturb.stories.chain import JUDGING, Maps, maps_of
from perturb.stories.explain import explain
from perturb.stories.origin import origin_of
from perturb.suite import parse_suite


@pytest.mark.parametrize(
    ("kernel", "stride", "dilation"), [((3, 3), (2, 2), (1, 1)), ((5, 4), (3, 2), (2, 1)), ((3, 3), (2, 2), (2, 1))]
)
def test_the_alias_ratio_is_that_of_the_whole_spectrum(kernel, stride, dilation):
    """The zero-padded, dilated kernel's Fourier transform, read at multiples of 1/stride."""
    rng = np.random.default_rng(0)
    weight, sides = rng.normal(size=(4, 3, *kernel)), [12 * s for s in stride]
    wide = np.zeros((4, 3, *sides))
    wide[:, :, : kernel[0] * dilation[0] : dilation[0], : kernel[1] * dilation[1] : dilation[1]] = weight
    response = np.sqrt((np.abs(np.fft.fft2(wide)) ** 2).mean((0, 1)))[::12, ::12]
    expected = np.delete(response.ravel(), 0).max() / response[0, 0]
    assert alias_ratio(weight, stride, dilation) == pytest.approx(expected, rel=1e-12)


def test_the_alias_ratio_of_uniform_windows_is_known():
    """A kernel that the stride divides has none, 3 at stride 2 a third, 1 at stride 2 as much as the constant."""
    ratios = [alias_ratio(np.ones((1, 1, k, k)), (2, 2)) for k in (2, 4, 3, 1)]
    assert ratios == pytest.approx([0, 0, 1 / 3, 1], abs=1e-12)
    assert alias_ratio(np.array([[[[1.0, -1.0]]]]), (1, 2)) == math.inf
    assert alias_ratio(np.ones((1, 1, 3, 3)), (1, 1)) == 0


def three(*kernels: int, padding: int = 1) -> nn.Sequential:
    return nn.Sequential(*(nn.Conv2d(3, 3, k, 2, padding if k % 2 else 0) for k in kernels))


def test_a_rest_is_told_where_it_is_and_what_shape_has_none():
    model = network(three(2, 3), shape=(3, 48, 50))
    assert [each.left for each in samplings(model, "output")] == [(0, 0), (1, 0)]
    assert even_shape(model, "output", 8) == (50, 50)
    assert even_shape(model, "output", 2) is None


@pytest.mark.parametrize("rules", [RULES, BY_TAPS])
def test_a_balanced_twin_reads_every_pixel_alike(rules):
    """Whatever the kernel and its weights."""
    model = network(nn.Sequential(nn.Conv2d(3, 4, 3, 2, 1), nn.MaxPool2d(3, 2, 1), nn.Conv2d(4, 4, 1, 2)))
    built = propagate(model, "output", (16, 16), rules)[0]
    evened = propagate(model, "output", (16, 16), rules, {0, 1, 2})[0]
    assert np.ptp(evened) <= 1e-12 * evened.max() < np.ptp(built)
    assert evened.sum() == pytest.approx(built.sum())


def test_weights_count_tap_by_tap():
    """Of a single layer the mean square over channels of each tap, and at all its phases."""
    model = network(nn.Sequential(nn.Conv2d(3, 8, 2, 2, bias=False)))
    energy = model.module[0].weight.detach().double().square().mean((0, 1)).numpy()
    values = propagate(model, "output", (4, 4), BY_TAPS)[0]
    np.testing.assert_allclose(values[:2, :2] / values[:2, :2].sum(), energy / energy.sum(), rtol=1e-6)


def test_the_odd_kernel_among_even_ones_has_the_whole_lattice():
    model = network(three(2, 3, 4))
    shares = shares_by_shape(model, "output")
    assert list(shares.by_layer) == ["1"]
    assert shares.by_layer["1"] == pytest.approx(shares.whole, abs=1e-12)
    assert shares.whole > 1
    by_weights = shares_by_weights(model, "output")
    assert list(by_weights.by_layer) == ["0", "1", "2"]
    assert by_weights.rest + sum(by_weights.by_layer.values()) == pytest.approx(by_weights.whole, abs=1e-12)


def test_a_strictly_dead_phase_counts_as_a_millionth():
    shares = shares_by_shape(network(nn.Sequential(nn.Conv2d(3, 4, 1, 2))), "output")
    assert shares.whole == pytest.approx(math.log(1e6))


def glove(team):
    """One left glove, two right ones: a pair is worth 1. Known shares: 2/3, 1/6, 1/6."""
    return float(0 in team and len(team) > 1)


def test_shapley_shares_of_a_known_game():
    shares, nobody, everybody = shapley(glove, 3)
    assert shares == pytest.approx([2 / 3, 1 / 6, 1 / 6], abs=1e-12)
    assert (nobody, everybody) == (0, 1)


@pytest.mark.parametrize("most", [12, 3])
def test_shapley_shares_sum_to_the_whole(most):
    """Of any game, over all subsets and over random orders; each set of players is asked about once."""
    worth, asked = np.random.default_rng(1).normal(size=2**8), []

    def value(team):
        asked.append(team)
        return worth[sum(2**player for player in team)]

    shares, nobody, everybody = shapley(value, 8, most=most, seed=5)
    assert shares.sum() == pytest.approx(everybody - nobody, abs=1e-12)
    assert len(asked) == len(set(asked))
    assert (len(asked) == 2**8) == (most == 12)
    np.testing.assert_array_equal(shares, shapley(value, 8, most=most, seed=5)[0])


def test_random_orders_find_the_shares_of_a_sum():
    parts = np.arange(14.0)
    shares, _, _ = shapley(lambda team: sum(parts[list(team)]), 14)
    assert shares == pytest.approx(parts)


def planted_parts(noise: float):
    rows, columns = np.indices((40, 40))
    edge = np.min([rows, 39 - rows, columns, 39 - columns], 0).ravel()
    phase = (rows % 4 * 4 + columns % 4).ravel()
    rng = np.random.default_rng(2)
    b, f = rng.normal(size=20), 0.5 * rng.normal(size=16)
    return 3 + b[edge] + f[phase] + noise * rng.normal(size=(3, 1600)), edge, phase, b, f


def test_planted_parts_are_recovered():
    values, edge, phase, b, f = planted_parts(0.0)
    fit = two_way(values, edge, phase)
    np.testing.assert_allclose(fit.first[0] - fit.first[0, 0], b - b[0], atol=1e-9)
    np.testing.assert_allclose(fit.second[0] - fit.second[0, 0], f - f[0], atol=1e-9)
    np.testing.assert_allclose(fit.fitted, values, atol=1e-9)


def test_shares_of_variance_are_those_that_were_planted():
    values, edge, phase, b, f = planted_parts(0.7)
    values = values[0]
    shares = variance_shares(values, two_way(values[None], edge, phase).fitted[0], edge, phase)
    planted = np.array([b[edge].var(), f[phase].var(), 0.49])
    assert shares.sum() == pytest.approx(1, abs=1e-12)
    assert shares == pytest.approx(planted / planted.sum(), abs=0.03)


def test_noise_has_no_part_however_many_levels():
    rng = np.random.default_rng(3)
    first, second = rng.permutation(np.arange(2000) % 60), rng.permutation(np.arange(2000) % 500)
    shares = [
        variance_shares(values, two_way(values[None], first, second).fitted[0], first, second)
        for values in rng.normal(size=(30, 2000))
    ]
    assert np.mean(shares, 0) == pytest.approx([0, 0, 1], abs=0.02)
    with pytest.raises(ValueError, match="too few"):
        variance_shares(np.arange(5.0), np.arange(5.0), np.arange(5), np.arange(5))


def test_the_jackknife_of_a_mean_is_student_s_interval():
    values = np.random.default_rng(4).normal(size=(9, 2))
    value, low, high = jackknife_interval(lambda which: values[which].mean(0), 9, 0.95)
    expected = stats.t.interval(0.95, 8, values.mean(0), stats.sem(values))
    np.testing.assert_allclose([value, low, high], [values.mean(0), *expected])


def estimate(low: float, high: float) -> Estimate:
    return Estimate(value=(low + high) / 2, low=low, high=high, n=8)


def origin(own, *, structure=0.0, compensation=None, weaker=(0.0, 0.1), there=(0.0, 0.0)):
    """The origin's name, for logarithms of live / dead: (structure at own phases, low, high), and of the structure."""
    return told(own, structure, compensation, weaker, there)[0]


def told(own, structure=0.0, compensation=None, weaker=(0.0, 0.1), there=(0.0, 0.0)):
    flat = estimate(0, 0)
    border = Border(edge=flat, phase=flat, rest=flat, side="top", weaker=estimate(*weaker), even_shape=None)
    mine = Contrast(structure=own[0], gradient=estimate(*own[1:])) if own else None
    shape = Contrast(structure=structure, gradient=estimate(*there)) if structure else None
    return origin_of(shape, mine, estimate(*compensation) if compensation else None, border)


def test_each_origin_has_its_evidence():
    """0.22 is a ratio of 0.8."""
    assert origin((0.2, 0.25, 0.5)) == "structural"
    assert origin((0.18, 0.25, 0.5)) == "learned"
    assert origin((0.2, 0.2, 0.5)) == "not known"
    assert origin((0.0, 0.1, 0.2)) == origin(None) == "none"
    assert origin((0.0, 0.1, 0.2), weaker=(0.23, 0.5)) == origin(None, weaker=(0.23, 0.5)) == "border"
    assert origin((0.0, 0.1, 0.2), weaker=(0.2, 0.5)) == "none"
    assert origin((0.0, 0.1, 0.34), structure=0.7, compensation=(0.6, 1.1)) == "compensated"
    assert origin((0.0, 0.1, 0.36), structure=0.7, compensation=(0.6, 1.1)) == "not known"
    assert origin((0.0, 0.3, 0.36), structure=0.7, compensation=(0.6, 1.1)) == "learned"
    assert origin((0.0, 0.1, 0.2), structure=0.7, compensation=(0.4, 1.1)) == "none"
    assert origin((0.0, 0.05, 0.1), structure=0.22, compensation=(0.6, 1.1)) == "none"
    assert origin((0.0, 0.1, 0.9), structure=0.7, there=(0.23, 0.5), weaker=(0.4, 0.5)) == "structural"
    assert origin((0.0, 0.1, 0.9), structure=0.7, there=(0.2, 0.5), weaker=(0.4, 0.5)) == "border"


@pytest.mark.parametrize(("weaker", "said"), [((0.23, 0.5), True), ((0.2, 0.5), False)])
def test_a_border_beside_a_lattice_is_told_too(weaker, said):
    for own in ((0.2, 0.25, 0.5), (0.0, 0.25, 0.5)):
        assert ("The border weighs too: the inside counts" in told(own, weaker=weaker)[1]) == said


@pytest.mark.parametrize("name", PLANTED)
def test_a_planted_origin_is_named_with_its_layer(name):
    """`tests/planted_origins.py` does so 100 times for each."""
    told, at = found(PLANTED[name], 4)
    assert told.origin == PLANTED[name].origin
    assert names_the_layer(PLANTED[name], told, at)


def test_the_evidence_of_a_planted_lattice():
    """Structure, gradients and responses agree at its phases; nothing is compensated until the weights do it."""
    built, _ = found(PLANTED["3 x 3 among 2 x 2"], 0)
    assert built.structural.structure == pytest.approx(math.log(2))
    assert built.structural.gradient.value == pytest.approx(math.log(2), abs=0.1)
    assert built.structural.response.low > 0.3
    assert [link.rank.value > 0.8 for link in built.links] == [True, True]
    assert built.compensation.value == pytest.approx(0, abs=0.15)
    undone, _ = found(PLANTED["3 x 3, weights undo it"], 0)
    assert undone.compensation.low > 0.85
    rest, _ = found(PLANTED["2 x 2, a rest at the edge"], 0)
    assert rest.border.side in ("bottom", "right")
    assert rest.border.even_shape == (56, 56)


def test_phases_are_chosen_on_other_pictures():
    """Of noise, the phases that half of the pictures choose are like any others in the other half."""
    rng = np.random.default_rng(6)
    squares = rng.chisquare(1, size=(40, 32, 32))
    flat = Contribution(values=np.ones((1, 1)), kind="structural", layer="output", period=1)
    whole = Contribution(values=squares.mean(0), kind="energy", layer="output", period=8)
    s = np.stack([fold(replace(whole, values=each)) for each in squares])
    maps = Maps(structure=flat, squares=squares, measured=whole, n=np.ones((8, 8)), s=s)
    found = maps.contrast(maps.own_arms(), JUDGING).gradient
    assert found.low < 0 < found.high
    assert maps.structural_arms() is None


SUITE = """
name = "pixel"
[images]
source = "surface"
count = 24
[evaluator]
layer = "last"
[[check]]
name = "pixel"
perturbation = { kind = "pixel" }
level = 0.15
claim = { quantity = "accuracy-loss", at_most = 0.2 }
"""


def test_a_suite_adds_detection_by_phase():
    """A 1 x 1 kernel of stride 2 reads one phase of four."""
    model = network(window(1), shape=(3, 32, 32))
    images = load_images("surface", shape=(3, 32, 32), crops=1, count=4, seed=0)
    told = explain(model, images, model.find_layer("last"), suite=parse_suite(SUITE, "pixel"))
    assert told.structural.detection.low > 0.5
    assert told.links[2].of == "gradient and detection"
    assert told.links[2].rank.value == pytest.approx(0.77, abs=0.23)
    assert "0.00 [0.00, 0.00]: 0 as the structure says" in view.markdown(told).replace("\\", "")


def test_too_few_pictures_are_refused():
    images = load_images("surface", shape=(3, 32, 32), crops=1, count=3, seed=0)
    with pytest.raises(UsageError, match="3 pictures are too few; expected 4 or more"):
        explain(network(window(2), shape=(3, 32, 32)), images, "output")


def noise(shape):
    return load_images("noise", shape=shape, count=4)


def strided(*strides):
    """Each kernel is 2 s - 1 wide."""
    kernels = ((tuple(2 * s - 1 for s in each), each, tuple(s - 1 for s in each)) for each in strides)
    return nn.Sequential(*(nn.Conv2d(3, 3, *each) for each in kernels))


def test_a_picture_without_room_for_the_lattice_is_refused():
    with pytest.raises(UsageError, match=r"repeats every 8 pixels, and a picture of 8 x 12 .* stride:N"):
        explain(network(strided((2, 2), (4, 4)), shape=(3, 8, 12)), noise((3, 8, 12)), "output")


def test_rows_and_columns_have_periods_of_their_own():
    """A lattice of columns alone: it has 4 phases, not 16."""
    pixels = np.asarray(noise((3, 16, 32)).pixels)
    maps = maps_of(network(strided((1, 2), (1, 2)), shape=(3, 16, 32)), pixels, "output", quiet)
    assert (maps.period, maps.measured.periods) == (4, (1, 4))
    assert np.ptp(maps.s, axis=1).max() <= 1e-9 * maps.s.max()
