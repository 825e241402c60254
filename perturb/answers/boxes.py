"""Boxes in the forms in which detection libraries return them, for one picture."""

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float
from torch import Tensor

from perturb.errors import InputError

FORMS = (
    "boxes with scores and labels (torchvision, MAITE), Ultralytics `Results`, SAHI predictions, supervision "
    "`Detections`, MMDetection `pred_instances`, Detectron2 `instances`, DETR `logits` with `pred_boxes`, rows of "
    "transformers' pipeline, or an array of x1, y1, x2, y2[, score[, label]] or of polygons"
)

KEYS = ("boxes", "bboxes", "pred_boxes", "xyxy", "obb")


class Boxes(NamedTuple):
    """What was found in one picture. A box without a score counts as certain, one without a label as label 0."""

    corners: Float[np.ndarray, "box 4"]  # x1, y1, x2, y2 in pixels of the picture that the model was given
    score: Float[np.ndarray, " box"]
    label: np.ndarray  # words; whole numbers without a decimal point


def boxes_of(answer: Any, shape: tuple[int, int]) -> Boxes:
    """The boxes of one picture of `shape` (rows, columns). Raises InputError for an answer without boxes.

    None and empty lists are no boxes. Boxes of DETR are centre and size, fractions of the picture. Of a score for each
    class the highest counts.
    """
    try:
        found = _found(answer, shape)
    except (TypeError, ValueError) as error:
        raise InputError(f"the answer ({_describe(answer)}) holds no readable boxes: {error}.") from error
    if found is None:
        raise InputError(f"the answer ({_describe(answer)}) holds no boxes; known are {FORMS}.")
    corners, score = (_array(part) for part in found[:2])
    label = np.array([_word(one) for one in _listed(found[2])], dtype=str)
    if corners.size and not np.isfinite(corners).all():
        raise InputError("a box has a corner that is not finite (NaN or infinity).")
    count = len(corners)
    if score.ndim == 2 and score.shape[0] == count and score.shape[1] > 1:
        label = label if label.size else np.array([_word(one) for one in score.argmax(1).tolist()], dtype=str)
        score = score.max(1)
    if (corners.reshape(-1, 4)[:, 2:] < corners.reshape(-1, 4)[:, :2]).any():
        raise InputError("a box ends before it begins: wanted x1, y1, x2, y2; are these x, y, width, height?")
    score = np.ones(count) if not score.size and count else score.ravel()
    label = np.full(count, "0") if not label.size and count else label
    if not len(score) == len(label) == count:
        raise InputError(f"{count} boxes have {len(score)} scores and {len(label)} labels.")
    if not np.isfinite(score).all():
        raise InputError("a box has a score that is not finite (NaN or infinity).")
    return Boxes(corners.reshape(-1, 4), score, label)


def _found(answer: Any, shape: tuple[int, int]) -> tuple[Any, Any, Any] | None:
    """Corners, scores and labels, as they lie in the answer; None where there are none."""
    if answer is None:
        return (), (), ()
    get = _getter(answer)
    if (logits := get("logits")) is not None and (centres := get("pred_boxes")) is not None:
        focal = any(get(name) is not None for name in ("init_reference_points", "intermediate_reference_points"))
        return _detr(_array(logits), _array(centres), shape, focal=focal)
    for inside in ("pred_instances", "instances"):
        if (instances := get(inside)) is not None:
            return _found(instances, shape)
    if (predictions := get("object_prediction_list")) is not None:
        answer = predictions
    if isinstance(answer, list | tuple) and answer and hasattr(answer[0], "bbox"):
        return _sahi(answer)
    if isinstance(answer, list | tuple) and answer and isinstance(answer[0], Mapping) and "box" in answer[0]:
        sides = ("xmin", "ymin", "xmax", "ymax")
        score, label = ([one[key] for one in answer] for key in ("score", "label"))
        return [[one["box"][side] for side in sides] for one in answer], score, label
    boxes = next((b for b in map(get, KEYS) if b is not None), None)
    if boxes is None:
        return ((), (), ()) if _has(answer, KEYS) else _bare(answer, shape)
    if (corners := _getter(boxes)("xyxy")) is not None:  # Ultralytics
        inner = _getter(boxes)
        return corners, _or_none(inner("conf")), _or_none(inner("cls"))
    corners, score, label = _polygons(np.atleast_2d(_array(getattr(boxes, "tensor", boxes))))
    first = next((s for s in map(get, ("scores", "confidence", "conf")) if s is not None), score)
    second = next((s for s in map(get, ("labels", "class_id", "cls", "pred_classes")) if s is not None), label)
    return corners, first, second


def _bare(answer: Any, shape: tuple[int, int]) -> tuple[Any, Any, Any] | None:
    """An array or list of boxes alone; a tuple that begins with one; what a list of one entry holds."""
    if isinstance(answer, tuple) and answer:
        return _row(answer)
    if not isinstance(answer, list | np.ndarray | Tensor):
        return None
    try:
        return _polygons(answer)
    except (TypeError, ValueError):
        return _found(answer[0], shape) if isinstance(answer, list) and len(answer) == 1 else None


