"""The code of a decoder whose shape is what a scan claims: shape completion by damped least squares (ours).

A measured depth claims that the field is zero at its point, and not negative before it; a measured normal, what the
field is a little before and behind that point; a ray of the background, that it is negative nowhere; a ray within the
outline, that it is somewhere no more than zero. The least field along a ray
changes with the code as the field at that very point does (envelope theorem), so that every claim is one of a field at
a point, and a batch of points gives the derivatives of all of them.
"""

from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from sdfrepar import cameras, observing, raygen, shading
from sdfrepar.fields import Distance
from sdfrepar.fitting.least_squares import Quadratic, Search, kept_small, make_search, sum_of_squares
from sdfrepar.fitting.maps import Maps
from sdfrepar.imaging import corners
from sdfrepar.observing import Marched, ObserveConfig, Subject
from sdfrepar.records import Camera, Line, Status
from sdfrepar.rendering import buffers

# Samples behind the first hit of a ray among which the deepest is sought; they lie closer next to the hit.
_BEHIND = 16

# A depth is hardly ever off by more than so many deviations.
_OUTLYING = 3.0

# A surface that is seen flatter is taken to be seen so.
_FLATTEST = 0.1

# Claims at a time.
_BLOCK = 256


@dataclass(frozen=True)
class ClaimsConfig:
    """What is minimised: Σ w ρ(r / σ) + w |code|² / 2, where claims are missed by r; ρ is `sum_of_squares`'."""

    steps: int = 20
    """Steps of the search for the code."""
    bias_steps: int = 12
    """Further steps, in which the biases of all hidden layers are sought with the code; 0 leaves the code alone."""
    bias_deviation: float = 0.007
    """How far biases are expected to be from those that were learnt."""
    deviation: float = 0.005
    """σ, how far a decoder's surface is expected to be from a true one, scene units."""
    bend: float = 2.0
    """What is missed by more than so many σ counts by how much that is, not by its square."""
    enough: int = 60
    """All the depths together weigh no more than so many: what a decoder gets wrong it gets wrong alike at neighbours.
    """
    reach: float = 0.02
    """How far before a measured depth the shape may begin, scene units."""
    normal_weight: float = 0.3
    """Weight of a normal's two claims beside that of a depth."""
    lift: float = 0.01
    """How far from a surface along its normal the field is claimed to be as large, scene units [P19]."""
    outline_weight: float = 10.0
    """Weight of a ray's claim beside that of a depth; few rays, those at the rim, have anything to claim."""
    code_weight: float = 0.5
    """Weight of |code|² / 2, whose numbers count deviations."""

    def __post_init__(self) -> None:
        """Refuse what cannot work."""
        for name in ("steps", "deviation", "bend", "enough"):
            if getattr(self, name) <= 0:
                raise ValueError(f"fit.{name} is {getattr(self, name)}; it must be positive.")


class Claims(NamedTuple):
    """What is claimed at N points; detached."""

    point: jax.Array  # (N, 3) scene units
    value: jax.Array  # (N,) what the field is there, scene units
    side: jax.Array  # (N,) 0: it is that; 1: it is no less; -1: it is no more
    deviation: jax.Array  # (N,) by how much it may be off, scene units
    weight: jax.Array  # (N,) 0 where nothing is claimed, or where it is known to be met


def make_claims_search(
    subject: Subject, observe: ObserveConfig, config: ClaimsConfig, *, rays: bool = True, patience: float = 0.0
) -> Search:
    """A search of codes (latent,), whose data are network, camera, maps, and the deviation () of depths, scene units.

    Args:
        subject: a decoder whose code counts deviations, as `networks.in_deviations` makes it.
        observe: how rays are marched.
        config: what is minimised.
        rays: whether there are claims along rays; else of measured depths alone, which asks for no march.
        patience: that of `make_search`; claims along rays of noisy depths come and go.
    """

    def about(code: jax.Array, network: Any, camera: Camera, maps: Maps, noise: jax.Array) -> Quadratic:
        made = at_depths(camera, maps, config, noise)
        if rays:
            params = subject.prepare({"network": network, "code": code})
            along, at_hits = along_rays(subject.distance, observe, params, camera, maps, config, noise)
            elsewhere = jnp.where(jnp.tile(at_hits.weight > 0, 3), 0.0, made.weight)
            parts = made._replace(weight=elsewhere), along, at_hits
            made = jax.tree.map(lambda *leaves: jnp.concatenate(leaves), *parts)

        def missed(some: Claims, wanted: jax.Array) -> Quadratic:
            field, rows = field_and_rows(subject, network, code, some.point)
            off = missed_by(some, field) / some.deviation
            return sum_of_squares(off, rows / some.deviation[:, None], jnp.where(wanted, some.weight, 0.0), config.bend)

        total = buffers.summed(missed, made.weight > 0, _BLOCK, made)
        return jax.tree.map(jnp.add, total, kept_small(code, config.code_weight))

    return make_search(about, patience)


def field_and_rows(subject: Subject, network: Any, code: jax.Array, points: jax.Array) -> tuple[jax.Array, jax.Array]:
    """The field (N,) at points (N, 3), and how it changes with a code (latent,), (N, latent)."""

    def row(x: jax.Array) -> tuple[jax.Array, jax.Array]:
        def field(code: jax.Array) -> jax.Array:
            return subject.distance(subject.prepare({"network": network, "code": code}), x)

        return jax.value_and_grad(field)(code)

    return jax.vmap(row)(points)


