"""Which pictures a model is shown, and what is true of them."""

from perturb.tasks.labels import Labels
from perturb.tasks.micro import Digits, Existence, Intensity
from perturb.tasks.presence import Presence

__all__ = ["Digits", "Existence", "Intensity", "Labels", "Presence"]
