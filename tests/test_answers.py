"""What models return, read by structure alone: truth is written down beside every form."""

from collections import namedtuple
from collections.abc import Mapping
from dataclasses import dataclass
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from perturb.answers import (
    boxes_of,
    by_picture,
    content_of,
    head_of,
    names_of,
    part_by_picture,
    part_of,
    rows_of,
    select,
    take,
    tensor_of,
    text_of,
)
from perturb.answers.structure import leaves, stacked
from perturb.errors import InputError, UsageError

SHAPE = (40, 80)  # rows, columns
CORNERS = np.array([[1.0, 2.0, 11.0, 22.0], [3.0, 4.0, 33.0, 14.0]])
SCORE = np.array([0.75, 0.25])
LABEL = np.array([3, 5])
POLYGONS = np.array([[[x1, y1], [x2, y1], [x2, y2], [x1, y2]] for x1, y1, x2, y2 in CORNERS])
Pair = namedtuple("Pair", "boxes scores")


@dataclass
class Target:
    boxes: object
    labels: object
    scores: object


class Frozen(Mapping):
    """A mapping that is no dict."""

    def __init__(self, **inside):
        self.inside = inside

    def __getitem__(self, key):
        return self.inside[key]

    def __iter__(self):
        return iter(self.inside)

    def __len__(self):
        return len(self.inside)


def things(**names):
    return SimpleNamespace(**names)


def sahi(corners=CORNERS, score=SCORE, label=LABEL):
    return [
        things(bbox=things(to_xyxy=lambda c=c: list(c)), score=things(value=s), category=things(id=int(n)))
        for c, s, n in zip(corners, score, label, strict=True)
    ]


def rows_of_pipeline():
    sides = ("xmin", "ymin", "xmax", "ymax")
    return [
        {"box": dict(zip(sides, c, strict=True)), "score": s, "label": str(n)}
        for c, s, n in zip(CORNERS.tolist(), SCORE.tolist(), LABEL, strict=True)
    ]


WHOLE = {
    "torchvision": {
        "boxes": torch.tensor(CORNERS),
        "scores": torch.tensor(SCORE),
        "labels": torch.tensor(LABEL),
    },
    "mapping": Frozen(boxes=CORNERS, scores=SCORE, labels=LABEL),
    "maite": Target(boxes=CORNERS, labels=LABEL, scores=SCORE),
    "maite, a score for each class": Target(boxes=CORNERS, labels=LABEL, scores=np.array([[0.75, 0.1], [0.2, 0.25]])),
    "ultralytics": things(
        boxes=things(xyxy=torch.tensor(CORNERS), conf=torch.tensor(SCORE), cls=torch.tensor(LABEL * 1.0))
    ),
    "ultralytics, listed": [
        things(boxes=things(xyxy=torch.tensor(CORNERS), conf=torch.tensor(SCORE), cls=torch.tensor(LABEL * 1.0)))
    ],
    "ultralytics, turned": things(
        boxes=None, obb=things(xyxy=torch.tensor(CORNERS), conf=torch.tensor(SCORE), cls=torch.tensor(LABEL * 1.0))
    ),
    "supervision": things(xyxy=CORNERS, confidence=SCORE, class_id=LABEL, mask=None),
    "sahi": things(object_prediction_list=sahi()),
    "sahi, listed": sahi(),
    "mmdetection": things(pred_instances=things(bboxes=CORNERS, scores=SCORE, labels=LABEL)),
    "detectron2": {
        "instances": things(pred_boxes=things(tensor=torch.tensor(CORNERS)), scores=SCORE, pred_classes=LABEL)
    },
    "pipeline": rows_of_pipeline(),
    "array": np.column_stack([CORNERS, SCORE, LABEL]),
    "tensor": torch.tensor(np.column_stack([CORNERS, SCORE, LABEL])),
    "rows": np.column_stack([CORNERS, SCORE, LABEL]).tolist(),
    "list of tensors": list(torch.tensor(np.column_stack([CORNERS, SCORE, LABEL]))),
    "nested": [[np.column_stack([CORNERS, SCORE, LABEL])]],
    "tuple": (CORNERS, SCORE, LABEL),
    "tuple, labels first": (CORNERS, LABEL, SCORE),
    "tuple, labels as floats": (CORNERS, SCORE, LABEL * 1.0),
    "tuple of lists": (CORNERS.tolist(), SCORE.tolist(), LABEL.tolist()),
    "tuple of tensors": (torch.tensor(CORNERS), torch.tensor(SCORE), torch.tensor(LABEL)),
    "polygons": {"boxes": POLYGONS, "scores": SCORE, "labels": LABEL},
    "two entries for what is beside the batch": {
        "pred": 1,
        "boxes": CORNERS,
        "scores": SCORE[:, None],
        "labels": LABEL,
    },
}


