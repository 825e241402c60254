"""A suite: what is asked of a model, in TOML. Every mistake is named with its file and key."""

import hashlib
import json
import os
import re
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    PrivateAttr,
    ValidationError,
    ValidationInfo,
    WithJsonSchema,
    field_validator,
    model_validator,
)
from pydantic_core import PydanticCustomError

from perturb import contribution, evaluators, perturbations, quantities, tasks
from perturb.errors import UsageError
from perturb.files import BY_HAND, read_text, toml
from perturb.kinds import CUSTOM, complaint, is_custom, near
from perturb.shipped import shipped
from perturb.streams import LARGEST as LARGEST_SEED
from perturb.training.recipe import RECIPES

Period = Annotated[int, Field(ge=1, le=256)]
Share = Annotated[float, Field(gt=0, lt=1)]
Unit = Annotated[float, Field(ge=0, le=1)]
Seed = Annotated[int, Field(ge=0, le=LARGEST_SEED)]
Count = Annotated[int, Field(ge=0, le=1_000_000)]


DEFAULTS = 2  # version of what suites leave unsaid: the tables' defaults, how noise is drawn; raise it if this changes

MAPS = [name for name in contribution.KINDS if name != "centre"]  # the map of one unit judges no pixel


def kind_of(kinds: Collection[str], *, custom: bool = True) -> Any:
    """The type of a key that names a kind of this table; with `custom` also anybody's object."""

    def check(kind: str) -> str:
        if fault := complaint(kind, kinds) or ("" if custom or kind in kinds else complaint(f"{kind} ", kinds)):
            raise PydanticCustomError("kind", "{fault}", {"fault": fault})
        return kind

    schema: dict[str, Any] = {"type": "string", "enum": list(kinds)}
    both = {"anyOf": [schema, {"type": "string", "pattern": CUSTOM}]}
    return Annotated[str, AfterValidator(check), WithJsonSchema(both if custom else schema)]


class _Table(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=False, allow_inf_nan=False)


class _OpenTable(_Table):
    """A table of a kind: where the kind is somebody's own, further keys are arguments of its class."""

    model_config = ConfigDict(extra="allow")

    @model_validator(mode="after")
    def _only_known_keys(self) -> Self:
        kind = getattr(self, "kind", None)
        for key in self.model_extra or {}:
            if kind is None or not is_custom(kind):
                raise PydanticCustomError("extra", "{key}", {"key": key})
        return self


class ImagesTable(_Table):
    source: str = Field("built-in", description="where pictures come from; see the list in docs/suites.md")
    annotations: str | None = Field(
        None, description="of the folder's pictures: COCO .json, .csv, a data.yaml, or a folder of YOLO texts or masks"
    )
    classes: tuple[str, ...] = Field((), description="annotated classes that are asked about; without it all")
    crops: int = Field(
        4,
        ge=1,
        le=1000,
        description="random crops of each photograph (built-in and folder); with annotations windows of each, at most",
    )
    count: int = Field(
        64, ge=4, le=1_000_000, description="pictures drawn (all but built-in, folder and labelled sets)"
    )
    calibration: Share = Field(0.4, description="share of photographs used to calibrate; the others are judged")
    range: Literal["type", "set"] | tuple[float, float] = Field(
        "type",
        description="what black and white are in picture files: 0 and the largest value of their type, the extremes of "
        "the set, or [low, high]",
    )
    frames: Literal["first", "all"] = Field(
        "first", description="of a file with several pages or frames; all of them are one photograph"
    )
    until_decided: bool = Field(False, description="judge photograph after photograph until each check is decided")
    at_most: int | None = Field(None, ge=2, description="with until_decided, the most photographs that are judged")

    @field_validator("at_most")
    @classmethod
    def _at_most_of_what(cls, at_most: int | None, info: ValidationInfo) -> int | None:
        if at_most is not None and info.data.get("until_decided") is False:
            raise PydanticCustomError("at_most", "it goes with until_decided = true")
        return at_most

    @field_validator("range")
    @classmethod
    def _ascends(cls, given: str | tuple[float, float]) -> str | tuple[float, float]:
        if not isinstance(given, str) and not given[0] < given[1]:
            raise PydanticCustomError("range", "expected [low, high] with low below high")
        return given


