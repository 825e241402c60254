"""What a model, a perturbation, a task, an evaluator and a quantity must offer. Any class that offers it can be used.

Axis names, everywhere: image, pair, picture, channel, row, column, output, phase, cluster.
"""

from __future__ import annotations  # so that reading a suite loads neither NumPy nor torch

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, Protocol, runtime_checkable

if TYPE_CHECKING:
    import numpy as np
    from jaxtyping import Float, Int
    from torch import Tensor, device, nn

    from perturb.answers import Answers
    from perturb.records import Clean, Contribution, Effect, Observation, OperatingPoint
    from perturb.sensor import Sensor
    from perturb.stack import Stack


@runtime_checkable
class Sees(Protocol):
    """A model that answers pictures: enough for response maps and every question about its own answer.

    Pictures are float32 in [0, 1], the raw pixel range.
    """

    name: str
    digest: str  # two models that answer differently have different ones
    input_shape: tuple[int, int, int]  # (channel, row, column)
    device: device
    untrained: bool  # its weights are known to be drawn

    def measure(self, pictures: Tensor, layer: str = "output") -> Answers:
        """Pictures -> the model's own answers, a row or an entry each, in batches that fit; NaN raises InputError.

        "output" is the whole answer, "output:NAME" one of several outputs.
        """

    def gives_tensor(self, layer: str) -> bool:
        """Whether it gives one tensor and no more there."""


@runtime_checkable
class Taps(Sees, Protocol):
    """A model that also gives the feature maps of its layers."""

    @property
    def feature_maps(self) -> tuple[str, ...]:
        """The layers that give one, in the order in which they run."""

    def measure(self, pictures: Tensor, layer: str = "output") -> Answers:
        """Pictures -> what `layer` gives, without gradients, in batches that fit; a tensor, but of some outputs.

        NaN raises InputError.
        """

    def find_layer(self, wanted: str) -> str:
        """ "output", "last", "stride:8" or a module's name -> the name of a layer; UsageError where there is none."""

    def stride_of(self, layer: str) -> int:
        """Input pixels per position of a spatial layer."""


@runtime_checkable
class Differentiable(Taps, Protocol):
    """A model that also gives gradients and its module."""

    module: nn.Module  # a private copy, in evaluation mode, frozen

    def normalise(self, pictures: Float[Tensor, "picture channel row column"]) -> Tensor:
        """Pictures as the network wants them, on its device; differentiable."""

    def propagate(self, x: Tensor, layer: str = "output", *, folded: bool = False) -> Tensor:
        """Normalised input -> what `layer` gives; differentiable. A spatial layer gives (n, channel, row, column).

        `folded`: float32 `x` may go through a quicker form of `module` that gives the same to rounding.
        """

    def measure_layers(
        self, pictures: Float[Tensor, "picture channel row column"], layers: Sequence[str]
    ) -> list[Answers]:
        """Pictures -> what `measure` gives for each of these layers' feature maps, in one pass where it can."""

    def settle(self, pictures: Tensor | np.ndarray | Stack) -> None:
        """Give batch normalisation the statistics of these pictures, batch by batch."""


class Perturbation(Protocol):
    """Puts something small into a picture. Level 0 is the identity.

    An object that is no square also has an `extent`: its rows and columns, from the top left of the patch. One that
    also has `draw`, which takes what `apply` takes and gives the copy before it is clipped, has clipping recorded.
    """

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


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskSetting:
    """What a task may need to know beyond its perturbation."""

    shape: tuple[int, int, int]  # (channel, row, column) of the model's input
    steps: int  # of intensity
    labels: int  # classes of the judged pictures; 0 where they have none


class Task(Protocol):
    """What is asked about a picture: the classes, the pictures that show them, the right answers.

    `level` is the perturbation's strength; `dataclasses.replace(task, level=...)` gives the task at another one.
    """

    @property
    def words(self) -> str:
        """The task in words, for the docs."""

    @property
    def perturbation(self) -> Any:
        """What is put into a picture."""

    @property
    def level(self) -> float:
        """Strength, a fraction of the raw pixel range."""

    @property
    def outputs(self) -> int:
        """Number of classes."""

    @property
    def size(self) -> int:
        """Side in pixels of the square patch whose place matters."""

    @property
    def extent(self) -> tuple[int, int]:
        """Rows and columns that the perturbation takes of it, from its top left."""

    @property
    def clean(self) -> Clean:
        """What the asked class means for a picture without the perturbation: see Clean."""

    @property
    def needs_labels(self) -> bool:
        """Whether the right class is the picture's own label."""

    def truths(self, label: int) -> tuple[int, ...]:
        """The classes as which a picture with this label is shown in an epoch, one lesson each."""

    def asked(self, label: int, pair: int) -> int:
        """The class that is right for a picture with this label in its judged pair number `pair`, in both arms."""

    def lesson(
        self, picture: Float[np.ndarray, "channel row column"], truth: int, rng: np.random.Generator
    ) -> Float[np.ndarray, "channel row column"]:
        """What is shown to teach class `truth`."""

    def show(
        self,
        picture: Float[np.ndarray, "channel row column"],
        truth: int,
        place: tuple[int, int] | None,
        rng: np.random.Generator,
    ) -> Float[np.ndarray, "channel row column"]:
        """Class `truth` with the perturbation's top left at `place`; None: without the perturbation."""


