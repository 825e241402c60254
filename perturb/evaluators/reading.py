"""A base class for evaluators."""

from collections.abc import Mapping
from typing import Any, ClassVar, Literal

from perturb.protocols import Asked


class Reading:
    """An evaluator without shots to study and without further measures; a base for classes that need neither."""

    words: ClassVar[str] = ""
    verb: ClassVar[str] = "noticed"
    needs_task: ClassVar[bool] = False
    shots: int = 0
    threshold: float | Literal["image", "common"] = "common"

    def study(self, outputs: Any) -> tuple[Any, Any]:
        raise NotImplementedError(f"{type(self).__name__} studies no shots")

    def measures(self, outputs: Any, asked: Asked) -> Mapping[str, Any]:
        return {}