@pytest.mark.parametrize("form", WHOLE)
def test_boxes_scores_and_labels_of_every_form(form):
    found = boxes_of(WHOLE[form], SHAPE)
    np.testing.assert_array_equal(found.corners, CORNERS)
    np.testing.assert_array_equal(found.score, SCORE)
    assert found.label.tolist() == ["3", "5"]


CERTAIN = {
    "array": CORNERS,
    "lists": CORNERS.tolist(),
    "polygons": POLYGONS,
    "polygons as lists": POLYGONS.tolist(),
    "rapidocr 4: polygons and the seconds": (POLYGONS.tolist(), [0.1, 0.2]),
    "boxes and a number": (CORNERS, 0.1),
    "paddle: listed polygons": [POLYGONS],
    "boxes alone in a record": things(boxes=CORNERS, scores=None),
}


@pytest.mark.parametrize("form", CERTAIN)
def test_a_box_without_a_score_is_certain_and_has_label_0(form):
    found = boxes_of(CERTAIN[form], SHAPE)
    np.testing.assert_array_equal(found.corners, CORNERS)
    assert found.score.tolist() == [1.0, 1.0]
    assert found.label.tolist() == ["0", "0"]


@pytest.mark.parametrize(
    "answer",
    [
        None,
        [],
        (None, 0.1),
        [None],
        np.zeros((0, 4)),
        np.zeros((0, 6)),
        {"boxes": torch.zeros(0, 4), "scores": torch.zeros(0), "labels": torch.zeros(0, dtype=torch.long)},
        Pair(np.zeros((0, 4)), np.zeros(0)),
        things(boxes=None, txts=None, scores=None),  # RapidOCR 3 that found nothing
        {"boxes": None},
        things(object_prediction_list=[]),
        things(xyxy=np.empty((0, 4)), confidence=np.empty(0), class_id=np.empty(0)),
        things(boxes=things(xyxy=torch.zeros(0, 4), conf=torch.zeros(0), cls=torch.zeros(0))),
    ],
)
def test_nothing_found_is_no_box(answer):
    found = boxes_of(answer, SHAPE)
    assert found.corners.shape == (0, 4)
    assert found.score.shape == found.label.shape == (0,)


@pytest.mark.parametrize(
    "form", [{"boxes": CORNERS[0], "scores": SCORE[0], "labels": LABEL[0]}, Pair(CORNERS[0], SCORE[0])]
)
def test_a_lone_box_may_have_lost_its_row(form):
    found = boxes_of(form, SHAPE)
    np.testing.assert_array_equal(found.corners, CORNERS[:1])
    assert found.score.tolist() == [0.75]


def test_the_class_with_the_highest_score_is_the_label_where_none_is_given():
    found = boxes_of(Pair(CORNERS, np.array([[0.1, 0.7], [0.6, 0.2]])), SHAPE)
    assert found.score.tolist() == [0.7, 0.6]
    assert found.label.tolist() == ["1", "0"]


def detr(**more):
    logits = torch.log(torch.tensor([[0.2, 0.5, 0.3], [0.1, 0.1, 0.8]]))
    return {"logits": logits, "pred_boxes": torch.tensor([[0.5, 0.5, 0.25, 0.5], [0.1, 0.2, 0.2, 0.4]]), **more}


@pytest.mark.parametrize("batched", [False, True])
def test_detr_leaves_out_no_object_and_scales_columns_by_columns(batched):
    """Rows are 40 and columns 80: a swap of the two is seen."""
    answer = {key: value[None] if batched else value for key, value in detr().items()}
    found = boxes_of(answer, SHAPE)
    np.testing.assert_allclose(found.corners, [[30, 10, 50, 30], [0, 0, 16, 16]], atol=1e-5)
    np.testing.assert_allclose(found.score, [0.5, 0.1], rtol=1e-5)
    assert found.label.tolist() == ["1", "0"]


