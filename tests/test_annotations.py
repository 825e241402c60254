"""Annotation files become objects in pixels of the picture; whatever is wrong with them is one line."""

import json
from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from perturb.errors import InputError, PerturbWarning, UsageError
from perturb.images.annotated import Cutting, load_annotated
from perturb.images.annotation_files import read_annotations

CUTTING = Cutting(shape=(1, 16, 16), room=1, windows=4, each=4)


def picture(path, size=(24, 20), seed=0):
    """A grey picture of so many (columns, rows)."""
    path.parent.mkdir(parents=True, exist_ok=True)
    values = np.random.default_rng([seed, *path.name.encode()]).integers(0, 256, size[::-1], dtype=np.uint8)
    Image.fromarray(values).save(path)


def coco(path, images, annotations, **more):
    path.write_text(json.dumps({"images": images, "annotations": annotations, **more}))
    return path


def boxes_of(images):
    """The objects of each photograph in its own pixels, by name."""
    found = {}
    for number, owner in enumerate(images.photograph):
        boxes = images.objects.boxes[number]
        boxes = boxes[~np.isnan(boxes[:, 0])] + [*images.cut[number, :2], 0, 0]
        found.setdefault(images.names[owner], set()).update(tuple(row) for row in boxes.tolist())
    return found


@pytest.fixture
def folder(tmp_path):
    for name in ("a.png", "b.png"):
        picture(tmp_path / "pics" / name)
    return tmp_path / "pics"


def read(folder, file, **options):
    return load_annotated(folder, file, CUTTING, seed=0, **options)


def test_coco_boxes_are_x_y_width_height(folder, tmp_path):
    file = coco(
        tmp_path / "l.json",
        [{"id": 1, "file_name": "a.png", "width": 24, "height": 20}, {"id": "two", "file_name": "b.png"}],
        [
            {"image_id": 1.0, "bbox": [10.5, 4, 3, 2.5], "category_id": 7},
            {"image_id": "two", "segmentation": [[5, 6, 9, 6, 9, 8, 5, 8]], "category_id": 8},
        ],
        categories=[{"id": 7.0, "name": "scratch"}, {"id": 8, "name": "pit"}],
    )
    assert boxes_of(read(folder, file)) == {"a.png": {(4, 10.5, 2.5, 3)}, "b.png": {(6, 5, 2, 4)}}
    assert boxes_of(read(folder, file, classes=("pit",))).keys() == {"b.png"}


def test_what_coco_leaves_out_is_said_in_one_warning(folder, tmp_path):
    sound = {"image_id": 1, "bbox": [1, 2, 3, 4]}
    faulty = [
        {"image_id": 1, "bbox": [1, 2, 3, 4], "iscrowd": 1},
        {"image_id": 1, "bbox": [1, 2, 0, 4]},
        {"image_id": 1, "bbox": [1, 2, -3, 4]},
        {"image_id": 1, "bbox": [30, 2, 3, 4]},
        {"image_id": 1},
        {"image_id": 5, "bbox": [1, 2, 3, 4]},
        {"image_id": 2, "bbox": [1, 2, 3, 4]},
        {"image_id": 1, "bbox": [0, 0, 24, 20]},
    ]
    images = [{"id": 1, "file_name": "a.png"}, {"id": 2, "file_name": "gone.png"}]
    with pytest.warns(PerturbWarning) as told:
        found = read(folder, coco(tmp_path / "l.json", images, [sound, *faulty]))
    assert boxes_of(found) == {"a.png": {(2, 1, 4, 3), (0, 0, 20, 24)}}  # the large one is in view, and is not asked
    assert found.objects.asked.sum() == 1
    (warning,) = told
    for words in (
        "1 annotated objects left out, of crowds",
        "2 annotated objects left out, of no size",
        "1 annotated objects left out, outside their picture",
        "1 annotated objects left out, without a box",
        "1 annotated objects left out, of no image in the file",
        "1 annotated objects left out, in pictures that are not in the folder",
        "1 annotated objects left out, too large for the model's input",
    ):
        assert words in str(warning.message)


