"""Depth, normals, silhouette and whatever else is decoded, of a whole picture, with first-order derivatives."""

from collections.abc import Sequence
from functools import partial
from typing import Any, Literal

import jax
import jax.numpy as jnp

from sdfrepar import raygen, shading
from sdfrepar.fields import Distance
from sdfrepar.imaging import corners
from sdfrepar.numerics import safe_normalize
from sdfrepar.observing.attached import distance_to_surface, least_field
from sdfrepar.observing.config import ObserveConfig, Subject
from sdfrepar.observing.marches import march_picture
from sdfrepar.precision import in_float32
from sdfrepar.records import Camera, Observation, Status
from sdfrepar.rendering import buffers
from sdfrepar.tracing import March

Channel = Literal["normal", "silhouette", "properties"]

ALL: tuple[Channel, ...] = ("normal", "silhouette", "properties")
"""Every channel beside the distance and the depth, which are always there."""


@in_float32
def observe(
    subject: Subject,
    config: ObserveConfig,
    params: Any,
    camera: Camera,
    *,
    channels: Sequence[Channel] = ALL,
    wanted: jax.Array | None = None,
) -> Observation:
    """What a camera sees of a shape through the centres of its pixels.

    Args:
        subject: the shape.
        config: how to march, and how to differentiate.
        params: parameters of the shape.
        camera: one camera, pinhole or parallel.
        channels: which there are to be; those left out cost nothing, and are zero (the silhouette: infinite).
        wanted: (H, W) bool, the pixels to look at, all if not given; the others cost nothing, and see nothing.

    Returns:
        Leading axes (height, width) of the camera's resolution.

    Gradient: in params, pose and intrinsics; biased at first order, as `attached.distance_to_surface` says, and none
        for what is hidden: the pixels at which the shape is seen are those at which it is seen now. The silhouette's
        is there for every pixel.
    """
    prepared = subject.prepare(params)
    wanted = jnp.ones(camera.resolution, bool) if wanted is None else wanted
    marched = march_picture(subject.distance, config, prepared, camera, wanted)
    valid = marched.marches.status == Status.HIT
    u = corners(*camera.resolution) + 0.5
    parts = max(1, len(u) // config.block)

    def at_surface(u: jax.Array, march: March, threshold: jax.Array) -> dict[str, jax.Array]:
        line = raygen.line_through(camera, u)
        t = distance_to_surface(subject.distance, config, prepared, line, march)
        x = line.origin + t * line.direction
        seen = {"distance": t, "depth": camera.rotation[:, 2] @ (x - camera.position)}
        if "normal" in channels:
            seen["normal"] = _normal(subject.distance, config, prepared, x, threshold)
        if "properties" in channels:
            seen["properties"] = subject.properties(prepared, x)
        return seen

    def silhouette(u: jax.Array, march: March, threshold: jax.Array) -> jax.Array:
        return least_field(subject.distance, prepared, raygen.line_through(camera, u), march) - threshold

    items = u, marched.marches, marched.threshold
    seen = buffers.skipping(at_surface, valid, items, parts=parts)
    least = jnp.full(len(u), jnp.inf)
    if "silhouette" in channels:
        looked_at = wanted.reshape(-1)
        least = jnp.where(looked_at, buffers.skipping(silhouette, looked_at, items, parts=parts), jnp.inf)
    nothing = jnp.zeros((len(u), 3))
    film = Observation(
        valid=valid,
        distance=seen["distance"],
        depth=seen["depth"],
        normal=seen.get("normal", nothing),
        silhouette=least,
        properties=seen.get("properties", nothing[:, :0]),
        queries=marched.queries,
    )
    height, width = camera.resolution
    return jax.tree.map(lambda x: x.reshape(height, width, *x.shape[1:]) if x.ndim else x, film)


def _normal(distance: Distance, config: ObserveConfig, params: Any, x: jax.Array, threshold: jax.Array) -> jax.Array:
    """The outward unit normal (3,) at a point x (3,) of the surface."""
    if config.normals == "derivative":
        return shading.normal(distance, params, x)
    steps = threshold * jnp.eye(3)
    ahead, behind = (jax.vmap(partial(distance, params))(x[None] + sign * steps) for sign in (1.0, -1.0))
    return safe_normalize((ahead - behind) / (2.0 * threshold))
