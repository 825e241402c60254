"""A model in an ONNX file: it answers as torch does, and its graph says what the house's lint says."""

import hashlib
import sys
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn

from perturb import Preprocessing, load
from perturb.contribution import structural
from perturb.errors import InputError, UsageError
from perturb.model import Network
from perturb.model.onnx_file import open_onnx

onnx = pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")
helper, numpy_helper, TensorProto = onnx.helper, onnx.numpy_helper, onnx.TensorProto
FLOAT, SIDE = TensorProto.FLOAT, 16


def strided():
    """Every kind of window, a padded and a dilated one among them; 3 outputs."""
    return nn.Sequential(
        nn.Conv2d(3, 4, 3, 2, 1),
        nn.ReLU(),
        nn.MaxPool2d(3, 2, 1),
        nn.Conv2d(4, 4, (1, 3), 1, (0, 2), dilation=(1, 2), groups=2),
        nn.AvgPool2d(2),
        nn.Flatten(),
        nn.Linear(16, 3),
    ).eval()


def nodes_of(network, first="x"):
    """The nodes and initialisers of a sequence of layers; layer i gives `y{i}`."""
    nodes, weights, before = [], [], first
    for i, layer in enumerate(network):
        given, names = {}, [before]
        if isinstance(layer, nn.Conv2d | nn.ConvTranspose2d):
            given = {"strides": layer.stride, "pads": layer.padding * 2, "dilations": layer.dilation}
            given["group"] = layer.groups
            op = "Conv" if isinstance(layer, nn.Conv2d) else "ConvTranspose"
        elif isinstance(layer, nn.MaxPool2d | nn.AvgPool2d):
            size, stride, pad = ((n, n) for n in (layer.kernel_size, layer.stride, layer.padding))
            given = {"kernel_shape": size, "strides": stride, "pads": pad * 2}
            op = type(layer).__name__.removesuffix("2d").replace("Avg", "Average")
        elif isinstance(layer, nn.Linear):
            op, given = "Gemm", {"transB": 1}
        else:
            op = {"ReLU": "Relu", "Flatten": "Flatten", "Identity": "Identity"}[type(layer).__name__]
        for name, weight in layer.named_parameters():
            names.append(f"{name}{i}")
            weights.append(numpy_helper.from_array(weight.detach().numpy(), f"{name}{i}"))
        before = f"y{i}"
        nodes.append(helper.make_node(op, names, [before], name=f"layer{i}", **given))
    return nodes, weights


def write(path, nodes, weights=(), *, shape=("n", 3, SIDE, SIDE), dtype=FLOAT, outputs=None, inputs=None, opset=17):
    outputs = outputs or [nodes[-1].output[0]]
    graph = helper.make_graph(
        nodes,
        "graph",
        inputs or [helper.make_tensor_value_info("x", dtype, shape)],
        [helper.make_tensor_value_info(name, FLOAT, None) for name in outputs],
        list(weights),
    )
    opsets = [helper.make_opsetid("", opset), helper.make_opsetid("own", 1)]
    onnx.save(helper.make_model(graph, opset_imports=opsets, ir_version=8), path)
    return path


def node(op, inputs, output, **given):
    """Of inputs by name; `_` is one left out."""
    return helper.make_node(op, ["" if name == "_" else name for name in inputs.split()], [output], **given)


@pytest.fixture
def file(tmp_path):
    return tmp_path / "net.onnx"


@pytest.fixture
def pictures(rng):
    return rng.random((6, 3, SIDE, SIDE), dtype=np.float32)


def answers_of(network, pictures):
    with torch.no_grad():
        return network(torch.from_numpy(pictures)).numpy()


def complaint(path, **given):
    """What is said of a file that is refused: one line."""
    with pytest.raises((InputError, UsageError)) as caught:
        open_onnx(path, **given)
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize("batch", ["n", 1, 4])
def test_it_answers_as_torch_does_whatever_batch_the_graph_takes(file, pictures, batch):
    """Six pictures: at once, one by one, or as four and two that are repeated."""
    network = strided()
    model = open_onnx(write(file, *nodes_of(network), shape=(batch, 3, SIDE, SIDE)))
    found = model.function(pictures)
    assert list(found) == ["y6"] == list(model.outputs)
    np.testing.assert_allclose(found["y6"], answers_of(network, pictures), atol=1e-5)
    assert model.input_shape == (3, SIDE, SIDE)
    assert model.batch == (None if batch == "n" else batch)