@pytest.mark.parametrize("mark", ["init_reference_points", "intermediate_reference_points"])
def test_detr_with_reference_points_has_a_sigmoid_for_each_class(mark):
    """Deformable DETR and RT-DETR have no class for "no object": the last class counts."""
    found = boxes_of(detr(**{mark: torch.zeros(2, 4)}), SHAPE)
    np.testing.assert_allclose(found.score, [0.5 / 1.5, 0.8 / 1.8], rtol=1e-5)
    assert found.label.tolist() == ["1", "2"]


@pytest.mark.parametrize(("label", "word"), [(2.0, "2"), (2.5, "2.5"), ("cat", "cat"), (np.int64(7), "7")])
def test_labels_are_words_and_whole_numbers(label, word):
    assert boxes_of({"boxes": CORNERS[:1], "labels": [label]}, SHAPE).label.tolist() == [word]


@pytest.mark.parametrize(
    ("answer", "told"),
    [
        ("a text", "holds no boxes"),
        (3.5, "holds no boxes"),
        ({"logits": torch.zeros(3)}, "with logits"),
        (torch.zeros(4), r"shape \(4,\)"),  # four classes, not a box
        (torch.zeros(3, 7), r"shape \(3, 7\)"),
        (torch.zeros(3, 2, 2), r"shape \(3, 2, 2\)"),  # two points are no polygon
        (np.zeros((2, 4), complex), "holds no boxes"),
        ({"boxes": np.zeros((2, 4), complex)}, "complex"),
        ({"boxes": np.zeros((2, 3))}, "no array of boxes"),
        ({"boxes": [[1, 2], [3]]}, "no readable boxes"),
        ([{"bbox": [1, 2, 3, 4], "score": 1.0}], "holds no boxes"),  # COCO: x, y, width, height
        ([["a", "b"]], "holds no boxes"),
        ({"boxes": CORNERS, "scores": SCORE[:1]}, "2 boxes have 1 scores"),
        ({"boxes": CORNERS, "labels": LABEL[:1]}, "2 boxes have 2 scores and 1 labels"),
        ({"boxes": CORNERS * np.nan}, "corner that is not finite"),
        ({"boxes": CORNERS, "scores": SCORE * np.inf}, "score that is not finite"),
    ],
)
def test_what_holds_no_boxes_is_told_in_one_line(answer, told):
    with pytest.raises(InputError, match=told) as caught:
        boxes_of(answer, SHAPE)
    assert "\n" not in str(caught.value)


TEXTS = {
    "a string": "12.5 kg",
    "bytes": b"12.5 kg",
    "list": ["12.5", "kg"],
    "pairs": [("12.5", 0.9), ("kg", 0.8)],
    "a pair": ("12.5 kg", 0.9),
    "lines and seconds": ([["12.5", 0.9], ["kg", 0.8]], [0.1]),
    "rows": [([[0, 0]], "12.5", 0.9), ([[0, 9]], "kg", 0.8)],
    "paddle 2": [[[[0, 0]], ("12.5", 0.9)], [[[0, 9]], ("kg", 0.8)]],
    "paddle 2, listed": [[[[[0, 0], [1, 1]], ("12.5", 0.9)], [[[0, 9], [1, 1]], ("kg", 0.8)]]],
    "rapidocr 3": things(txts=("12.5", "kg"), boxes=None),
    "paddle 3": [Frozen(rec_texts=["12.5", "kg"])],
    "transformers": [{"generated_text": "12.5 kg"}],
    "a record": things(text="12.5 kg"),
    "tesseract": {"level": [1, 2], "text": ["12.5", "kg"]},
}


@pytest.mark.parametrize("form", TEXTS)
def test_text_of_every_form(form):
    assert text_of(TEXTS[form]) == "12.5 kg"


@pytest.mark.parametrize("answer", [None, [], "", (None, 0.1), [None], things(txts=None), {"rec_texts": []}])
def test_nothing_read_is_an_empty_text(answer):
    assert text_of(answer) == ""


@pytest.mark.parametrize("answer", [3, torch.zeros(3), [1, 2], [[1.0, 2.0]], {"boxes": CORNERS}, things(logits=1)])
def test_what_holds_no_text_is_told(answer):
    with pytest.raises(InputError, match="holds no text"):
        text_of(answer)


