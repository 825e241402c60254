"""Real libraries' models and result objects, with random weights: what is read equals what the library says itself."""

import numpy as np
import pytest
import torch
from torch import nn

from perturb import Preprocessing, load
from perturb.answers import boxes_of, text_of
from perturb.contribution import KINDS
from perturb.errors import InputError, UsageError
from perturb.images import load_images
from perturb.model import BlackBox, Network
from perturb.plan import pictures_for
from perturb.stories.qualify import Bench, Context, examine
from perturb.suite import parse_suite

pytestmark = pytest.mark.filterwarnings("ignore")  # the libraries' own

SIDE = 64
SMALL = Preprocessing(input_shape=(3, SIDE, SIDE))
PHOTO = Preprocessing(input_shape=(3, SIDE, SIDE), bounds=(0, 255), layout="HWC", dtype="uint8", arrays="numpy")
SHAPE = (SIDE, SIDE)
CORNERS = np.array([[1.0, 2.0, 11.0, 22.0], [3.0, 4.0, 33.0, 14.0]], np.float32)
SCORE = np.array([0.75, 0.25], np.float32)
LABEL = np.array([3, 5])
SUITE = """
name = "same-network"
seed = 1
[images]
source = "dead-leaves"
count = 12
[map]
kind = "response"
period = 4
share = 0.25
[evaluator]
kind = "score"
target = 1
[[check]]
name = "box"
perturbation = { kind = "box", size = 8 }
level = 0.8
pairs = 4
claim = { at_most = 0.2 }
"""


