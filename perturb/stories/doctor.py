"""`perturb doctor`: what this machine has and lacks, and what to do about it."""

import importlib.util
import os
import platform
import sys
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path

from packaging.requirements import Requirement

from perturb.comparisons import Sign
from perturb.errors import PerturbError, first_line
from perturb.machine import GIB, OURS, UNDER_UV, device_name, free_bytes, processors, requirements, unmet, versions
from perturb.writing import check_writable

ORDER = ("broken", "act", "works", "missing")
LIBRARIES = ("torch", "torchvision", "numpy", "scipy", "sklearn", "skimage")  # those that take longest to compile
LEAST = 1.0  # GiB of disk, below which pictures and kept runs soon find no room
CARD = Path("/dev/nvidia0")


def examine(history: Path, memory: int | None) -> tuple[Sign, ...]:
    """All signs, what keeps perturb from working first. `memory`: bytes that a command may take, where it is known."""
    try:
        needed = requirements()
        found = [*_python(), *_needed(needed.pop("")), *_torch(), *_torchvision()]
    except ImportError:
        needed = {}
        found = [*_python(), Sign(name=OURS, state="broken", found="it is not installed", todo=f"pip install {OURS}")]
    found += [*_memory(memory), *_history(history), *_scratch()]
    found += [sign for extra, packages in needed.items() for sign in _extra(extra, packages)]
    return tuple(sorted(found, key=lambda sign: ORDER.index(sign.state)))


def _python() -> Iterator[Sign]:
    yield Sign(name="Python", state="works", found=f"{platform.python_version()}, {sys.executable}")
    raw = [name for name in LIBRARIES if _uncompiled(name)]
    told = "Python may write byte code" if not sys.dont_write_bytecode else "the libraries are compiled"
    if not raw or not (sys.dont_write_bytecode or not _writable(raw[0])):
        yield Sign(name="byte code", state="works", found=told)
        return
    why = "PYTHONDONTWRITEBYTECODE is set" if sys.dont_write_bytecode else "their folder cannot be written"
    yield Sign(
        name="byte code",
        state="act",
        found=f"{', '.join(raw)} are not compiled and {why}: each process compiles them anew, 20 s and more",
        todo=f"unset PYTHONDONTWRITEBYTECODE, or python -m compileall -q {_folder(raw[0])}",
    )


def _uncompiled(name: str) -> bool:
    """Whether the library is there without byte code."""
    spec = importlib.util.find_spec(name)
    return spec is not None and spec.cached is not None and not Path(spec.cached).exists()


def _folder(name: str) -> Path:
    """Where libraries such as this one lie."""
    spec = importlib.util.find_spec(name)
    assert spec is not None
    assert spec.origin is not None
    return Path(spec.origin).parents[1]


def _writable(name: str) -> bool:
    return os.access(_folder(name) / name, os.W_OK)


def _needed(packages: tuple[Requirement, ...]) -> Iterator[Sign]:
    wrong = [words for each in packages if (words := unmet(each))]
    if wrong:
        yield Sign(name="libraries", state="broken", found=", ".join(wrong), todo=f"pip install --upgrade {OURS}")
    else:
        yield Sign(name="libraries", state="works", found=f"all {len(packages)} that perturb needs")


def _torch() -> Iterator[Sign]:
    try:
        import torch
    except (ImportError, OSError, RuntimeError) as error:
        found = f"it does not import: {first_line(error)}"
        yield Sign(name="torch", state="broken", found=found, todo="pip install --force-reinstall torch torchvision")
        return
    cards = [torch.device("cuda", number) for number in range(torch.cuda.device_count())]
    yield Sign(
        name="torch", state="works", found=f"{torch.__version__} on {', '.join(map(device_name, cards)) or 'cpu'}"
    )
    if CARD.exists() and not cards:
        found = "there is an NVIDIA card, and this torch cannot use it"
        yield Sign(
            name="GPU", state="act", found=found, todo="install the torch for its driver: pytorch.org/get-started"
        )
    threads, there = torch.get_num_threads(), processors()
    told = f"{threads} of torch, {there} processors"
    if threads > there:
        yield Sign(name="threads", state="act", found=told, todo=f"export OMP_NUM_THREADS={there}")
    else:
        yield Sign(name="threads", state="works", found=told)


def _torchvision() -> Iterator[Sign]:
    from perturb.model.libraries import import_torchvision

    try:
        yield Sign(name="torchvision", state="works", found=import_torchvision().__version__)
    except PerturbError as error:
        yield Sign(name="torchvision", state="broken", found=str(error))


def _memory(limit: int | None) -> Iterator[Sign]:
    told = "not told by this system" if limit is None else f"a command may take {limit / GIB:.1f} GiB (--memory-limit)"
    yield Sign(name="memory", state="works", found=told)


def _history(folder: Path) -> Iterator[Sign]:
    try:
        check_writable(folder)
    except PerturbError as error:
        found = f"runs are measured and not kept: {error}"
        yield Sign(name="history", state="act", found=found, todo="make the folder writable, or give --history FOLDER")
        return
    yield _room("history", folder, "runs are kept there", "free some, or give --history FOLDER")


def _scratch() -> Iterator[Sign]:
    try:
        folder = tempfile.gettempdir()
    except FileNotFoundError as error:
        yield Sign(name="scratch", state="broken", found=first_line(error), todo="export TMPDIR=FOLDER")
        return
    yield _room("scratch", Path(folder), "pictures are kept there during a run", "free some, or export TMPDIR=FOLDER")


def _room(name: str, folder: Path, what: str, todo: str) -> Sign:
    free = free_bytes(folder) / GIB
    few = free < LEAST
    return Sign(
        name=name,
        state="act" if few else "works",
        found=f"{folder}, {free:.1f} GiB free; {what}",
        todo=todo if few else "",
    )


def _extra(name: str, packages: tuple[Requirement, ...]) -> Iterator[Sign]:
    wrong = [words for each in packages if (words := unmet(each))]
    if wrong:
        todo = f"pip install '{OURS}[{name}]'"
        yield Sign(name=f"[{name}]", state="missing", found=", ".join(wrong), todo=todo)
        return
    has = versions(each.name for each in packages)
    yield Sign(name=f"[{name}]", state="works", found=", ".join(f"{one} {number}" for one, number in has.items()))
    yield from {"onnx": _onnx, "ray": _ray}.get(name, lambda: iter(()))()


def _onnx() -> Iterator[Sign]:
    """Where ONNX Runtime runs files."""
    try:
        import onnxruntime
    except (ImportError, OSError) as error:
        yield Sign(name="ONNX Runtime", state="act", found=f"it does not import: {first_line(error)}")
        return
    cuda = "CUDAExecutionProvider" in onnxruntime.get_available_providers()
    yield Sign(name="ONNX Runtime", state="works", found="on CUDA" if cuda else "on cpu")
    if CARD.exists() and not cuda:
        found = "there is an NVIDIA card, and ONNX files run on the processors"
        yield Sign(name="ONNX on GPU", state="missing", found=found, todo="pip install onnxruntime-gpu")


def _ray(variables: Mapping[str, str] = os.environ) -> Iterator[Sign]:
    """Of `--on ray`: under `uv run` Ray may make an environment for each of its workers."""
    if variables.get(UNDER_UV, "0") != "0":
        found = f"{UNDER_UV}={variables[UNDER_UV]}: with `uv run` each worker makes its environment anew"
        yield Sign(name="Ray", state="act", found=found, todo=f"unset {UNDER_UV}")
