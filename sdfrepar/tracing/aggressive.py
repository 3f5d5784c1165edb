"""The march of [D20 §3.2]: bold steps, and the samples next to the surface remembered.

A ray never asks the field: `advance` is told what the field is at `March.distance` and says where to ask next, so that
whoever marches many rays can ask for the unfinished ones alone.
"""

from dataclasses import dataclass
from typing import Literal, NamedTuple

import jax
import jax.numpy as jnp

from sdfrepar.numerics import safe_divide
from sdfrepar.records import Status

# A step to where the surface is expected may leave so many thresholds unseen, behind the sphere of the last sample; one
# from within the threshold, or from so many thresholds away after that, may leave any.
_UNSEEN, _NEAR = 4.0, 8.0

# A slope that was measured over no more than so many thresholds holds up to the surface; without it, a sample is on the
# surface whose field is less than this share of the threshold.
_SHORT, _EXACT = 4.0, 0.1

# A ray never takes the surface to be seen flatter than this, so that a step is at most ten times the field.
_FLATTEST = 0.1

# A surface seen flatter than this is walked up to by spheres that touch.
_FLAT = 1.0 / 3.0

# Slopes above this say that the field does not fall; a bold step is then at most eight times the field.
_STEEPEST_RISE = 0.75


@dataclass(frozen=True)
class MarchConfig:
    """How a ray marches, and when it stops."""

    max_steps: int = 50
    """Samples of a ray."""
    stride: Literal["sphere", "aggressive", "secant"] = "secant"
    """sphere: as far as the field; aggressive: `aggression` times as far [D20]; secant (ours): as far as the next
    sphere may touch this one, or to where the last two samples expect the surface."""
    aggression: float = 1.5
    """α of [D20]."""
    step_cap: float = 0.1
    """The field counts up to here, scene units: a decoder trained on clamped distances knows no more [D20]. Where
    distances are exact throughout, 1 is better."""
    samples: int = 3
    """K, how many of the points next to the surface carry the first-order gradient [D20]."""

    def __post_init__(self) -> None:
        """Refuse what cannot work."""
        if self.max_steps < 1 or self.samples < 1:
            raise ValueError(
                f"march.max_steps is {self.max_steps} and march.samples {self.samples}; both must be at least 1."
            )
        if not 1 <= self.aggression < 2:
            raise ValueError(f"march.aggression is {self.aggression}; it must be in [1, 2), for a march to converge.")
        if self.step_cap <= 0:
            raise ValueError(f"march.step_cap is {self.step_cap} scene units; it must be positive.")


class March(NamedTuple):
    """How far a ray has come. Detached."""

    distance: jax.Array  # () where the field is to be asked next, scene units along the ray
    far: jax.Array  # () where the ray leaves the unit sphere
    step: jax.Array  # () the way from the last sample to there, scene units; 0 before the first
    field: jax.Array  # () the last sample's field, inf before the first
    slope: jax.Array  # () the field's change per length between the last two samples
    least: jax.Array  # (K,) the least |f| of all samples, rising; inf where there are fewer
    at: jax.Array  # (K,) their distances
    entered: jax.Array  # () where the ray first came within the threshold
    settled: jax.Array  # () where the surface is, once it is found
    status: jax.Array  # () int32, a `Status`; HIT as soon as a sample is within the threshold
    open: jax.Array  # () bool, whether it goes on


def begin(config: MarchConfig, near: jax.Array, far: jax.Array, slope: jax.Array) -> March:
    """A ray before its first sample, from `near` () to `far` (), with a first guess of the slope (); it is done where
    there is nothing between them.
    """
    inside = far > near
    return March(
        distance=near,
        far=far,
        step=jnp.zeros_like(near),
        field=jnp.full_like(near, jnp.inf),
        slope=slope,
        least=jnp.full((config.samples,), jnp.inf, near.dtype),
        at=jnp.full((config.samples,), near),
        entered=near,
        settled=near,
        status=jnp.where(inside, Status.UNDECIDED, Status.MISS).astype(jnp.int32),
        open=inside,
    )


