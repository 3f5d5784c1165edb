"""The code of a decoder whose shape has the same colours in pairs of posed pictures: photometric consistency [D20].

Where a ray of one picture meets the shape, another picture that sees this point too must show the colour of the ray's
pixel. The point moves along its ray as the field there changes, so that its colour in the other picture changes with
the code by a number times that: all rows of the Jacobian of a picture are those of the field at its points.
"""

from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from sdfrepar import cameras, observing, raygen, shading
from sdfrepar.fitting.claims import field_and_rows
from sdfrepar.fitting.least_squares import Quadratic, Search, kept_small, make_search, sum_of_squares
from sdfrepar.imaging import corners, looked_up
from sdfrepar.observing import ObserveConfig, Subject
from sdfrepar.records import Camera, Status
from sdfrepar.rendering import buffers

# Points at a time.
_BLOCK = 256


@dataclass(frozen=True)
class PairsConfig:
    """What is minimised: the mean over pixels and pairs of ρ(r / σ), times `enough`, + |code|² / 2."""

    steps: int = 20
    """Of each level of the pictures' pyramid."""
    deviation: float = 0.05
    """σ, by how much colours of one point differ, linear."""
    bend: float = 1.0
    """Differences of more than so many σ count by their size, not by its square."""
    enough: float = 200.0
    """All the pixels together weigh as much as so many."""
    occlusion: float = 1e-3
    """A point is hidden in the other picture if its depth there differs by more; squared, scene units [D20]."""
    code_weight: float = 1.0
    """Weight of |code|² / 2, whose numbers count deviations."""


class _Seen(NamedTuple):
    """Where the rays of a picture meet the shape; leading axes (views, N), or N."""

    hit: jax.Array  # bool
    depth: jax.Array  # () scene units
    origin: jax.Array  # (3,)
    direction: jax.Array  # (3,)
    distance: jax.Array  # ()
    rows: jax.Array  # (U,) of the distance's derivative


def make_pairs_search(subject: Subject, observe: ObserveConfig, config: PairsConfig) -> Search:
    """A search of codes (latent,), whose data are the network, V cameras, their pictures (V, H, W, 3), linear, and
    pairs of them (P, 2).

    Args:
        subject: a decoder whose code counts deviations, as `networks.in_deviations` makes it.
        observe: how rays are marched.
        config: what is minimised.
    """

    def about(code: jax.Array, network: Any, rig: Camera, pictures: jax.Array, pairs: jax.Array) -> Quadratic:
        seen = jax.lax.map(lambda camera: _seen(subject, observe, network, code, camera), rig)

        def of_pair(pair: jax.Array) -> tuple[Quadratic, jax.Array]:
            first, second = pair
            one = jax.tree.map(lambda x: x[first], seen)
            camera = jax.tree.map(lambda x: x[second], rig)
            residual, change, visible = _compared(
                one, pictures[first], camera, pictures[second], seen.hit[second], seen.depth[second], config.occlusion
            )
            weight = jnp.repeat(visible.astype(residual.dtype), 3)
            rows = (change[..., None] * one.rows[:, None]).reshape(-1, len(code))
            scale = 1.0 / config.deviation
            summed = sum_of_squares(scale * residual.reshape(-1), scale * rows, weight, config.bend)
            return summed, jnp.sum(visible)

        each, counts = jax.lax.map(of_pair, pairs)
        share = config.enough / jnp.maximum(jnp.sum(counts), 1)
        total = jax.tree.map(lambda x: share * jnp.sum(x, axis=0), each)
        return jax.tree.map(jnp.add, total, kept_small(code, config.code_weight))

    return make_search(about)


def _seen(subject: Subject, observe: ObserveConfig, network: Any, code: jax.Array, camera: Camera) -> _Seen:
    """What one camera sees."""
    params = subject.prepare({"network": network, "code": code})
    march = observing.march_picture(subject.distance, observe, params, camera).marches
    lines = jax.vmap(partial(raygen.line_through, camera))(corners(*camera.resolution) + 0.5)
    hit = march.status == Status.HIT

    def row(x: jax.Array, direction: jax.Array) -> jax.Array:
        _, rows = field_and_rows(subject, network, code, x[None])
        return -rows[0] / shading.slope_along(subject.distance, params, x, direction)

    t = march.settled
    x = lines.origin + t[:, None] * lines.direction
    rows = buffers.skipping(row, hit, (x, lines.direction), parts=max(1, len(x) // _BLOCK))
    depth = jax.vmap(partial(cameras.depth_of, camera))(lines.direction, t)
    return _Seen(hit, depth, lines.origin, lines.direction, t, rows)


def _compared(
    one: _Seen,
    picture: jax.Array,
    camera: Camera,
    other: jax.Array,
    hit: jax.Array,
    depth: jax.Array,
    occlusion: float,
) -> tuple[jax.Array, jax.Array, jax.Array]:
    """The difference (N, 3) of another picture's colours from one's at its points, how it changes with their distances,
    (N, 3), and which of them (N,) the other camera sees.
    """
    height, width = camera.resolution

    def at(origin: jax.Array, direction: jax.Array, t: jax.Array) -> Any:
        def colour(t: jax.Array) -> jax.Array:
            return looked_up(other, cameras.project(camera, origin + t * direction)[0])

        u, z = cameras.project(camera, origin + t * direction)
        inside = jnp.all((u >= 0.5) & (u <= jnp.array([width, height]) - 0.5)) & (z > 0)
        column, row = jnp.clip(u.astype(jnp.int32), 0, jnp.array([width - 1, height - 1]))
        there = row * width + column
        visible = inside & hit[there] & ((z - depth[there]) ** 2 < occlusion)
        return *jax.jvp(colour, (t,), (jnp.ones_like(t),)), visible

    colour, change, visible = jax.vmap(at)(one.origin, one.direction, one.distance)
    return colour - picture.reshape(-1, 3), change, one.hit & visible
