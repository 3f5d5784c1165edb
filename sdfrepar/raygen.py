"""From film positions to rays."""

import jax
import jax.numpy as jnp

from sdfrepar import cameras
from sdfrepar.numerics import safe_norm
from sdfrepar.records import Camera, Ray


def ray_through(camera: Camera, u: jax.Array) -> Ray:
    """The ray of a camera through film position `u`.

    Args:
        camera: one camera.
        u: (2,) pixels.

    Returns:
        The ray, bounded by the unit sphere; `far <= near` when it misses the sphere or leaves it behind.
    """
    direction = cameras.unproject(camera, u)
    differential = jax.jacfwd(cameras.unproject, argnums=1)(camera, u)
    # A start that is the same for every ray of a camera needs no derivative in u; it costs the march one step at most.
    near = jnp.maximum(safe_norm(camera.position) - 1.0, 0.0)
    return Ray(
        origin=camera.position,
        direction=direction,
        near=near,
        far=_exit_of_unit_sphere(camera.position, direction),
        differential=differential,
    )


def _exit_of_unit_sphere(origin: jax.Array, direction: jax.Array) -> jax.Array:
    """Where a line leaves the unit sphere, (); -inf where it misses. Detached: it bounds, it is not seen."""
    origin, direction = jax.lax.stop_gradient((origin, direction))
    middle = -(origin @ direction)
    half_chord_squared = 1.0 - (origin @ origin - middle**2)
    return jnp.where(half_chord_squared > 0, middle + jnp.sqrt(jnp.maximum(half_chord_squared, 0.0)), -jnp.inf)
