"""A Model: the user's network on a private copy, with what is needed to show it pictures."""

import copy
import hashlib
import math
import re
import warnings
from collections.abc import Callable

import torch
from jaxtyping import Float
from torch import Tensor, nn

from perturb.errors import InputError, PerturbError, PerturbWarning, UsageError
from perturb.model.folding import fold
from perturb.model.maps import as_map, lie
from perturb.model.preprocessing import Preprocessing, mean_and_std
from perturb.precision import full_float32

IN_CACHE = 1 << 23  # numbers


class _ReachedError(Exception):
    """Ends a forward pass at the layer that was asked for."""


class Network:
    """A torch module as perturb sees it. The module handed in is copied and left as it was found.

    `untrained` says that its batch normalisation had no statistics yet; `settle` gives it some.
    Raises InputError for NaN weights, a scripted module, or one that does not map a picture to a tensor.
    """

    def __init__(
        self,
        module: nn.Module,
        *,
        name: str = "network",
        preprocessing: Preprocessing | None = None,
        device: str | torch.device = "cpu",
    ) -> None:
        self.name = name
        self.preprocessing = preprocessing or Preprocessing()
        self.input_shape = self.preprocessing.input_shape
        self.device = torch.device(device)
        self._normal = mean_and_std(self.preprocessing).to(self.device)
        self.module = _private_copy(module, name).to(self.device)
        self.digest = _digest(self.module)
        self.untrained = _is_untrained(self.module)
        self._modules = dict(self.module.named_modules())
        self._quick: nn.Module | None = None
        self._forms: dict[str, nn.Module] = {}  # by layer: what gives its values
        self._largest = 1  # activation of a picture
        self._lying = 0  # above 0 where more of its maps have their channels last than first
        self._layers = self._laid_out()
        self.batch = _fitting(self._largest) if self.device.type == "cpu" else 256

    def __repr__(self) -> str:
        return f"Network({self.name!r}, weights={self.digest[:12]}, device={self.device})"

    @property
    def parameters(self) -> int:
        return sum(p.numel() for p in self.module.parameters())

    @property
    def feature_maps(self) -> tuple[str, ...]:
        """The layers that give one, in the order in which they run."""
        return tuple(self._layers)

    @property
    def multiply_adds(self) -> int:
        """Of convolutions and matrix products, for one picture."""
        from torch.utils.flop_counter import FlopCounterMode

        with torch.no_grad(), FlopCounterMode(display=False) as counter:
            self.module(self.normalise(torch.full((1, *self.input_shape), 0.5)))
        return counter.get_total_flops() // 2

    def with_module(self, module: nn.Module) -> "Network":
        """The same name, preprocessing and device around another module."""
        return Network(module, name=self.name, preprocessing=self.preprocessing, device=self.device)

    def settle(self, pictures: Float[Tensor, "picture channel row column"]) -> None:
        """Give batch normalisation the statistics of these pictures, layer by layer in their own batches' mean."""
        norms = [m for m in self.module.modules() if isinstance(m, nn.modules.batchnorm._BatchNorm)]
        momenta = [norm.momentum for norm in norms]
        self._quick = None
        self._forms.clear()
        for norm in norms:
            norm.reset_running_stats()
            norm.momentum = None  # a plain mean over the batches
            norm.train()
        try:
            with torch.inference_mode(), full_float32():
                for part in pictures.split(32):
                    self.module(self.normalise(part))
        finally:
            for norm, momentum in zip(norms, momenta, strict=True):
                norm.momentum = momentum
                norm.eval()

    def normalise(self, pictures: Float[Tensor, "picture channel row column"]) -> Tensor:
        low, high = self.preprocessing.bounds
        x = pictures.to(self.device, non_blocking=True)
        mean, std = self._normal.to(x.dtype)
        return ((low + (high - low) * x - mean) / std).contiguous(memory_format=self.layout)

    def propagate(self, x: Tensor, layer: str = "output", *, folded: bool = False) -> Tensor:
        return self._run(self._form(layer) if folded else self.module, x, layer)

    def _form(self, layer: str) -> nn.Module:
        """The copy with folded normalisation, where it gives the layer the same to rounding; else the module."""
        if layer not in self._forms:
            self._forms[layer] = self.module
            with torch.inference_mode(False), torch.no_grad():
                x = self.normalise(torch.rand(1, *self.input_shape, generator=torch.Generator().manual_seed(0)))
                plain = self._run(self.module, x, layer)
                try:
                    self._quick = quick = self._quick or fold(self.module, x, self.layout)
                    if torch.allclose(self._run(quick, x, layer), plain, 0, 1e-4 * float(plain.abs().max())):
                        self._forms[layer] = quick
                except Exception:  # the user's own code may want its normalisation where it was
                    pass
        return self._forms[layer]

    def _run(self, module: nn.Module, x: Tensor, layer: str) -> Tensor:
        if layer == "output":
            with full_float32():
                return _tensor(module(x), self.name)
        kept: list[object] = []

        def stop(module: nn.Module, args: object, output: object) -> None:
            kept.append(output)
            raise _ReachedError

        handle = module.get_submodule(layer).register_forward_hook(stop)
        try:
            with full_float32():
                module(x)
        except _ReachedError:
            pass
        finally:
            handle.remove()
        ratio = x.shape[-2] / x.shape[-1]
        found = as_map(kept[0], ratio, self._lying > 0) if kept else None
        if found is None:
            raise InputError(f"{self.name}: layer `{layer}` gives no feature map for an input of {tuple(x.shape[1:])}.")
        return found

    def measure(self, pictures: Float[Tensor, "picture channel row column"], layer: str = "output") -> Tensor:
        """Batches are halved, and stay so, where memory runs out."""
        result = None
        while result is None:
            try:
                with torch.inference_mode():
                    inputs = (self.normalise(part) for part in pictures.split(self.batch))
                    result = torch.cat([self.propagate(x, layer, folded=x.dtype == torch.float32) for x in inputs])
            except torch.OutOfMemoryError:
                if self.batch == 1:
                    raise
                self.batch //= 2
        if not torch.isfinite(result).all():
            raise InputError(f"{self.name}: `{layer}` is not finite (NaN or infinity) for some pictures.")
        return result

    def find_layer(self, wanted: str) -> str:
        if wanted == "output" or wanted in self._modules:
            return wanted
        strides = {name: self.stride_of(name) for name in self._layers}
        known = f"It has feature maps at strides {sorted(set(strides.values()))}."
        if not strides:
            raise UsageError(
                f"{self.name} has no module with a feature map of the picture's proportions; ask `output`."
            )
        if wanted == "last":
            target = max(strides.values())
        elif match := re.fullmatch(r"stride:([1-9]\d*)", wanted):
            target = min(set(strides.values()), key=lambda s: (abs(math.log2(s / int(match[1]))), s))
            if target != int(match[1]):
                note = f"{self.name} has no feature map at {wanted}; taken at stride {target}."
                warnings.warn(note, PerturbWarning, stacklevel=2)
        else:
            raise UsageError(f"{self.name} has no layer `{wanted}`; expected 'last', 'stride:N' or a name. {known}")
        names = [name for name, stride in strides.items() if stride == target]
        # A whole stage rather than the first step of the next block: the shallowest module, then the last one run.
        depth = min(name.count(".") for name in names)
        return [name for name in names if name.count(".") == depth][-1]

    def stride_of(self, layer: str) -> int:
        rows = self._layers.get(layer)
        if rows is None:
            raise UsageError(f"{self.name}: `{layer}` is not a spatial layer.")
        ratio = self.input_shape[1] / rows
        return int(ratio) if ratio.is_integer() else 2 ** round(math.log2(ratio))  # unpadded windows lose some rows

    def _laid_out(self) -> dict[str, int]:
        """Choose the quicker order of channels that the network takes, and probe it.

        On CPU channels last is 1.15 to 1.4 times as quick, in full float32 on an H200 up to 1.18 times slower. A
        network that flattens a map by `view` takes it nowhere.
        """
        if self.device.type == "cpu":
            try:
                return self._probe(torch.channels_last)
            except InputError:  # if it is not the layout, the other one will say so
                pass
        return self._probe(torch.contiguous_format)

    def _probe(self, layout: torch.memory_format) -> dict[str, int]:
        """Run one grey picture in this layout; the rows of each module's feature map, in order of completion."""
        self.layout = layout
        self.module.to(memory_format=layout)
        rows: dict[str, int] = {}
        ratio = self.input_shape[1] / self.input_shape[2]

        def note(name: str) -> Callable[[nn.Module, object, object], None]:
            def hook(module: nn.Module, args: object, output: object) -> None:
                if isinstance(output, Tensor):
                    self._largest = max(self._largest, output.numel())
                found = as_map(output, ratio)
                if isinstance(output, Tensor) and output.ndim == 4:
                    first, last = lie(output, ratio)
                    self._lying += last - first
                if found is not None and found.shape[-2] * found.shape[-1] > 1:
                    rows[name] = found.shape[-2]

            return hook

        handles = [m.register_forward_hook(note(name)) for name, m in self._modules.items() if name]
        picture = torch.full((1, *self.input_shape), 0.5)
        try:
            with torch.inference_mode(), full_float32():
                output = self.module(self.normalise(picture))
                again = self.module(self.normalise(picture))
        except PerturbError:
            raise
        except Exception as error:  # the user's own code: whatever it raises is an answer
            advice = "a factory may return `(module, perturb.Preprocessing(input_shape=...))`"
            if other := {str(p.dtype) for p in self.module.parameters() if p.dtype != torch.float32}:
                advice = f"its weights are {', '.join(sorted(other))}: hand over `module.float()`"
            raise InputError(
                f"{self.name} does not accept a picture of shape {self.input_shape}: {_first_line(error)} ({advice})"
            ) from error
        finally:
            for handle in handles:
                handle.remove()
        if not torch.isfinite(_tensor(output, self.name)).all():
            raise InputError(f"{self.name} returns NaN or infinity for a plain grey picture.")
        first, second = output.double(), again.double()
        if not torch.allclose(first, second, rtol=1e-3, atol=1e-3 * float(first.abs().max())):
            raise InputError(
                f"{self.name} gives two outputs for one picture: it draws random numbers in evaluation mode."
            )
        return rows


