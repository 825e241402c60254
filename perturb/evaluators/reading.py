"""Base classes for evaluators."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

from perturb.protocols import Asked


class Reading:
    """An evaluator without shots to study and without further measures; a base for classes that need neither."""

    words: ClassVar[str] = ""
    scale: ClassVar[str] = ""  # what the evidence is a number of, for reading; "" says nothing
    verb: ClassVar[str] = "noticed"
    needs_task: ClassVar[bool] = False
    local: ClassVar[bool] = False
    shots: int = 0
    threshold: float | Literal["image", "common"] = "common"

    def study(self, outputs: Any) -> tuple[Any, Any]:
        raise NotImplementedError(f"{type(self).__name__} studies no shots")

    def measures(self, outputs: Any, asked: Asked) -> Mapping[str, Any]:
        return {}

    def alarms(self, outputs: Any, asked: Asked) -> Any:
        return None


@dataclass(frozen=True, kw_only=True)
class OwnAnswer(Reading):
    """An evaluator of what the model itself answers, with the user's threshold if there is one."""

    output: str | int = ""  # which of several outputs: a key, an attribute or an index; "": the only one
    noise: float = 0.0
    threshold: float | Literal["common"] = "common"

    @property
    def layer(self) -> str:
        return f"output:{self.output}" if self.output != "" else "output"


def check_number(target: object) -> None:
    """Raises ValueError for a class that is named by a word where only its number is known."""
    if isinstance(target, str):
        raise ValueError(f"`target` (={target!r}) must be a number, from 0; words are for kind = 'boxes'.")