class RegionTable(_Table):
    masks: str | None = Field(
        None, description="folder of PNG files, named as the photographs: nonzero pixels; relative to the suite's file"
    )
    boxes: tuple[tuple[Count, Count, Count, Count], ...] = Field(
        (), description="[top, left, bottom, right] in pixels of the photograph, the last two excluded"
    )
    brighter_than: Unit | None = Field(None, description="mean of all channels over 9 x 9 pixels, of the pixel range")
    darker_than: Unit | None = Field(None, description="the same, from above")
    margin: int = Field(0, ge=0, le=1000, description="pixels that the whole object keeps from the region's border")

    @field_validator("boxes")
    @classmethod
    def _holds_pixels(cls, boxes: tuple[tuple[int, int, int, int], ...]) -> tuple[tuple[int, int, int, int], ...]:
        for box in boxes:
            if not (box[0] < box[2] and box[1] < box[3]):
                raise PydanticCustomError("box", "{box} is empty; wanted [top, left, bottom, right]", {"box": [*box]})
        return boxes


Pixels = Annotated[int, Field(ge=1, le=100_000)]
Size = Pixels | tuple[Pixels, Pixels]


class SensorTable(_Table):
    shape: tuple[Pixels, Pixels] = Field(description="rows and columns of the camera's pictures")
    resize: Size | None = Field(None, description="to [rows, columns], or the shorter side to so many pixels")
    letterbox: Size | None = Field(None, description="in place of resize: fit into this size, and fill with grey")
    interpolation: Literal["nearest", "nearest-exact", "bilinear", "bicubic", "area"] | None = Field(
        None, description="as in torch; bilinear unless the model says otherwise"
    )
    antialias: bool | None = Field(None, description="as in torch: true, but for a letterbox, unless the model says")
    crop: Size | None = Field(None, description="cut from the middle after resizing")
    pad: tuple[Count, Count, Count, Count] | None = Field(
        None, description="rows and columns added at last: top, bottom, left, right"
    )
    fill: Unit | None = Field(None, description="of padding: a fraction of the pixel range; 0, of a letterbox 114/255")

    @property
    def steps(self) -> dict[str, Any]:
        """The keys that are given, but the shape."""
        return self.model_dump(exclude={"shape"}, exclude_none=True)


class TaskTable(_Table):
    kind: kind_of(tasks.KINDS, custom=False) = Field(description="what a classifier is asked")  # type: ignore[valid-type]
    classes: int = Field(4, ge=2, le=100, description="of intensity")


class TrainingTable(_Table):
    regime: Literal["fine-tuned", "from-scratch"] = Field(
        "from-scratch", description="from the given weights with a new last layer, or from weights drawn anew"
    )
    recipe: kind_of(RECIPES, custom=False) = Field("paper", description="the paper's 200 epochs, or 20 for two cores")  # type: ignore[valid-type]
    epochs: int | None = Field(None, ge=1, description="in place of the recipe's")
    seeds: int = Field(1, ge=1, description="trainings, each from weights of its own")


class DesignTable(_Table):
    kind: Literal["object", "picture"] = Field(
        "object",
        description="what moves from phase to phase: the object over the picture, or the picture with the object in it",
    )


class LevelsTable(_Table):
    """Levels at which every check is asked besides its own, evenly spaced on a logarithmic axis."""

    low: Annotated[float, Field(gt=0, lt=1)] = Field(1 / 64, description="lowest level, a fraction of the pixel range")
    high: Annotated[float, Field(gt=0, le=1)] = Field(1, description="highest level")
    count: int = Field(13, ge=3, le=60, description="number of levels; 13 from 1/64 to 1 are 3 dB apart")

    @field_validator("high")
    @classmethod
    def _above(cls, high: float, info: ValidationInfo) -> float:
        if high <= (low := info.data.get("low", 0.0)):
            raise PydanticCustomError("levels", "expected more than low = {low}", {"low": low})
        return high


class MapTable(_Table):
    kind: kind_of(MAPS, custom=False) = Field(  # type: ignore[valid-type]
        "energy", description="how the contribution is estimated; a model without gradients takes response by default"
    )
    images: int = Field(16, ge=1, description="calibration crops that a measured map is measured on")
    probes: int = Field(4, ge=1, description="random output directions for each crop (energy)")
    level: Annotated[float, Field(gt=0, le=1)] = Field(0.5, description="what a pixel is changed by (response)")
    period: Period | tuple[Period, Period] | None = Field(
        None,
        description="of the lattice in pixels, or [of rows, of columns]; without it told by the network, or looked for",
    )
    share: Annotated[float, Field(gt=0, le=0.5)] = Field(0.05, description="share of phases in each arm")