def test_channels_may_lie_last(file, pictures):
    network = strided()
    nodes, weights = nodes_of(network, "first")
    nodes.insert(0, node("Transpose", "x", "first", perm=[0, 3, 1, 2]))
    assert open_onnx(write(file, nodes[:1], shape=("n", SIDE, 12, 3))).input_shape == (3, SIDE, 12)
    model = open_onnx(write(file, nodes, weights, shape=("n", SIDE, SIDE, 3)))
    np.testing.assert_allclose(model.function(pictures)["y6"], answers_of(network, pictures), atol=1e-5)
    assert model.period == (8, 8)


def test_a_shape_that_fits_both_ways_has_its_channels_first(file):
    write(file, [node("Identity", "x", "y")], shape=("n", 3, SIDE, 4))
    assert open_onnx(file).input_shape == (3, SIDE, 4)


def test_bytes_are_rounded_and_clipped(file):
    write(file, [node("Cast", "x", "y", to=FLOAT)], shape=("n", 1, 1, 4), dtype=TensorProto.UINT8)
    model = open_onnx(file)
    assert model.preprocessing == Preprocessing(input_shape=(1, 1, 4), bounds=(0, 255))
    pictures = np.array([-3, 0.6, 254.4, 300], np.float32).reshape(1, 1, 1, 4)
    assert model.function(pictures)["y"].ravel().tolist() == [0, 1, 254, 255]


@pytest.mark.parametrize("dtype", [TensorProto.FLOAT16, TensorProto.DOUBLE])
def test_pictures_are_cast_to_the_input_type(file, pictures, dtype):
    model = open_onnx(write(file, [node("Cast", "x", "y", to=FLOAT)], dtype=dtype))
    np.testing.assert_allclose(model.function(pictures)["y"], pictures, atol=1e-3)
    assert model.preprocessing.bounds == (0, 1)


@pytest.mark.parametrize("batch", ["n", 4])
def test_all_outputs_come_by_name(file, pictures, batch):
    network = strided()
    write(file, *nodes_of(network), outputs=["y6", "y2"], shape=(batch, 3, SIDE, SIDE))
    found = open_onnx(file).function(pictures)
    assert list(found) == ["y6", "y2"]
    np.testing.assert_allclose(found["y2"], answers_of(network[:3], pictures), atol=1e-5)
    np.testing.assert_allclose(found["y6"], answers_of(network, pictures), atol=1e-5)


def test_outputs_without_a_row_for_each_picture_are_asked_picture_by_picture(file, pictures):
    """As the boxes of a graph that ends in non-maximum suppression."""
    model = open_onnx(write(file, [node("ReduceMax", "x", "top", keepdims=0)]))
    found = model.function(pictures)
    np.testing.assert_allclose([float(one["top"]) for one in found], pictures.max((1, 2, 3)))


def test_the_sidecar_says_what_the_graph_leaves_open(file, pictures):
    network = nn.Sequential(nn.Conv2d(3, 2, 3, 2, 1))
    write(file, *nodes_of(network), shape=("n", 3, "rows", "columns"))
    assert f"write `size = [rows, columns]` into `{file.with_suffix('.toml')}`" in complaint(file)
    assert open_onnx(file, size=(32, 48)).input_shape == (3, 32, 48)
    file.with_suffix(".toml").write_text("size = [16, 16]\nbounds = [0, 255]\nmean = [1, 2, 3.5]\nstd = [2.0]\n")
    model = open_onnx(file)
    assert model.preprocessing == Preprocessing(input_shape=(3, 16, 16), bounds=(0, 255), mean=(1, 2, 3.5), std=(2.0,))
    np.testing.assert_allclose(model.function(pictures)["y0"], answers_of(network, pictures), atol=1e-5)
    assert open_onnx(file, size=(32, 48)).input_shape == (3, 32, 48)  # what is asked for counts most


def test_a_sidecar_may_name_the_camera(file, rng):
    """The graph is given what comes out of the steps: here each second row and each third column."""
    network = strided()
    write(file, *nodes_of(network))
    file.with_suffix(".toml").write_text('[sensor]\nshape = [32, 48]\ninterpolation = "nearest"\n')
    model = load(f"onnx:{file}", device="cpu")
    pictures = rng.random((2, 3, 32, 48), dtype=np.float32)
    assert model.input_shape == (3, 32, 48)
    found = model.measure(torch.from_numpy(pictures), "output:y6")
    np.testing.assert_allclose(found, answers_of(network, pictures[:, :, ::2, ::3].copy()), atol=1e-5)