class Small(nn.Module):
    """A classifier of stride 4 that reads a few pixels more than others."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.body = nn.Sequential(nn.Conv2d(3, 8, 3, 2, 1), nn.ReLU(), nn.Conv2d(8, 8, 3, 2, 1), nn.ReLU())
        self.head = nn.Linear(8, 3)

    def forward(self, x):
        return self.head(self.body(x).amax((2, 3)))


def noise(count, side=SIDE):
    return torch.rand(count, 3, side, side, generator=torch.Generator().manual_seed(7))


def assert_boxes(found, corners, score, label):
    np.testing.assert_allclose(found.corners, np.asarray(corners, float).reshape(-1, 4), rtol=1e-4, atol=1e-3)
    np.testing.assert_allclose(found.score, np.asarray(score, float), rtol=1e-4, atol=1e-6)
    assert found.label.tolist() == [str(int(n)) for n in label]


def known(found):
    assert_boxes(found, CORNERS, SCORE, LABEL)


# One network in many forms


def as_onnx(folder, batch=None):
    pytest.importorskip("onnx")
    pytest.importorskip("onnxruntime")
    path = folder / "net.onnx"
    axes = {} if batch else {"x": {0: "batch"}, "logits": {0: "batch"}}
    torch.onnx.export(
        Small().eval(),
        (torch.zeros(batch or 2, 3, SIDE, SIDE),),
        str(path),
        input_names=["x"],
        output_names=["logits"],
        dynamic_axes=axes,
        dynamo=False,
    )
    return load(f"onnx:{path}", device="cpu")


def box(function, **how):
    return BlackBox(function, preprocessing=Preprocessing(input_shape=(3, SIDE, SIDE), **how))


def exported():
    batch = torch.export.Dim("batch", min=1, max=512)
    return torch.export.export(Small().eval(), (noise(2),), dynamic_shapes=({0: batch},)).module()


def no_gradient(x):
    with torch.no_grad():
        return Small().eval()(x)


FORMS = {
    "function": lambda folder: box(no_gradient),
    "function of numpy, channels last": lambda folder: box(
        lambda x: no_gradient(torch.from_numpy(x).permute(0, 3, 1, 2)).numpy(), layout="NHWC", arrays="numpy"
    ),
    "function of one picture": lambda folder: box(lambda x: no_gradient(x[None])[0], layout="CHW"),
    "dictionary": lambda folder: box(lambda x: {"logits": no_gradient(x)}),
    "list of floats for each picture": lambda folder: box(lambda x: [np.array(row) for row in no_gradient(x).tolist()]),
    "scripted": lambda folder: box(torch.jit.script(Small().eval())),
    "traced": lambda folder: box(torch.jit.trace(Small().eval(), noise(1))),
    "exported": lambda folder: box(exported()),
    "onnx": as_onnx,
    "onnx of 4 pictures": lambda folder: as_onnx(folder, 4),
}


@pytest.fixture(scope="module")
def asked():
    suite = parse_suite(SUITE, "same.perturb.toml")
    bench = Bench(pictures=pictures_for(suite, SMALL.input_shape), controls=())

    def ask(model):
        run = examine(model, suite, Context(bench=bench))
        return run.report.findings[0], run.measured["box"].seen.evidence

    return ask


@pytest.fixture(scope="module")
def wanted(asked):
    return asked(Network(Small(), name="module", preprocessing=SMALL))


@pytest.mark.parametrize("form", FORMS)
def test_one_network_has_one_verdict_in_every_form(asked, wanted, tmp_path, form):
    """The same evidence to 1e-4 at the same places, and so the same effect."""
    finding, evidence = asked(FORMS[form](tmp_path))
    assert finding.verdict == wanted[0].verdict
    assert finding.effect.value == wanted[0].effect.value
    assert evidence.std() > 1e-3
    np.testing.assert_allclose(evidence, wanted[1], rtol=1e-4, atol=1e-4)


def test_the_only_output_of_a_graph_goes_by_its_name(tmp_path):
    model = as_onnx(tmp_path)
    x = noise(3)
    torch.testing.assert_close(model.measure(x, "output:logits"), model.measure(x))
    torch.testing.assert_close(model.measure(x, "output:logits.1"), model.measure(x)[:, 1])
    with pytest.raises(UsageError, match="`output` = 'nothing'"):
        model.measure(x, "output:nothing")


def test_a_lone_box_of_a_graph_is_no_row(tmp_path):
    """A graph for one picture, whose number of boxes is open: one bright cell is one box, two are two."""
    onnx = pytest.importorskip("onnx")
    pytest.importorskip("onnxruntime")
    h, kind = onnx.helper, onnx.TensorProto
    nodes = [
        h.make_node("ReduceMax", ["x"], ["grey"], axes=[0, 1], keepdims=0),
        h.make_node("Greater", ["grey", "half"], ["bright"]),
        h.make_node("NonZero", ["bright"], ["found"]),
        h.make_node("Transpose", ["found"], ["places"], perm=[1, 0]),
        h.make_node("Cast", ["places"], ["top"], to=kind.FLOAT),
        h.make_node("Concat", ["top", "top"], ["boxes"], axis=1),
    ]
    graph = h.make_graph(
        nodes,
        "boxes",
        [h.make_tensor_value_info("x", kind.FLOAT, [1, 3, 8, 8])],
        [h.make_tensor_value_info("boxes", kind.FLOAT, ["found", 4])],
        [onnx.numpy_helper.from_array(np.array(1.5, np.float32), "half")],
    )
    path = tmp_path / "boxes.onnx"
    onnx.save(h.make_model(graph, opset_imports=[h.make_opsetid("", 13)], ir_version=8), str(path))
    path.with_suffix(".toml").write_text("bounds = [0, 2]")
    pictures = torch.zeros(3, 3, 8, 8)
    pictures[1, :, 2, 3] = pictures[2, :, 4, 5] = pictures[2, :, 6, 7] = 1
    answers = load(f"onnx:{path}", device="cpu").measure(pictures)
    assert [len(boxes_of(answer, (8, 8)).corners) for answer in answers] == [0, 1, 2]
    assert boxes_of(answers[1], (8, 8)).corners.tolist() == [[2, 3, 2, 3]]


# Networks of libraries


@pytest.mark.parametrize(
    "name", ["fasterrcnn_mobilenet_v3_large_320_fpn", "fcos_resnet50_fpn", "keypointrcnn_resnet50_fpn"]
)
def test_torchvision_detectors(name):
    from torchvision.models import get_model

    torch.manual_seed(0)
    every = {"score_thresh": 0.0, "detections_per_img": 5}
    if "rcnn" in name:
        every = {f"box_{key}": value for key, value in every.items()} | {"rpn_post_nms_top_n_test": 50}
    module = get_model(name, weights=None, weights_backbone=None, min_size=SIDE, max_size=SIDE, **every).eval()
    model = Network(module, name=name, preprocessing=SMALL)
    x = noise(2)
    with torch.no_grad():
        own = [module(one[None])[0] for one in x]
    for answer, one in zip(model.measure(x), own, strict=True):
        assert len(one["boxes"])
        assert_boxes(boxes_of(answer, SHAPE), one["boxes"], one["scores"], one["labels"])


@pytest.mark.parametrize("name", ["lraspp_mobilenet_v3_large", "deeplabv3_mobilenet_v3_large"])
def test_torchvision_segmenters(name):
    model = load(f"torchvision:{name}", device="cpu")
    x = noise(2)
    with torch.no_grad():
        own = model.module(model.normalise(x))["out"]
    for layer in ("output", "output:out"):
        torch.testing.assert_close(model.measure(x, layer), own, rtol=1e-3, atol=1e-4)


def saved(folder, model, processor=None):
    model.save_pretrained(folder)
    if processor is not None:
        processor.save_pretrained(folder)
    return load(f"transformers:{folder}", device="cpu")


def test_transformers_classifier(tmp_path):
    t = pytest.importorskip("transformers")
    config = t.ResNetConfig(embedding_size=8, hidden_sizes=[8] * 4, depths=[1] * 4, layer_type="basic", num_labels=4)
    module = t.ResNetForImageClassification(config).eval()
    processor = t.ViTImageProcessor(size={"height": SIDE, "width": SIDE})
    model = saved(tmp_path, module, processor)
    x = noise(2)
    given = processor(images=[(one.permute(1, 2, 0) * 255).round().byte().numpy() for one in x], return_tensors="pt")
    with torch.no_grad():
        own = module(**given).logits
    torch.testing.assert_close(model.measure((x * 255).round() / 255, "output:logits"), own, rtol=1e-3, atol=1e-4)


def test_transformers_segmenter(tmp_path):
    t = pytest.importorskip("transformers")
    sizes = {"hidden_sizes": [8, 8, 16, 16], "depths": [1] * 4, "num_attention_heads": [1, 1, 2, 2]}
    module = t.SegformerForSemanticSegmentation(t.SegformerConfig(**sizes, decoder_hidden_size=16, num_labels=3)).eval()
    model = saved(tmp_path, module, t.SegformerImageProcessor(size={"height": SIDE, "width": SIDE}))
    assert model.measure(noise(2)).shape == (2, 3, SIDE // 4, SIDE // 4)


def yolos(t):
    sizes = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 32}
    config = t.YolosConfig(**sizes, image_size=[SIDE, SIDE], patch_size=16, num_detection_tokens=6, num_labels=3)
    return t.YolosForObjectDetection(config), t.YolosImageProcessor


def detr(t):
    body = t.ResNetConfig(
        embedding_size=8, hidden_sizes=[8] * 4, depths=[1] * 4, layer_type="basic", out_features=["stage4"]
    )
    sizes = {f"{part}_{what}": n for part in ("encoder", "decoder") for what, n in SIZES.items()}
    config = t.DetrConfig(
        use_timm_backbone=False, backbone=None, backbone_config=body, d_model=16, num_queries=6, num_labels=3, **sizes
    )
    return t.DetrForObjectDetection(config), t.DetrImageProcessor


def rt_detr(t):
    body = t.RTDetrResNetConfig(
        embedding_size=8,
        hidden_sizes=[8, 8, 16, 16],
        depths=[1] * 4,
        layer_type="basic",
        out_features=["stage2", "stage3", "stage4"],
    )
    widths = {"encoder_hidden_dim": 16, "encoder_ffn_dim": 16, "d_model": 16, "decoder_ffn_dim": 16}
    config = t.RTDetrConfig(
        backbone_config=body,
        encoder_in_channels=[8, 16, 16],
        decoder_in_channels=[16] * 3,
        decoder_layers=1,
        decoder_attention_heads=2,
        encoder_attention_heads=2,
        num_queries=6,
        num_labels=3,
        num_denoising=0,
        **widths,
    )
    return t.RTDetrForObjectDetection(config), t.RTDetrImageProcessor


SIZES = {"layers": 1, "ffn_dim": 16, "attention_heads": 2}


@pytest.mark.parametrize("make", [yolos, detr, rt_detr])
def test_transformers_detectors(tmp_path, make):
    """The best box of each picture is the one of the library's own post-processing, with its score and label."""
    t = pytest.importorskip("transformers")
    torch.manual_seed(0)
    module, kind = make(t)
    processor = kind(size={"height": SIDE, "width": SIDE})
    model = saved(tmp_path, module.eval(), processor)
    x = noise(2)
    with torch.no_grad():
        raw = model.module(model.normalise(x))
    own = processor.post_process_object_detection(raw, threshold=0.0, target_sizes=torch.tensor([SHAPE] * 2))
    for answer, one in zip(model.measure(x), own, strict=True):
        found = boxes_of(answer, SHAPE)
        best, theirs = found.score.argmax(), one["scores"].argmax()
        assert found.score[best] == pytest.approx(float(one["scores"][theirs]), rel=1e-4)
        np.testing.assert_allclose(found.corners[best], one["boxes"][theirs], rtol=1e-3, atol=1e-2)
        assert found.label[best] == str(int(one["labels"][theirs]))


