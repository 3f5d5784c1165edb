"""Tensors as PyTorch describes them: views of storages, whose numbers come later.

What a file claims is checked before any memory is taken.
"""

import math
from dataclasses import dataclass
from typing import Any

# Beyond what any memory holds, and small enough that products of a few stay short.
_LARGEST_COUNT = 2**48
_MOST_AXES = 16


@dataclass(frozen=True)
class Storage:
    """A run of numbers that lies outside the pickle."""

    key: str  # its name in the file
    dtype: str  # as in `numbers`
    size: int  # in elements


@dataclass(frozen=True)
class Tensor:
    """A view of a storage, known to lie inside of it; all counts in elements."""

    storage: Storage
    offset: int  # of its first element in the storage
    shape: tuple[int, ...]  # of as many axes as `strides`
    strides: tuple[int, ...]  # along each axis


def storage_of(key: str, dtype: str, size: int) -> Storage:
    """The storage, if its size is one. Raises ValueError if not."""
    return Storage(key, dtype, *_counts((size,)))


def tensor_of(storage: Storage, offset: int, shape: tuple[Any, ...], strides: tuple[Any, ...]) -> Tensor:
    """The tensor, if all of it lies in its storage and it has no more elements than that.

    Raises:
        ValueError: it does not.
    """
    tensor = Tensor(storage, *_counts((offset,)), shape=_counts(shape), strides=_counts(strides))
    if not _lies_inside(tensor):
        raise ValueError(
            f"its pickle claims a tensor of shape {tensor.shape}, strides {tensor.strides} and offset {tensor.offset} "
            f"in a storage of {storage.size} numbers; expected one that lies inside, so fetch the file again"
        )
    return tensor


def _lies_inside(tensor: Tensor) -> bool:
    """Whether all elements lie in the storage, and are no more than it holds."""
    shape, strides, size = tensor.shape, tensor.strides, tensor.storage.size
    if len(shape) != len(strides):
        return False
    if 0 in shape:
        # NumPy multiplies the other axes of an empty array too.
        return math.prod(n for n in shape if n) < _LARGEST_COUNT
    last = tensor.offset + sum((n - 1) * stride for n, stride in zip(shape, strides, strict=True))
    return last < size and math.prod(shape) <= size


def _counts(values: tuple[Any, ...]) -> tuple[int, ...]:
    if len(values) > _MOST_AXES or not all(isinstance(n, int) and 0 <= n < _LARGEST_COUNT for n in values):
        raise ValueError(
            f"its pickle gives a size, stride or offset that no tensor has; expected at most {_MOST_AXES} whole "
            "numbers that are not negative, so fetch the file again"
        )
    return tuple(int(n) for n in values)
