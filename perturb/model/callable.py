"""A plain callable as a model: pictures in, its own answers out; no layers, no gradients, no weights."""

import hashlib
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from perturb.errors import InputError, PerturbError
from perturb.model.copy import first_line
from perturb.model.preprocessing import Normaliser, Preprocessing
from perturb.model.running import in_batches
from perturb.model.trial import noise, one_row_each, try_out
from perturb.precision import full_float32

BATCH = {"cpu": 8, "cuda": 256}
KNOWN = 3  # pictures whose answers tell one callable from another
DIGITS = 5  # of those answers, in units of the largest


class BlackBox:
    """A function of normalised float32 batches (picture, channel, row, column), called without gradients.

    It returns a tensor or an array with one row a picture. `digest` is a SHA-256 over its name, its preprocessing and
    its answers, to 1e-5 of the largest, to three fixed pictures of noise. Raises InputError for other answers, and for
    those that are not finite, that are drawn, or that depend on the batch.
    """

    def __init__(
        self,
        function: Callable[[Tensor], Any],
        *,
        name: str = "function",
        preprocessing: Preprocessing | None = None,
        device: str | torch.device = "cpu",
    ) -> None:
        self.name, self.function = name, function
        self.preprocessing = preprocessing or Preprocessing()
        self.input_shape = self.preprocessing.input_shape
        self.device = torch.device(device)
        self.untrained = False
        self._normaliser = Normaliser(self.preprocessing, self.device)
        try:
            first = self._answer(noise(self.input_shape, 1))
        except PerturbError:
            raise
        except Exception as error:  # the user's own code: whatever it raises is an answer
            raise InputError(
                f"{name} does not accept a picture of shape {self.input_shape}: {first_line(error)} "
                "(a factory may return `(function, perturb.Preprocessing(input_shape=...))`)"
            ) from error
        several = try_out(name, self._answer, self.input_shape, first)
        self.batch = BATCH[self.device.type] if several else 1
        self.digest = self._digest()

    def __repr__(self) -> str:
        return f"BlackBox({self.name!r}, answers={self.digest[:12]}, device={self.device})"

    def measure(self, pictures: Float[Tensor, "picture channel row column"]) -> Tensor:
        return in_batches(self, pictures, self._answer, "output")

    @full_float32()
    def _answer(self, pictures: Tensor) -> Tensor:
        with torch.no_grad():
            output = self.function(self._normaliser(pictures.float()).contiguous())
        if isinstance(output, np.ndarray | np.generic):
            output = torch.from_numpy(np.array(output))
        return one_row_each(output, self.name, len(pictures)).detach()

    def _digest(self) -> str:
        answers = self.measure(noise(self.input_shape, KNOWN)).double().cpu().numpy()
        rounded = np.round(answers / (np.abs(answers).max() or 1), DIGITS) + 0.0  # no -0
        return hashlib.sha256(f"{self.name} {self.preprocessing}".encode() + rounded.tobytes()).hexdigest()
