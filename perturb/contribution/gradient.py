"""Gradient maps, measured on pictures: `energy`, `target` (Kim et al. 2023), `centre` (Luo et al. 2016)."""

from collections.abc import Callable, Iterator, Sequence

import numpy as np
import torch
from jaxtyping import Float
from scipy.optimize import OptimizeWarning, curve_fit
from torch import Tensor

from perturb.contribution.kinds import DEFAULTS, Options
from perturb.contribution.period import place
from perturb.contribution.reach import receptive_field
from perturb.errors import InputError, UsageError
from perturb.precision import full_float32
from perturb.protocols import Differentiable
from perturb.records import Contribution, GaussianFit, ReceptiveField
from perturb.sensor import sensor_of
from perturb.streams import stream

Pictures = Float[np.ndarray, "image channel row column"]
BATCH = {"cpu": 4, "cuda": 16}  # pictures at once: on a CPU more of them leave the cache
WORTH_CROPPING = 0.7  # of the picture: beyond it a crop saves little


@full_float32()
def energy(
    model: Differentiable, pictures: Pictures, layer: str = "output", options: Options = DEFAULTS
) -> Contribution:
    """S(p) = sqrt(E sum_c (d v'F(x) / d x_{c,p})^2) over pictures x and Rademacher probes v; F is what `layer` gives.

    S^2 is an unbiased estimate of the squared Frobenius norm of the Jacobian's column at pixel p: signs cannot cancel.
    `pictures` are fractions of the raw pixel range. The value does not depend on the batch beyond rounding.
    Raises InputError where the gradient is not finite or zero everywhere.
    """
    probes = options.probes
    total = torch.zeros(model.input_shape[1:], dtype=torch.float64, device=model.device)
    for start, x, y in _forward(model, pictures, layer, options.batch):
        for probe in range(probes):
            signs = np.stack(
                [
                    stream(options.seed, f"energy/{start + i}/{probe}").integers(0, 2, y.shape[1:], dtype=np.int8)
                    for i in range(len(y))
                ]
            )
            v = torch.from_numpy(signs).to(y.device, non_blocking=True) * 2 - 1
            (gradient,) = torch.autograd.grad((v * y).sum(), x, retain_graph=probe < probes - 1)
            total += gradient.double().square().sum((0, 1))
        options.tick(len(y))
    return _record(model, (total / (len(pictures) * probes)).sqrt(), "energy", layer, len(pictures), options.period)


def target(
    model: Differentiable, pictures: Pictures, layer: str = "output", options: Options = DEFAULTS
) -> Contribution:
    """Sum over pictures of relu(mean_c d y_target / d x_c): the map of Kim et al. (2023).

    The target is number `output` of what `layer` gives, or each picture's largest. Of a map of several positions it is
    the mean of channel `output`, which must be given: the largest number would be of one position alone.
    Gradients are taken image by image, in batches. Raises UsageError for a target that is missing or does not exist.
    """

    def of_target(y: Tensor) -> Tensor:
        if y[0].numel() == max(y.shape[1:], default=1):
            y = y.flatten(1)
        elif options.output is None:
            raise UsageError(
                f"{model.name}: `{layer}` gives a map of {' x '.join(map(str, y.shape[1:]))}, of which the target must "
                f"be named: --target CHANNEL, 0 to {y.shape[1] - 1}; or ask --kind energy."
            )
        else:
            y = y.flatten(2).mean(2)
        if options.output is None:
            return y.amax(1)
        if not 0 <= options.output < y.shape[1]:
            raise UsageError(f"{model.name} has outputs 0 to {y.shape[1] - 1}, not {options.output}.")
        return y[:, options.output]

    total = _rectified(model, pictures, layer, of_target, options)
    return _record(model, total, "target", layer, len(pictures), options.period)


def centre(model: Differentiable, pictures: Pictures, layer: str, options: Options = DEFAULTS) -> Contribution:
    """Sum over pictures of relu(mean_c d z / d x_c), z the channel mean of the central unit of `layer`.

    The effective receptive field of Luo et al. (2016); of an even grid the unit below and right of the middle. Where
    that unit sees a part of the picture only, the network is run on that part: the gradient is the same.
    """
    rows, columns, unit = _seen_by_centre(model, pictures[:1], layer)

    def of_centre(y: Tensor) -> Tensor:
        return y[:, :, unit[0], unit[1]].mean(1)

    total = torch.zeros(model.input_shape[1:], dtype=torch.float64, device=model.device)
    total[rows, columns] = _rectified(model, pictures[:, :, rows, columns], layer, of_centre, options)
    return _record(model, total, "centre", layer, len(pictures), options.period)