def _row(answer: tuple[Any, ...]) -> tuple[Any, Any, Any] | None:
    """Boxes, and of what lies beside them the scores and labels: as many numbers, with and without a decimal point."""
    if answer[0] is None:
        return (), (), ()
    try:
        corners, score, label = _polygons(answer[0])
    except (TypeError, ValueError):
        return None
    flat = np.ndim(answer[0]) == 2  # polygons come with lists of seconds
    kinds = (list | np.ndarray | Tensor) if flat else (np.ndarray | Tensor)
    beside = [np.asarray(_listed(one)) for one in answer[1:] if isinstance(one, kinds)]
    beside = [one for one in beside if one.shape == (len(corners),)]
    scores = [one for one in beside if one.dtype.kind == "f"]
    labels = [one for one in beside if one.dtype.kind in "iuU"]
    if len(scores) == 2 and not labels:  # labels as floats
        labels = scores[1:]
    return corners, (scores[0] if scores else score), (labels[0] if labels else label)


def _polygons(boxes: Any) -> tuple[Any, Any, Any]:
    """Rows of 4 to 6 numbers, or polygons of (x, y): their bounding boxes. Raises ValueError for anything else."""
    values = _array(boxes)
    if not values.size:
        return (), (), ()
    if values.ndim == 3 and values.shape[1] > 2 and values.shape[2] == 2:
        return np.concatenate([values.min(1), values.max(1)], 1), (), ()
    if values.ndim == 2 and values.shape[1] in (4, 5, 6):
        return values[:, :4], values[:, 4:5], values[:, 5:].ravel()
    raise ValueError(f"{values.shape} is no array of boxes")


def _detr(logits: np.ndarray, centres: np.ndarray, shape: tuple[int, int], *, focal: bool) -> tuple[Any, Any, Any]:
    """The last class is "no object"; the score is the softmax of the best other one (Carion et al. 2020).

    `focal`: there is no such class, and the score is the sigmoid of the best one (Zhu et al. 2021).
    """
    if logits.ndim == 3 and len(logits) == 1:
        logits, centres = logits[0], centres[0]
    if focal:
        odds = 1 / (1 + np.exp(-logits))
    else:
        odds = np.exp(logits - logits.max(-1, keepdims=True))
        odds = (odds / odds.sum(-1, keepdims=True))[:, :-1]
    rows, columns = shape
    middle, half = centres[:, :2], centres[:, 2:] / 2
    corners = np.concatenate([middle - half, middle + half], 1) * [columns, rows, columns, rows]
    return corners, odds.max(1), odds.argmax(1)


def _sahi(predictions: Any) -> tuple[Any, Any, Any]:
    corners = [one.bbox.to_xyxy() if hasattr(one.bbox, "to_xyxy") else one.bbox for one in predictions]
    scores = [float(getattr(one.score, "value", one.score)) for one in predictions]
    labels = [getattr(getattr(one, "category", None), "id", 0) for one in predictions]
    return corners, scores, labels


def _getter(answer: Any) -> Any:
    if isinstance(answer, Mapping):
        return answer.get
    if isinstance(answer, np.ndarray | Tensor | list) or (isinstance(answer, tuple) and not hasattr(answer, "_fields")):
        return lambda name: None
    return lambda name: getattr(answer, name, None)


def _has(answer: Any, names: tuple[str, ...]) -> bool:
    """Whether the answer has a place for boxes, such as of a library that found nothing."""
    return any(name in answer if isinstance(answer, Mapping) else hasattr(answer, name) for name in names)


def _or_none(value: Any) -> Any:
    return () if value is None else value


def _array(value: Any) -> np.ndarray:
    if isinstance(value, Tensor):
        return value.detach().double().cpu().numpy()
    if isinstance(value, list | tuple) and any(isinstance(v, Tensor) for v in value):
        return np.array([v.detach().double().cpu().numpy() for v in value])
    if np.iscomplexobj(value):
        raise TypeError("numbers are complex")
    return np.asarray(value, dtype=float)


def _listed(labels: Any) -> list[Any]:
    listed = labels.tolist() if hasattr(labels, "tolist") else labels
    return list(listed) if isinstance(listed, list | tuple) else [listed]


def _word(label: Any) -> str:
    return str(int(label)) if isinstance(label, int | float) and float(label).is_integer() else str(label)


def _describe(answer: Any) -> str:
    if isinstance(answer, Mapping):
        return f"a {type(answer).__name__} with {', '.join(map(str, answer))}"
    shape = getattr(answer, "shape", None)
    return f"{type(answer).__name__}" + (f" of shape {tuple(shape)}" if shape is not None else "")