def test_a_box_that_leaves_its_picture_is_cut_to_it(folder, tmp_path):
    file = coco(tmp_path / "l.json", [{"id": 1, "file_name": "a.png"}], [{"image_id": 1, "bbox": [-2, 18, 5, 9]}])
    assert boxes_of(read(folder, file)) == {"a.png": {(18, 0, 2, 3)}}


@pytest.mark.parametrize(
    ("labels", "expected"),
    [
        ("0 0.5 0.25 0.25 0.1", (4, 9, 2, 6)),
        ("0 0.5 0.25 0.25 0.1 17", (4, 9, 2, 6)),  # a track
        ("0 0.25 0.1 0.5 0.1 0.5 0.2 0.25 0.2", (2, 6, 2, 6)),  # a polygon
    ],
)
def test_yolo_lines_are_shares_of_the_picture(folder, tmp_path, labels, expected):
    (tmp_path / "labels").mkdir()
    (tmp_path / "labels" / "a.txt").write_text(labels + "\n\n")
    (tmp_path / "labels" / "b.txt").write_text("")  # a picture without objects
    (tmp_path / "labels" / "classes.txt").write_text("speck\n")
    found = boxes_of(read(folder, tmp_path / "labels", classes=("speck",)))
    assert found.keys() == {"a.png"}
    assert next(iter(found["a.png"])) == pytest.approx(expected)


@pytest.mark.parametrize(
    ("file", "text"),
    [
        ("data.yaml", "nc: 2\nnames: ['pit', 'speck']\n"),  # Roboflow
        ("data.yaml", "names:\n  0: pit\n  1: speck\n"),  # Ultralytics
        ("obj.names", "pit\nspeck\n"),  # CVAT
    ],
)
def test_names_of_yolo_classes(tmp_path, file, text):
    for part in ("train", "valid"):
        picture(tmp_path / part / "images" / "same.png", seed=len(part))
    (tmp_path / "train" / "labels").mkdir()
    (tmp_path / "train" / "labels" / "same.txt").write_text("1 0.5 0.5 0.25 0.1")
    (tmp_path / "train.txt").write_text("train/images/same.png\n")  # a list of pictures is no label
    (tmp_path / file).write_text(text)
    found = boxes_of(read(tmp_path, tmp_path, classes=("speck",)))
    assert found.keys() == {"train/images/same.png"}  # labels/ finds the images/ beside it


def test_csv_of_boxes_points_and_corners(folder, tmp_path):
    boxes, points, corners = (tmp_path / f"{name}.csv" for name in ("boxes", "points", "corners"))
    boxes.write_text("file,x,y,width,height,class\na.png,10,4,3,2,pit\n")
    points.write_text("\ufeffFilename;X;Y\r\na.png;10.7;4.2\r\n\r\n")
    corners.write_text("filename,width,height,class,xmin,ymin,xmax,ymax\na.png,24,20,pit,10,4,13,6\n")
    assert boxes_of(read(folder, boxes)) == boxes_of(read(folder, corners)) == {"a.png": {(4, 10, 2, 3)}}
    assert boxes_of(read(folder, points)) == {"a.png": {(4, 10, 1, 1)}}


def test_masks_are_parts_of_each_label(folder, tmp_path):
    mask = np.zeros((20, 24), dtype=np.uint8)
    mask[2, 3] = mask[3, 4] = 1  # corners touch: one object
    mask[2:4, 5] = 2  # touches, with a label of its own
    mask[10:12, 8:12] = 1
    (tmp_path / "masks").mkdir()
    Image.fromarray(mask).save(tmp_path / "masks" / "a_mask.png")
    expected = {(2, 3, 2, 2), (2, 5, 2, 1), (10, 8, 2, 4)}
    assert boxes_of(read(folder, tmp_path / "masks")) == {"a.png": expected}
    assert boxes_of(read(folder, tmp_path / "masks", classes=("2",))) == {"a.png": {(2, 5, 2, 1)}}


