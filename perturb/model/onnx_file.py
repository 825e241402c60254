"""An ONNX file as a model: checked, prepared by the sidecar beside it, and run by onnxruntime."""

import hashlib
import math
import os
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float

from perturb.errors import InputError, first_line
from perturb.files import WEIGHTS, check_regular, read_toml
from perturb.model.onnx_graph import Node, external_files, follow, unknown_operators
from perturb.model.preprocessing import Preprocessing
from perturb.operations import Pair, certificate
from perturb.records import Window
from perturb.sensor import steps_for

TYPES = {
    "tensor(float)": "float32",
    "tensor(float16)": "float16",
    "tensor(double)": "float64",
    "tensor(uint8)": "uint8",
}
KEYS = {
    "size": "[rows, columns]",
    "bounds": "[low, high]",
    "mean": "a list of numbers",
    "std": "a list of numbers",
    "sensor": "a table [sensor]",
}


@dataclass(frozen=True, slots=True)
class OnnxFile:
    """A checked file and its session in onnxruntime."""

    path: Path
    session: Any = field(repr=False)
    dtype: str
    batch: int | None  # pictures that the graph takes at once; None for any number
    channels_last: bool
    preprocessing: Preprocessing
    digest: str  # SHA-256 of the file, followed by the files of external data that it names
    nodes: tuple[Node, ...]  # the sliding windows that the picture reaches
    period: Pair | None  # the largest total stride of rows and of columns; see `follow`

    @property
    def input_shape(self) -> tuple[int, int, int]:
        return self.preprocessing.input_shape

    @property
    def outputs(self) -> tuple[str, ...]:
        return tuple(output.name for output in self.session.get_outputs())

    def function(self, pictures: Float[np.ndarray, "picture channel row column"]) -> dict[str, np.ndarray] | list[Any]:
        """All outputs by name for pictures in the network's own range: with a row for each, or else each one's own.

        What fails in onnxruntime raises its own exceptions.
        """
        x = np.moveaxis(pictures, 1, 3) if self.channels_last else pictures
        x = np.ascontiguousarray(x.round().clip(0, 255) if self.dtype == "uint8" else x, self.dtype)
        step = self.batch or len(x)
        parts = [self._answer(x[i : i + step], step) for i in range(0, len(x), step)]
        if self.rowwise and all(_has_rows(part, step) for part in parts):
            rows = [[answer[: len(x)] for answer in part] for part in parts]
            return {name: np.concatenate(one)[: len(x)] for name, *one in zip(self.outputs, *rows, strict=True)}
        alone = parts if step == 1 else [self._answer(one[None], 1) for one in x]
        return [dict(zip(self.outputs, answers, strict=True)) for answers in alone]

    @property
    def rowwise(self) -> bool:
        """Whether outputs may have a row a picture: not where the graph takes one, and leaves their number open."""
        return self.batch != 1 or all(output.shape and output.shape[0] == 1 for output in self.session.get_outputs())

    def _answer(self, x: np.ndarray, count: int) -> list[Any]:
        """The outputs for pictures that are repeated to fill a batch of `count`."""
        answers: list[Any] = self.session.run(
            None, {self.session.get_inputs()[0].name: np.resize(x, (count, *x.shape[1:]))}
        )
        return answers

    @property
    def windows(self) -> tuple[Window, ...]:
        """Certificates in the graph's order."""
        return tuple(certificate(*node) for node in self.nodes)


def _has_rows(answers: list[Any], count: int) -> bool:
    return all(getattr(answer, "shape", ())[:1] == (count,) for answer in answers)


def open_onnx(path: Path, *, size: Pair | None = None, device: str | torch.device = "cpu") -> OnnxFile:
    """The model in a file; `size` is (rows, columns) of a graph that leaves them open, in place of the sidecar's.

    The sidecar `FILE.toml` beside `FILE.onnx` may hold size, bounds, mean and std (see Preprocessing), and a table
    [sensor] as suites have it. `bounds` are (0, 1), or (0, 255) where the input is uint8. No code but onnxruntime's is
    run.
    Raises InputError, in one line, for what cannot be opened or measured.
    """
    onnxruntime, model = _read(path)
    session = _session(onnxruntime, model, path, torch.device(device))
    dtype, batch, *dims = _picture(session, path)
    last = dims[2] in (1, 3, 4) and dims[0] not in (1, 3, 4)
    channels, *fixed = (dims[2], *dims[:2]) if last else dims
    if channels is None:
        raise InputError(f"`{path}` leaves the number of channels open; export it with a fixed one.")
    beside = path.with_suffix(".toml")
    given = {"bounds": (0.0, 255.0 if dtype == "uint8" else 1.0)} | _sidecar(beside)
    asked, camera = given.pop("size", None), given.pop("sensor", None)
    rows, columns = _size(path, tuple(fixed), size or asked)
    try:
        preprocessing = Preprocessing(input_shape=(channels, rows, columns), **given)
        preprocessing = preprocessing if camera is None else _behind(camera, preprocessing)
    except (TypeError, ValueError) as error:
        raise InputError(f"`{beside}`: {error}") from error
    nodes, period = follow(model.graph, session.get_inputs()[0].name)
    return OnnxFile(path, session, dtype, batch, last, preprocessing, _digest(model, path), nodes, period)


