"""Remedies for dead pixels: a network in, a changed copy and the list of its changes out."""

from perturb.remedies.apply import KINDS, Change, Remedy, apply_remedy

__all__ = ["KINDS", "Change", "Remedy", "apply_remedy"]