def test_transformers_that_want_blue_first_are_refused(tmp_path):
    t = pytest.importorskip("transformers")
    config = t.MobileViTConfig(image_size=SIDE, hidden_sizes=[16] * 3, neck_hidden_sizes=[8] * 7, num_labels=3)
    with pytest.raises(InputError, match="do_flip_channel_order"):
        saved(tmp_path, t.MobileViTForImageClassification(config), t.MobileViTImageProcessor())


def test_segmentation_models_pytorch():
    smp = pytest.importorskip("segmentation_models_pytorch")
    module = smp.Unet("mobilenet_v2", encoder_weights=None, classes=2, aux_params={"classes": 3}).eval()
    model = Network(module, name="unet", preprocessing=SMALL)
    x = noise(2)
    with torch.no_grad():
        mask, label = module(x)
    torch.testing.assert_close(model.measure(x, "output:0"), mask, rtol=1e-3, atol=1e-3)
    torch.testing.assert_close(model.measure(x, "output:1.2"), label[:, 2], rtol=1e-3, atol=1e-3)


def test_timm_features():
    timm = pytest.importorskip("timm")
    module = timm.create_model("resnet10t", features_only=True, pretrained=False).eval()
    model = Network(module, name="features", preprocessing=SMALL)
    x = noise(2)
    with torch.no_grad():
        own = module(x)
    for number, maps in enumerate(own):
        torch.testing.assert_close(model.measure(x, f"output:{number}"), maps, rtol=1e-3, atol=1e-4)