class EvaluatorTable(_OpenTable):
    kind: kind_of(evaluators.KINDS) | None = Field(  # type: ignore[valid-type]
        None, description="how outputs are read; by default change, with a [task] label"
    )
    layer: str = Field("last", description="where it looks: last, stride:N or a module's name (change, features)")
    noise: Annotated[float, Field(ge=0, lt=1)] = Field(
        0.02, description="sensor noise, a fraction of the pixel range; score and label add none unless it is given"
    )
    output: int | str = Field(
        "", description="which of several outputs: a key, an attribute or a number; dots lead further (score to text)"
    )
    target: int | str | None = Field(None, description="class: a number of the score, a channel of the map, a label")
    radius: Annotated[float, Field(gt=0, le=1000)] = Field(
        8, description="pixels around the object's centre within which it must be reported (map, boxes)"
    )
    max_area: Annotated[float, Field(gt=0)] = Field(
        100, description="largest area of a box that reports it, in units of the object's (boxes)"
    )
    iou: Annotated[float, Field(gt=0, le=1)] | None = Field(
        None, description="in place of radius and max_area, the least intersection over union with the object (boxes)"
    )
    pattern: str = Field("", description="regular expression that the text must hold (text)")
    threshold: float | None = Field(
        None, description="your own operating point; without it, pinned to the rate of false alarms (score to text)"
    )
    false_alarms: Annotated[float, Field(ge=0.001, lt=0.5)] = Field(
        0.05, description="rate that the threshold is pinned to; below 0.05 more clean shots are taken (change)"
    )

    alarms_per_picture: Annotated[float, Field(gt=0, le=1000)] = Field(
        1, description="of annotated objects: reports of none of them that the threshold is pinned to, a picture"
    )


class PerturbationTable(_OpenTable):
    kind: kind_of(perturbations.KINDS) = Field(description="what is put into a picture")  # type: ignore[valid-type]
    size: int | None = Field(None, ge=1, le=4096, description="side in pixels (box, noise, digit)")
    mode: Literal["add", "replace", "blend"] | None = Field(
        None, description="how the object meets the picture (all but digit); add, but blend for a cutout"
    )
    colour: tuple[Unit, Unit, Unit] | None = Field(
        None, description="red, green, blue, each 0 to 1 (all but digit); default white"
    )
    polarity: Literal["away", "darker", "brighter"] | None = Field(
        None, description="of mode add; away from the nearer end of the range, but darker for print"
    )
    strength: Literal["range", "contrast"] | None = Field(
        None, description="what the level is a share of, with mode add: the pixel range, or the local background"
    )
    sigma: float | None = Field(None, description="standard deviation of the point spread in pixels (blob)")
    diameter: float | None = Field(None, description="of a disc seen through the point spread, in pixels (blob)")
    width: float | None = Field(None, description="in pixels (scratch)")
    length: float | None = Field(None, description="in pixels (scratch)")
    angle: float | None = Field(
        None, description="degrees anticlockwise (scratch, cutout); without it each trial draws that of its scratch"
    )
    file: str | None = Field(None, description="a PNG file with transparency (cutout); relative to the suite's file")
    longest: int | None = Field(None, description="longest side of the object in pixels (cutout); default as it is")
    digits: int = Field(5, ge=1, le=100, description="of a number (print)")
    text: str = Field("", description="in place of a number (print)")
    font: str = Field("", description="a font file; without one, digits of 3 x 5 pixels or Pillow's own font (print)")
    font_size: int = Field(7, ge=3, le=1000, description="in pixels (print)")


class ClaimTable(_Table):
    quantity: kind_of(quantities.KINDS) = Field("accuracy-loss", description="what is bounded")  # type: ignore[valid-type]
    at_most: float = Field(description="the margin")
    confidence: Annotated[float, Field(ge=0.5, lt=1)] = Field(
        0.95, description="of a PASS, and of all FAILs of the suite together"
    )


class CheckTable(_Table):
    name: str = Field(pattern=r"^[\w.-]+$", description="letters, digits, . _ -; no two checks share one")
    perturbation: PerturbationTable = Field(description="what is put into a picture")
    level: Literal["calibrated"] | Annotated[float, Field(gt=0, le=1)] = Field(
        "calibrated", description="strength, a fraction of the pixel range; or sought on calibration images"
    )
    live_target: Annotated[float, Field(gt=0.5, lt=1)] = Field(
        0.85, description="detection at live places to calibrate to"
    )
    pairs: int = Field(8, ge=1, le=1000, description="dead/live pairs on each crop")
    design: Literal["object", "picture"] | None = Field(None, description="what moves, in place of the suite's")
    evaluator: EvaluatorTable | None = Field(None, description="in place of the suite's")
    training: TrainingTable | None = Field(None, description="keys in place of the suite's")
    search: bool = Field(False, description="seek each place's smallest flipping amplitude, up to the level")
    claim: ClaimTable = Field(description="what must hold for a PASS")


