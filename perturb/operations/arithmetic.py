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


def _sum_with_product(given: Given) -> Operation:
    return records.SumWithProduct(given["input"], (given["tensor1"], given["tensor2"]), given.get("value", 1))


def _extremum(given: Given) -> Operation:
    return records.Extremum((given["input"], given["other"]))


def _division(given: Given) -> Operation | None:
    return None if given.get("rounding_mode") else records.Division(given["input"], given["other"])


def _choice(given: Given) -> Operation:
    return records.Choice(given["condition"], (given["input"], given["other"]))


def _masked(given: Given) -> Operation:
    return records.Choice(given["mask"], (given["value"], given["input"]))


def _reduction(kind: Any) -> Reader:
    def reader(given: Given) -> Operation:
        return records.Reduction(given["input"], _dims(given), given.get("keepdim", False), kind)

    return reader


def _statistic(pair: bool) -> Reader:
    def reader(given: Given) -> Operation | None:
        if isinstance(given.get("dim"), bool):  # `unbiased`, in the place of `dim`
            given = {"input": given["input"]}
        return records.Statistic(given["input"], _dims(given), given.get("keepdim", False), pair)

    return reader


def _dims(given: Given) -> tuple[int, ...]:
    """All of them where none are given."""
    dims, count = given.get("dim"), len(given["input"].shape)
    chosen = [dims] if isinstance(dims, int) else dims or range(count)
    return tuple(dim % count for dim in chosen)


_REDUCED = "input dim/axis keepdim/keepdims"
_SPREAD = "input dim/axis unbiased keepdim/keepdims * correction dtype"
_NORM = "input/A/x ord dim keepdim * dtype out"
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
    "addcmul": ("input tensor1 tensor2 * value", _sum_with_product),
    **dict.fromkeys(["maximum", "minimum"], ("input other", _extremum)),
    **dict.fromkeys("matmul __matmul__ bmm mm".split(), ("input other/mat2/tensor2", _matmul)),
    "linear": ("input weight bias", _linear),
    "einsum": ("equation operands... * path", _einsum),
    "softmax": ("input dim/axis dtype _stacklevel", _softmax),
    "mean": (f"{_REDUCED} * dtype", _reduction("mean")),
    "sum": (f"{_REDUCED} * dtype", _reduction("sum")),
    "amax": (_REDUCED, _reduction("amax")),
    **dict.fromkeys(["std", "var"], (_SPREAD, _statistic(pair=False))),
    **dict.fromkeys(["std_mean", "var_mean"], (_SPREAD, _statistic(pair=True))),
    **dict.fromkeys(["amin", "logsumexp", "prod"], (f"{_REDUCED} * dtype", _statistic(pair=False))),
    "norm": ("input p dim keepdim out dtype", _statistic(pair=False)),
    **dict.fromkeys(["linalg_norm", "linalg_vector_norm"], (_NORM, _statistic(pair=False))),
    "where": ("condition input other", _choice),
    "masked_fill": ("input mask value", _masked),
    "scaled_dot_product_attention": (
        "query key value attn_mask dropout_p is_causal * scale enable_gqa",
        _attention,
    ),
    "multi_head_attention_forward": (_MULTI_HEAD, _multi_head_attention),
}
