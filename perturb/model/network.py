"""The user's network, with what is needed to show it pictures: it fills every seat for a model."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor, nn

from perturb.answers import Answers, part_by_picture, part_of
from perturb.errors import InputError, PerturbError, first_line
from perturb.model.copy import digest_of, looks_untrained, private_copy
from perturb.model.layers import Layers
from perturb.model.preprocessing import Normaliser, Preprocessing
from perturb.model.running import Forms, fitting, in_batches, joined, run, run_along, settle, users_code
from perturb.model.trial import Form, noise, try_out
from perturb.precision import full_float32
from perturb.sensor import network_shape
from perturb.stack import Stack
from perturb.surroundings import Apart

VOLUMES = (nn.Conv3d, nn.ConvTranspose3d)
SETTLED = 32  # pictures in a batch whose statistics count


class Network:
    """A torch module as perturb sees it. The module handed in is copied and left as it was found.

    `untrained` says that its weights are drawn: because that is known, or because its batch normalisation has no
    statistics yet; `settle` gives it some. Raises InputError for NaN weights, a scripted or quantised module, or one
    that does not answer each picture by itself.
    """

    def __init__(
        self,
        module: nn.Module,
        *,
        name: str = "network",
        preprocessing: Preprocessing | None = None,
        device: str | torch.device = "cpu",
        untrained: bool | None = None,
    ) -> None:
        self.name, self._apart = name, Apart()
        self.preprocessing = preprocessing or Preprocessing()
        self.input_shape, self.sensor = self.preprocessing.input_shape, self.preprocessing.sensor
        self.device = torch.device(device)
        self._normaliser = Normaliser(self.preprocessing, self.device)
        self.module = private_copy(module, name).to(self.device)
        self.digest = digest_of(self.module)
        self.untrained = looks_untrained(self.module) if untrained is None else untrained
        self.layers, self.form = self._laid_out()
        self._forms = Forms(self.module, self.layers, self.layout, self.input_shape)
        self.batch = (fitting(self.layers.largest) if self.device.type == "cpu" else 256) if self.form.several else 1

    def __repr__(self) -> str:
        return f"Network({self.name!r}, weights={self.digest[:12]}, device={self.device})"

    def identity_parts(self) -> Any:
        """What its answers depend on; `digest` is of the weights alone, as they were handed in."""
        return self.module, self.preprocessing, str(self.device), str(self.layout), self.batch

    @property
    def parameters(self) -> int:
        return sum(p.numel() for p in self.module.parameters())

    @property
    def feature_maps(self) -> tuple[str, ...]:
        return tuple(self.layers.maps)

    @property
    def multiply_adds(self) -> int:
        """Of convolutions and matrix products, for one picture."""
        from torch.utils.flop_counter import FlopCounterMode

        with self._apart(), torch.no_grad(), FlopCounterMode(display=False) as counter:
            self.module(self.normalise(noise(self.input_shape, 1)))
        return counter.get_total_flops() // 2

    def with_module(self, module: nn.Module, *, untrained: bool | None = None) -> "Network":
        """The same name, preprocessing and device around another module."""
        return Network(
            module, name=self.name, preprocessing=self.preprocessing, device=self.device, untrained=untrained
        )

    def with_preprocessing(self, preprocessing: Preprocessing) -> "Network":
        """The same network for other pictures."""
        return Network(
            self.module, name=self.name, preprocessing=preprocessing, device=self.device, untrained=self.untrained
        )

    def settle(self, pictures: Tensor | np.ndarray | Stack) -> None:
        self._forms.forget()
        parts = (pictures[at : at + SETTLED] for at in range(0, len(pictures), SETTLED))
        with self._apart():
            settle(self.module, (self.normalise(torch.stack([*map(torch.as_tensor, part)])) for part in parts))

    def normalise(self, pictures: Float[Tensor, "picture channel row column"]) -> Tensor:
        return self._normaliser(pictures).contiguous(memory_format=self.layout)

    def propagate(self, x: Tensor, layer: str = "output", *, folded: bool = False) -> Tensor:
        with self._apart():
            module = self._forms.of(layer, self.normalise) if folded else self.module
            found = run(module, x, layer, self.layers)
        if folded and x.requires_grad and torch.is_grad_enabled() and not found.requires_grad:
            raise InputError(
                f"{self.name}: `{layer}` gives no gradient; ask for [map] kind = 'response', with a period."
            )
        return found

    def measure(self, pictures: Float[Tensor, "picture channel row column"], layer: str = "output") -> Answers:
        own = part_of(layer)

        def answer(part: Tensor) -> Answers:
            x = self.normalise(part)
            if own is None or (self.form.rows and (own or self.form.single)):
                with users_code(self.name):
                    return self.propagate(x, layer, folded=x.dtype == torch.float32)
            with full_float32(), self._apart(), users_code(self.name):
                raw = self.module(x)
            return part_by_picture(raw, len(x), own, self.name, rowwise=self.form.rows)

        with torch.inference_mode():
            return joined(self, in_batches(self, pictures, answer), layer)

    def measure_layers(
        self, pictures: Float[Tensor, "picture channel row column"], layers: Sequence[str]
    ) -> list[Answers]:
        with self._apart(), torch.inference_mode():
            modules = [self._forms.of(layer, self.normalise) for layer in layers]
            if any(module is not modules[0] for module in modules):  # the quicker form gives some of them alone
                return [self.measure(pictures, layer) for layer in layers]

            def answer(part: Tensor) -> list[Tensor]:
                with users_code(self.name):
                    return run_along(modules[0], self.normalise(part), layers, self.layers)

            parts = in_batches(self, pictures, answer)
        return [joined(self, each, layer) for each, layer in zip(zip(*parts, strict=True), layers, strict=True)]

    def gives_tensor(self, layer: str) -> bool:
        return part_of(layer) is None or (layer == "output" and self.form.rows and self.form.single)

    def find_layer(self, wanted: str) -> str:
        return wanted if part_of(wanted) is not None else self.layers.find(wanted)

    def stride_of(self, layer: str) -> int:
        return self.layers.stride_of(layer)

    def _laid_out(self) -> tuple[Layers, Form]:
        """Choose the quicker order of channels that the network takes, and try it out.

        On CPU channels last is 1.15 to 1.4 times as quick, in full float32 on an H200 up to 1.18 times slower. A
        network that flattens a map by `view` takes it nowhere, and weights of 5 dimensions have no such order.
        """
        if convolution := next((n for n, m in self.module.named_modules() if isinstance(m, VOLUMES)), None):
            raise InputError(
                f"{self.name} is for volumes (`{convolution}` is a 3-D convolution), which are not supported."
            )
        if self.device.type == "cpu" and not any(v.ndim == 5 for v in self.module.state_dict().values()):
            try:
                return self._tried(torch.channels_last)
            except InputError:  # if it is not the layout, the other one will say so
                pass
        return self._tried(torch.contiguous_format)

    def _tried(self, layout: torch.memory_format) -> tuple[Layers, Form]:
        """The layers that run in this layout, and the form of the answers."""
        self.layout = layout
        self.module.to(memory_format=layout)
        layers = Layers(self.module, self.name, network_shape(self))
        with torch.inference_mode():
            try:
                with layers.watching():
                    first = self._plain(noise(self.input_shape, 1))
            except PerturbError:
                raise
            except Exception as error:  # the user's own code: whatever it raises is an answer
                raise InputError(self._refusal(error)) from error
            with users_code(self.name):
                return layers, try_out(self.name, self._plain, self.input_shape, first, self._exact)

    @full_float32()
    def _plain(self, pictures: Tensor) -> object:
        with self._apart():
            return self.module(self.normalise(pictures))

    def _exact(self, pictures: Tensor) -> object:
        """The same in float64, where the weights are float32, as they are again afterwards."""
        if any(v.is_floating_point() and v.dtype != torch.float32 for v in self.module.state_dict().values()):
            return self._plain(pictures)
        self.module.double()
        try:
            return self._plain(pictures.double())
        except RuntimeError:  # the user's own code may hold float32 of its own
            self.module.float()
            return self._plain(pictures)
        finally:
            self.module.float()

    def _refusal(self, error: Exception) -> str:
        advice = "a factory may return `(module, perturb.Preprocessing(input_shape=...))`"
        if other := {str(p.dtype) for p in self.module.parameters() if p.dtype != torch.float32}:
            advice = f"its weights are {', '.join(sorted(other))}: hand over `module.float()`"
        return f"{self.name} does not accept a picture of shape {self.input_shape}: {first_line(error)} ({advice})"
