"""What a depth camera has seen, pixel by pixel, and how much of it is looked at."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from sdfrepar import cameras
from sdfrepar.records import Camera


class Maps(NamedTuple):
    """What there is to see; axes (height, width)."""

    depth: jax.Array  # (H, W) z seen from the camera, scene units
    normal: jax.Array  # (H, W, 3) outward unit normal, scene frame
    mask: jax.Array  # (H, W) bool, where there is a surface
    measured: jax.Array  # (H, W) bool, where its depth and normal are known
    outlined: jax.Array  # (H, W) bool, where it is known whether there is one


def whole_maps(depth: Any, normal: Any, mask: Any) -> Maps:
    """Maps that know everything: depth (H, W), normal (H, W, 3), mask (H, W)."""
    depth, normal, mask = jnp.asarray(depth), jnp.asarray(normal), jnp.asarray(mask)
    return Maps(depth, normal, mask, mask, jnp.ones_like(mask))


def strided(camera: Camera, maps: Maps, stride: int) -> tuple[Camera, Maps]:
    """Every `stride`-th pixel of a row and of a column, of the camera and of what it sees."""
    return cameras.strided(camera, stride), Maps(*(whole[::stride, ::stride] for whole in maps))
