"""A layer's response to many small changes of the same pictures, at the cost of what changed."""

from perturb.incremental.beside import Around, Beside, measure_copies
from perturb.incremental.choice import Engine, called, choose

choose_engine, engine_name, ChangedCopies = choose, called, Around
from perturb.incremental.engine import Incremental, Patches, Sweep

__all__ = ["Around", "Beside", "Engine", "Incremental", "Patches", "Sweep", "called", "choose"]