@pytest.mark.parametrize("name", ["images\\a.png", "..\\..\\media\\upload\\4\\a.png", "/data/upload/a.png", "./a.png"])
def test_a_name_is_matched_by_its_last_folders(folder, tmp_path, name):
    """As exports of Windows and of label servers write them."""
    file = coco(tmp_path / "l.json", [{"id": 1, "file_name": name}], [{"image_id": 1, "bbox": [1, 2, 3, 4]}])
    assert boxes_of(read(folder, file)).keys() == {"a.png"}


def test_equal_names_in_two_folders_are_told_apart_or_refused(tmp_path):
    for part in ("left", "right"):
        picture(tmp_path / "pics" / part / "a.png", seed=len(part))
    file = tmp_path / "l.csv"
    file.write_text("file,x,y\nright/a.png,5,5\n")
    assert boxes_of(read(tmp_path / "pics", file)).keys() == {"right/a.png"}
    file.write_text("file,x,y\na.png,5,5\n")
    with pytest.raises(InputError, match=r"`a\.png` may be `left/a\.png` or `right/a\.png`: name its folder"):
        read(tmp_path / "pics", file)
    file.write_text("file,x,y\nright/a.png,5,5\nelse/right/a.png,6,6\n")
    with pytest.raises(InputError, match="are of one picture"):
        read(tmp_path / "pics", file)


def test_annotations_are_of_the_picture_upright(tmp_path):
    """24 columns and 20 rows in the file, turned by its EXIF orientation: 20 columns and 24 rows as it is shown."""
    values = np.random.default_rng(0).integers(0, 256, (20, 24), dtype=np.uint8)
    exif = Image.Exif()
    exif[0x0112] = 6
    (tmp_path / "pics").mkdir()
    Image.fromarray(values).save(tmp_path / "pics" / "a.png", exif=exif)
    file = coco(
        tmp_path / "l.json",
        [{"id": 1, "file_name": "a.png", "width": 20, "height": 24}],
        [{"image_id": 1, "bbox": [4, 9, 3, 2]}],
    )
    with pytest.warns(PerturbWarning, match="turned upright"):
        images = read(tmp_path / "pics", file)
    top, left = images.cut[0, :2].astype(int)
    (box,) = images.objects.boxes[0].astype(int)
    upright = np.rot90(values, -1)[9:11, 4:7] / np.float32(255)
    assert (box[0] + top, box[1] + left) == (9, 4)
    assert np.array_equal(images.pixels[0, 0, box[0] : box[0] + 2, box[1] : box[1] + 3], upright)


def test_copies_of_a_picture_are_one_photograph(folder, tmp_path):
    (folder / "copy.png").write_bytes((folder / "a.png").read_bytes())
    file = tmp_path / "l.csv"
    file.write_text("file,x,y\na.png,5,5\ncopy.png,5,5\nb.png,5,5\n")
    with pytest.warns(PerturbWarning, match="1 copies of others, dropped: copy.png"):
        assert read(folder, file).names == ("a.png", "b.png")