def test_without_a_sidecar_pictures_are_taken_as_they_are(file):
    model = open_onnx(write(file, [node("Identity", "x", "y")]))
    assert model.preprocessing == Preprocessing(input_shape=(3, SIDE, SIDE))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("colour = 1", "key `colour` is unknown, expected size, bounds, mean, std, sensor."),
        ("mean = 0.5", "`mean` is 0.5, wanted a list of numbers."),
        ("mean = []", "`mean` is [], wanted a list of numbers."),
        ("std = [nan]", "`std` is [nan], wanted a list of numbers."),
        ("size = [16.0, 16.0]", "`size` is [16.0, 16.0], wanted [rows, columns]."),
        ("size = [true, true]", "`size` is [True, True], wanted [rows, columns]."),
        ("bounds = [0, 1, 2]", "`bounds` is [0, 1, 2], wanted [low, high]."),
        ("bounds = [1, 0]", "bounds must rise"),
        ("mean = [1, 2]", "mean and std must have 1 value or one for each of 3 channels"),
        ("size = [16, 20]", "takes (rows, columns) of (16, 16), and size is (16, 20); leave size out"),
        ("size = ", "not TOML"),
        ("sensor = 3", "`sensor` is 3, wanted a table [sensor]."),
        ("[sensor]\nresize = [16, 16]", "[sensor] shape is None, wanted [rows, columns]"),
        (
            "[sensor]\nshape = [32, 32]\nresize = [8, 16]",
            "[sensor] ends in (8, 16) (rows, columns), and the graph takes",
        ),
        ("[sensor]\nshape = [32, 32]\nfilter = 1", "`filter` is unknown, expected one of resize"),
        ('[sensor]\nshape = [32, 32]\nresize = "small"', "expected a number of pixels"),
    ],
)
def test_a_wrong_sidecar_is_named(file, text, message):
    write(file, [node("Identity", "x", "y")])
    file.with_suffix(".toml").write_text(text)
    assert message in complaint(file)


@pytest.mark.parametrize(
    ("shape", "dtype", "message"),
    [
        (("n", 1, 8, 8, 8), FLOAT, "wanted 4 dimensions, a batch of pictures with channels; volumes are not supported"),
        (("n", 48), FLOAT, "wanted 4 dimensions"),
        (("n", 3, 8, 8), TensorProto.STRING, "input `x` is tensor(string), wanted one of tensor(float)"),
        (("n", 3, 8, 8), TensorProto.INT32, "input `x` is tensor(int32), wanted"),
        (("n", "c", 8, 8), FLOAT, "leaves the number of channels open"),
    ],
)
def test_other_inputs_than_pictures_are_refused(file, shape, dtype, message):
    nodes = [node("Shape", "x", "sizes"), node("Cast", "sizes", "y", to=FLOAT)]
    assert message in complaint(write(file, nodes, shape=shape, dtype=dtype))


def test_two_inputs_are_refused(file):
    both = [helper.make_tensor_value_info(name, FLOAT, ("n", 3, 8, 8)) for name in ("left", "right")]
    write(file, [node("Sub", "left right", "y")], inputs=both)
    assert "has inputs ['left', 'right'], wanted the pictures alone" in complaint(file)


def test_weights_listed_as_inputs_are_no_inputs(file):
    """As in files of the first years."""
    nodes, weights = nodes_of(nn.Sequential(nn.Conv2d(3, 2, 3)))
    shapes = {"x": ("n", 3, SIDE, SIDE)} | {w.name: list(w.dims) for w in weights}
    write(file, nodes, weights, inputs=[helper.make_tensor_value_info(n, FLOAT, s) for n, s in shapes.items()])
    assert open_onnx(file).input_shape == (3, SIDE, SIDE)


@pytest.mark.parametrize("content", [b"", b"no protobuf at all", b"\x08\x08"])
def test_what_is_no_model_is_refused(file, content):
    file.write_bytes(content)
    assert f"`{file}` is no ONNX file" in complaint(file)


def test_a_broken_file_is_refused(file):
    write(file, *nodes_of(strided()))
    file.write_bytes(file.read_bytes()[:-100])
    assert f"`{file}` is no ONNX file" in complaint(file)


def test_a_graph_that_does_not_fit_together_is_refused(file):
    write(file, [node("Relu", "nothing", "y")])
    assert f"onnxruntime does not open `{file}`" in complaint(file)


def test_a_missing_file_is_named(file):
    assert complaint(file) == f"there is no file `{file}`."


