"""Pixel filters: separable kernels of integral 1, and where to put samples over them.

Offsets are from the pixel's centre, in widths of the pixel.
"""

import math
from collections.abc import Callable
from typing import Literal, NamedTuple

import jax
import jax.numpy as jnp

FilterName = Literal["box", "tent", "bspline", "gaussian"]

# The usual windowed Gaussian of renderers: half a pixel wide, cut at three standard deviations.
_DEVIATION, _WINDOW = 0.5, 1.5


class Filter(NamedTuple):
    """A kernel along one axis, and the density that samples are drawn from over its support."""

    radius: float
    """Half the support, pixels."""
    kernel: Callable[[jax.Array], jax.Array]
    """offset -> k >= 0, elementwise; 0 from the radius on."""
    place: Callable[[jax.Array], jax.Array]
    """uniform numbers in [0, 1) -> offsets, elementwise and increasing, so that strata stay strata."""
    density: Callable[[jax.Array], jax.Array]
    """offset -> p > 0, per pixel, elementwise. k / p is bounded; so is k' / p, but at the Gaussian's border."""

    @property
    def vanishes(self) -> bool:
        """Whether k is 0 on the border of its support; a box is not, and needs the flux through its edges."""
        return self.radius > 0.5


def _even(radius: float) -> tuple[Callable[[jax.Array], jax.Array], Callable[[jax.Array], jax.Array]]:
    """Samples spread evenly over the support."""
    return lambda s: radius * (2.0 * s - 1.0), lambda x: jnp.full_like(x, 0.5 / radius)


def _peaked(radius: float) -> tuple[Callable[[jax.Array], jax.Array], Callable[[jax.Array], jax.Array]]:
    """Samples denser towards the centre, as a tent over the support."""

    def place(s: jax.Array) -> jax.Array:
        tail = jnp.minimum(s, 1.0 - s)
        return jnp.where(s < 0.5, -1.0, 1.0) * radius * (1.0 - jnp.sqrt(2.0 * tail))

    return place, lambda x: jnp.maximum(radius - jnp.abs(x), 1e-6) / radius**2


def _tent(x: jax.Array) -> jax.Array:
    return jnp.maximum(1.0 - jnp.abs(x), 0.0)


def _bspline(x: jax.Array) -> jax.Array:
    x = jnp.abs(x)
    outer = jnp.maximum(2.0 - x, 0.0) ** 3 / 6.0
    return jnp.where(x < 1.0, 2.0 / 3.0 - x**2 + 0.5 * x**3, outer)


def _gaussian(x: jax.Array) -> jax.Array:
    border = math.exp(-0.5 * (_WINDOW / _DEVIATION) ** 2)
    spread = math.sqrt(2.0 * math.pi) * _DEVIATION
    integral = spread * math.erf(_WINDOW / (math.sqrt(2.0) * _DEVIATION)) - 2.0 * _WINDOW * border
    return jnp.maximum(jnp.exp(-0.5 * (x / _DEVIATION) ** 2) - border, 0.0) / integral


def _box(x: jax.Array) -> jax.Array:
    return jnp.where(jnp.abs(x) <= 0.5, 1.0, 0.0)


FILTERS: dict[FilterName, Filter] = {
    "box": Filter(0.5, _box, *_even(0.5)),
    "tent": Filter(1.0, _tent, *_even(1.0)),
    "bspline": Filter(2.0, _bspline, *_peaked(2.0)),
    "gaussian": Filter(_WINDOW, _gaussian, *_peaked(_WINDOW)),
}
"""box: what a camera's pixel is; tent: the reconstruction's default; bspline: cubic, smooth; gaussian: windowed."""
