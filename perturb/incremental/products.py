"""Products of differences and weights.

oneDNN reorders weights at every call unless they are packed beforehand, as torch's compiler does. On small windows
reordering takes as long as the product.
"""

import torch
from torch import Tensor
from torch.nn import functional as F

from perturb.incremental.windows import Pair

NEEDED = "_reorder_convolution_weight _convolution_pointwise _reorder_linear_weight _linear_pointwise"
ONEDNN = torch.backends.mkldnn.is_available() and all(hasattr(torch.ops.mkldnn, name) for name in NEEDED.split())
WORTH_PACKING = {"position": 1 << 15, "window": 1 << 16}  # number of weights from which packing pays


class Weights:
    """A convolution's weights (out, in / groups, row, column), packed at their first use."""

    def __init__(self, weight: Tensor, groups: int = 1) -> None:
        self.weight, self.groups = weight, groups
        self.of_position = weight.shape[2:] == (1, 1) and groups == 1
        self.packed: Tensor | None = None

    def halve(self) -> None:
        """Convert to bfloat16. Grouped weights stay: their products are too small to gain."""
        if self.groups == 1:
            self.weight = self.weight.bfloat16()

    @property
    def packs(self) -> bool:
        """Whether packing pays. It always does for bfloat16: torch is slow there without oneDNN."""
        worth = self.weight.numel() >= WORTH_PACKING["position" if self.of_position else "window"]
        return ONEDNN and self.groups == 1 and (worth or self.weight.dtype == torch.bfloat16)

    def over(self, values: Tensor, padding: Pair = (0, 0), stride: Pair = (1, 1), dilation: Pair = (1, 1)) -> Tensor:
        """The convolution of differences (trial, channel, row, column) without bias, in float32."""
        if self.of_position:  # skips what the stride passes over
            values, stride = values[:, :, :: stride[0], :: stride[1]], (1, 1)
        values, window = values.to(self.weight.dtype), (padding, stride, dilation, self.groups)
        on_cpu = values.device.type == "cpu"
        if self.of_position and (self.packs or not on_cpu):
            return self._at_positions(values.permute(0, 2, 3, 1)).permute(0, 3, 1, 2).float()
        if not (self.packs and on_cpu):
            return F.conv2d(values, self.weight, None, stride, padding, dilation, self.groups).float()
        if self.packed is None:
            reorder = torch.ops.mkldnn._reorder_convolution_weight
            half = self.weight.dtype == torch.bfloat16
            self.packed = self.weight if half else reorder(self.weight, *window, values.shape)
        found: Tensor = torch.ops.mkldnn._convolution_pointwise(values, self.packed, None, *window, "none", [], "")
        return found.float()

    def _at_positions(self, lines: Tensor) -> Tensor:
        """A 1 x 1 kernel as one matrix product: a packed convolution would need another order for each window size."""
        if lines.device.type != "cpu":
            return F.linear(lines.contiguous(), self.weight.flatten(1))
        if self.packed is None:
            self.packed = torch.ops.mkldnn._reorder_linear_weight(self.weight.flatten(1), None)
        found: Tensor = torch.ops.mkldnn._linear_pointwise(lines, self.packed, None, "none", [], "")
        return found
