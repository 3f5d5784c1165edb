"""Cameras: poses, intrinsics, projecting points and unprojecting film positions."""

from collections.abc import Sequence
from dataclasses import replace

import jax
import jax.numpy as jnp
from jax.typing import ArrayLike

from sdfrepar.numerics import safe_norm
from sdfrepar.records import Camera


def look_at(
    position: ArrayLike | Sequence[float],
    target: ArrayLike | Sequence[float] = (0.0, 0.0, 0.0),
    up: ArrayLike | Sequence[float] = (0.0, 1.0, 0.0),
    *,
    field_of_view: float = 0.7,
    resolution: tuple[int, int] = (128, 128),
) -> Camera:
    """A camera at `position` that looks at `target`.

    Args:
        position: (3,) scene units.
        target: (3,) the point in the middle of the picture, scene units.
        up: (3,) a direction that appears upright; not parallel to the line of sight.
        field_of_view: horizontal opening angle, radians.
        resolution: (height, width), pixels.

    Examples:
        >>> camera = look_at((0.0, 0.0, -2.0), resolution=(64, 96))
        >>> [number.tolist() for number in project(camera, jnp.zeros(3))]  # what it looks at, and how far off that is
        [[48.0, 32.0], 2.0]
    """
    height, width = resolution
    position, target, up = (jnp.asarray(place, float) for place in (position, target, up))
    forward = _normalised(target - position)
    right = _normalised(jnp.cross(forward, up))
    down = jnp.cross(forward, right)
    focal = 0.5 * width / jnp.tan(0.5 * field_of_view)
    return Camera(
        focal=jnp.stack([focal, focal]),
        principal=jnp.array([0.5 * width, 0.5 * height]),
        rotation=jnp.stack([right, down, forward], axis=1),
        position=position,
        resolution=resolution,
    )


def project(camera: Camera, x: jax.Array) -> tuple[jax.Array, jax.Array]:
    """The film position of a scene point, and its depth z (negative behind the camera).

    Args:
        camera: one camera.
        x: (3,) scene units.

    Returns:
        (2,) pixels, and () scene units along the optical axis.
    """
    in_camera = camera.rotation.T @ (x - camera.position)
    depth = in_camera[2]
    across = in_camera[:2] if camera.parallel else in_camera[:2] / depth
    return camera.principal + camera.focal * across, depth


def unproject(camera: Camera, u: jax.Array) -> jax.Array:
    """The unit direction, in the scene frame, of the ray through film position `u` (2,), pixels."""
    if camera.parallel:
        return camera.rotation[:, 2]
    on_plane = (u - camera.principal) / camera.focal
    return camera.rotation @ _normalised(jnp.append(on_plane, 1.0))


def at_depth(camera: Camera, u: jax.Array, depth: jax.Array) -> jax.Array:
    """The scene point (3,) that is seen at film position `u` (2,), pixels, at depth z () along the optical axis."""
    direction = unproject(camera, u)
    return origin_of(camera, u) + direction * depth / (direction @ camera.rotation[:, 2])


def origin_of(camera: Camera, u: jax.Array) -> jax.Array:
    """Where the ray through film position `u` (2,), pixels, begins, (3,): in a parallel camera's plane, or at it."""
    if not camera.parallel:
        return camera.position
    return camera.position + camera.rotation[:, :2] @ ((u - camera.principal) / camera.focal)


def off_plane(camera: Camera, normal: jax.Array, u: jax.Array) -> jax.Array:
    """How far a film position `u` (2,) lies from the line in which a plane through the camera is seen, pixels: ().

    Signed. The plane has this `normal` (3,), of any length, scene frame.
    """
    in_camera = camera.rotation.T @ normal
    slope = in_camera[:2] / camera.focal
    return (slope @ (u - camera.principal) + in_camera[2]) / safe_norm(slope)


def depth_of(camera: Camera, direction: jax.Array, distance: jax.Array) -> jax.Array:
    """Depth z () along the optical axis of the point at `distance` () along a ray with this unit `direction` (3,).

    All in scene units; the direction in the scene frame.
    """
    return distance * (camera.rotation[:, 2] @ direction)


def moved(camera: Camera, motion: jax.Array) -> Camera:
    """The camera after a rigid motion about the origin of the scene, along the camera's own axes.

    About the scene's origin, so that turning (which shows the object from another side) and shifting (which moves it in
    the picture) are apart; along the camera's axes, so that what pictures tell best (rolling, and shifts across the
    view) and what they tell least (turning, and shifts along the view) are numbers of their own, which an optimiser
    that scales each by itself finds at the same pace.

    Args:
        camera: one camera.
        motion: (6,) a rotation vector, radians, then a translation, scene units; camera axes.

    Gradient: naive, at no motion too.
    """
    turn = rotation_by(camera.rotation @ motion[:3])
    position = turn @ camera.position + camera.rotation @ motion[3:]
    return replace(camera, rotation=turn @ camera.rotation, position=position)


def one_of(rig: Camera, index: int) -> Camera:
    """One of several cameras, leading axis N."""
    return jax.tree.map(lambda leaf: jnp.asarray(leaf[index]), rig)


def strided(camera: Camera, stride: int) -> Camera:
    """The camera whose pixels are every `stride`-th of a camera's in each row and column, from the first on.

    Its rays through pixel centres are the same, so that `picture[::stride, ::stride]` of centre rays is its picture.
    """
    height, width = camera.resolution
    return replace(
        camera,
        focal=camera.focal / stride,
        principal=(camera.principal - 0.5) / stride + 0.5,
        resolution=(-(-height // stride), -(-width // stride)),
    )


def halved(camera: Camera, times: int, resolution: tuple[int, int]) -> Camera:
    """The camera of a picture that was halved so many times by means of 2 x 2 pixels, and is of this resolution now."""
    scale = 0.5**times
    return replace(camera, focal=scale * camera.focal, principal=scale * camera.principal, resolution=resolution)


def rotation_by(vector: jax.Array) -> jax.Array:
    """The rotation (3, 3) about a vector (3,) by its length, radians: Rodrigues' formula.

    Gradient: naive, and finite at zero.
    """
    square = vector @ vector
    small = square < 1e-6
    angle = jnp.sqrt(jnp.where(small, 1.0, square))
    # Below a milliradian the series are exact to the last digit of float32.
    sine = jnp.where(small, 1.0 - square / 6.0, jnp.sin(angle) / angle)
    cosine = jnp.where(small, 0.5 - square / 24.0, (1.0 - jnp.cos(angle)) / angle**2)
    x, y, z = vector
    zero = jnp.zeros_like(x)
    cross = jnp.stack([jnp.stack([zero, -z, y]), jnp.stack([z, zero, -x]), jnp.stack([-y, x, zero])])
    return jnp.eye(3, dtype=vector.dtype) + sine * cross + cosine * (cross @ cross)


def _normalised(v: jax.Array) -> jax.Array:
    """`v` over its length; for vectors that cannot vanish."""
    return v / jnp.sqrt(v @ v)
