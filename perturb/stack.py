"""Pictures that are not in memory: each is read, or made, when it is asked for."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any, overload

import numpy as np
from jaxtyping import Int

Which = slice | np.ndarray
Picture = np.ndarray


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Stack:
    """Pictures of one shape, in the place of an array whose first axis counts them.

    `stack[3]` is a picture, a new array each time. `stack[1:9]`, `stack[numbers]` and `stack[mask]` are stacks.
    `np.asarray` gives all in one array. `stack[0, 1]` and `stack.mean()` read all too. So does pickling, so that other
    processes need not read what is read here.
    """

    read: Callable[[int], Picture]  # by its number
    numbers: Int[np.ndarray, " picture"]
    of: tuple[int, ...]  # shape of a picture

    @property
    def shape(self) -> tuple[int, ...]:
        return (len(self.numbers), *self.of)

    def __len__(self) -> int:
        return len(self.numbers)

    def __iter__(self) -> Iterator[Picture]:
        return (self.read(int(number)) for number in self.numbers)

    @overload
    def __getitem__(self, which: int | np.integer) -> Picture: ...
    @overload
    def __getitem__(self, which: Which) -> "Stack": ...
    @overload
    def __getitem__(self, which: tuple[Any, ...]) -> Any: ...
    def __getitem__(self, which: int | np.integer | Which | tuple[Any, ...]) -> Any:
        if isinstance(which, tuple):
            return np.asarray(self)[which]
        chosen = self.numbers[which]
        return replace(self, numbers=chosen) if isinstance(chosen, np.ndarray) else self.read(int(chosen))

    def __getattr__(self, name: str) -> Any:
        """What else an array has, as `mean`: of all pictures in one array."""
        if name.startswith("_"):
            raise AttributeError(name)
        return getattr(np.asarray(self), name)

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        return np.array([*self], dtype=dtype).reshape(self.shape)

    def __reduce__(self) -> tuple[Any, ...]:
        return np.asarray, (np.asarray(self),)


def each(pictures: np.ndarray | Stack, change: Callable[[int, Picture], Picture], of: tuple[int, ...]) -> Stack:
    """What `change` makes of each picture and its place among them: a picture of the shape `of`."""
    return Stack(read=lambda place: change(place, pictures[place]), numbers=np.arange(len(pictures)), of=of)
