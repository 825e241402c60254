"""What a model must pass when it is loaded: it answers, finitely, the same again, and each picture by itself."""

from collections.abc import Callable

import torch
from jaxtyping import Float
from torch import Tensor

from perturb.errors import InputError
from perturb.precision import full_float32

ALIKE = 1e-2  # of the answer's norm: batches of other sizes are rounded otherwise, in bfloat16 by 0.2 %


def noise(shape: tuple[int, int, int], count: int) -> Float[Tensor, "picture channel row column"]:
    """Always the same pictures of random pixels, each in a narrower and darker range than the one before."""
    pictures = torch.rand(count, *shape, generator=torch.Generator().manual_seed(0))
    width = (0.4 ** torch.arange(count))[:, None, None, None]
    return 0.15 * (1 - width) + width * pictures


@full_float32()
def try_out(name: str, answer: Callable[[Tensor], Tensor], shape: tuple[int, int, int], first: Tensor) -> bool:
    """Whether it takes several pictures at once. `first` is what it gives for the first picture of noise.

    Raises InputError for what is not finite, for answers that are drawn, and for those that depend on the batch.
    """
    if not torch.isfinite(first).all():
        raise InputError(f"{name} returns NaN or infinity for a picture of random pixels.")
    pictures = noise(shape, 2)
    one, again = first.double(), answer(pictures[:1]).double()
    if not torch.allclose(one, again, rtol=1e-3, atol=1e-3 * float(one.abs().max())):
        raise InputError(f"{name} gives two outputs for one picture: it draws random numbers in evaluation mode.")
    other = answer(pictures[1:]).double()
    try:
        both = answer(pictures).double()
    except InputError:
        raise
    except Exception:  # the user's own code may be made for one picture
        return False
    for alone, beside in ((one, both[:1]), (other, both[1:])):
        if beside.shape != alone.shape or (beside - alone).norm() > ALIKE * alone.norm():
            raise InputError(f"{name} answers a picture differently in a batch with others: f(batch)[i] is not f(x_i).")
    return True


def one_row_each(output: object, name: str, pictures: int) -> Tensor:
    """The output, if it is a tensor with a row for each picture."""
    if not isinstance(output, Tensor):
        raise InputError(f"{name} returns a {type(output).__name__}, not a tensor; wrap it so that it returns one.")
    if not output.ndim or len(output) != pictures:
        raise InputError(f"{name} returns {tuple(output.shape)} for {pictures} pictures, not one row a picture.")
    return output