@pytest.fixture(scope="module")
def padim():
    kind = pytest.importorskip("anomalib.models.image.padim.torch_model").PadimModel
    torch.manual_seed(0)
    module = kind(backbone="resnet18", layers=["layer1", "layer2"], pre_trained=False, n_features=10).train()
    with torch.no_grad():
        module(noise(16))
    module.fit()
    return module.eval()


def test_anomalib(padim):
    model = Network(padim, name="padim", preprocessing=SMALL)
    x = noise(2)
    with torch.no_grad():
        own = padim(x)
    torch.testing.assert_close(model.measure(x, "output:anomaly_map"), own.anomaly_map, rtol=1e-3, atol=1e-3)
    torch.testing.assert_close(model.measure(x, "output:pred_score"), own.pred_score, rtol=1e-3, atol=1e-3)


def test_a_model_without_gradients_is_asked_for_its_response(padim):
    model = Network(padim, name="padim", preprocessing=SMALL)
    pictures = np.asarray(load_images("noise", shape=SMALL.input_shape, count=4).pixels)
    with pytest.raises(InputError, match=r"gives no gradient; ask for \[map\] kind = 'response'"):
        KINDS["energy"](model, pictures, "output:anomaly_map")


def test_scikit_learn():
    from sklearn.linear_model import LogisticRegression

    rng = np.random.default_rng(0)
    learnt = LogisticRegression().fit(rng.random((40, 3 * 8 * 8)), np.arange(40) % 3)
    model = BlackBox(
        lambda x: learnt.predict_proba(x.reshape(len(x), -1)),
        preprocessing=Preprocessing(input_shape=(3, 8, 8), arrays="numpy"),
    )
    x = noise(5, 8)
    np.testing.assert_allclose(model.measure(x), learnt.predict_proba(x.flatten(1).numpy()), rtol=1e-5)


# Result objects of libraries


def test_ultralytics_results():
    results = pytest.importorskip("ultralytics.engine.results")
    rows = torch.tensor(np.column_stack([CORNERS, SCORE, LABEL]))
    picture, names = np.zeros((*SHAPE, 3), np.uint8), dict(enumerate("abcdef"))
    found = results.Results(picture, path="", names=names, boxes=rows)
    known(boxes_of(found, SHAPE))
    known(boxes_of([found], SHAPE))
    empty = results.Results(picture, path="", names=names, boxes=rows[:0])
    assert len(boxes_of([empty], SHAPE).score) == 0