def _fitting(largest: int) -> int:
    """Pictures at once on a CPU: so many that the largest activation leaves the cache least, 8 at most.

    Of ten torchvision networks at 224 x 224 nine are within 8 % of their quickest of 1 to 32 (MobileNetV3-small loses
    20 %, which the allocations of a whole run take back); at 896 x 896 it is 1.1 to 1.5 times as quick as 8. Not timed:
    the last digits of what is measured would change with the hour.
    """
    return min(8, 1 << max(0, (IN_CACHE // largest).bit_length() - 1))


def _private_copy(module: nn.Module, name: str) -> nn.Module:
    if any(isinstance(m, torch.jit.ScriptModule) for m in module.modules()):
        raise InputError(f"{name} is a scripted module, which cannot be followed; hand over the plain nn.Module.")
    try:
        private = copy.deepcopy(getattr(module, "_orig_mod", module))  # _orig_mod: under torch.compile
    except Exception as error:
        raise InputError(f"{name} cannot be copied: {_first_line(error)}") from error
    for key, value in private.state_dict().items():
        if isinstance(value, Tensor) and value.is_floating_point() and not torch.isfinite(value).all():
            raise InputError(f"{name}: weight `{key}` holds NaN or infinity.")
    return private.eval().requires_grad_(False)


def _digest(module: nn.Module) -> str:
    """SHA-256 over the names, types, shapes and bytes of parameters and buffers."""
    digest = hashlib.sha256()
    for key, value in sorted(module.state_dict().items()):
        digest.update(f"{key} {value.dtype} {tuple(value.shape)}".encode())
        digest.update(value.detach().cpu().contiguous().flatten().view(torch.uint8).numpy())
    return digest.hexdigest()


def _is_untrained(module: nn.Module) -> bool:
    norms = [m for m in module.modules() if isinstance(m, nn.modules.batchnorm._BatchNorm)]
    pairs = [(m.running_mean, m.running_var) for m in norms]
    tracked = [(mean, var) for mean, var in pairs if mean is not None and var is not None]
    return bool(tracked) and all(not mean.any() and bool(torch.all(var == 1)) for mean, var in tracked)


def _tensor(output: object, name: str) -> Tensor:
    if not isinstance(output, Tensor):
        raise InputError(f"{name} returns a {type(output).__name__}, not a tensor; wrap it so that it returns one.")
    return output


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0]
