"""Blocks on Ray: an executor whose workers are processes of this machine or of a cluster."""

import io
import os
import pickle
import signal
import sys
import warnings
from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch

from perturb.blocks import Lasting
from perturb.errors import InputError, PerturbWarning, UsageError, first_line
from perturb.identity import of_library, surroundings
from perturb.machine import UNDER_UV
from perturb.model import BlackBox, Network
from perturb.surroundings import SETTINGS

Arrays = Mapping[str, np.ndarray]
AHEAD = 2  # blocks in flight for each that can run at once
RETRIES = 3  # of a block whose worker was lost
STORE = 2**30  # bytes of the object store of a Ray that is started here


@contextmanager
def on_ray(address: str | None = None, *, processors: int | None = None) -> Iterator["RayBlocks"]:
    """An executor on the Ray at `address` (or RAY_ADDRESS), else on one that is started here and ended afterwards.

    `processors` of a Ray that is started here: all of them unless said. Raises UsageError where Ray is not installed or
    cannot be joined, InputError where no machine of it has as many processors as torch has threads.
    """
    try:
        import ray
        from ray._private import ray_constants
    except ImportError as error:
        raise UsageError("Ray is not installed: pip install 'perturb-suite[ray]'.") from error
    # Else `uv run` is repeated for every worker. The variable alone is too late where somebody imported Ray before.
    if os.environ.setdefault(UNDER_UV, "0") == "0":
        setattr(ray_constants, UNDER_UV, False)
    address = address or os.environ.get("RAY_ADDRESS") or "local"
    here = {"num_cpus": processors, "object_store_memory": STORE, "include_dashboard": False}
    before = signal.getsignal(signal.SIGTERM)
    try:
        ray.init(address=address, logging_level="ERROR", **(here if address == "local" else {}))
    except (ConnectionError, RuntimeError, ValueError) as error:
        hint = "" if "RAY_AUTH_MODE" in os.environ else " If it asks for a token, set RAY_AUTH_MODE=token."
        raise UsageError(f"Ray at `{address}` cannot be joined: {first_line(error)}.{hint}") from error
    try:
        signal.signal(signal.SIGTERM, before)  # Ray takes it for itself
        yield RayBlocks(slots=_slots(ray))
    finally:
        ray.shutdown()


def _slots(ray: Any) -> int:
    """How many blocks can run at once, each with as many threads as torch has here."""
    threads = torch.get_num_threads()
    slots = sum(int(node["Resources"].get("CPU", 0)) // threads for node in ray.nodes() if node["Alive"])
    if not slots:
        raise InputError(f"no machine of this Ray has {threads} processors, one for each thread: set OMP_NUM_THREADS.")
    return slots


@dataclass(frozen=True, slots=True, kw_only=True)
class Sent:
    """Work as bytes; the models in it are in Ray's store."""

    work: bytes
    models: tuple[Any, ...]  # references


@dataclass(slots=True, kw_only=True)
class RayBlocks:
    """An executor: see blocks.Executor. A block whose worker was lost runs again; each model is sent once."""

    slots: int  # blocks that can run at once
    models: dict[int, tuple[Any, Any]] = field(default_factory=dict)  # those that were sent, with their references

    def __call__(self, work: Any, blocks: Iterable[Any]) -> Iterator[Any]:
        """The results in order. Work that is not `Lasting` runs here.

        Raises what the work raises, and InputError where it cannot be sent or a block loses its worker time and again.
        """
        if not isinstance(work, Lasting):
            yield from map(work, blocks)
            return
        import ray

        sent, flying = self._send(work), deque[tuple[Any, Any]]()
        on_gpu = any(model.device.type == "cuda" for model, _ in self.models.values())
        run = ray.remote(_run).options(
            num_cpus=torch.get_num_threads(), num_gpus=int(on_gpu), max_retries=RETRIES, retry_exceptions=False
        )
        settings = [get() for get, _ in SETTINGS]
        for block in blocks:
            flying.append((block, run.remote(sent.work, block, settings, surroundings(), *sent.models)))
            if len(flying) >= AHEAD * self.slots:
                yield _result(work, *flying.popleft())
        while flying:
            yield _result(work, *flying.popleft())

    def _send(self, work: Lasting) -> Sent:
        import ray
        from ray import cloudpickle

        for name, module in [*sys.modules.items()]:
            if getattr(module, "__file__", None) and not of_library(name):
                cloudpickle.register_pickle_by_value(module)  # no worker has the user's files
        found: list[Any] = []

        class Sending(cloudpickle.CloudPickler):  # type: ignore[misc]
            """A model goes by its number."""

            def persistent_id(self, value: Any) -> int | None:
                if not isinstance(value, Network | BlackBox):
                    return None
                if value not in found:
                    found.append(value)
                return found.index(value)

        data = io.BytesIO()
        try:
            Sending(data).dump(work.unwatched())
            for model in found:
                if id(model) not in self.models:
                    self.models[id(model)] = model, ray.put(model)
        except Exception as error:  # of the user's own values
            raise InputError(f"this model cannot be sent to Ray's workers: {first_line(error)}") from error
        return Sent(work=data.getvalue(), models=tuple(self.models[id(model)][1] for model in found))


class _Receiving(pickle.Unpickler):
    """Puts the models back where `Sending` left their numbers."""

    def __init__(self, data: bytes, models: tuple[Any, ...]) -> None:
        super().__init__(io.BytesIO(data))
        self._models = models

    def persistent_load(self, number: int) -> Any:
        return self._models[number]


def _run(data: bytes, block: Any, settings: list[Any], told: tuple[Any, ...], *models: Any) -> tuple[Arrays, list[str]]:
    """In a worker: the arrays of a block's result, and what was warned of."""
    for (get, put), value in zip(SETTINGS, settings, strict=True):
        if get is not os.getcwd and get() != value:
            put(value)
    if surroundings() != told:
        raise InputError("a worker of Ray is not like this machine (processor, packages, system).")
    work = _Receiving(data, models).load()
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always", PerturbWarning)
        arrays = work.arrays(work(block))
    return arrays, [str(one.message) for one in said if issubclass(one.category, PerturbWarning)]


def _result(work: Lasting, block: Any, running: Any) -> Any:
    """The result of a block, once it is there."""
    import ray

    try:
        arrays, said = ray.get(running)
    except ray.exceptions.RayTaskError as error:
        raise error.cause from None
    except ray.exceptions.RayError as error:
        raise InputError(f"a block lost its worker of Ray {RETRIES + 1} times: {first_line(error)}") from error
    for words in said:
        warnings.warn(words, PerturbWarning, stacklevel=2)
    return work.result(block, arrays)
