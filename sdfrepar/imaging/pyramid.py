"""Pictures at halved resolutions, and as another filter would have taken them."""

import jax
import jax.numpy as jnp


def pyramid(image: jax.Array, levels: int) -> list[jax.Array]:
    """`image` (H, W, C) and its successive halvings by 2x2 means; an odd last row or column joins no coarser pixel."""
    images = [image]
    for _ in range(levels - 1):
        fine = images[-1]
        height, width = fine.shape[0] // 2, fine.shape[1] // 2
        images.append(fine[: 2 * height, : 2 * width].reshape(height, 2, width, 2, -1).mean(axis=(1, 3)))
    return images


def tent_from_box(image: jax.Array) -> jax.Array:
    """What tent pixels see, given box pixels (H, W, C), a camera's usual kind.

    A tent is a box twice. The second one, of variance 1/12, weighs a pixel and its neighbours by 1/24, 22/24, 1/24
    along each axis, which has the same variance: exact where the picture is quadratic, and on average over where in its
    pixel an edge lies. A wider kernel would show the fit rounder things than there are. Edge pixels are repeated.
    """
    for axis in (0, 1):
        padding = [(1, 1) if a == axis else (0, 0) for a in range(image.ndim)]
        padded = jnp.pad(image, padding, mode="edge")
        size = image.shape[axis]
        before, after = (jax.lax.slice_in_dim(padded, k, k + size, axis=axis) for k in (0, 2))
        image = (22.0 * image + before + after) / 24.0
    return image