@pytest.mark.parametrize(("domain", "name"), [("own", "own:Blur"), ("", "ai.onnx:Blur")])
def test_operators_that_nobody_knows_are_named(file, domain, name):
    write(file, [node("Relu", "x", "a"), node("Blur", "a", "y", domain=domain)])
    assert complaint(file) == f"`{file}` needs unknown operators: `{name}`; export it with ONNX's own."


def test_functions_of_the_file_itself_are_known(file, pictures):
    write(file, [node("Twice", "x", "y", domain="own")])
    model = onnx.load(file)
    body = [node("Add", "a a", "b")]
    model.functions.append(helper.make_function("own", "Twice", ["a"], ["b"], body, [helper.make_opsetid("", 17)]))
    onnx.save(model, file)
    np.testing.assert_allclose(open_onnx(file).function(pictures)["y"], 2 * pictures)
    model.graph.node.append(node("Blur", "x", "z", domain="own"))
    onnx.save(model, file)
    assert "unknown operators: `own:Blur`;" in complaint(file)


def test_external_data_stays_beside_the_file(file):
    nodes, weights = nodes_of(nn.Sequential(nn.Conv2d(3, 2, 3)))
    weights[0].ClearField("raw_data")
    weights[0].data_location = TensorProto.EXTERNAL
    weights[0].external_data.add(key="location", value="../elsewhere.bin")
    assert complaint(write(file, nodes, weights)).startswith(f"onnxruntime does not open `{file}`: ")


@pytest.mark.parametrize("missing", ["onnx", "onnxruntime"])
def test_a_missing_package_is_named(file, monkeypatch, missing):
    monkeypatch.setitem(sys.modules, missing, None)
    assert complaint(file) == f"{missing} is not installed: `pip install 'perturb-suite[onnx]'`."


def test_the_digest_covers_external_data(file, pictures):
    network = strided()
    write(file, *nodes_of(network))
    assert open_onnx(file).digest == hashlib.sha256(file.read_bytes()).hexdigest()
    onnx.save(onnx.load(file), file, save_as_external_data=True, location="net.bin", size_threshold=0)
    model = open_onnx(file)
    weights = file.with_name("net.bin")
    assert model.digest == hashlib.sha256(file.read_bytes() + weights.read_bytes()).hexdigest()
    np.testing.assert_allclose(model.function(pictures)["y6"], answers_of(network, pictures), atol=1e-5)
    assert len(model.windows) == 4
    weights.unlink()
    complaint(file)


def test_windows_are_those_of_the_structural_map(file):
    """The same certificates, but for the names, which are the graph's."""
    network = strided()
    expected = structural(
        Network(network, name="net", preprocessing=Preprocessing(input_shape=(3, SIDE, SIDE)))
    ).windows
    found = open_onnx(write(file, *nodes_of(network))).windows
    assert [w.name for w in found] == ["layer0", "layer2", "layer3", "layer4"]
    assert [replace(w, name="") for w in found] == [replace(w, name="") for w in expected]


def test_a_window_without_a_name_has_that_of_its_output(file):
    nodes, weights = nodes_of(nn.Sequential(nn.Conv2d(3, 2, 3)))
    nodes[0].name = ""
    (found,) = open_onnx(write(file, nodes, weights)).windows
    assert found.name == "y0"


def test_only_windows_over_the_picture_count(file):
    """Not one over a constant, not a transposed one, not one over a sequence or a volume."""
    ones = numpy_helper.from_array(np.ones((1, 3, 8, 8), np.float32), "ones")
    nodes, weights = nodes_of(nn.Sequential(nn.ConvTranspose2d(3, 2, 2, 2)))
    nodes += [
        node("MaxPool", "ones", "pooled", kernel_shape=[8, 8]),
        node("ReduceMax", "y0", "rows", axes=[3], keepdims=0),
        node("MaxPool", "rows", "thirds", kernel_shape=[3], strides=[3]),
        node("ReduceMax", "pooled", "level", keepdims=0),
        node("Add", "thirds level", "y"),
    ]
    model = open_onnx(write(file, nodes, [*weights, ones]))
    assert model.windows == ()
    assert model.period == (1, 1)


@pytest.mark.parametrize(
    ("padding", "expected"),
    [("VALID", (2, 1)), ("SAME_UPPER", (2, 1)), ("SAME_LOWER", (1, 2))],
)
def test_padding_to_the_same_size_shifts_the_coverage(file, padding, expected):
    """Of a kernel of 3 at stride 2; one more row before it decides which residue is covered twice."""
    weight = numpy_helper.from_array(np.ones((1, 3, 3, 3), np.float32), "w")
    nodes = [node("Conv", "x w", "y", strides=[2, 2], auto_pad=padding)]
    (window,) = open_onnx(write(file, nodes, [weight])).windows
    assert window.kernel == (3, 3)
    assert window.coverage == (expected, expected)
    assert not window.balanced


