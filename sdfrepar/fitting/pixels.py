"""All pixels that a shape is fitted to, on the device: once, and in as few bytes as their files hold."""

import math
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
from flax import struct

from sdfrepar import imaging
from sdfrepar.records import Camera, Pictures, Tracks, Views

_THREADS = 4

# Bytes to a multiple of which XLA aligns its buffers.
_ALIGNMENT = 64


@struct.dataclass(kw_only=True)
class Pixels:
    """All pixels of all levels of all views, as a camera with a tent filter would see them.

    Whole numbers are codes from 0 to the most that their type holds: of the sRGB curve for colours, of shares for
    masks. Other numbers are what they say, colours linear.
    """

    colour: tuple[jax.Array, ...]  # for each level l, the finest first: (N, H / 2^l, W / 2^l, 3)
    mask: tuple[jax.Array, ...] | None  # likewise (N, H / 2^l, W / 2^l), where the data know what the object covers
    cameras: Camera  # leading axis N
    tracks: Tracks | None = None  # leading axis T, where cameras are refined by them

    def at(
        self, level: jax.Array, view: jax.Array, row: jax.Array, column: jax.Array
    ) -> tuple[jax.Array, jax.Array | None]:
        """Linear colours (P, 3) and masks (P,) of pixels, each at a place of its level."""
        places = level, view, row, column
        colour = _values(_looked_up(self.colour, *places), imaging.linear_from_srgb)
        return colour, None if self.mask is None else _values(_looked_up(self.mask, *places), _as_it_is)


def bytes_of_pixels(views: Views, levels: int) -> int:
    """What `gather_pixels` will keep."""
    places = len(views) * sum(rows * columns for rows, columns in _shapes(views, levels))
    of_masks = 0 if views.masks is None else views.masks.dtype.itemsize
    return places * (3 * views.images.dtype.itemsize + of_masks)


def gather_pixels(views: Views, levels: int, *, done: Callable[[int], None] = lambda count: None) -> Pixels:
    """The pyramids of all views; NumPy leaves, to be put on the devices.

    Pictures are read a few at a time, so that little more than the result is ever in memory.

    Args:
        views: N pictures (H, W).
        levels: levels at most; level l has pixels of width 2^l. Fewer where a picture would shrink below 8 pixels.
        done: called with the number of pictures that have been read, now and then.
    """
    shapes = _shapes(views, levels)

    def room(pictures: Pictures, *channels: int) -> list[np.ndarray]:
        return [_aligned((len(views), *shape, *channels), pictures.dtype) for shape in shapes]

    colour = room(views.images, 3)
    mask = None if views.masks is None else room(views.masks)

    def read(view: int) -> None:
        picture = views.images[view]
        _fill(colour, view, _levels(len(shapes), views.images.dtype, imaging.srgb_from_linear, picture))
        if mask is not None and views.masks is not None:
            share = views.masks[view][..., None]
            _fill(mask, view, [level[..., 0] for level in _levels(len(shapes), views.masks.dtype, _as_it_is, share)])

    with ThreadPoolExecutor(_THREADS) as pool:
        for count, _ in enumerate(pool.map(read, range(len(views))), start=1):
            done(count)
    # The record is declared with jax.Array; on the host its leaves are NumPy arrays.
    return Pixels(
        colour=tuple(colour),  # pyright: ignore[reportArgumentType]
        mask=None if mask is None else tuple(mask),  # pyright: ignore[reportArgumentType]
        cameras=views.cameras,
    )


def _shapes(views: Views, levels: int) -> list[tuple[int, int]]:
    height, width = views.cameras.resolution
    count = max(1, min(levels, (min(height, width) // 8).bit_length()))
    return [(height >> level, width >> level) for level in range(count)]


@partial(jax.jit, static_argnums=(0, 1, 2))
def _levels(
    levels: int, dtype: np.dtype, curve: Callable[[jax.Array], jax.Array], picture: jax.Array
) -> Sequence[jax.Array]:
    """The pyramid (H / 2^l, W / 2^l, C) of a linear picture as a tent sees it, kept as `dtype`."""

    def kept(level: jax.Array) -> jax.Array:
        if jnp.issubdtype(dtype, jnp.floating):
            return level.astype(dtype)
        return jnp.round(jnp.clip(curve(level), 0.0, 1.0) * jnp.iinfo(dtype).max).astype(dtype)

    return [kept(imaging.tent_from_box(level)) for level in imaging.pyramid(picture, levels)]


def _aligned(shape: tuple[int, ...], dtype: np.dtype) -> np.ndarray:
    """An empty array that begins where a CPU device wants it, which then takes it as it is instead of a copy."""
    size = math.prod(shape) * np.dtype(dtype).itemsize
    room = np.empty(size + _ALIGNMENT, np.uint8)
    begin = -room.ctypes.data % _ALIGNMENT
    return room[begin : begin + size].view(dtype).reshape(shape)


def _fill(stacks: list[np.ndarray], view: int, levels: Sequence[jax.Array]) -> None:
    for stack, level in zip(stacks, levels, strict=True):
        stack[view] = np.asarray(level)


def _looked_up(
    levels: Sequence[jax.Array], level: jax.Array, view: jax.Array, row: jax.Array, column: jax.Array
) -> jax.Array:
    """The pixels (P, ...) at places of several levels. A look at each level costs less than one array of all would:
    that could have more entries than an index can count.
    """

    def of_level(stack: jax.Array) -> jax.Array:
        return stack[view, jnp.minimum(row, stack.shape[1] - 1), jnp.minimum(column, stack.shape[2] - 1)]

    found = of_level(levels[0])
    for number, stack in enumerate(levels[1:], start=1):
        is_here = jnp.expand_dims(level == number, tuple(range(1, found.ndim)))
        found = jnp.where(is_here, of_level(stack), found)
    return found


def _values(stored: jax.Array, decode: Callable[[jax.Array], jax.Array]) -> jax.Array:
    if jnp.issubdtype(stored.dtype, jnp.floating):
        return stored
    return decode(stored.astype(jnp.float32) / jnp.iinfo(stored.dtype).max)


def _as_it_is(share: jax.Array) -> jax.Array:
    return share
