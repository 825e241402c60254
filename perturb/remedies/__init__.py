"""Remedies for dead pixels: a network in, a changed copy and the list of its changes out."""

from perturb.remedies.apply import KINDS, apply_remedy

__all__ = ["KINDS", "apply_remedy"]
