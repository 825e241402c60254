"""What is claimed: an observation or its map becomes a number with an interval."""

from perturb.kinds import Kinds

KINDS: Kinds = {
    "accuracy-loss": "perturb.quantities.detection:ACCURACY_LOSS",
    "accuracy-loss-2afc": "perturb.quantities.detection:ACCURACY_LOSS_2AFC",
    "miss-rate": "perturb.quantities.detection:MISS_RATE",
    "worst-phase": "perturb.quantities.by_phase:WORST_PHASE",
    "flip-rate": "perturb.quantities.detection:FLIP_RATE",
    "a50": "perturb.quantities.levels:A50",
    "a90": "perturb.quantities.levels:A90",
    "a90-95": "perturb.quantities.levels:A90_95",
    "penalty-db": "perturb.quantities.levels:PENALTY_DB",
    "imbalance": "perturb.quantities.of_map:IMBALANCE",
    "dead-share": "perturb.quantities.of_map:DEAD_SHARE",
    "unread-share": "perturb.quantities.of_map:UNREAD_SHARE",
}
SHARES = frozenset(["detected", "pinned", "told-apart", "score", "flips", "unflipped"])  # measures within 0 and 1
