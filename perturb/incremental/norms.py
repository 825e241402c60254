"""Normalisation by statistics of the map itself: u = p - mean(p), r = (mean(u^2) + eps)^(-1/2), over some dimensions.

D' = (Du r' + u (r' - r)) w with r' - r = -Dv r^2 r'^2 / (r + r') and Dv = mean(2 u Du + Du^2).
"""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from perturb import operations
from perturb.incremental.activations import Activation, CleanMaps, Difference, NoRuleError
from perturb.incremental.rules import MEMORY, Build, Everywhere, Pass, Rule, Scale, only, whole
from perturb.incremental.windows import Frame


class LayerNorm(Pass):
    """Over the channels of each position or token, which are dimension `dim` here."""

    dense = 0.25

    def __init__(self, node: Activation, weight: Tensor | None, epsilon: float) -> None:
        super().__init__(node)
        self.dim = 1 if node.layout else -1
        like = (1, -1, 1, 1) if node.layout else (-1,)
        self.weight = torch.ones(()) if weight is None else weight.view(like)
        self.epsilon = epsilon
        self.cost = 8 * MEMORY * node.depth

    def read(self, *clean: Tensor) -> tuple[Tensor, ...]:
        return _read(clean[0], (self.dim,), self.epsilon)

    def change(self, differences: Sequence[Difference | None], clean: CleanMaps, frame: Frame | None) -> Tensor:
        return _change(only(differences).values, clean.at(frame), (self.dim,)).mul_(self.weight)


class GroupNorm(Everywhere):
    """Over all positions of some channels at a time: of one, instance normalisation; of all, a layer's over space.

    `weight` multiplies maps of (channel, row, column).
    """

    dense = 0.25

    def __init__(self, node: Activation, groups: int, weight: Tensor | None, epsilon: float) -> None:
        super().__init__(node)
        self.node, self.groups, self.epsilon = node, groups, epsilon
        self.weight = torch.ones(()) if weight is None else weight
        self.cost = 8 * MEMORY * node.depth

    def read(self, *clean: Tensor) -> tuple[Tensor, ...]:
        return _read(self._grouped(clean[0]), (2, 3, 4), self.epsilon)

    def change(self, differences: Sequence[Difference | None], clean: CleanMaps, frame: Frame | None) -> Tensor:
        found = _change(self._grouped(whole(only(differences), self.node)), clean.at(None), (2, 3, 4))
        return found.flatten(1, 2).mul_(self.weight)

    def _grouped(self, values: Tensor) -> Tensor:
        return values.unflatten(1, (self.groups, -1))


def _read(p: Tensor, dims: tuple[int, ...], epsilon: float) -> tuple[Tensor, Tensor]:
    u = p - p.mean(dims, keepdim=True)
    return u, (u.square().mean(dims, keepdim=True) + epsilon).rsqrt()


def _change(d: Tensor, clean: Sequence[Tensor], dims: tuple[int, ...]) -> Tensor:
    u, r = clean
    du = d - d.mean(dims, keepdim=True)
    dv = (du * (2 * u + du)).mean(dims, keepdim=True)
    after = (r**-2 + dv).rsqrt()
    apart = -dv * r**2 * after**2 / (r + after)
    return (du * after).add_(u * apart)


def _batch_norm(node: Activation, op: operations.BatchNorm) -> Rule:
    if op.mean is None or op.variance is None:
        raise NoRuleError("batch_norm with the batch's own statistics")
    factor = (op.variance + op.epsilon).rsqrt() * (1 if op.weight is None else op.weight)
    return Scale(node, factor.view(-1, *(1,) * (len(node.shape) - 2)))


def _layer_norm(node: Activation, op: operations.LayerNorm) -> Rule:
    if op.x.layout == "channels first" and op.over > 1:
        return GroupNorm(node, 1 if op.over == 3 else op.x.shape[1], op.weight, op.epsilon)
    if op.x.layout == "channels first" or op.over > 1:
        raise NoRuleError("layer_norm over columns alone, or over tokens")
    return LayerNorm(node, op.weight, op.epsilon)


def _group_norm(node: Activation, op: operations.GroupNorm) -> Rule:
    if len(op.x.shape) != 4:
        raise NoRuleError("group_norm of other than maps")
    return GroupNorm(node, op.groups, None if op.weight is None else op.weight.view(-1, 1, 1), op.epsilon)


RULES: dict[Any, Build] = {
    operations.BatchNorm: _batch_norm,
    operations.LayerNorm: _layer_norm,
    operations.GroupNorm: _group_norm,
}
