"""The field on a plane, in colours."""

from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from sdfrepar import reports
from sdfrepar.fields import Distance

AXES = ("x", "y", "z")

# Deep blue and deep red are this far from the surface, scene units.
_SCALE = 0.5


@partial(jax.jit, static_argnums=(0, 4))
def sliced(distance: Distance, params: Any, axis: jax.Array, at: jax.Array, side: int) -> jax.Array:
    """Values (side, side) of a field on a plane across an axis of the scene.

    Args:
        distance: the field.
        params: of the field.
        axis: () the axis's number, 0 to 2.
        at: () where the plane meets the axis, scene units.
        side: points along each side of [-1, 1]², the middles of as many pixels. Columns go with the first of the other
            two axes in the order x, y, z, x; rows with the second.

    Gradient: none.
    """
    along = (jnp.arange(side) + 0.5) * (2.0 / side) - 1.0
    rows, columns = jnp.meshgrid(along, along, indexing="ij")
    points = jnp.stack([jnp.full_like(rows, at), columns, rows], axis=-1).reshape(-1, 3)
    points = jnp.roll(points, axis, axis=-1)
    values = jax.lax.map(partial(distance, params), points, batch_size=4096)
    return values.reshape(side, side)


def picture(values: np.ndarray) -> np.ndarray:
    """The values (H, W) of a slice as colours (H, W, 4), sRGB and opacity in [0, 1].

    Blue inside, red outside, black along the zero line, and nothing beyond the unit square's circle.
    """
    colours = reports.signed_picture(values, _SCALE)
    colours = np.where(_zero_line(values)[..., None], 0.0, colours)
    height, width = values.shape
    rows, columns = ((np.arange(n) + 0.5) * (2.0 / n) - 1.0 for n in (height, width))
    inside = rows[:, None] ** 2 + columns[None] ** 2 <= 1.0
    return np.concatenate([colours, inside[..., None]], axis=-1).astype(np.float32)


def pose(axis: int, at: float) -> tuple[np.ndarray, np.ndarray]:
    """The rotation (3, 3) and the middle (3,) of a slice's picture: x along its columns, y along its rows."""
    return np.roll(np.eye(3), -(axis + 1), axis=0).T, at * np.eye(3)[axis]


def _zero_line(values: np.ndarray) -> np.ndarray:
    """The pixels (H, W) of which a neighbour to the right or below is on the other side of the surface."""
    inside = values < 0
    crossed = np.zeros_like(inside)
    crossed[:, :-1] |= inside[:, :-1] != inside[:, 1:]
    crossed[:-1] |= inside[:-1] != inside[1:]
    return crossed
