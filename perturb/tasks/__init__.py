"""Which pictures a detector is shown, and what is true of them."""

from perturb.tasks.presence import Presence

__all__ = ["Presence"]
