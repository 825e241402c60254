"""A suite: what is asked of a model, in TOML. Every mistake is named with its file and key."""

import difflib
import hashlib
import re
import tomllib
from importlib.resources import files
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from perturb.errors import UsageError

CUSTOM = r"^[\w.]+:\w+$"  # package.module:Class
Share = Annotated[float, Field(gt=0, lt=1)]
Unit = Annotated[float, Field(ge=0, le=1)]


class _Table(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=False, allow_inf_nan=False)


class ImagesTable(_Table):
    source: str = Field("built-in", description="where pictures come from; see the list in docs/suites.md")
    crops: int = Field(4, ge=1, le=1000, description="random crops of each photograph (built-in and folder)")
    count: int = Field(64, ge=4, description="pictures drawn (dead-leaves, noise, digits and mnist)")
    calibration: Share = Field(0.4, description="share of photographs used to calibrate; the others are judged")


class TaskTable(_Table):
    kind: Literal["presence", "intensity", "digits", "labels"] = Field(description="what a classifier is asked")
    classes: int = Field(4, ge=2, le=100, description="of intensity")


class TrainingTable(_Table):
    recipe: Literal["paper", "short"] = Field("paper", description="the paper's 200 epochs, or 20 for two cores")
    epochs: int | None = Field(None, ge=1, description="in place of the recipe's")
    seeds: int = Field(1, ge=1, description="trainings, each from weights of its own")


class MapTable(_Table):
    kind: Literal["structural", "energy", "target"] = Field("energy", description="how the contribution is estimated")
    images: int = Field(16, ge=1, description="calibration crops that a gradient map is measured on")
    probes: int = Field(4, ge=1, description="random output directions for each crop (energy)")
    share: Annotated[float, Field(gt=0, le=0.5)] = Field(0.05, description="share of phases in each arm")


class DetectorTable(_Table):
    kind: Literal["reference", "as-is", "probe", "fine-tuned", "from-scratch"] = Field(
        "reference", description="the regime"
    )
    layer: str = Field("last", description="where it looks: last, stride:N or a module's name")
    noise: Annotated[float, Field(ge=0, lt=1)] = Field(0.02, description="sensor noise, a fraction of the pixel range")
    output: int = Field(0, ge=0, description="the output that is the evidence (as-is)")
    false_alarms: Annotated[float, Field(ge=0.001, lt=0.5)] = Field(
        0.05, description="rate that the threshold is pinned to; below 0.05 more clean shots are taken (reference)"
    )


class PerturbationTable(_Table):
    kind: str = Field(description="pixel, box, noise, digit (of a digits task) or package.module:Class")
    size: int | None = Field(None, ge=1, description="side in pixels (box, noise, digit)")
    mode: Literal["add", "replace", "blend"] = "add"
    colour: tuple[Unit, Unit, Unit] | None = Field(
        None, description="red, green, blue, each 0 to 1 (pixel, box); default white"
    )


class ClaimTable(_Table):
    quantity: str = Field("accuracy-loss", description="what is bounded; see the list in docs/suites.md")
    at_most: float = Field(description="the margin")
    confidence: Annotated[float, Field(ge=0.5, lt=1)] = Field(
        0.95, description="of the suite's promise, shared by Holm"
    )


class CheckTable(_Table):
    name: str = Field(pattern=r"^[\w.-]+$")
    perturbation: PerturbationTable
    level: Literal["calibrated"] | Annotated[float, Field(gt=0, le=1)] = Field(
        "calibrated", description="strength, a fraction of the pixel range; or sought on calibration images"
    )
    live_target: Annotated[float, Field(gt=0.5, lt=1)] = Field(
        0.85, description="detection at live places to calibrate to"
    )
    pairs: int = Field(8, ge=1, le=1000, description="dead/live pairs on each crop")
    detector: DetectorTable | None = Field(None, description="in place of the suite's")
    training: TrainingTable | None = Field(None, description="keys in place of the suite's")
    search: bool = Field(False, description="seek each place's smallest flipping amplitude, up to the level")
    claim: ClaimTable


