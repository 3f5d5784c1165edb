"""From samples to pixels: filters, where to sample them, the estimator of a pixel, tone curve, pyramid."""

import jax
import jax.numpy as jnp

from sdfrepar.records import Sample


def tent(offset: jax.Array) -> jax.Array:
    """The tent filter over [-1, 1]² pixels, of integral 1. It vanishes on its border, as [B22]'s warp needs."""
    return jnp.prod(jnp.maximum(1.0 - jnp.abs(offset), 0.0))


def stratified(key: jax.Array, per_side: int) -> jax.Array:
    """Jittered points of the unit square, one in each of per_side² cells: (per_side², 2)."""
    cells = jnp.stack(jnp.meshgrid(*2 * [jnp.arange(per_side)], indexing="xy"), axis=-1).reshape(-1, 2)
    return (cells + jax.random.uniform(key, cells.shape)) / per_side


def tent_positions(key: jax.Array, centre: jax.Array, width: jax.Array, per_side: int) -> jax.Array:
    """Stratified film positions over the support of a tent pixel.

    Args:
        key: random key.
        centre: (2,) centre of the pixel, in pixels of the full-resolution image.
        width: () width of the pixel, likewise (2 ** level in a pyramid).
        per_side: strata a side.

    Returns:
        (per_side², 2) positions, uniform over the square of side 2 `width` around the centre.
    """
    return centre[None] + width * (2.0 * stratified(key, per_side) - 1.0)


def tent_pixel(samples: Sample, centre: jax.Array, width: jax.Array, baseline: jax.Array) -> jax.Array:
    """The value of a tent pixel from samples placed by `tent_positions`: the mean of E over them.

        E(u) = k(T - c) (L - b) det ∂T/∂u + b,    T = u + V                    after [B22 eq. 3]

    With a constant b the term k(u - c) b integrates to b, which stands here in place of its noisy estimate.

    Args:
        samples: (S,) samples.
        centre: (2,) pixels.
        width: () pixels.
        baseline: (3,) b, linear; any constant that does not depend on these samples.

    Returns:
        (3,) linear radiance.

    Gradient: with the warp's tangents attached, unbiased for the pixel's derivative, silhouettes included.
    """
    baseline = jax.lax.stop_gradient(baseline)

    def contribution(sample: Sample) -> jax.Array:
        moved = sample.film + sample.warp.displacement
        kernel = 4.0 * tent((moved - centre) / width)
        return kernel * (sample.radiance - baseline) * (1.0 + sample.warp.divergence)

    return baseline + jnp.mean(jax.vmap(contribution)(samples), axis=0)


def srgb_from_linear(linear: jax.Array) -> jax.Array:
    """The sRGB curve. Gradient: its derivative; below 0 the linear toe goes on."""
    toe = linear < 0.0031308
    return jnp.where(toe, 12.92 * linear, 1.055 * jnp.where(toe, 1.0, linear) ** (1.0 / 2.4) - 0.055)


def linear_from_srgb(srgb: jax.Array) -> jax.Array:
    """The inverse of `srgb_from_linear`."""
    toe = srgb < 0.04045
    return jnp.where(toe, srgb / 12.92, ((jnp.where(toe, 1.0, srgb) + 0.055) / 1.055) ** 2.4)


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

    A tent is a box twice; the second one, over the piecewise linear picture through the pixels' centres, weighs a pixel
    and its neighbours by 1/8, 3/4, 1/8 along each axis. Edge pixels are repeated.
    """
    for axis in (0, 1):
        padding = [(1, 1) if a == axis else (0, 0) for a in range(image.ndim)]
        padded = jnp.pad(image, padding, mode="edge")
        size = image.shape[axis]
        before, after = (jax.lax.slice_in_dim(padded, k, k + size, axis=axis) for k in (0, 2))
        image = 0.75 * image + 0.125 * (before + after)
    return image