class ModelTable(_Table):
    reference: str = Field(description="as on the command line")
    weights: str | None = Field(None, description="a safetensors file or a state dict")
    remedy: str | None = Field(None, description="applied first: padding, blurpool:fresh, ...; as on the command line")
    seed: Seed = Field(0, description="of untrained weights")
    baseline: str | None = Field(
        None, description="what `perturb baseline accept` wrote: pytest asks what changed since"
    )


class Suite(_Table):
    """A qualification suite, as `*.perturb.toml` writes it."""

    model_config = ConfigDict(populate_by_name=True)

    name: str = Field(pattern=r"^[\w.-]+$", description="letters, digits, . _ -; reports carry it")
    description: str = Field("", description="one sentence for the report")
    seed: Seed = Field(0, description="of crops, places, noise and drawn pictures")
    images: ImagesTable = Field(ImagesTable(), description="the pictures")
    region: RegionTable | None = Field(
        None, description="where an object may be put; without it, anywhere but the edge"
    )
    sensor: SensorTable | None = Field(None, description="the camera's pictures, and how they become the model's input")
    map: MapTable = Field(MapTable(), description="what tells dead places from live ones")
    design: DesignTable = Field(DesignTable(), description="what moves from phase to phase")
    levels: LevelsTable | None = Field(
        None, description="levels at which detection is measured as well, beside each check's own"
    )
    task: TaskTable | None = Field(None, description="a classifier's task; without it, has the picture changed?")
    evaluator: EvaluatorTable = Field(EvaluatorTable(), description="how the model's outputs are read")
    training: TrainingTable | None = Field(
        None, description="the model learns the task first; without it, it is as it is"
    )
    check: tuple[CheckTable, ...] = Field(min_length=1, description="what is asked and claimed: one or more")
    models: dict[str, ModelTable | str] = Field({}, description="what pytest qualifies: name -> reference or table")
    expected_failures: dict[str, str] = Field(
        {}, alias="expected-failures", description="check -> reason: a strict xfail under pytest"
    )

    _folder: Path = PrivateAttr(Path())
    _pictures: Path = PrivateAttr(Path())

    @property
    def pictures(self) -> Path:
        """The folder that the source of pictures is relative to: the suite's, unless the user named another source."""
        return self._pictures

    @property
    def folder(self) -> Path:
        """Where the suite's file lies; the user's own files are looked for there first."""
        return self._folder

    @property
    def digest(self) -> str:
        """SHA-256 of what is asked of each photograph. How many are judged, models and expected failures do not count.

        A key that has its default counts as not given, so a later key changes no digest.
        """
        return hashlib.sha256(f"{DEFAULTS} {json.dumps(self._asked(), sort_keys=True)}".encode()).hexdigest()

    @property
    def settings(self) -> dict[str, str]:
        """What the digest is of, key by key: "check.0.perturbation.kind" -> "pixel"; no key that has its default."""
        leaves = sorted(_leaves(self._asked()))
        return {key: value if isinstance(value, str) else json.dumps(value) for key, value in leaves}

    def _asked(self) -> dict[str, Any]:
        left_out = {"description", "models", "expected_failures"}
        same = self.images.model_copy(update={"until_decided": False, "at_most": None})
        whole = self.model_copy(update={"images": same})
        return whole.model_dump(mode="json", exclude=left_out, exclude_defaults=True)

    def reading(self, source: str | None) -> "Suite":
        """This suite on pictures from another source, relative to the current folder; itself where none is named."""
        if not source:
            return self
        other = self.model_copy(update={"images": self.images.model_copy(update={"source": source})})
        other._pictures = Path()
        return other

    def until_decided(self, at_most: int | None) -> "Suite":
        """This suite, judging photographs until each check is decided, and at most so many."""
        stop = {"until_decided": True, "at_most": at_most or self.images.at_most}
        return self.model_copy(update={"images": self.images.model_copy(update=stop)})

    def taught(self, recipe: str | None) -> "Suite":
        """This suite with another recipe of training; itself where none is named."""
        if recipe is None or self.training is None:
            return self
        return self.model_copy(update={"training": self.training.model_copy(update={"recipe": recipe})})