def test_rows_are_the_tensors_with_one_row_a_picture():
    two, three = torch.zeros(2, 5), np.zeros((3, 5))
    assert list(rows_of(two, 2)) == [""]
    assert rows_of(two, 3) == {}
    assert rows_of(torch.tensor(1.0), 1) == {}
    assert list(rows_of({"a": two, "b": three, "c": "text", "d": None}, 2)) == ["a"]
    assert list(rows_of((two, {"inner": two}, two), 2)) == ["0", "2"]
    assert list(rows_of(Pair(two, two), 2)) == ["boxes", "scores"]
    assert list(rows_of(things(seen=two, _hidden=two), 2)) == ["seen"]
    assert rows_of(np.array(["a", "b"]), 2) == {}


def test_answers_by_picture():
    rows = torch.arange(6.0).reshape(2, 3)
    assert by_picture(rows, 2, "it") is rows
    named = by_picture({"a": rows, "b": rows[:, :1]}, 2, "it")
    assert [one["a"].tolist() for one in named] == rows.tolist()
    assert [one["b"].tolist() for one in named] == [[0.0], [3.0]]
    assert by_picture(["x", "y"], 2, "it") == ["x", "y"]
    assert by_picture("x", 1, "it") == ["x"]
    one, other = torch.zeros(3, 4), torch.zeros(1, 4)
    assert by_picture([one, other], 2, "it") == [one, other]


@pytest.mark.parametrize(("raw", "count"), [(torch.zeros(3), 2), ("x", 2), (["x"], 2), (torch.tensor(1.0), 1)])
def test_answers_that_are_not_one_for_each_picture_are_refused(raw, count):
    with pytest.raises(InputError, match=r"it returns .* not one row a picture"):
        by_picture(raw, count, "it")


def test_a_lone_box_is_no_row_of_a_model_that_is_asked_picture_by_picture():
    lone = {"boxes": torch.zeros(1, 4), "scores": torch.zeros(1)}
    assert by_picture(lone, 1, "it")[0]["boxes"].shape == (4,)
    assert by_picture(lone, 1, "it", rowwise=False)[0] is lone
    assert by_picture([lone], 1, "it", rowwise=False)[0] is lone
    assert part_by_picture(lone, 1, "boxes", "it", rowwise=False).shape == (1, 1, 4)


def test_the_only_output_goes_by_its_name_or_by_its_columns():
    rows = torch.arange(6.0).reshape(2, 3)
    for part in ("", "logits"):
        assert part_by_picture({"logits": rows}, 2, part, "it") is rows
    assert part_by_picture({"logits": rows}, 2, "logits.2", "it").tolist() == [2.0, 5.0]
    assert part_by_picture({"logits": rows}, 2, "2", "it").tolist() == [2.0, 5.0]
    assert part_by_picture((rows, {"more": 1}), 2, "0", "it") is rows
    assert part_by_picture(rows, 2, 1, "it").tolist() == [1.0, 4.0]


def test_parts_lead_through_keys_attributes_and_numbers():
    answers = [{"out": things(heat=[torch.tensor([1.0, 2.0]), torch.tensor([3.0, 4.0])])}] * 2
    found = select(answers, "out.heat.1", "it")
    assert found.tolist() == [[3.0, 4.0]] * 2
    assert select(answers, "out.heat.1.0", "it").tolist() == [3.0, 3.0]
    assert select(answers, "", "it") is answers


def test_a_part_of_a_list_of_one_is_that_of_its_entry():
    answers = [[things(probs=things(data=torch.tensor([0.25, 0.75])))]]
    assert (
        select(answers, "probs.data", "it").tolist() == select(answers, "0.probs.data", "it").tolist() == [[0.25, 0.75]]
    )


def test_properties_can_be_chosen_and_methods_and_private_names_cannot():
    class Result:
        _secret = torch.tensor(1.0)

        @property
        def score(self):
            return torch.tensor(2.0)

        def run(self):
            return torch.tensor(3.0)

    assert select([Result()], "score", "it").tolist() == [2.0]
    for part in ("_secret", "run", "nothing"):
        with pytest.raises(UsageError, match=f"`output` = '{part}': it has no such output"):
            select([Result()], part, "it")


@pytest.mark.parametrize(
    ("answers", "part", "told"),
    [
        (torch.zeros(2, 3), "3", "has outputs 0 to 2"),
        (torch.zeros(2, 3), "-1", "has outputs 0 to 2"),
        (torch.zeros(2, 0), "0", "no box"),
        (torch.zeros(2), "0", "one number a picture"),
        ([{"a": 1}], "b", r"expected one of \['a'\]"),
        (["text"], "b", "returns a str for each picture"),
        ([torch.zeros(1), torch.zeros(2)], "1", r"gives \(1,\) for a picture; use kind = 'boxes'"),
    ],
)
def test_a_part_that_is_not_there_is_told(answers, part, told):
    with pytest.raises(UsageError, match=told):
        select(answers, part, "it")