@pytest.mark.parametrize("task", ["", "-seg", "-pose", "-obb"])
def test_ultralytics_as_its_predict_answers(task):
    ultralytics = pytest.importorskip("ultralytics")
    torch.manual_seed(0)
    yolo = ultralytics.YOLO(f"yolov8n{task}.yaml", verbose=False)
    model = BlackBox(lambda x: yolo.predict(x, imgsz=SIDE, conf=0.0, max_det=5, verbose=False), preprocessing=PHOTO)
    x = noise(2)
    for answer, one in zip(model.measure(x), x, strict=True):
        given = (one.permute(1, 2, 0) * 255).round().byte().contiguous().numpy()
        (own,) = yolo.predict(given, imgsz=SIDE, conf=0.0, max_det=5, verbose=False)
        boxes = own.boxes if own.boxes is not None else own.obb
        assert len(boxes)
        assert_boxes(boxes_of(answer, SHAPE), boxes.xyxy, boxes.conf, boxes.cls)


def test_ultralytics_classifier():
    """Its answers hold the seconds that they took, which change from call to call."""
    ultralytics = pytest.importorskip("ultralytics")
    yolo = ultralytics.YOLO("yolov8n-cls.yaml", verbose=False)
    model = BlackBox(lambda x: yolo.predict(x, imgsz=SIDE, verbose=False), preprocessing=PHOTO)
    found = model.measure(noise(2), "output:probs.data")
    assert found.shape == (2, 1000)
    torch.testing.assert_close(found.sum(1), torch.ones(2))


def test_supervision():
    sv = pytest.importorskip("supervision")
    known(boxes_of(sv.Detections(xyxy=CORNERS, confidence=SCORE, class_id=LABEL), SHAPE))
    assert len(boxes_of(sv.Detections.empty(), SHAPE).score) == 0


def test_sahi():
    prediction = pytest.importorskip("sahi.prediction")
    from PIL import Image

    listed = [
        prediction.ObjectPrediction(
            bbox=corners.tolist(),
            category_id=int(label),
            category_name="dot",
            score=float(score),
            full_shape=list(SHAPE),
        )
        for corners, score, label in zip(CORNERS, SCORE, LABEL, strict=True)
    ]
    known(boxes_of(listed, SHAPE))
    picture = Image.new("RGB", SHAPE)
    known(boxes_of(prediction.PredictionResult(object_prediction_list=listed, image=picture), SHAPE))
    assert len(boxes_of(prediction.PredictionResult(object_prediction_list=[], image=picture), SHAPE).score) == 0


@pytest.mark.parametrize("classes", [1, 6])
def test_maite(classes):
    """Scores of a target are one number a box, or one for each class."""
    generic = pytest.importorskip("maite.protocols.object_detection")
    from dataclasses import dataclass

    @dataclass
    class Target:
        boxes: np.ndarray
        labels: np.ndarray
        scores: np.ndarray

    assert hasattr(generic, "ObjectDetectionTarget")
    scores = SCORE if classes == 1 else SCORE[:, None] * np.eye(6, dtype=np.float32)[LABEL]
    known(boxes_of(Target(boxes=CORNERS, labels=LABEL, scores=scores), SHAPE))


def page(text):
    cv2 = pytest.importorskip("cv2")
    picture = np.full((48, 176, 3), 230, np.uint8)
    return cv2.putText(picture, text, (20, 35), cv2.FONT_HERSHEY_SIMPLEX, 1, (20, 20, 20), 2)


READ = {"use_det": False, "use_cls": False, "use_rec": True}
FIND = {"use_det": True, "use_cls": False, "use_rec": False}


@pytest.mark.parametrize("package", ["rapidocr_onnxruntime", "rapidocr"])
def test_rapidocr(package):
    ocr = pytest.importorskip(package).RapidOCR()
    assert "12345" in text_of(ocr(page("12345"), **READ))
    found = boxes_of(ocr(page("12345"), **FIND), (48, 176))
    (x1, y1, x2, y2) = found.corners[0]
    assert 0 < x1 < 30
    assert 100 < x2 < 140
    assert 0 <= y1 < 20 < 35 < y2 <= 48
    blank = np.full((48, 176, 3), 230, np.uint8)
    assert len(boxes_of(ocr(blank, **FIND), (48, 176)).score) == 0
