"""A layer's response to many small changes of the same pictures, computed from what changed alone."""

from perturb.incremental.copies import ChangedCopies, measure_copies
from perturb.incremental.engine import CleanPictures, Incremental, Patches
from perturb.incremental.engine_choice import Engine, choose_engine, engine_name

__all__ = [
    "ChangedCopies",
    "CleanPictures",
    "Engine",
    "Incremental",
    "Patches",
    "choose_engine",
    "engine_name",
    "measure_copies",
]