def test_quantised_convolutions_have_windows(file):
    """Of a kernel behind DequantizeLinear, of QLinearConv and of ConvInteger."""
    kernel = numpy_helper.from_array(np.ones((3, 3, 3, 5), np.int8), "w")
    scale = numpy_helper.from_array(np.float32(0.1), "s")
    zero, bias = numpy_helper.from_array(np.uint8(0), "z"), numpy_helper.from_array(np.int8(0), "b")
    nodes = [
        node("DequantizeLinear", "w s b", "wide"),
        node("Conv", "x wide", "a", strides=[2, 1]),
        node("QuantizeLinear", "a s z", "q"),
        node("QLinearConv", "q s z w s b s z", "r", strides=[1, 2]),
        node("ConvInteger", "r w z b", "i"),
        node("Cast", "i", "y", to=FLOAT),
    ]
    model = open_onnx(write(file, nodes, [kernel, scale, zero, bias], shape=("n", 3, 32, 32)))
    found = model.windows
    assert [(w.kind, w.kernel, w.stride) for w in found] == [
        ("Conv2d", (3, 5), (2, 1)),
        ("Conv2d", (3, 5), (1, 2)),
        ("Conv2d", (3, 5), (1, 1)),
    ]
    assert model.period == (2, 2)


def test_a_power_pool_has_its_window(file):
    (window,) = open_onnx(write(file, [node("LpPool", "x", "y", kernel_shape=[2, 2])])).windows
    assert (window.kind, window.stride, window.coverage) == ("LPPool2d", (1, 1), ((2,), (2,)))


def pool(before, after, down, right):
    return node("MaxPool", before, after, kernel_shape=[down, right], strides=[down, right])


SCALES = numpy_helper.from_array(np.array([1, 1, 2, 4], np.float32), "scales")
COMPUTED = [node("Shape", "x", "sizes")]


@pytest.mark.parametrize(
    ("nodes", "period"),
    [
        ([pool("x", "a", 2, 1), pool("a", "y", 2, 4)], (4, 4)),
        ([pool("x", "a", 2, 2), node("GlobalMaxPool", "x", "b"), node("Add", "a b", "y")], (2, 2)),
        ([node("Resize", "x _ scales", "a"), pool("a", "y", 8, 8)], (4, 2)),
        ([pool("x", "a", 4, 4), node("Resize", "a _ scales", "b"), pool("b", "y", 4, 4)], (8, 4)),
        ([pool("x", "a", 4, 4), *COMPUTED, node("Resize", "a _ _ sizes", "y")], None),
        ([pool("x", "a", 2, 2), pool("x", "b", 3, 3), node("GlobalMaxPool", "b", "c"), node("Add", "a c", "y")], None),
        (
            [pool("x", "a", 4, 4), node("Shape", "a", "n"), node("ConstantOfShape", "n", "b"), pool("b", "y", 2, 2)],
            (4, 4),
        ),
    ],
    ids="product parallel enlarged between computed coprime shape".split(),
)
def test_the_period_is_the_largest_product_of_strides(file, nodes, period):
    model = open_onnx(write(file, nodes, [SCALES], shape=(1, 3, 48, 48)))
    assert model.period == period


def test_an_output_left_out_feeds_nothing(file):
    """The mask of a dropout and the lower bound of a clip are both named ""."""
    ones = numpy_helper.from_array(np.ones((1, 3, 48, 48), np.float32), "ones")
    top = numpy_helper.from_array(np.float32(1), "top")
    drop = helper.make_node("Dropout", ["a"], ["b", ""])
    nodes = [pool("x", "a", 4, 4), drop, node("Clip", "ones _ top", "c"), pool("c", "d", 2, 2)]
    assert open_onnx(write(file, nodes, [ones, top], outputs=["b", "d"])).period == (4, 4)


def test_a_transposed_convolution_divides_the_period(file):
    network = nn.Sequential(nn.MaxPool2d(4), nn.ConvTranspose2d(3, 2, 2, 2), nn.MaxPool2d(2))
    assert open_onnx(write(file, *nodes_of(network))).period == (4, 4)
    assert open_onnx(write(file, *nodes_of(network[:1]))).period == (4, 4)
    assert open_onnx(write(file, *nodes_of(nn.Sequential(*network, nn.MaxPool2d(2))))).period == (8, 8)