class ModelTable(_Table):
    reference: str = Field(description="as on the command line")
    weights: str | None = Field(None, description="a safetensors file or a state dict")
    remedy: str | None = Field(None, description="applied first: padding, blurpool:fresh, ...; as on the command line")
    seed: int = Field(0, ge=0, description="of untrained weights")
    baseline: str | None = Field(
        None, description="what `perturb baseline accept` wrote: pytest asks what changed since"
    )


class Suite(_Table):
    """A qualification suite, as `*.perturb.toml` writes it."""

    model_config = ConfigDict(populate_by_name=True)

    name: str = Field(pattern=r"^[\w.-]+$")
    description: str = ""
    seed: int = Field(0, ge=0)
    images: ImagesTable = ImagesTable()
    map: MapTable = MapTable()
    task: TaskTable | None = Field(None, description="a classifier's task; without it, has the picture changed?")
    detector: DetectorTable = DetectorTable()
    training: TrainingTable = TrainingTable()
    check: tuple[CheckTable, ...] = Field(min_length=1)
    models: dict[str, ModelTable | str] = Field({}, description="what pytest qualifies: name -> reference or table")
    expected_failures: dict[str, str] = Field(
        {}, alias="expected-failures", description="check -> reason: a strict xfail under pytest"
    )

    @property
    def digest(self) -> str:
        """SHA-256 of everything that the suite asks, defaults included; not of which models and what is expected."""
        asked = self.model_dump_json(exclude={"description", "models", "expected_failures"})
        return hashlib.sha256(asked.encode()).hexdigest()

    def reading(self, source: str | None) -> "Suite":
        """This suite on pictures from another source; itself where none is named."""
        images = self.images.model_copy(update={"source": source or self.images.source})
        return self.model_copy(update={"images": images})

    def taught(self, recipe: str | None) -> "Suite":
        """This suite with another recipe of training; itself where none is named."""
        training = self.training.model_copy(update={"recipe": recipe or self.training.recipe})
        return self.model_copy(update={"training": training})


CHOICES = {  # open sets that a near miss is compared with; the closed ones stand in the types above
    ("perturbation", "kind"): ("pixel", "box", "noise", "digit"),
    ("claim", "quantity"): ("accuracy-loss", "accuracy-loss-2afc", "miss-rate", "flip-rate", "imbalance", "dead-share"),
}


LEARNT = ("fine-tuned", "from-scratch")


def shipped() -> dict[str, Path]:
    """The suites that come with perturb, by name: from the wheel, or from the checkout beside it."""
    inside = Path(str(files("perturb"))) / "_suites"
    folder = inside if inside.is_dir() else Path(str(files("perturb"))).parent / "suites"
    return {path.name.removesuffix(".perturb.toml"): path for path in sorted(folder.glob("*.perturb.toml"))}


def shipped_example(name: str) -> Path:
    """An example that comes with perturb: from the wheel, or from the checkout beside it."""
    package = Path(str(files("perturb")))
    inside = package / "_examples" / name
    return inside if inside.is_file() else package.parent / "examples" / name


def load_suite(reference: str) -> Suite:
    """The suite at a path, or the shipped one of that name. Raises UsageError for every mistake in it."""
    path = Path(reference)
    known = shipped()
    if not path.is_file():
        if reference not in known:
            raise UsageError(
                f"there is no suite `{reference}`, expected a file or one of {list(known)}.{_near(reference, known)}"
            )
        path = known[reference]
    try:
        return parse_suite(path.read_text(encoding="utf-8"), str(path))
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"{path}: cannot be read: {error}") from error