@pytest.mark.parametrize(
    ("part", "names", "head"),
    [
        ("a", ["a"], ("a", "")),
        ("a.b.c", ["a"], ("a", "b.c")),
        ("a.b.c", ["a", "a.b"], ("a.b", "c")),  # of a graph whose names hold dots
        ("a.b.c", ["a.b.c"], ("a.b.c", "")),
        ("a.b", [], ("a", "b")),
    ],
)
def test_names_with_dots_count_before_steps(part, names, head):
    assert head_of(part, names) == head


def test_a_graphs_output_with_a_dot_can_be_chosen():
    rows = {"sigmoid_0.tmp_0": torch.ones(2, 1), "other": torch.zeros(2, 1)}
    assert part_by_picture(rows, 2, "sigmoid_0.tmp_0", "it").tolist() == [[1.0], [1.0]]
    assert select(by_picture(rows, 2, "it"), "sigmoid_0.tmp_0.0", "it").tolist() == [1.0, 1.0]


def test_pictures_are_taken_in_the_order_asked():
    rows = torch.arange(3.0)
    assert take(rows, [2, 0]).tolist() == [2.0, 0.0]
    assert take(["a", "b", "c"], np.array([2, 0])) == ["c", "a"]


def test_numbers_of_one_shape_are_stacked():
    assert stacked([1.0, 2.0]).tolist() == [1.0, 2.0]
    assert stacked([np.zeros(2), torch.ones(2)]).tolist() == [[0, 0], [1, 1]]
    assert isinstance(stacked([np.zeros(2), np.zeros(3)]), list)
    assert isinstance(stacked([1.0, "a"]), list)


@pytest.mark.parametrize(
    ("answers", "told"),
    [
        ([{"a": 1, "b": 2}], "returns a, b: choose one, output = 'a'"),
        (["text"], "returns a str for each picture"),
        ([np.zeros(2, complex)], "returns an ndarray for each picture"),
        ([torch.zeros(0), torch.zeros(3)], r"gives \(0,\) or \(3,\) for one picture or another: use kind = 'boxes'"),
    ],
)
def test_what_is_no_tensor_says_what_there_is(answers, told):
    with pytest.raises(UsageError, match=f"a score is wanted, and the model {told}"):
        tensor_of(answers, "a score")


def test_names_of_the_outputs():
    assert names_of(torch.zeros(2, 3)) == names_of([]) == names_of(["text"]) == []
    assert names_of([{"a": 1, 2: 3}]) == ["a", "2"]
    assert names_of([Pair(1, 2)]) == ["boxes", "scores"]
    assert names_of([Target(1, 2, 3)]) == ["boxes", "labels", "scores"]
    assert names_of([[5, 6]]) == ["0", "1"]


def test_content_is_what_an_answer_says_without_clocks():
    """Boxes before text before all numbers; the seconds that a library took are no content."""
    corners, score, label = content_of({"boxes": CORNERS, "scores": SCORE, "labels": LABEL, "seconds": 1.5}, SHAPE)
    np.testing.assert_array_equal(corners, CORNERS)
    np.testing.assert_array_equal(score, SCORE)
    assert label == "3 5"
    assert content_of((["12.5"], 0.1), SHAPE) == ["12.5"]
    once, again = (content_of(things(probs=[0.5], speed={"inference": t}), SHAPE) for t in (1.0, 2.0))
    assert [leaf.tolist() for leaf in once] == [leaf.tolist() for leaf in again] == [0.5]


def test_leaves_are_numbers_and_texts_in_order():
    answer = {"a": [1, "x"], "b": things(c=np.array([True, False])), "d": None, "e": np.zeros(1, complex)}
    numbers = [leaf.tolist() if isinstance(leaf, np.ndarray) else leaf for leaf in leaves(answer)]
    assert numbers == [1.0, "x", [1.0, 0.0]]


def test_width_and_height_in_place_of_corners_are_noticed():
    with pytest.raises(InputError, match="are these x, y, width, height"):
        boxes_of(np.array([[20.0, 30, 4, 5]]), (64, 64))


def test_a_layer_whose_name_begins_like_the_output_is_a_layer():
    assert [part_of(name) for name in ("output", "output:a.b", "output_conv", "output.dense")] == [
        "",
        "a.b",
        None,
        None,
    ]
