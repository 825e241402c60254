"""A fine-tuned network, in a few lines."""

from perturb.comparisons import FineTuned


def lines(found: FineTuned) -> str:
    """What it learnt from, and what its answers lost."""
    photographs = f"{found.learnt} photographs in {found.steps} steps"
    head = f"Fine-tuned with {found.done.kind}: {len(found.done.changed)} windows, learnt from {photographs}."
    if found.cost is None:
        return f"{head} Its outputs are no scores of classes, so what its answers lost was not measured."
    cost = found.cost
    interval = f"{cost.value:+.3f} ({cost.low:+.3f} to {cost.high:+.3f}, {cost.method})"
    return f"{head}\n{cost.words}, on {found.held_out} others: {interval}\n{found.verdict}: {found.reason}."
