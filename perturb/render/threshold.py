"""The limit above which an answer counts as yes: its value, and where it comes from."""

from perturb.records import Experiment


def applied(e: Experiment) -> str:
    """The threshold in the evidence's own unit; empty where it is not recorded."""
    if e.thresholds is None:
        return "" if e.threshold is None else f"{e.threshold:.4g}"
    least, most = e.thresholds
    return f"{least:.4g}" if least == most else f"{least:.4g} to {most:.4g}, by crop"


def source(e: Experiment) -> str:
    """Where it comes from, in words; empty where nothing is known of it."""
    if e.threshold is not None:
        return "given by the user"
    if e.point is None:
        return "pinned to a rate of false alarms that is not recorded" if e.clean == "absent" else ""
    if e.point.false_alarms is None:
        return "none: the model's own answer is right or wrong"
    pinned = e.point.false_alarms
    unmatched = e.clean == "unmatched"
    rate = f"{pinned:g} false alarms a picture" if unmatched else f"false alarms in {pinned:.4g} of clean ones"
    return f"pinned to {rate}, on {e.pinned_on or 'pictures that are not recorded'}"


def words(e: Experiment) -> str:
    """Both, where the value is known: "threshold 0.9, pinned to ..."; else empty."""
    return f"threshold {applied(e)}, {source(e)}" if applied(e) else ""