@pytest.mark.parametrize(
    ("name", "text", "kind", "fault"),
    [
        ("l.json", "{", InputError, "not JSON"),
        ("l.json", "[" * 100_000, InputError, "not JSON"),
        ("l.json", "null", InputError, "expected COCO, with images and annotations"),
        ("l.json", '{"shapes": []}', InputError, "This is LabelMe's"),
        ("l.json", '[{"image_id": 1, "score": 1}]', InputError, "These are detections"),
        ("l.json", '[{"data": 1}]', InputError, "Label Studio's own JSON"),
        (
            "l.json",
            '{"images": [{"id": 1}], "annotations": []}',
            InputError,
            "images.0: expected an id",
        ),
        (
            "l.json",
            '{"images": [{"id": 1, "file_name": "a"}, {"id": "1", "file_name": "b"}], "annotations": []}',
            InputError,
            "images.1: id 1 is given twice",
        ),
        ("l.csv", "a.png,1,2\n", InputError, "line 1: expected a header"),
        ("l.csv", "", InputError, "line 1: expected a header"),
        ("l.csv", "file,x,y\na.png,1\n", InputError, "line 2: y: expected a number, got 'nothing'"),
        ("l.csv", "file,x,y\na.png,nan,2\n", InputError, "line 2: x: expected a finite number"),
        ("l.xml", "<annotation/>", UsageError, "Export Pascal VOC files as COCO or YOLO"),
        ("l.zip", "", UsageError, "Unpack it"),
        ("train.txt", "a.png", UsageError, "Give the folder of the labels"),
        ("labels/a.txt", "0 0.5 0.5 0.1", InputError, "line 1: expected `class cx cy width height`, got 4 numbers"),
        ("labels/a.txt", "speck 0.5 0.5 0.1 0.1", InputError, "line 1: expected `class cx cy width height`, got"),
        ("labels/a.txt", "0 12 8 3 2", InputError, "line 1: expected shares of the picture, 0 to 1, got 12"),
        ("labels/a.txt", "0 nan 0.5 0.1 0.1", InputError, "line 1: expected shares of the picture"),
        ("labels/a.txt", "-1 0.5 0.5 0.1 0.1", InputError, "line 1: expected the number of a class"),
        ("labels/notes.md", "", InputError, "neither labels"),
    ],
)
def test_a_faulty_file_is_one_line(tmp_path, name, text, kind, fault):
    path = tmp_path / name
    path.parent.mkdir(exist_ok=True)
    path.write_text(text)
    with pytest.raises(kind, match="annotations `") as told:
        read_annotations(path.parent if name.startswith("labels/") else path)
    assert fault in str(told.value)
    assert "\n" not in str(told.value)


def test_a_class_without_a_name_and_a_faulty_data_yaml(tmp_path):
    (tmp_path / "a.txt").write_text("3 0.5 0.5 0.1 0.1")
    (tmp_path / "classes.txt").write_text("pit\n")
    with pytest.raises(InputError, match="class 3, but there are names for 0 to 0 alone"):
        read_annotations(tmp_path)
    (tmp_path / "classes.txt").unlink()
    for names in ("3", "{0: pit, one: speck}", "{0: pit, 2: speck}"):
        (tmp_path / "data.yaml").write_text(f"names: {names}\n")
        with pytest.raises(InputError, match=r"data.yaml`: names: expected a list"):
            read_annotations(tmp_path / "data.yaml")
    (tmp_path / "data.yaml").write_text("names: [!!python/object/apply:os.system ['true']]\n")
    with pytest.raises(InputError, match="not YAML"):
        read_annotations(tmp_path)


@pytest.mark.parametrize(
    ("values", "suffix", "fault"),
    [
        (np.zeros((4, 4, 3), dtype=np.uint8) + np.arange(3, dtype=np.uint8), ".png", "expected one channel of labels"),
        (np.zeros((4, 4), dtype=np.uint8), ".jpg", "expected one channel of labels, and no JPEG"),
        (np.indices((240, 240)).sum(0) % 2 * np.arange(1, 241), ".png", "more than 10000 objects"),
    ],
)
def test_faulty_masks(tmp_path, values, suffix, fault):
    Image.fromarray(values.astype(np.uint8)).save(tmp_path / f"a{suffix}")
    with pytest.raises(InputError, match=fault):
        read_annotations(tmp_path)