def _leaves(value: Any, at: str = "") -> Iterator[tuple[str, Any]]:
    """Every value of nested tables with its path; a list of plain values is one."""
    if isinstance(value, dict):
        children = list(value.items())
    elif isinstance(value, list) and value and isinstance(value[0], dict):
        children = list(enumerate(value))
    else:
        yield at, value
        return
    for key, child in children:
        yield from _leaves(child, f"{at}.{key}" if at else str(key))


def load_suite(reference: str) -> Suite:
    """The suite at a path, or the shipped one of that name. Raises UsageError for every mistake in it."""
    path = Path(reference)
    known = shipped()
    if reference in known and not path.is_file():
        path = known[reference]
    elif not os.path.lexists(path):
        raise UsageError(
            f"there is no suite `{reference}`, expected a file or one of {list(known)}.{near(reference, known)}"
        )
    return parse_suite(read_text(path, limit=BY_HAND), str(path))


def parse_suite(text: str, where: str) -> Suite:
    """Raises UsageError for every mistake in it."""
    given = toml(text, where)
    try:
        suite = Suite.model_validate(given)
    except ValidationError as error:
        # Of a union (a level is a number or "calibrated") only the branch that the value was meant for is told; and not
        # that too few checks are left without the faulty one.
        meant = [f for f in error.errors() if f["type"] != "literal_error" or isinstance(f["input"], str)]
        faults = [f for f in meant if f["type"] != "too_short"] or meant
        more = f" (and {len(faults) - 1} more)" if len(faults) > 1 else ""
        raise UsageError(f"{where}: {_fault(faults[0])}{more}") from error
    suite._folder = suite._pictures = Path(where).parent
    names = [check.name for check in suite.check]
    for name in suite.expected_failures:
        if name not in names:
            raise UsageError(
                f"{where}: [expected-failures] {name!r} is no check, expected one of {names}.{near(name, names)}"
            )
    for name in names:
        if names.count(name) > 1:
            raise UsageError(f"{where}: [[check]] name = {name!r} is used twice.")
    return suite


def _fault(fault: Any) -> str:
    every: list[type[_Table]] = [Suite, *TABLES.values()]
    fields = {field for table in every for field in table.model_fields}
    path = [
        part for part in fault["loc"] if part in fields or isinstance(part, int) or fault["type"] == "extra_forbidden"
    ]
    *tables, key = path or ("the file",)
    table = f"[{'.'.join(str(t) for t in tables)}] " if tables else ""
    if fault["type"] == "extra":
        key, tables = fault["ctx"]["key"], list(path)
        table = f"[{'.'.join(str(t) for t in tables)}] "
    if key in MOVED:
        return f"{table}{key} is not a key any more: {MOVED[str(key)]}."
    if fault["type"] in ("extra", "extra_forbidden"):
        known = _keys(tables)
        return f"{table}{key} is not a key, expected one of {known}.{near(str(key), known)}"
    if fault["type"] == "missing":
        return f"{table}{key} is missing."
    if fault["type"] == "literal_error":
        choices = re.findall(r"'([^']+)'", fault["ctx"]["expected"])
        hint = near(str(fault["input"]), choices)
        return f"{table}{key} = {fault['input']!r} is unknown, expected one of {choices}.{hint}"
    if fault["type"] == "kind":
        return f"{table}{key} = {fault['input']!r} {fault['msg']}"
    return f"{table}{key} = {fault['input']!r}: {fault['msg'][0].lower()}{fault['msg'][1:]}."


def _keys(tables: list[str | int]) -> list[str]:
    """The keys of the table that this path leads to."""
    here: Any = Suite
    for table in tables:
        here = TABLES.get(str(table), here)
    return list(here.model_fields)


MOVED = {
    "detector": "write [evaluator] with kind change (was reference), features (probe), score or label (as-is); "
    "fine-tuned and from-scratch are now [training] regime"
}
TABLES: dict[str, type[_Table]] = {
    "images": ImagesTable,
    "region": RegionTable,
    "sensor": SensorTable,
    "map": MapTable,
    "design": DesignTable,
    "levels": LevelsTable,
    "task": TaskTable,
    "training": TrainingTable,
    "evaluator": EvaluatorTable,
    "perturbation": PerturbationTable,
    "claim": ClaimTable,
    "check": CheckTable,
    "models": ModelTable,
}
