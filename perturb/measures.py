"""What a perturbation does to a classifier, at dead and at live places: Responses -> Measures and Effects.

y are the scores without the perturbation and y' those with it, C their number, t the right class.
"""

from collections.abc import Callable

import numpy as np
from jaxtyping import Float
from scipy.special import softmax
from scipy.stats import t

from perturb.records import Contribution, Effect, Measure, Rate, Responses
from perturb.stats.clusters import cluster_means, crossed_interval, mcnemar_pvalue, mean_interval, spread
from perturb.stats.power import detectable
from perturb.stats.proportion import wilson
from perturb.streams import stream

CEILING = 0.98  # share right at dead places above which everything is seen
Trials = Float[np.ndarray, "seed image pair"]
Value = Callable[[Responses, str], Trials]


def accuracy(found: Responses, arm: str) -> Trials:
    """1 where the answer is right."""
    return (getattr(found, arm).argmax(-1) == found.truth).astype(float)


def score(found: Responses, arm: str) -> Trials:
    """The right class's share of the softmax: for existence the mean score of "it is there"."""
    return np.take_along_axis(softmax(getattr(found, arm), -1), found.truth[..., None], -1)[..., 0]


def flips(found: Responses, arm: str) -> Trials:
    """1 where the answer is another than without the perturbation."""
    return (getattr(found, arm).argmax(-1) != found.clean.argmax(-1)[..., None]).astype(float)


def target_drop(found: Responses, arm: str) -> Trials:
    """y_t - y'_t."""
    return np.take_along_axis(-_change(found, arm), found.truth[..., None], -1)[..., 0]


def squared_change(found: Responses, arm: str) -> Trials:
    """sum (y' - y)^2 / C."""
    return np.square(_change(found, arm)).mean(-1)


def absolute_change(found: Responses, arm: str) -> Trials:
    """sum |y' - y| / C."""
    return np.abs(_change(found, arm)).mean(-1)


def rectified_drop(found: Responses, arm: str) -> Trials:
    """sum relu(y - y') / C."""
    return np.maximum(-_change(found, arm), 0).mean(-1)


def flipping_amplitude(found: Responses, arm: str) -> Trials:
    """The smallest amplitude that flips, up to the bound: a place that withstood counts as the bound itself.

    Its mean is the restricted mean of survival analysis: censored searches are kept, and underrate alike in both arms.
    """
    return np.minimum(_flipped(found, arm), found.bound)


def unflipped(found: Responses, arm: str) -> Trials:
    """1 where no amplitude up to the bound flips: the censored share."""
    return np.isinf(_flipped(found, arm)).astype(float)


def measure(found: Responses, *, seed: int, confidence: float = 0.95) -> tuple[Measure, ...]:
    """Every measure that the responses allow, in both arms and their difference."""
    names = [name for name in VALUES if found.flipped_dead is not None or name not in SEARCHED]
    return tuple(_measure(found, name, seed, confidence) for name in names)


def rate(values: Trials, found: Responses, *, share: bool, confidence: float = 0.95) -> Rate:
    """The mean over photographs and seeds with its interval; Wilson's for a share and one seed."""
    table = by_photograph(values, found)
    if share and len(table) == 1:
        low, high = wilson(table[0], values.size, confidence)
    else:
        low, high, _ = _interval(table, confidence, stream(0, "bootstrap/arm"))
    if share:
        low, high = max(0.0, low), min(1.0, high)
    return Rate(value=float(table.mean()), low=low, high=high, n=table.shape[1], trials=values.size)


def accuracy_loss(found: Responses, contribution: Contribution, *, confidence: float, seed: int) -> Effect:
    """Accuracy lost at dead places: right at live places minus right at dead ones, paired.

    At the floor where one of the trainings is right, without the perturbation and at live places alike, less often than
    a quarter of the way from chance to certainty: what knows nothing loses nothing.
    """
    ceiling = accuracy(found, "dead").mean() > CEILING
    saturated = "floor" if _at_floor(found) else "ceiling" if ceiling else ""
    return _effect(found, "accuracy-loss", accuracy, confidence, seed, saturated)


def _at_floor(found: Responses) -> bool:
    chance = 1 / found.clean.shape[-1]
    return bool(_known(found).min() < chance + (1 - chance) / 4)


