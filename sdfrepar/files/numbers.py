"""The numbers that files of weights hold, as NumPy has them."""

import jax.numpy as jnp
import numpy as np


def itemsize(dtype: str) -> int:
    """The bytes of one stored number; `dtype` as in `numbers`."""
    return jnp.dtype(dtype).itemsize


def numbers(raw: bytes | bytearray | memoryview, dtype: str) -> np.ndarray:
    """The little-endian numbers of a buffer, (N,), copied out of it.

    Args:
        raw: a whole number of elements.
        dtype: the name of a NumPy dtype, or "bfloat16"; both halves become float32.
    """
    if dtype == "bool":
        # A NumPy bool that is neither 0 nor 1 misbehaves.
        return np.frombuffer(raw, np.uint8) != 0
    if dtype == "bfloat16":
        # The upper half of a float32.
        return (np.frombuffer(raw, "<u2").astype(np.uint32) << 16).view(np.float32)
    return widened(np.frombuffer(raw, np.dtype(dtype).newbyteorder("<")).copy())


def widened(array: np.ndarray) -> np.ndarray:
    """The same numbers in this machine's byte order, and halves as float32; any shape."""
    if array.dtype.kind == "f" and array.itemsize == 2:
        return array.astype(np.float32)
    return array.astype(array.dtype.newbyteorder("="), copy=False)
