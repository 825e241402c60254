"""Which of a layer's dimensions are rows and columns."""

from torch import Tensor


def lie(output: Tensor, ratio: float) -> tuple[bool, bool]:
    """Whether channels may lie first, and whether last."""
    _, first, second, third = output.shape
    return second == round(ratio * third), first == round(ratio * second)


EXTRA = 16  # tokens ahead of the picture's: classes, distillation, registers


def extra_tokens(output: object, grid: tuple[int, int]) -> int | None:
    """How many tokens lie ahead of those of this grid; None where the output is no list of tokens of such a picture."""
    if not isinstance(output, Tensor) or not output.is_floating_point() or output.ndim != 3:
        return None
    extra = output.shape[1] - grid[0] * grid[1]
    return extra if 0 <= extra <= EXTRA and grid[0] * grid[1] > 1 else None


def as_map(output: object, ratio: float, last: bool = False, extra: int | None = None) -> Tensor | None:
    """(n, channel, row, column) from a layer's output: channels first or last, or tokens on a grid.

    `last`: where the shape allows both, channels lie last. `extra` tokens lie ahead of the grid's, of the picture's
    proportions; where that is not known, none or one, of a square grid.
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
    if output.ndim == 3 and extra is not None:
        count = shape[1] - extra
        rows = round((count * ratio) ** 0.5)
        if rows > 1 and count % rows == 0:
            return output[:, extra:].transpose(1, 2).unflatten(2, (rows, count // rows))
    if output.ndim == 3 and ratio == 1:
        for extra in (0, 1):  # with or without a class token in front
            side = round((shape[1] - extra) ** 0.5)
            if side > 1 and side * side == shape[1] - extra:
                return output[:, extra:].transpose(1, 2).unflatten(2, (side, side))
    return None
