"""Which layer makes the lattice: Shapley shares of how uneven the structural map is."""

import math
from collections.abc import Callable, Sequence, Set
from dataclasses import dataclass
from functools import cache
from itertools import combinations

import numpy as np
from jaxtyping import Float

from perturb.contribution.architecture import on_some_torus, propagate
from perturb.contribution.rules import BY_TAPS, RULES, Rules
from perturb.protocols import Differentiable
from perturb.records import Window
from perturb.streams import stream

MOST = 12  # players of an exact game
PERMUTATIONS = 8  # of a sampled one
DEADEST = 1e-6  # of the liveliest phase: one that is strictly dead counts as so much

Value = Callable[[frozenset[int]], float]


@dataclass(frozen=True, slots=True, kw_only=True)
class Shares:
    """Who makes ln(max/min) of a map: `whole` = `rest` + the sum of `by_layer`."""

    whole: float
    rest: float  # what is left where every strided window is replaced by its balanced twin
    by_layer: dict[str, float]  # in the order in which the layers run
    exact: bool


def shares_by_shape(model: Differentiable, layer: str, *, seed: int = 0) -> Shares:
    """Of the structural map; a layer whose window covers every pixel alike has none. Raises NoTorusError."""
    return _shares(model, layer, RULES, lambda window: not window.balanced, MOST, seed)


def shares_by_weights(model: Differentiable, layer: str, *, seed: int = 0) -> Shares:
    """The same with each tap's mean square over channels, of the actual weights, in place of 1/taps."""
    return _shares(model, layer, BY_TAPS, lambda window: max(window.stride) > 1, MOST // 2, seed)


def _shares(
    model: Differentiable, layer: str, rules: Rules, plays: Callable[[Window], bool], most: int, seed: int
) -> Shares:
    """A layer's balanced twin is the mean over all places of its sampling grid: see Linearised."""
    values, windows = on_some_torus(model, layer)
    numbers: dict[str, set[int]] = {}
    for number, window in enumerate(windows):
        if plays(window):
            numbers.setdefault(window.name, set()).add(number)
    players = list(numbers.values())

    def value(built: frozenset[int]) -> float:
        evened = set().union(*(windows for i, windows in enumerate(players) if i not in built))
        return unevenness(propagate(model, layer, values.shape, rules, evened)[0])

    found, rest, whole = shapley(value, len(players), most=most, seed=seed)
    by_layer = dict(zip(numbers, found.tolist(), strict=True))
    return Shares(whole=whole, rest=rest, by_layer=by_layer, exact=len(players) <= most)


def unevenness(values: Float[np.ndarray, "row column"]) -> float:
    """ln(max/min), 0 for a flat map."""
    return math.log(values.max() / max(values.min(), DEADEST * values.max()))


def shapley(value: Value, players: int, *, most: int = MOST, seed: int = 0) -> tuple[np.ndarray, float, float]:
    """Each player's mean marginal value, the value of nobody and that of all; the shares sum to their difference.

    Shapley (1953): over all subsets for up to `most` players, else over random orders of the players, which keep the
    sum exact. `value` is asked once for each set of players.
    """
    worth = cache(value)
    nobody, everybody = frozenset[int](), frozenset(range(players))
    found = _over_subsets(worth, players) if players <= most else _over_orders(worth, players, seed)
    return found, worth(nobody), worth(everybody)


def _over_subsets(value: Value, players: int) -> np.ndarray:
    found = np.zeros(players)
    for player in range(players):
        others = [other for other in range(players) if other != player]
        for size in range(players):
            weight = 1 / (players * math.comb(players - 1, size))
            found[player] += weight * sum(_marginal(value, player, team) for team in combinations(others, size))
    return found


def _over_orders(value: Value, players: int, seed: int) -> np.ndarray:
    found = np.zeros(players)
    for number in range(PERMUTATIONS):
        order = stream(seed, f"shapley/{number}").permutation(players).tolist()
        for place, player in enumerate(order):
            found[player] += _marginal(value, player, order[:place])
    return found / PERMUTATIONS


def _marginal(value: Value, player: int, team: Sequence[int] | Set[int]) -> float:
    return value(frozenset([*team, player])) - value(frozenset(team))
