"""Weights from a file that cannot run code: safetensors, or a state dict read with `weights_only=True`."""

import pickle
import warnings
import zipfile
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from perturb.errors import InputError, first_line
from perturb.files import WEIGHTS, check_regular
from perturb.writing import write

FOLDER = 0x10  # of a member in an archive, as DOS marks it
CONTAINERS = ("state_dict", "model_state_dict", "model")  # where training scripts keep it in a checkpoint


def load_weights(module: nn.Module, path: Path) -> None:
    """Fill `module` from `path`, strictly; one line names what is missing, left over, or of another shape."""
    state = _read(path)
    if faults := _faults(module, state):
        more = f" and {len(faults) - 2} more" if len(faults) > 2 else ""
        raise InputError(f"`{path}` does not fit the network: {'; '.join(faults[:2])}{more}.")
    try:
        module.load_state_dict(state)
    except RuntimeError as error:  # values that cannot become the network's, such as quantised ones
        raise InputError(f"`{path}` does not fit the network: {first_line(error)}") from error


def fits(module: nn.Module, path: Path) -> bool:
    """Whether `load_weights` would find every name and shape."""
    return not _faults(module, _read(path))


def save_weights(module: nn.Module, path: Path) -> None:
    """Parameters and buffers as safetensors; `load_weights` reads them back."""
    import safetensors.torch

    write(path, safetensors.torch.save({n: value.contiguous().clone() for n, value in module.state_dict().items()}))


def _faults(module: nn.Module, state: dict[str, Tensor]) -> list[str]:
    own = module.state_dict()
    return (
        [f"`{name}` is missing" for name in own if name not in state]
        + [f"`{name}` is unknown" for name in state if name not in own]
        + [
            f"`{name}` is {tuple(state[name].shape)}, wanted {tuple(own[name].shape)}"
            for name in own
            if name in state and own[name].shape != state[name].shape
        ]
    )


def _read(path: Path) -> dict[str, Tensor]:
    """Names to tensors, out of whatever a training script wrapped them in."""
    check_regular(path, limit=WEIGHTS)
    state = _opened(path)
    for name in CONTAINERS:
        inner: Any = state.get(name)
        if isinstance(inner, dict):
            state = inner
    if not state or not all(isinstance(key, str) and isinstance(value, Tensor) for key, value in state.items()):
        raise InputError(f"`{path}` holds no state dict (names to tensors).")
    for name, value in state.items():
        if value.is_meta or value.layout != torch.strided:
            what = "no values (it is on the device `meta`)" if value.is_meta else f"the layout {value.layout}"
            raise InputError(f"`{path}`: `{name}` has {what}; save dense tensors.")
    if all(name.startswith("module.") for name in state):  # saved from DataParallel
        state = {name.removeprefix("module."): value for name, value in state.items()}
    return state


def _opened(path: Path) -> dict[str, Tensor]:
    try:
        if path.suffix == ".safetensors":
            from safetensors.torch import load_file

            return load_file(path)
        _check_archive(path)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of torch, about kinds of tensors that are refused below
            state = torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise InputError(
            f"`{path}` is a pickled model, and opening one runs code; save `model.state_dict()` or safetensors."
        ) from error
    except InputError:
        raise
    except Exception as error:  # truncated, foreign or unreadable: every reader has its own words
        raise InputError(f"`{path}` cannot be read as weights: {first_line(error)}") from error
    if not isinstance(state, dict):
        raise InputError(f"`{path}` holds a {type(state).__name__}, not a state dict.")
    return state


def _check_archive(path: Path) -> None:
    """torch reads an archive without looking at its check sums, so that a flipped bit would become a weight.

    Raises InputError where one does not match, and for packed members: torch packs none, and a small file could unfold
    to any size. Files of torch before 1.6 are no archives and have no check sums.
    """
    if not zipfile.is_zipfile(path):
        return
    with zipfile.ZipFile(path) as archive:
        packed = next((one for one in archive.infolist() if one.compress_type != zipfile.ZIP_STORED), None)
        if packed is not None:
            raise InputError(f"`{path}`: `{packed.filename}` is compressed, which torch does not do; save it again.")
        # Of a member with two sizes, or marked as a folder, torch hands out memory that nothing was read into.
        odd = (m.filename for m in archive.infolist() if m.compress_size != m.file_size or m.external_attr & FOLDER)
        damaged = next(odd, None) or archive.testzip()
    if damaged is not None:
        raise InputError(
            f"`{path}` is damaged: the check sum, size or kind of `{damaged}` does not match; copy it again."
        )
