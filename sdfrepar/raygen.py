"""From film positions to rays."""

import jax
import jax.numpy as jnp

from sdfrepar import cameras
from sdfrepar.numerics import safe_norm
from sdfrepar.records import Camera, Line, Ray


def ray_through(camera: Camera, u: jax.Array) -> Ray:
    """The ray of a camera through film position `u`.

    Args:
        camera: one camera.
        u: (2,) pixels.

    Returns:
        The ray, bounded by the unit sphere; `far <= near` when it misses the sphere or leaves it behind.

    Raises:
        ValueError: the camera is a parallel one.
    """
    if camera.parallel:
        raise ValueError(
            "The camera is a parallel one, and warps of the film expect a pinhole; look at it with sdfrepar.observing, "
            "or place a pinhole far away."
        )
    direction = cameras.unproject(camera, u)
    differential = jax.jacfwd(cameras.unproject, argnums=1)(camera, u)
    # A start that is the same for every ray of a camera needs no derivative in u; it costs the march one step at most.
    near = jnp.maximum(safe_norm(camera.position) - 1.0, 0.0)
    return Ray(
        origin=camera.position,
        direction=direction,
        near=near,
        far=_exit_of_sphere(camera.position, direction, 1.0),
        differential=differential,
    )


def line_through(camera: Camera, u: jax.Array, bound: jax.Array | float = 1.0) -> Line:
    """The line of sight of a camera through film position `u` (2,), pixels, in a sphere of radius `bound`, scene units.

    Gradient: naive in the camera for all but `far`, which bounds and is not seen.
    """
    origin, direction = cameras.origin_of(camera, u), cameras.unproject(camera, u)
    middle, half_chord_squared = _chord(origin, direction, bound)
    pixel = 1.0 / camera.focal[0]
    zero = jnp.zeros_like(pixel)
    return Line(
        origin=origin,
        direction=direction,
        near=jnp.maximum(middle - jnp.sqrt(jnp.maximum(half_chord_squared, 1e-12)), 0.0),
        far=_exit_of_sphere(origin, direction, bound),
        width=pixel if camera.parallel else zero,
        spread=zero if camera.parallel else pixel,
    )


def _exit_of_sphere(origin: jax.Array, direction: jax.Array, radius: jax.Array | float) -> jax.Array:
    """Where a line leaves a sphere at the origin, (); -inf where it misses. Detached: it bounds, it is not seen."""
    origin, direction, radius = jax.lax.stop_gradient((origin, direction, radius))
    middle, half_chord_squared = _chord(origin, direction, radius)
    return jnp.where(half_chord_squared > 0, middle + jnp.sqrt(jnp.maximum(half_chord_squared, 0.0)), -jnp.inf)


def _chord(origin: jax.Array, direction: jax.Array, radius: jax.Array | float) -> tuple[jax.Array, jax.Array]:
    """Where a line is nearest to the origin, (), and its squared half-length in a sphere there, negative beside it."""
    middle = -(origin @ direction)
    return middle, radius**2 - (origin @ origin - middle**2)
