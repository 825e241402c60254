"""Which of a layer's dimensions are rows and columns."""

from torch import Tensor


def lie(output: Tensor, ratio: float) -> tuple[bool, bool]:
    """Whether channels may lie first, and whether last."""
    _, first, second, third = output.shape
    return second == round(ratio * third), first == round(ratio * second)


def as_map(output: object, ratio: float, last: bool = False) -> Tensor | None:
    """(n, channel, row, column) from a layer's output: channels first or last, or tokens on a square grid.

    `last`: where the shape allows both, channels lie last.
    """
    if not isinstance(output, Tensor) or not output.is_floating_point():
        return None
    shape = output.shape
    if output.ndim == 4:
        first, behind = lie(output, ratio)
        if behind and (last or not first):
            return output.permute(0, 3, 1, 2)
        if first:
            return output
    if output.ndim == 3 and ratio == 1:
        for extra in (0, 1):  # with or without a class token in front
            side = round((shape[1] - extra) ** 0.5)
            if side > 1 and side * side == shape[1] - extra:
                return output[:, extra:].transpose(1, 2).unflatten(2, (side, side))
    return None
