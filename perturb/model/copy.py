"""The private copy of the user's module: made, identified, and its weights judged."""

import copy
import hashlib

import torch
from torch import Tensor, nn

from perturb.errors import InputError, first_line


def can_be_followed(module: nn.Module) -> bool:
    """Whether its layers and gradients can be asked: not of TorchScript, torch.export and quantised weights."""
    if any(isinstance(m, torch.jit.ScriptModule) for m in module.modules()):
        return False
    try:
        module.train(module.training)
    except NotImplementedError:  # of torch.export
        return False
    values = [*module.state_dict().values()]
    return all(isinstance(v, Tensor | torch.dtype) for v in values) and not any(
        v.is_quantized for v in values if isinstance(v, Tensor)
    )


def private_copy(module: nn.Module, name: str) -> nn.Module:
    """A copy in evaluation mode, frozen; the module handed in is left as it was found.

    Raises InputError for a module that cannot be copied or followed, and for weights that are not finite.
    """
    if any(isinstance(m, torch.jit.ScriptModule) for m in module.modules()):
        raise InputError(f"{name} is a scripted module, which cannot be followed; hand over the plain nn.Module.")
    try:
        private = copy.deepcopy(getattr(module, "_orig_mod", module))  # _orig_mod: under torch.compile
    except Exception as error:
        raise InputError(f"{name} cannot be copied: {first_line(error)}") from error
    for key, value in private.state_dict().items():
        _check_weight(name, key, value)
    return private.eval().requires_grad_(False)


def _check_weight(name: str, key: str, value: object) -> None:
    if not isinstance(value, Tensor | torch.dtype) or (isinstance(value, Tensor) and value.is_quantized):
        raise InputError(
            f"{name}: weight `{key}` is quantised or no tensor, and cannot be followed; let the factory return the "
            "float network, or `lambda x: network(x)`, which is measured as a black box."
        )
    if isinstance(value, Tensor) and value.is_floating_point() and not torch.isfinite(value).all():
        raise InputError(f"{name}: weight `{key}` holds NaN or infinity.")


def digest_of(module: nn.Module) -> str:
    """SHA-256 over the names, types, shapes and bytes of parameters and buffers."""
    digest = hashlib.sha256()
    for key, value in sorted(module.state_dict().items()):
        digest.update(f"{key} {value.dtype} {tuple(value.shape)}".encode())
        digest.update(value.detach().cpu().contiguous().flatten().view(torch.uint8).numpy())
    return digest.hexdigest()


def has_statistics(module: nn.Module) -> bool:
    """Whether it has batch normalisation that keeps statistics, settled or not."""
    return bool(_statistics(module))


def looks_untrained(module: nn.Module) -> bool:
    """Whether its batch normalisation has no statistics yet; False where it has none to tell by."""
    kept = _statistics(module)
    return bool(kept) and all(not mean.any() and bool(torch.all(var == 1)) for mean, var in kept)


def _statistics(module: nn.Module) -> list[tuple[torch.Tensor, torch.Tensor]]:
    norms = [m for m in module.modules() if isinstance(m, nn.modules.batchnorm._BatchNorm)]
    pairs = [(m.running_mean, m.running_var) for m in norms]
    return [(mean, var) for mean, var in pairs if mean is not None and var is not None]