def at_depths(camera: Camera, maps: Maps, config: ClaimsConfig, noise: jax.Array) -> Claims:
    """The claims of measured depths, and of normals where they are known: N = 3 * height * width.

    What a decoder gets wrong is alike at neighbours, and of so many depths adds up to no less; noise, a deviation ()
    in scene units, is not.
    """
    u, measured, normal = corners(*camera.resolution) + 0.5, maps.measured.reshape(-1), maps.normal.reshape(-1, 3)
    point = jax.vmap(partial(cameras.at_depth, camera))(u, maps.depth.reshape(-1))
    weight, deviation = _of_depths(measured, config, noise)
    known = config.normal_weight * weight * jnp.any(normal != 0, axis=1)
    lifts = jnp.array([0.0, config.lift, -config.lift])
    return Claims(
        point=jnp.concatenate([point + lift * normal for lift in lifts]),
        value=jnp.repeat(lifts, len(u)),
        side=jnp.zeros(3 * len(u)),
        deviation=jnp.full(3 * len(u), deviation),
        weight=jnp.concatenate([weight, known, known]),
    )


def along_rays(
    distance: Distance,
    observe: ObserveConfig,
    params: Any,
    camera: Camera,
    maps: Maps,
    config: ClaimsConfig,
    noise: jax.Array,
) -> tuple[Claims, Claims]:
    """The claims of rays as the field is now, N = height * width; a ray weighs as a depth does where all are measured.

    Of noisy depths whose rays meet the shape, the second claims hold in the place of those `at_depths`: that the field
    at the hit is what brings it to the depth. A noisy point itself may lie beyond a wall. Those that miss claim a
    surface too, or else it would pay to miss: the field at a point is less than the distance along a ray.

    Args:
        distance: the field.
        observe: how rays are marched.
        params: of the field, prepared.
        camera: one camera.
        maps: what is known of its pixels.
        config: how much they weigh.
        noise: () deviation of the depths, scene units; the free space before them ends some of these earlier.

    Gradient: none; the claims are detached.
    """
    measured, outlined, mask = (x.reshape(-1) for x in (maps.measured, maps.outlined, maps.mask))
    marched = observing.march_picture(distance, observe, params, camera, maps.measured | maps.outlined)
    lines = jax.vmap(partial(raygen.line_through, camera))(corners(*camera.resolution) + 0.5)
    march = marched.marches
    hit = march.status == Status.HIT
    measured_at = maps.depth.reshape(-1) / (lines.direction @ camera.rotation[:, 2])
    end = jnp.where(measured, measured_at - config.reach - _OUTLYING * noise, lines.far)
    free = (measured | (outlined & ~mask)) & hit & (march.settled < end)
    met = outlined & mask & (~measured | (noise > 0)) & ~hit & (lines.far > lines.near)
    at = jnp.where(free, _deepest(distance, params, lines, marched, end, free), march.at[:, 0])
    point = lines.origin + at[:, None] * lines.direction
    side = jnp.where(free, 1.0, -1.0)
    share = jnp.minimum(1.0, config.enough / jnp.maximum(jnp.sum(mask), 1))
    weight = jnp.where(free | met, config.outline_weight * share, 0.0)
    deviation = jnp.sqrt(config.deviation**2 + jnp.where(measured, noise, 0.0) ** 2)
    along = Claims(point, jnp.zeros(len(side)), side, deviation, weight)
    meets = measured & hit & (noise > 0)
    at_hits = _at_hits(distance, params, lines, march.settled, measured_at, meets, config, noise)
    return jax.lax.stop_gradient((along, at_hits))


def _at_hits(
    distance: Distance,
    params: Any,
    lines: Line,
    settled: jax.Array,
    measured_at: jax.Array,
    meets: jax.Array,
    config: ClaimsConfig,
    noise: jax.Array,
) -> Claims:
    """The claims of depths, distances (N,) along lines, at the points where these meet the shape."""

    def slope_at(line: Line, t: jax.Array) -> jax.Array:
        return shading.slope_along(distance, params, line.origin + t * line.direction, line.direction, _FLATTEST)

    slope = buffers.skipping(slope_at, meets, (lines, settled), parts=max(1, len(meets) // _BLOCK))
    weight, deviation = _of_depths(meets, config, noise)
    return Claims(
        point=lines.origin + settled[:, None] * lines.direction,
        value=slope * (settled - measured_at),
        side=jnp.zeros(len(meets)),
        deviation=jnp.where(meets, jnp.abs(slope), 1.0) * deviation,
        weight=weight,
    )


def _of_depths(measured: jax.Array, config: ClaimsConfig, noise: jax.Array) -> tuple[jax.Array, jax.Array]:
    """The weights (N,) of depths, and their deviation ()."""
    alike = config.deviation**2 * jnp.maximum(1.0, jnp.sum(measured) / config.enough)
    variance = config.deviation**2 + noise**2
    return jnp.where(measured, variance / (alike + noise**2), 0.0), jnp.sqrt(variance)


def missed_by(claims: Claims, field: jax.Array) -> jax.Array:
    """By how much the field (N,) at the claims' points misses what they claim, (N,) scene units."""
    off = field - claims.value
    wrong = (claims.side == 0) | (claims.side * off < 0)
    return jnp.where(wrong & (claims.weight > 0), off, 0.0)


def _deepest(
    distance: Distance, params: Any, lines: Line, marched: Marched, end: jax.Array, wanted: jax.Array
) -> jax.Array:
    """Where between its first hit and its end the field is least along each wanted line, (N,)."""

    def of_line(line: Line, begin: jax.Array, end: jax.Array) -> jax.Array:
        t = begin + (end - begin) * jnp.linspace(0.0, 1.0, _BEHIND) ** 2
        return t[jnp.argmin(jax.vmap(lambda t: distance(params, line.origin + t * line.direction))(t))]

    items = lines, marched.marches.settled, end
    return buffers.skipping(of_line, wanted, items, parts=max(1, len(end) // 64))