class Tick(Protocol):
    """Hears of steps done, and of what there is to say of them."""

    def __call__(self, done: int, note: str = "") -> None: ...


def silent(done: int, note: str = "") -> None:
    """A tick that nobody hears."""


Progress = Callable[[str, int], Tick]  # (stage, steps) -> tick


def quiet(stage: str, steps: int) -> Tick:
    """A progress that nobody watches."""
    return silent


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What is true of the pictures that an evaluator reads: one entry each, all of one image."""

    place: Int[np.ndarray, "picture 2"]  # (row, column) of the object's top left; of a clean one, where it would lie
    extent: tuple[int, int]  # rows, columns of the object
    shape: tuple[int, int]  # rows, columns of the picture
    truth: Int[np.ndarray, " picture"]  # the class that is right; -1: the model's own answer to the clean twin
    twin: Int[np.ndarray, " picture"]  # the number of each picture's clean twin among these pictures
    boxes: Float[np.ndarray, "picture object 4"] | None = None  # of annotated objects: the one asked about, then others
    # beside it that a report may belong to; top, left, rows, columns
    photograph: Float[np.ndarray, "picture 4"] | None = None  # the part of the picture that is a photograph: what is
    # reported beyond it, where its edge is repeated, is no false alarm; top, left, rows, columns
    sensor: Sensor | None = None  # the steps ahead of the model, whose answers are then in pixels of what comes out

    @property
    def seen(self) -> tuple[int, int]:
        """Rows and columns of what the model is given: of the picture, unless steps resize, crop or pad it."""
        return self.shape if self.sensor is None else self.sensor.inside

    def to_picture(self, at: Float[np.ndarray, " place"], axis: int) -> Float[np.ndarray, " place"]:
        """Places along rows or columns of what the model is given as places in the picture."""
        return at if self.sensor is None else self.sensor.to_picture(at, axis)

    def positions(self, count: int, axis: int) -> Float[np.ndarray, " position"]:
        """Centres along rows or columns of an answer's `count` positions, in pixels of the picture."""
        import numpy as np

        return self.to_picture((np.arange(count) + 0.5) * self.seen[axis] / count - 0.5, axis)

    @property
    def centre(self) -> Float[np.ndarray, "picture 2"]:
        """(row, column) of the object's centre; the first pixel's is (0, 0)."""
        if self.boxes is not None:
            return self.boxes[:, 0, :2] + (self.boxes[:, 0, 2:] - 1) / 2
        return self.place + [(n - 1) / 2 for n in self.extent]


class Evaluator(Protocol):
    """Reads the model's outputs: how sure are they that the right answer was given? Knows place, size and truth."""

    @property
    def words(self) -> str:
        """The evaluator in words, for the docs."""

    @property
    def verb(self) -> str:
        """What it did where its evidence is above the threshold, in a word: "noticed", "right"."""

    @property
    def needs_task(self) -> bool:
        """Whether it reads classes, which a [task] gives."""

    @property
    def local(self) -> bool:
        """Whether the evidence depends on the place: then clean pictures are asked at dead and at live places."""

    @property
    def layer(self) -> str:
        """What it reads: "output", the model's own (any model), "output:NAME", or a feature map (`Taps`)."""

    @property
    def noise(self) -> float:
        """Standard deviation of the sensor noise on every picture, a fraction of the pixel range."""

    @property
    def shots(self) -> int:
        """Clean shots of each image that it studies; 0: it studies none."""

    @property
    def threshold(self) -> float | Literal["image", "common"]:
        """Pinned on each image's own shots, pinned on the clean calibration pictures, or given."""

    def study(self, outputs: Any) -> tuple[Any, Any]:
        """Outputs of clean shots of one image -> what is to be known of it, and the evidence of each shot."""

    def evidence(self, outputs: Any, asked: Asked, known: Any) -> Any:
        """One number for each picture, as a tensor or an array; more means that the right answer is more certain."""

    def measures(self, outputs: Any, asked: Asked) -> Mapping[str, Any]:
        """Further numbers for each picture, by name; shares of questions where `quantities.SHARES` names them."""

    def alarms(self, outputs: Any, asked: Asked) -> Any:
        """The score of each thing reported anywhere in each picture, for the free-response table; None: not counted."""


class Learner(Evaluator, Protocol):
    """An evaluator that learns from examples at each level."""

    def learn(self, clean: Any, perturbed: Any) -> Evaluator:
        """Outputs of clean pictures and of their perturbed twins -> the evaluator that has learnt."""


class Quantity(Protocol):
    """What is claimed: a number for an observation or its map. A quantity whose numbers change gets a new version.

    One with a true `every_phase` is asked where the dead places take all phases in turn: see Observation.phase.
    """

    @property
    def version(self) -> int: ...

    @property
    def words(self) -> str:
        """The quantity in words, for reports and docs."""

    @property
    def range(self) -> tuple[float, float]:
        """Between which its value lies."""

    def misfit(self, point: OperatingPoint) -> str:
        """Why it cannot be asked at this operating point; empty if it can."""

    def effect(self, seen: Observation, contribution: Contribution, *, confidence: float, seed: int) -> Effect:
        """The estimate with its interval; the caller adds name, version and words."""
