"""Readers of operations that slide a window over a map: convolutions, pools, padding, resizing."""

from typing import Any

from perturb.operations import records
from perturb.operations.binding import Given, Reader
from perturb.operations.records import Operation, Stencil, pair


def _convolution(given: Given) -> Operation:
    weight, dilation, padding = given["weight"], pair(given.get("dilation", 1)), given.get("padding", 0)
    kernel = pair(weight.shape[2:])
    if padding == "same":
        rows, columns = (dilation[axis] * (kernel[axis] - 1) for axis in (0, 1))
        before, behind = (rows // 2, columns // 2), (rows - rows // 2, columns - columns // 2)
    else:
        before = behind = pair(0 if padding == "valid" else padding)
    stencil = Stencil(kernel, pair(given.get("stride", 1)), before, behind, dilation)
    return records.Convolution(given["input"], weight, stencil, given.get("groups", 1))


def _transposed_convolution(given: Given) -> Operation:
    weight, padding = given["weight"], pair(given.get("padding", 0))
    stride, dilation = pair(given.get("stride", 1)), pair(given.get("dilation", 1))
    stencil = Stencil(pair(weight.shape[2:]), stride, padding, padding, dilation)
    extra = pair(given.get("output_padding", 0))
    return records.TransposedConvolution(given["input"], weight, stencil, extra, given.get("groups", 1))


def _pooling(given: Given) -> Stencil:
    kernel, padding = pair(given["kernel_size"]), pair(given.get("padding", 0))
    stride = given.get("stride")  # None, or aten's empty list: windows side by side
    return Stencil(kernel, pair(stride) if stride else kernel, padding, padding, pair(given.get("dilation", 1)))


def _max_pool(given: Given) -> Operation | None:
    if given.get("return_indices"):
        return None
    return records.MaxPool(given["input"], _pooling(given), given.get("ceil_mode", False))


def _average_pool(given: Given) -> Operation:
    ceil, counted = given.get("ceil_mode", False), given.get("count_include_pad", True)
    return records.AveragePool(given["input"], _pooling(given), ceil, counted, given.get("divisor_override"))


def _adaptive_pool(kind: Any) -> Reader:
    def reader(given: Given) -> Operation | None:
        x, wanted = given["input"], given["output_size"]
        if given.get("return_indices") or len(x.shape) != 4:
            return None
        sizes = (wanted, wanted) if wanted is None or isinstance(wanted, int) else (wanted[0], wanted[-1])
        rows, columns = (x.shape[2 + axis] if n is None else int(n) for axis, n in enumerate(sizes))
        return records.AdaptivePool(x, (rows, columns), kind)

    return reader


def _padding(given: Given) -> Operation:
    widths = tuple(int(width) for width in given["pad"])
    return records.Padding(given["input"], widths, given.get("mode", "constant"))


def _resizing(given: Given) -> Operation | None:
    x, size, scale = given["input"], given.get("size"), given.get("scale_factor", 1)
    mode, antialias = given.get("mode", "nearest"), bool(given.get("antialias", False))
    if len(x.shape) != 4 or mode not in RESIZINGS:
        return None
    corners = given.get("align_corners")
    if size is not None:
        return records.Resizing(x, pair(size), mode, corners, antialias)
    rows, columns = (float(n) for n in ((scale[0], scale[-1]) if isinstance(scale, list | tuple) else (scale, scale)))
    wanted = int(x.shape[2] * rows), int(x.shape[3] * columns)
    told = given.get("recompute_scale_factor") is not True and mode != "area"
    return records.Resizing(x, wanted, mode, corners, antialias, (rows, columns) if told else None)


RESIZINGS = ("nearest", "nearest-exact", "bilinear", "bicubic", "area")
_POOL = "input kernel_size stride padding"
READERS: dict[str, tuple[str, Reader]] = {
    "conv2d": ("input weight bias stride padding dilation groups", _convolution),
    "conv_transpose2d": (
        "input weight bias stride padding output_padding groups dilation",
        _transposed_convolution,
    ),
    "max_pool2d": (f"{_POOL} dilation ceil_mode return_indices", _max_pool),
    "avg_pool2d": (f"{_POOL} ceil_mode count_include_pad divisor_override", _average_pool),
    "adaptive_avg_pool2d": ("input output_size", _adaptive_pool("mean")),
    "adaptive_max_pool2d": ("input output_size return_indices", _adaptive_pool("amax")),
    "pad": ("input pad mode value", _padding),
    "constant_pad_nd": ("input pad value", _padding),
    "interpolate": ("input size scale_factor mode align_corners recompute_scale_factor antialias", _resizing),
}