def parse_suite(text: str, where: str) -> Suite:
    try:
        suite = Suite.model_validate(tomllib.loads(text))
    except tomllib.TOMLDecodeError as error:
        raise UsageError(f"{where}: not TOML: {error}") from error
    except ValidationError as error:
        # Of a union (a level is a number or "calibrated") only the branch that the value was meant for is told; and not
        # that too few checks are left without the faulty one.
        meant = [f for f in error.errors() if f["type"] != "literal_error" or isinstance(f["input"], str)]
        faults = [f for f in meant if f["type"] != "too_short"] or meant
        more = f" (and {len(faults) - 1} more)" if len(faults) > 1 else ""
        raise UsageError(f"{where}: {_fault(faults[0])}{more}") from error
    names = [check.name for check in suite.check]
    for name in suite.expected_failures:
        if name not in names:
            raise UsageError(
                f"{where}: [expected-failures] {name!r} is no check, expected one of {names}.{_near(name, names)}"
            )
    for check in suite.check:
        for (table, key), choices in CHOICES.items():
            value = getattr(getattr(check, table), key)
            if value not in choices and not re.match(CUSTOM, value):
                raise UsageError(
                    f"{where}: [[check]] {check.name}: {table}.{key} = {value!r} is unknown, "
                    f"expected one of {list(choices)} or package.module:Class.{_near(value, choices)}"
                )
        if names.count(check.name) > 1:
            raise UsageError(f"{where}: [[check]] name = {check.name!r} is used twice.")
        if fault := _mismatch(suite, check):
            raise UsageError(f"{where}: [[check]] {check.name}: {fault}")
    return suite


def _mismatch(suite: Suite, check: CheckTable) -> str:
    """What does not go together: with a [task] a classifier answers, without one a detector tells change."""
    regime, quantity = (check.detector or suite.detector).kind, check.claim.quantity
    if suite.task is None:
        faults = {
            f"detector.kind = {regime!r} needs a [task].": regime in LEARNT,
            f"claim.quantity = {quantity!r} needs a [task].": quantity == "flip-rate",
            "search needs a [task].": check.search,
            "perturbation.kind = 'digit' needs [task] kind = 'digits'.": check.perturbation.kind == "digit",
        }
    else:
        digits, labels = (suite.task.kind == kind for kind in ("digits", "labels"))
        faults = {
            "detector.kind = 'reference' tells change and has no [task].": regime == "reference",
            "level = 'calibrated' is for tasks without [task]; give a number.": check.level == "calibrated",
            f"claim.quantity = {quantity!r} has no [task].": quantity in ("accuracy-loss-2afc", "miss-rate"),
            "of [task] kind = 'labels' a perturbation only disturbs: claim 'flip-rate', not 'accuracy-loss'.": (
                labels and quantity == "accuracy-loss"
            ),
            f"[task] kind = {suite.task.kind!r} asks for the perturbation: claim 'accuracy-loss', not 'flip-rate'.": (
                not labels and quantity == "flip-rate"
            ),
            f"[task] kind = {suite.task.kind!r} does not go with perturbation.kind = {check.perturbation.kind!r}.": (
                digits != (check.perturbation.kind == "digit")
            ),
        }
    return next((fault for fault, holds in faults.items() if holds), "")


def _fault(fault: Any) -> str:
    every: list[type[_Table]] = [Suite, *TABLES.values()]
    fields = {field for table in every for field in table.model_fields}
    path = [
        part for part in fault["loc"] if part in fields or isinstance(part, int) or fault["type"] == "extra_forbidden"
    ]
    *tables, key = path or ("the file",)
    table = f"[{'.'.join(str(t) for t in tables)}] " if tables else ""
    if fault["type"] == "extra_forbidden":
        known = _keys(tables)
        return f"{table}{key} is not a key, expected one of {known}.{_near(str(key), known)}"
    if fault["type"] == "missing":
        return f"{table}{key} is missing."
    if fault["type"] == "literal_error":
        choices = re.findall(r"'([^']+)'", fault["ctx"]["expected"])
        near = _near(str(fault["input"]), choices)
        return f"{table}{key} = {fault['input']!r} is unknown, expected one of {choices}.{near}"
    return f"{table}{key} = {fault['input']!r}: {fault['msg'][0].lower()}{fault['msg'][1:]}."


def _keys(tables: list[str | int]) -> list[str]:
    """The keys of the table that this path leads to."""
    here: Any = Suite
    for table in tables:
        here = TABLES.get(str(table), here)
    return list(here.model_fields)


TABLES: dict[str, type[_Table]] = {
    "images": ImagesTable,
    "map": MapTable,
    "detector": DetectorTable,
    "perturbation": PerturbationTable,
    "claim": ClaimTable,
    "check": CheckTable,
    "models": ModelTable,
}


def _near(name: str, known: Any) -> str:
    close = difflib.get_close_matches(name, list(known), n=1)
    return f" Did you mean {close[0]!r}?" if close else ""
