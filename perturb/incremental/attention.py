"""Attention: every position sees every other, so the difference of the whole map goes through, exactly."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from perturb import operations
from perturb.incremental.activations import Activation, CleanMaps, Difference, NoRuleError
from perturb.incremental.rules import MEMORY, Build, Everywhere, Linear, Product, Rule, only, product
from perturb.incremental.windows import Frame
from perturb.operations.binding import bind


class Softmax(Everywhere):
    """Over the last dimension."""

    dense = 0.25

    def __init__(self, node: Activation) -> None:
        super().__init__(node)
        self.cost = 8 * MEMORY * node.depth

    def read(self, *clean: Tensor) -> tuple[Tensor, ...]:
        return (clean[0].softmax(-1),)

    def change(self, differences: Sequence[Difference | None], clean: CleanMaps, frame: Frame | None) -> Tensor:
        return softmax(clean.at(None)[0], only(differences).values)


class Attention(Everywhere):
    """softmax(c q k^T + mask) v for queries, keys and values of shape (trial, head, token, channel)."""

    dense = 0.4

    def __init__(
        self, node: Activation, query: Activation, key: Activation, value: Activation, mask: Tensor | None, scale: float
    ) -> None:
        super().__init__(node)
        self.mask, self.scale = mask, scale
        scores = query.numbers // query.shape[-1] * key.shape[-2]
        self.cost = scores * (2 * (query.shape[-1] + value.shape[-1]) + 10 * MEMORY)

    def read(self, *clean: Tensor) -> tuple[Tensor, ...]:
        query, key, value = clean
        scores = self._scores(query, key)
        return query, key, value, (scores if self.mask is None else scores + self.mask).softmax(-1)

    def change(self, differences: Sequence[Difference | None], clean: CleanMaps, frame: Frame | None) -> Tensor:
        query, key, value, weights = clean.at(None)
        of_query, of_key, of_value = (None if move is None else move.values for move in differences)
        if of_query is None and of_key is None:
            return weights @ of_value  # type: ignore[operator]
        scores = product((query, key), (of_query, of_key), self._scores)
        return product((weights, value), (softmax(weights, scores), of_value), torch.matmul)

    def _scores(self, query: Tensor, key: Tensor) -> Tensor:
        return (self.scale * query) @ key.mT


def softmax(s: Tensor, d: Tensor) -> Tensor:
    """softmax(p + D) - s for s = softmax(p): s (e - E) / (1 + E) with e = exp(D) - 1 and E = sum(s e).

    D is first moved by a constant, which changes nothing: it is 0 where most weight lies, or where much weight leaves
    from there it is moved by a whole number more, which keeps 1 + E near 1.
    """
    d = d - d.gather(-1, s.argmax(-1, keepdim=True).expand(*d.shape[:-1], 1))
    top = d.amax(-1, keepdim=True)
    d -= ((s * (d - top).exp()).sum(-1, keepdim=True).clamp(min=1e-30).log() + top).round()
    e = torch.expm1(d)
    mean = (s * e).sum(-1, keepdim=True)
    return e.sub_(mean).mul_(s).div_(1 + mean)


@contextmanager
def batch_first() -> Iterator[None]:
    """Within it nn.MultiheadAttention keeps pictures in front, where a trace looks for them, and gives no weights."""
    plain = nn.MultiheadAttention.forward

    def forward(
        self: nn.MultiheadAttention, query: Tensor, key: Tensor, value: Tensor, *rest: Any, **options: Any
    ) -> tuple[Tensor, Tensor | None]:
        given = bind("key_padding_mask need_weights attn_mask average_attn_weights is_causal", rest, options) or {}
        usual = self.batch_first and query.ndim == 3 and self._qkv_same_embed_dim and not self.add_zero_attn
        masks = given.get("key_padding_mask"), given.get("attn_mask")
        if not usual or any(x is not None for x in (self.bias_k, *masks)):
            return plain(self, query, key, value, *rest, **options)
        biases = (None,) * 3 if self.in_proj_bias is None else self.in_proj_bias.chunk(3)
        heads = [
            F.linear(x, weight, bias).unflatten(-1, (self.num_heads, -1)).transpose(1, 2)
            for x, weight, bias in zip((query, key, value), self.in_proj_weight.chunk(3), biases, strict=True)
        ]
        return self.out_proj(F.scaled_dot_product_attention(*heads).transpose(1, 2).flatten(2)), None

    nn.MultiheadAttention.forward = forward  # type: ignore[method-assign]
    try:
        yield
    finally:
        nn.MultiheadAttention.forward = plain  # type: ignore[method-assign]


def _matmul(node: Activation, op: operations.Matmul) -> Rule:
    a, b = op.sides
    if any(isinstance(x, Activation) and x.layout for x in (a, b)):
        raise NoRuleError("matmul of maps")
    if isinstance(a, Activation) and isinstance(b, Activation):
        return Product(node, (a, b), torch.matmul, a.shape[-1])
    if isinstance(a, Activation):
        return Linear(node, a, lambda d: d @ b, a.shape[-1])
    return Linear(node, b, lambda d: a @ d, a.shape[-1])


def _einsum(node: Activation, op: operations.Einsum) -> Rule:
    parts = op.operands
    if not all(isinstance(x, Activation) and not x.layout for x in parts) or len(parts) != 2:
        raise NoRuleError("einsum of other than two activations without rows and columns")
    return Product(node, parts, lambda a, b: torch.einsum(op.equation, a, b), parts[0].shape[-1])


def _softmax(node: Activation, op: operations.Softmax) -> Rule:
    if op.x.layout or op.dim != len(op.x.shape) - 1:
        raise NoRuleError("softmax over other than the last dimension")
    return Softmax(node)


def _attention(node: Activation, op: operations.Attention) -> Rule:
    mask = op.mask
    if op.special or not all(isinstance(x, Activation) for x in (op.query, op.key, op.value)):
        raise NoRuleError("attention that is causal, or of which not all depends on the picture")
    if isinstance(mask, Activation) or (isinstance(mask, Tensor) and not mask.is_floating_point()):
        raise NoRuleError("attention with a mask")
    return Attention(node, op.query, op.key, op.value, mask, op.scale)


RULES: dict[Any, Build] = {
    operations.Matmul: _matmul,
    operations.Einsum: _einsum,
    operations.Softmax: _softmax,
    operations.Attention: _attention,
}