def test_file_and_pictures_must_go_together(folder, tmp_path):
    file = coco(tmp_path / "l.json", [{"id": 1, "file_name": "c.png"}], [{"image_id": 1, "bbox": [1, 2, 3, 4]}])
    with pytest.raises(InputError, match=r"names no picture of `.*`: it has `c\.png`, the folder `a\.png`"):
        read(folder, file)
    header = tmp_path / "header.csv"
    header.write_text("file,x,y,width,height,class\n")
    with pytest.raises(InputError, match=r"header\.csv`: says nothing of any picture"):
        read(folder, header)
    turned = {"id": 1, "file_name": "a.png", "width": 20, "height": 24}
    coco(file, [turned], [{"image_id": 1, "bbox": [1, 2, 3, 4]}])
    with pytest.raises(InputError, match=r"annotated as 24 x 20 .* shown as 20 x 24: .* EXIF orientation"):
        read(folder, file)
    coco(file, [{"id": 1, "file_name": "a.png"}], [{"image_id": 1, "bbox": [1, 2, 3, 4], "category_id": 1}])
    with pytest.raises(UsageError, match="'2' is none of annotations"):
        read(folder, file, classes=("2",))
    coco(file, [{"id": 1, "file_name": "a.png"}], [])
    with pytest.raises(InputError, match="no object to ask about"):
        read(folder, file)


def test_windows_hold_their_objects_wherever_they_move(tmp_path):
    """Objects at corners, on a picture larger and on one smaller than the window; each is asked about once or more."""
    for name, size in (("large.png", (90, 70)), ("small.png", (12, 10))):
        picture(tmp_path / "pics" / name, size)
    file = tmp_path / "l.csv"
    at = {"large.png": [(0, 0), (88, 68), (40, 30), (42, 31)], "small.png": [(0, 0), (10, 8)]}
    lines = [f"{name},{x},{y},2,2" for name, places in at.items() for x, y in places]
    file.write_text("file,x,y,width,height\n" + "\n".join(lines))
    cutting = Cutting(shape=(1, 16, 16), room=7, windows=9, each=4)
    images = load_annotated(tmp_path / "pics", file, cutting, seed=3)
    assert images.pixels.shape[2:] == (23, 23)
    asked = images.objects.boxes[images.objects.asked]
    assert asked[:, :2].min() >= 7
    assert (asked[:, :2] + asked[:, 2:]).max() <= 16
    names = np.array(images.names)[images.photograph]
    for name, places in at.items():
        own = [number for number, owner in enumerate(names) if owner == name]
        found = {
            tuple(box[:2] + images.cut[number, :2])
            for number in own
            for box in images.objects.boxes[number][images.objects.asked[number]]
        }
        assert found == {(y, x) for x, y in places}
    whole = np.asarray(Image.open(tmp_path / "pics" / "large.png")) / np.float32(255)
    for number in np.flatnonzero(names == "large.png"):
        top, left = images.cut[number, :2].astype(int)
        at_edge = np.pad(whole, 30, mode="edge")[top + 30 : top + 53, left + 30 : left + 53]
        assert np.array_equal(images.pixels[number, 0], at_edge)


def test_more_objects_than_a_window_asks_about_give_more_windows(folder, tmp_path):
    file = tmp_path / "l.csv"
    file.write_text("file,x,y\n" + "\n".join(f"a.png,{x},{y}" for x in range(4, 12, 2) for y in range(4, 12, 4)))
    images = load_annotated(folder, file, replace(CUTTING, windows=9, each=2), seed=0)
    assert len(images.pixels) >= 4
    assert set(images.objects.asked.sum(1).tolist()) == {2}  # one that is left over has company
    turns = Counter(
        tuple(np.add(box, [*images.cut[number, :2], 0, 0]))
        for number in range(len(images.pixels))
        for box in images.objects.boxes[number][images.objects.asked[number]]
    )
    assert len(turns) == 8
    assert max(turns.values()) <= 2
    with pytest.warns(PerturbWarning, match="6 annotated objects left out, beyond the windows of their photograph"):
        load_annotated(folder, file, replace(CUTTING, windows=1, each=2), seed=0)
