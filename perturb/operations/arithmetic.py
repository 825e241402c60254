"""Readers of sums, products, reductions and attention."""

from typing import Any

from perturb.operations import records
from perturb.operations.binding import Given, Reader
from perturb.operations.records import Operation


def _linear(given: Given) -> Operation:
    return records.Linear(given["input"], given["weight"])


def _matmul(given: Given) -> Operation:
    return records.Matmul((given["input"], given["other"]))


def _einsum(given: Given) -> Operation:
    return records.Einsum(given["equation"], tuple(given["operands"]))


def _softmax(given: Given) -> Operation | None:
    x, dim = given["input"], given.get("dim")
    return None if dim is None else records.Softmax(x, dim % len(x.shape))


def _attention(given: Given) -> Operation:
    query, scale = given["query"], given.get("scale")
    special = any(given.get(name) for name in ("dropout_p", "is_causal", "enable_gqa"))
    scale = query.shape[-1] ** -0.5 if scale is None else scale
    return records.Attention(query, given["key"], given["value"], given.get("attn_mask"), scale, special)


def _multi_head_attention(given: Given) -> Operation:
    return records.MultiHeadAttention(given["query"], given["value"])


def _sum(sign: float) -> Reader:
    def reader(given: Given) -> Operation:
        return records.Sum((given["input"], given["other"]), (1, sign * given.get("alpha", 1)))

    return reader


def _subtraction_from(given: Given) -> Operation:
    return records.Sum((given["input"], given["other"]), (-given.get("alpha", 1), 1))


def _product(given: Given) -> Operation:
    return records.Product((given["input"], given["other"]))


def _extremum(given: Given) -> Operation:
    return records.Extremum((given["input"], given["other"]))


def _division(given: Given) -> Operation | None:
    return None if given.get("rounding_mode") else records.Division(given["input"], given["other"])


def _reduction(kind: Any) -> Reader:
    def reader(given: Given) -> Operation:
        x, dims = given["input"], given.get("dim")
        count = len(x.shape)
        chosen = [dims] if isinstance(dims, int) else dims or range(count)
        return records.Reduction(x, tuple(dim % count for dim in chosen), given.get("keepdim", False), kind)

    return reader


_REDUCED = "input dim/axis keepdim/keepdims"
_MULTI_HEAD = """
    query key value embed_dim_to_check num_heads in_proj_weight in_proj_bias bias_k bias_v add_zero_attn dropout_p
    out_proj_weight out_proj_bias training key_padding_mask need_weights attn_mask use_separate_proj_weight
    q_proj_weight k_proj_weight v_proj_weight static_k static_v average_attn_weights is_causal
"""
READERS: dict[str, tuple[str, Reader]] = {
    **dict.fromkeys("add __add__ __radd__ __iadd__".split(), ("input other * alpha", _sum(1))),
    **dict.fromkeys("sub subtract __sub__ __isub__".split(), ("input other * alpha", _sum(-1))),
    **dict.fromkeys(["rsub", "__rsub__"], ("input other * alpha", _subtraction_from)),
    **dict.fromkeys("mul multiply __mul__ __rmul__ __imul__".split(), ("input other", _product)),
    **dict.fromkeys(
        "div divide true_divide __truediv__ __itruediv__".split(), ("input other * rounding_mode", _division)
    ),
    **dict.fromkeys(["maximum", "minimum"], ("input other", _extremum)),
    **dict.fromkeys("matmul __matmul__ bmm mm".split(), ("input other/mat2/tensor2", _matmul)),
    "linear": ("input weight bias", _linear),
    "einsum": ("equation operands... * path", _einsum),
    "softmax": ("input dim/axis dtype _stacklevel", _softmax),
    "mean": (f"{_REDUCED} * dtype", _reduction("mean")),
    "sum": (f"{_REDUCED} * dtype", _reduction("sum")),
    "amax": (_REDUCED, _reduction("amax")),
    "scaled_dot_product_attention": (
        "query key value attn_mask dropout_p is_causal * scale enable_gqa",
        _attention,
    ),
    "multi_head_attention_forward": (_MULTI_HEAD, _multi_head_attention),
}