def advance(config: MarchConfig, threshold: jax.Array, march: March, f: jax.Array) -> March:
    """One sample further, the field being `f` () at `march.distance`.

    A sample within the threshold () makes the ray a hit. It goes on all the same until the surface is known to be
    within the threshold along the ray too, which takes longer where it is seen at a flat angle; a ray that recedes
    before that has grazed the surface, and is given the distance at which it came within the threshold.
    """
    t, value = march.distance, jnp.abs(f)
    f = jnp.clip(f, -config.step_cap, config.step_cap)
    first = ~jnp.isfinite(march.field)
    slope = jnp.where(first, march.slope, jnp.clip(safe_divide(f - march.field, march.step), -1.0, 1.0))
    # Between spheres that do not touch another surface may hide; a bold step is then taken back, and what it found does
    # not count, unless it was a short one to where the surface was expected. So is a step to a surface seen so flat
    # that the ray may only graze it: to know where it comes within the threshold takes short steps.
    was_hit = march.status == Status.HIT
    aimed = _expects_surface(threshold, was_hit, march.field, march.slope) & (f <= threshold)
    apart = (march.field + jnp.abs(f) < march.step) & ~aimed
    entering = (jnp.abs(f) < threshold) & ~was_hit
    grazing = entering & (slope > -_FLAT) & (march.step > march.field)
    skipped = ~first & (apart | grazing) & (config.stride == "secant")
    expected = t + _to_surface(f, slope)
    within = (jnp.abs(f) < threshold) & ~skipped
    hit = was_hit | within
    # A slope over a long way says little of the last stretch.
    known = (march.step < _SHORT * threshold) | (value < _EXACT * threshold)
    arrived = within & (jnp.abs(expected - t) < threshold) & known
    grazed = hit & (f > 0) & (slope >= 0) & ~first
    # Where the threshold was passed between the last sample and this one.
    outside = jnp.where(first, f, march.field)
    passed = t - march.step * jnp.clip(safe_divide(threshold - f, outside - f), 0.0, 1.0)
    entered = jnp.where(within & ~was_hit, passed, march.entered)
    ahead = _stride(config, threshold, hit, f, slope)
    # A bold step out of the sphere may have skipped a surface as well.
    left = ~skipped & (t + jnp.minimum(ahead, jnp.abs(f)) > march.far)
    least, at = _with(march.least, march.at, value, t)
    on = March(
        distance=jnp.where(skipped, t - march.step + march.field, t + ahead),
        far=march.far,
        step=jnp.where(skipped, march.field, ahead),
        field=jnp.where(skipped, march.field, f),
        slope=jnp.where(skipped, march.slope, slope),
        least=least,
        at=at,
        entered=entered,
        settled=jnp.where(grazed | ~within, entered, expected),
        status=jnp.where(hit, Status.HIT, jnp.where(left, Status.MISS, Status.UNDECIDED)).astype(jnp.int32),
        open=~(arrived | grazed | left),
    )
    return jax.tree.map(lambda new, old: jnp.where(march.open, new, old), on, march)


def _stride(config: MarchConfig, threshold: jax.Array, hit: jax.Array, f: jax.Array, slope: jax.Array) -> jax.Array:
    """How far to go from a sample of value f, (); back, where it lies inside."""
    if config.stride == "sphere":
        return f
    if config.stride == "aggressive":
        return config.aggression * f
    # Between two samples, f apart from the surface and f + s h, none can hide while 2 f + s h >= h.
    touching = 2.0 * f / (1.0 - jnp.minimum(slope, _STEEPEST_RISE))
    return jnp.where(_expects_surface(threshold, hit, f, slope), _to_surface(f, slope), jnp.maximum(touching, f))


def _expects_surface(threshold: jax.Array, hit: jax.Array, f: jax.Array, slope: jax.Array) -> jax.Array:
    """Whether to step to where the last slope expects the surface, (): where that leaves little unseen on the way."""
    unseen = _to_surface(f, slope) - f
    near = (unseen < _UNSEEN * threshold) | (hit & (f < _NEAR * threshold))
    return near & (slope < -_FLATTEST)


def _to_surface(f: jax.Array, slope: jax.Array) -> jax.Array:
    """How far it is to the surface, (), where the field falls on as it has done."""
    return f / jnp.maximum(-slope, _FLATTEST)


def _with(least: jax.Array, at: jax.Array, value: jax.Array, t: jax.Array) -> tuple[jax.Array, jax.Array]:
    """The K least values (K,), rising, and their places, with one more."""
    index, rank = jnp.arange(least.shape[0]), jnp.sum(least <= value)

    def inserted(sorted_by_value: jax.Array, new: jax.Array) -> jax.Array:
        return jnp.where(index < rank, sorted_by_value, jnp.where(index == rank, new, jnp.roll(sorted_by_value, 1)))

    return inserted(least, value), inserted(at, t)
