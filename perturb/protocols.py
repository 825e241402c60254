"""The seats: what a model, a perturbation and a detector must offer. Somebody else's class that fits, fits.

Axis names, everywhere: image, pair, picture, channel, row, column, output, phase, cluster.
"""

from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

import numpy as np
from jaxtyping import Float

if TYPE_CHECKING:
    from torch import Tensor, device, nn

    Pictures = Float[Tensor, "image picture channel row column"]


@runtime_checkable
class Sees(Protocol):
    """A model that answers pictures: enough for response maps and every question about its own answer.

    Pictures are float32 in [0, 1], the raw pixel range.
    """

    name: str
    digest: str  # two models that answer differently have different ones
    input_shape: tuple[int, int, int]  # (channel, row, column)
    device: "device"
    untrained: bool  # its weights are known to be drawn

    def measure(self, pictures: "Tensor") -> "Tensor":
        """Pictures -> the model's own outputs, one row a picture, in batches that fit; NaN raises InputError."""


@runtime_checkable
class Taps(Sees, Protocol):
    """A model that also gives the feature maps of its layers."""

    @property
    def feature_maps(self) -> tuple[str, ...]:
        """The layers that give one, in the order in which they run."""

    def measure(self, pictures: "Tensor", layer: str = "output") -> "Tensor":
        """Pictures -> what `layer` gives, without gradients, in batches that fit; NaN raises InputError."""

    def find_layer(self, wanted: str) -> str:
        """ "output", "last", "stride:8" or a module's name -> the name of a layer; UsageError where there is none."""

    def stride_of(self, layer: str) -> int:
        """Input pixels per position of a spatial layer."""


@runtime_checkable
class Differentiable(Taps, Protocol):
    """A model that also gives gradients and its module."""

    module: "nn.Module"  # a private copy, in evaluation mode, frozen

    def normalise(self, pictures: "Float[Tensor, 'picture channel row column']") -> "Tensor":
        """Pictures as the network wants them, on its device; differentiable."""

    def propagate(self, x: "Tensor", layer: str = "output", *, folded: bool = False) -> "Tensor":
        """Normalised input -> what `layer` gives; differentiable. A spatial layer gives (n, channel, row, column).

        `folded`: float32 `x` may go through a quicker form of `module` that gives the same to rounding.
        """

    def settle(self, pictures: "Float[Tensor, 'picture channel row column']") -> None:
        """Give batch normalisation the statistics of these pictures."""


class Perturbation(Protocol):
    """Puts something small into a picture. Level 0 is the identity."""

    @property
    def size(self) -> int:
        """Side of the square patch in pixels."""

    def apply(
        self,
        picture: Float[np.ndarray, "channel row column"],
        place: tuple[int, int],
        level: float,
        rng: np.random.Generator,
    ) -> Float[np.ndarray, "channel row column"]:
        """A changed copy, clipped to [0, 1]; only the size x size patch at `place` (its top left) differs."""


class Task(Protocol):
    """Pictures with a class: what a classifier is taught and asked. See tasks/micro.py and tasks/labels.py."""

    @property
    def outputs(self) -> int:
        """Number of classes."""

    @property
    def size(self) -> int:
        """Side in pixels of the square patch whose place matters."""

    def truths(self, label: int) -> tuple[int, ...]:
        """The classes as which a picture with this label is shown in an epoch, one lesson each."""

    def asked(self, label: int, pair: int) -> int:
        """The class that is right for a picture with this label in its judged pair number `pair`, in both arms."""

    def unperturbed(self, label: int) -> int | None:
        """The class that is right without the perturbation; None where there is none."""

    def lesson(
        self, picture: Float[np.ndarray, "channel row column"], truth: int, rng: np.random.Generator
    ) -> Float[np.ndarray, "channel row column"]:
        """What is shown to teach class `truth`."""

    def trial(
        self,
        picture: Float[np.ndarray, "channel row column"],
        truth: int,
        place: tuple[int, int] | None,
        rng: np.random.Generator,
    ) -> Float[np.ndarray, "channel row column"]:
        """Class `truth` with the perturbation's top left at `place`; None: without it."""


class Tick(Protocol):
    """Hears of steps done, and of what there is to say of them."""

    def __call__(self, done: int, note: str = "") -> None: ...


def silent(done: int, note: str = "") -> None:
    """A tick that nobody hears."""


class Detector(Protocol):
    """Gives a re-taken picture evidence that something is there, after studying clean shots of the same picture."""

    @property
    def noise(self) -> float:
        """Standard deviation of the sensor noise on every picture, a fraction of the pixel range."""

    @property
    def layer(self) -> str:
        """Where it looks: see Taps.find_layer."""

    @property
    def shots(self) -> int:
        """Clean shots of each picture that it studies."""

    @property
    def own_threshold(self) -> bool:
        """Whether it is pinned on each image's own shots; else on the clean shots of calibration images."""

    @property
    def needs_examples(self) -> bool:
        """Whether `fit` learns from perturbed pictures, so that each level needs its own fit."""

    def fit(self, model: Taps, clean: "Pictures", perturbed: "Pictures") -> "Detector":
        """Learn from re-takes of calibration images; `perturbed` are the twins of `clean`."""

    def study(self, model: Taps, shots: "Pictures") -> "tuple[Any, Float[Tensor, 'image shot']]":
        """What is to be known of each image, and the evidence that clean shots of it give."""

    def evidence(self, model: Taps, known: Any, retakes: "Pictures") -> "Float[Tensor, 'image picture']":
        """One number for each re-take; more means more likely perturbed."""