def _seen_by_centre(model: Differentiable, picture: Pictures, layer: str) -> tuple[slice, slice, tuple[int, int]]:
    """The rows and columns that the central unit sees, in whole strides, and its place in the map of that crop.

    The whole picture where a crop would save little, where a larger one gives the unit another value (a gate sees
    everything), or where the network takes none.
    """
    try:
        field = receptive_field(model, layer)
    except InputError:
        rows, columns = _map(model, picture, layer).shape[2:]
        return slice(None), slice(None), (rows // 2, columns // 2)
    unit = field.positions[0] // 2, field.positions[1] // 2
    strided = field.stride is not None and min(field.stride) > 0  # not behind an enlargement or a transposition
    if field.size is not None and strided and sensor_of(model) is None:
        near, far = (_around(field, unit, picture.shape[2:], strides) for strides in (0, 1))
        worth = picture[:, :, near[0], near[1]].size <= WORTH_CROPPING * picture.size
        if worth and _alike(model, picture, layer, near, far):
            return near
    return slice(None), slice(None), unit


def _alike(model: Differentiable, picture: Pictures, layer: str, *crops: tuple[slice, slice, tuple[int, int]]) -> bool:
    """Whether both crops give the unit inside them the same value."""
    try:
        seen, again = (
            _map(model, picture[:, :, rows, columns], layer)[..., inside[0], inside[1]]
            for rows, columns, inside in crops
        )
    except Exception:  # the user's own code may take no other size
        return False
    return torch.allclose(seen, again, rtol=1e-3, atol=1e-5)


def _around(
    field: ReceptiveField, unit: tuple[int, int], size: Sequence[int], margin: int
) -> tuple[slice, slice, tuple[int, int]]:
    """What the unit sees of a picture, and `margin` strides more on all sides; the unit's place in that crop's map."""
    assert field.size is not None
    assert field.stride is not None
    assert field.offset is not None
    crop, inside = [], []
    for axis, stride in enumerate(field.stride):
        first = field.offset[axis] + stride * unit[axis]
        start = max(0, (first // stride - margin) * stride)
        stop = min(size[axis], (-(-(first + field.size[axis]) // stride) + margin) * stride)
        crop.append(slice(start, stop))
        inside.append(unit[axis] - start // stride)
    return crop[0], crop[1], (inside[0], inside[1])


def _map(model: Differentiable, pictures: Pictures, layer: str) -> Tensor:
    with torch.inference_mode():
        x = torch.from_numpy(np.ascontiguousarray(pictures, dtype=np.float32))
        return model.propagate(model.normalise(x), layer, folded=True)


def fit_gaussian(values: Float[np.ndarray, "row column"]) -> GaussianFit:
    """Least-squares fit of a axis-parallel 2-D Gaussian to a map; sigmas in pixels. Raises InputError if none fits."""
    rows, columns = np.indices(values.shape)
    weight = values / values.sum()
    centre_of = [float((axis * weight).sum()) for axis in (rows, columns)]
    spread = [
        max(0.5, float(np.sqrt((((axis - c) ** 2) * weight).sum())))
        for axis, c in zip((rows, columns), centre_of, strict=True)
    ]

    def gaussian(
        at: tuple[np.ndarray, np.ndarray], height: float, row: float, column: float, s_row: float, s_column: float
    ) -> np.ndarray:
        return height * np.exp(-0.5 * (((at[0] - row) / s_row) ** 2 + ((at[1] - column) / s_column) ** 2))

    at = (rows.ravel(), columns.ravel())
    try:
        best, _ = curve_fit(gaussian, at, values.ravel(), [values.max(), *centre_of, *spread])
    except (RuntimeError, OptimizeWarning) as error:
        raise InputError(f"no Gaussian fits this map: {error}") from error
    residual = values.ravel() - gaussian(at, *best)
    r_squared = 1 - float((residual**2).sum() / ((values - values.mean()) ** 2).sum())
    return GaussianFit(sigma_row=abs(float(best[3])), sigma_column=abs(float(best[4])), r_squared=r_squared)


def _forward(
    model: Differentiable, pictures: Pictures, layer: str, batch: int | None
) -> Iterator[tuple[int, Tensor, Tensor]]:
    """Batch by batch: the number of its first picture, the pictures, and what `layer` gives for them."""
    batch = batch or BATCH[model.device.type]
    for start in range(0, len(pictures), batch):
        x = torch.from_numpy(np.asarray(pictures[start : start + batch], dtype=np.float32))
        x = x.to(model.device, non_blocking=True).requires_grad_()
        with torch.enable_grad():
            y = model.propagate(model.normalise(x), layer, folded=True)
        if y.is_complex():
            raise InputError(f"{model.name}: `{layer}` gives complex numbers; ask for a layer before it.")
        yield start, x, y


@full_float32()
def _rectified(
    model: Differentiable, pictures: Pictures, layer: str, scalar: Callable[[Tensor], Tensor], options: Options
) -> Float[Tensor, "row column"]:
    """Images do not meet in evaluation mode: one backward pass of the batch's sum gives each image's own gradient."""
    total = torch.zeros(pictures.shape[2:], dtype=torch.float64, device=model.device)
    for _, x, y in _forward(model, pictures, layer, options.batch):
        (gradient,) = torch.autograd.grad(scalar(y).sum(), x)
        total += gradient.double().mean(1).relu().sum(0)
        options.tick(len(y))
    return total


def _record(
    model: Differentiable,
    total: Float[Tensor, "row column"],
    kind: str,
    layer: str,
    images: int,
    period: int | tuple[int, int] | None,
) -> Contribution:
    values = total.cpu().numpy()
    if not np.isfinite(values).all():
        raise InputError(f"{model.name}: the gradient of `{layer}` is not finite.")
    if not values.any():
        raise InputError(f"{model.name}: the gradient of `{layer}` is zero everywhere{_zeros(model)}.")
    scaled = values / values.sum()
    return Contribution(values=scaled, kind=kind, layer=layer, images=images, **place(model, layer, period))


def _zeros(model: Differentiable) -> str:
    """Names weights that make it so, as the last layer of some networks begins."""
    zeros = [name for name, p in model.module.named_parameters() if p.ndim > 1 and not p.any()]
    return f": the weights `{zeros[-1]}` are all 0; load trained ones, or ask for a layer before them" if zeros else ""
