"""Where a point is that several cameras see."""

import jax
import jax.numpy as jnp

from sdfrepar import cameras
from sdfrepar.records import Camera

# Gauss-Newton steps from the point that is nearest to all rays.
_STEPS = 5

# Keeps the equations of a point that no camera sees solvable; far below what a single pixel says.
_LEAST = 1e-6


def point_of(rig: Camera, film: jax.Array, seen: jax.Array, near: jax.Array | float) -> jax.Array:
    """The point (3,), scene units, whose projections are nearest to where it was seen: least Σ log(1 + (d / near)²).

    Args:
        rig: K cameras.
        film: (K, 2) where they see it, pixels.
        seen: (K,) bool, whether they do.
        near: () pixels that true places are within; those farther off count ever less.

    Gradient: none, it is detached. What is least does not change with the point, to first order.
    """
    rig, film = jax.lax.stop_gradient((rig, film))
    x = _nearest_to_rays(rig, film, seen)
    for _ in range(_STEPS):
        off = offsets(rig, film, x)
        slope = jax.jacfwd(lambda x: offsets(rig, film, x))(x)
        weight = seen / (1.0 + jnp.sum(off**2, axis=1) / near**2)
        x = x - _solved(
            jnp.einsum("kui,k,kuj->ij", slope, weight, slope), jnp.einsum("kui,k,ku->i", slope, weight, off)
        )
    return x


def offsets(rig: Camera, film: jax.Array, x: jax.Array) -> jax.Array:
    """From film positions (K, 2) to the projections of a point (3,) into K cameras, pixels: (K, 2).

    Gradient: naive.
    """
    return jax.vmap(lambda camera: cameras.project(camera, x)[0])(rig) - film


def _nearest_to_rays(rig: Camera, film: jax.Array, seen: jax.Array) -> jax.Array:
    """The point with the least sum of squared distances to the rays."""
    way = jax.vmap(cameras.unproject)(rig, film)
    across = seen[:, None, None] * (jnp.eye(3)[None] - way[:, :, None] * way[:, None, :])
    return _solved(jnp.sum(across, axis=0), jnp.einsum("kij,kj->i", across, rig.position))


def _solved(matrix: jax.Array, right: jax.Array) -> jax.Array:
    return jnp.linalg.solve(matrix + _LEAST * jnp.eye(3), right)