def _read(path: Path) -> tuple[Any, Any]:
    """onnxruntime, and what the file says without the data that it keeps elsewhere."""
    try:
        import onnx
        import onnxruntime
    except ImportError as error:
        missing = (error.name or "onnxruntime").partition(".")[0]
        raise InputError(f"{missing} is not installed: `pip install 'perturb-suite[onnx]'`.") from error
    if not path.exists():
        raise InputError(f"there is no file `{path}`.")
    check_regular(path, limit=WEIGHTS)
    try:
        model = onnx.load(str(path), format="protobuf", load_external_data=False)
    except Exception as error:  # protobuf's own, which differ from version to version
        raise InputError(f"`{path}` is no ONNX file: {first_line(error)}.") from error
    if not model.graph.output:
        raise InputError(f"`{path}` is no ONNX file: it holds no graph.")
    return onnxruntime, model


def _session(onnxruntime: Any, model: Any, path: Path, device: torch.device) -> Any:
    """Rewrites of float graphs change rounding alone and stay on; those of quantised graphs change values."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = torch.get_num_threads()
    options.log_severity_level = 3  # errors
    options.add_session_config_entry("session.disable_quant_qdq", "1")
    providers: list[Any] = ["CPUExecutionProvider"]
    if device.type == "cuda" and "CUDAExecutionProvider" in onnxruntime.get_available_providers():
        providers.insert(0, ("CUDAExecutionProvider", {"device_id": device.index or 0, "use_tf32": 0}))
    try:
        return onnxruntime.InferenceSession(str(path), options, providers=providers)
    except Exception as error:  # a class for each of onnxruntime's statuses
        unknown = ", ".join(f"`{name}`" for name in unknown_operators(model))
        if unknown:
            raise InputError(f"`{path}` needs unknown operators: {unknown}; export it with ONNX's own.") from error
        reason = first_line(error).split(" : ", 3)[-1].rpartition(" failed:")[2]  # behind "[...] : 1 : FAIL : ..."
        raise InputError(f"onnxruntime does not open `{path}`: {reason}") from error


def _picture(session: Any, path: Path) -> tuple[Any, ...]:
    """Of the only input the type, the batch and the other three dimensions, None where the graph leaves one open."""
    inputs = {given.name: given for given in session.get_inputs()}
    if len(inputs) != 1:
        raise InputError(f"`{path}` has inputs {list(inputs)}, wanted the pictures alone; make others constants.")
    ((name, only),) = inputs.items()
    if only.type not in TYPES:
        raise InputError(f"`{path}`: input `{name}` is {only.type}, wanted one of {', '.join(TYPES)}.")
    if len(only.shape) != 4:
        raise InputError(
            f"`{path}`: input `{name}` has shape {only.shape}, wanted 4 dimensions, a batch of pictures with channels; "
            "volumes are not supported."
        )
    return TYPES[only.type], *(d if isinstance(d, int) and d > 0 else None for d in only.shape)


def _size(path: Path, fixed: tuple[int | None, ...], asked: Pair | None) -> Pair:
    """Rows and columns: those asked for, where they fit what the graph fixes."""
    rows, columns = asked or fixed
    if rows is None or columns is None:
        raise InputError(
            f"`{path}` takes pictures of any size; write `size = [rows, columns]` into `{path.with_suffix('.toml')}`."
        )
    if any(has not in (None, wanted) for has, wanted in zip(fixed, (rows, columns), strict=True)):
        raise InputError(
            f"`{path}` takes (rows, columns) of {fixed}, and size is {asked}; leave size out, or export another size."
        )
    return rows, columns


def _sidecar(path: Path) -> dict[str, Any]:
    given = read_toml(path) if os.path.lexists(path) else {}
    for key, value in given.items():
        if key not in KEYS:
            raise InputError(f"`{path}`: key `{key}` is unknown, expected {', '.join(KEYS)}.")
        if key == "sensor" and isinstance(value, dict):
            continue
        numbers = isinstance(value, list) and {type(n) for n in value} <= ({int} if key == "size" else {int, float})
        pair = key in ("size", "bounds")
        if not numbers or not value or not all(map(math.isfinite, value)) or (pair and len(value) != 2):
            raise InputError(f"`{path}`: `{key}` is {value!r}, wanted {KEYS[key]}.")
    return {key: value if key == "sensor" else tuple(value) for key, value in given.items()}


def _behind(camera: dict[str, Any], plain: Preprocessing) -> Preprocessing:
    """For pictures as the camera takes them. Raises ValueError where the steps do not end in the graph's own size."""
    keys, inside = dict(camera), plain.input_shape[1:]
    shape = keys.pop("shape", None)
    if not (isinstance(shape, list) and len(shape) == 2 and all(isinstance(n, int) and n > 0 for n in shape)):
        raise ValueError(f"[sensor] shape is {shape!r}, wanted [rows, columns] of the camera's pictures.")
    steps = steps_for(inside, None, keys)
    found = replace(plain, input_shape=(plain.input_shape[0], shape[0], shape[1]), steps=steps)
    if found.sensor is not None and found.sensor.inside != inside:
        raise ValueError(f"[sensor] ends in {found.sensor.inside} (rows, columns), and the graph takes {inside}.")
    return found


def _digest(model: Any, path: Path) -> str:
    digest = hashlib.sha256()
    for file in [path, *(path.parent / name for name in sorted(set(external_files(model))))]:
        if not file.is_file():
            raise InputError(f"`{path}` keeps weights in `{file}`, which is no file; put it there.")
        check_regular(file, limit=WEIGHTS)
        with file.open("rb") as opened:
            while part := opened.read(1 << 20):
                digest.update(part)
    return digest.hexdigest()
