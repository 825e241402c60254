"""A function as a model: pictures in, its own answers out; no layers, no gradients, no weights."""

import hashlib
from collections.abc import Callable
from itertools import chain
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from perturb.answers import Answers, content_of, part_by_picture, part_of, select
from perturb.answers.structure import leaves, stacked
from perturb.errors import InputError, PerturbError, UsageError, first_line
from perturb.model.preprocessing import Normaliser, Preprocessing
from perturb.model.running import in_batches, joined, users_code
from perturb.model.trial import noise, try_out
from perturb.precision import full_float32
from perturb.records import Window
from perturb.sensor import network_shape
from perturb.surroundings import Apart

BATCH = {"cpu": 8, "cuda": 256}
KNOWN = 3  # pictures whose answers tell one function from another
DIGITS = 5  # of those answers, in units of the largest


class BlackBox:
    """A function of pictures, called without gradients. Its Preprocessing says how it takes them.

    Unless told otherwise that is a normalised float32 batch (picture, channel, row, column). It returns tensors or
    arrays with a row for each picture, or any object for each picture (see perturb.answers). `digest` is a SHA-256 over
    its name, its preprocessing and its answers, to 1e-5 of the largest, to three fixed pictures of noise; `identity`
    replaces the answers where a file's bytes tell more. `period` (rows, columns) and `windows` are what is known of the
    graph behind it. Raises InputError for answers that are not finite, that are drawn, or that depend on the batch.
    """

    def __init__(
        self,
        function: Callable[[Any], Any],
        *,
        name: str = "function",
        preprocessing: Preprocessing | None = None,
        device: str | torch.device = "cpu",
        identity: str | None = None,
        period: tuple[int, int] | None = None,
        windows: tuple[Window, ...] = (),
    ) -> None:
        self.name, self.function, self._apart = name, function, Apart()
        self.period, self.windows, self._identity = period, windows, identity
        self.preprocessing = preprocessing or Preprocessing()
        self.input_shape, self.sensor = self.preprocessing.input_shape, self.preprocessing.sensor
        self.device = torch.device(device)
        self.untrained = False
        self._normaliser = Normaliser(self.preprocessing, self.device)
        try:
            first = self._raw(noise(self.input_shape, 1))
        except PerturbError:
            raise
        except Exception as error:  # the user's own code: whatever it raises is an answer
            raise InputError(
                f"{name} does not accept a picture of shape {self.input_shape}: {first_line(error)} "
                "(a factory may return `(function, perturb.Preprocessing(input_shape=...))`)"
            ) from error
        with users_code(name):
            self.form = try_out(name, self._raw, self.input_shape, first)
        self.batch = BATCH[self.device.type] if self.form.several else 1
        self.digest = self._digest(identity)

    def __repr__(self) -> str:
        return f"BlackBox({self.name!r}, answers={self.digest[:12]}, device={self.device})"

    def identity_parts(self) -> Any:
        """What its answers depend on: what tells its file, or the function itself with all that it holds."""
        return self._identity or self.function, self.preprocessing, str(self.device), self.batch

    def with_preprocessing(self, preprocessing: Preprocessing) -> "BlackBox":
        """The same function for other pictures."""
        return type(self)(
            self.function,
            name=self.name,
            preprocessing=preprocessing,
            device=self.device,
            identity=self._identity,
            period=self.period,
            windows=self.windows,
        )

    def measure(self, pictures: Float[Tensor, "picture channel row column"], layer: str = "output") -> Answers:
        part = part_of(layer)
        if part is None:
            raise UsageError(f"{self.name} shows its outputs alone, without layers; ask `output`, not `{layer}`.")

        def answer(batch: Tensor) -> Answers:
            with users_code(self.name):
                raw = self._raw(batch)
            if self._one_by_one:
                return select(raw, part, self.name)
            return part_by_picture(raw, len(batch), part, self.name, rowwise=self.form.rows)

        return joined(self, in_batches(self, pictures, answer), layer)

    def gives_tensor(self, layer: str) -> bool:
        return layer == "output" and self.form.rows and self.form.single

    @property
    def _one_by_one(self) -> bool:
        return not self.preprocessing.layout.startswith("N")

    @full_float32()
    def _raw(self, pictures: Tensor) -> Any:
        with self._apart(), torch.no_grad():
            given = self._given(self._normaliser(pictures.float()))
            return stacked([self.function(one) for one in given]) if self._one_by_one else self.function(given)

    def _given(self, x: Tensor) -> Any:
        """Normalised pictures in the layout and type that the function takes."""
        asked = self.preprocessing
        if asked.layout.endswith("HWC"):
            x = x.permute(0, 2, 3, 1)
        if asked.dtype == "uint8":
            x = x.round().clamp(0, 255).to(torch.uint8)
        x = x.contiguous()
        return x.cpu().numpy() if asked.arrays == "numpy" else x

    def _content(self, answer: object) -> list[np.ndarray | str]:
        return content_of(answer, network_shape(self)[1:])

    def _digest(self, identity: str | None) -> str:
        told = hashlib.sha256(f"{self.name} {self.preprocessing} {identity}{self.preprocessing.steps or ''}".encode())
        if identity is None:
            answers = self.measure(noise(self.input_shape, KNOWN))
            said = leaves(answers) if isinstance(answers, Tensor) else chain(*map(self._content, answers))
            for part in said:
                told.update(part.encode() if isinstance(part, str) else _rounded(part))
        return told.hexdigest()


def _rounded(values: np.ndarray) -> bytes:
    largest = np.abs(values).max(initial=0) or 1
    return bytes((np.round(values / largest, DIGITS) + 0.0).tobytes())  # no -0
