"""The tone curve of pictures."""

import jax
import jax.numpy as jnp


def srgb_from_linear(linear: jax.Array) -> jax.Array:
    """The sRGB curve, elementwise.

    Gradient: its derivative; below 0 the linear toe goes on.
    """
    toe = linear < 0.0031308
    return jnp.where(toe, 12.92 * linear, 1.055 * jnp.where(toe, 1.0, linear) ** (1.0 / 2.4) - 0.055)


def linear_from_srgb(srgb: jax.Array) -> jax.Array:
    """The inverse of `srgb_from_linear`, elementwise."""
    toe = srgb < 0.04045
    return jnp.where(toe, srgb / 12.92, ((jnp.where(toe, 1.0, srgb) + 0.055) / 1.055) ** 2.4)