def _known(found: Responses) -> Float[np.ndarray, " seed"]:
    """Share right of each training; an answer that is always the same is right by half in a question of presence."""
    right = accuracy(found, "live").mean((1, 2))
    if found.clean_truth is None:
        return np.asarray(right)
    return np.asarray((right + (found.clean.argmax(-1) == found.clean_truth).mean(1)) / 2)


def flip_rate(found: Responses, contribution: Contribution, *, confidence: float, seed: int) -> Effect:
    """Share of answers that the perturbation changes at live places, where it changes most.

    At the floor as in `accuracy_loss`: of labelled pictures, for an answer that is always the same never changes.
    """
    values = flips(found, "live")
    table, shown = by_photograph(values, found), rate(values, found, share=True, confidence=confidence)
    between = _spread(table, confidence)
    return Effect(
        quantity="flip-rate",
        version=2,
        value=shown.value,
        low=shown.low,
        high=shown.high,
        n=shown.n,
        method=f"Wilson over {shown.n} clusters" if len(table) == 1 else _crossed(table),
        confidence=confidence,
        pvalue=None,
        detectable=detectable(between, shown.n, confidence),
        spread=between,
        saturated="floor" if _at_floor(found) else "",
    )


def by_photograph(values: Trials, found: Responses) -> Float[np.ndarray, "seed cluster"]:
    owner = np.repeat(found.photograph, values.shape[2])
    return np.stack([cluster_means(one.ravel(), owner) for one in values])


def _measure(found: Responses, name: str, seed: int, confidence: float) -> Measure:
    value, share = VALUES[name], name in SHARES
    dead, live = (rate(value(found, arm), found, share=share, confidence=confidence) for arm in ("dead", "live"))
    return Measure(name=name, dead=dead, live=live, difference=_effect(found, name, value, confidence, seed))


def _effect(found: Responses, name: str, value: Value, confidence: float, seed: int, saturated: str = "") -> Effect:
    """live - dead; the p-value is the sign test's over photographs, which a common bound of censoring leaves exact."""
    table = by_photograph(value(found, "live") - value(found, "dead"), found)
    low, high, method = _interval(table, confidence, stream(seed, f"bootstrap/{name}"))
    between = _spread(table, confidence)
    return Effect(
        quantity=name,
        version=1,
        value=float(table.mean()),
        low=low,
        high=high,
        n=table.shape[1],
        method=method,
        confidence=confidence,
        pvalue=mcnemar_pvalue(table.mean(0)),
        detectable=detectable(between, table.shape[1], confidence),
        spread=between,
        saturated=saturated,  # type: ignore[arg-type]
    )


def _interval(
    table: Float[np.ndarray, "seed cluster"], confidence: float, rng: np.random.Generator
) -> tuple[float, float, str]:
    if len(table) > 1:
        return *crossed_interval(table, confidence), _crossed(table)
    return mean_interval(table[0], confidence, rng=rng)


def _spread(table: Float[np.ndarray, "seed cluster"], confidence: float) -> float:
    """Between photographs; of several seeds what would make the interval as wide, so that power counts them too."""
    n = table.shape[1]
    if len(table) == 1:
        return spread(table[0])
    low, high = crossed_interval(table, confidence)
    return float((high - low) / 2 * n**0.5 / t.ppf((1 + confidence) / 2, n - 1))


def _crossed(table: Float[np.ndarray, "seed cluster"]) -> str:
    return f"t over {table.shape[1]} clusters crossed with {len(table)} seeds"


def _change(found: Responses, arm: str) -> Float[np.ndarray, "seed image pair output"]:
    return np.asarray(getattr(found, arm) - found.clean[:, :, None])


def _flipped(found: Responses, arm: str) -> Trials:
    amplitudes: Trials | None = getattr(found, f"flipped_{arm}")
    assert amplitudes is not None, "the search was asked for"
    return amplitudes


VALUES: dict[str, Value] = {
    "accuracy": accuracy,
    "score": score,
    "flips": flips,
    "target-drop": target_drop,
    "squared-change": squared_change,
    "absolute-change": absolute_change,
    "rectified-drop": rectified_drop,
    "flipping-amplitude": flipping_amplitude,
    "unflipped": unflipped,
}
SHARES = ("accuracy", "score", "flips", "unflipped")
SEARCHED = ("flipping-amplitude", "unflipped")
KINDS: dict[str, Callable[..., Effect]] = {"accuracy-loss": accuracy_loss, "flip-rate": flip_rate}
