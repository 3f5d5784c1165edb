"""All the points of a march, for the warps that average their motion; and how a point's motion looks on the film."""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp

from sdfrepar.numerics import away_from_zero
from sdfrepar.records import Ray

# Points this close to the rim of the unit sphere, or to the camera, weigh less and less: there marches begin and end,
# and a point that appears or vanishes must not move the warp. Scene units (squared, for the rim).
_RIM = 0.1

# At this distance from the surface a point moves the film half as much as the field's slope says, scene units.
_CALM = 0.05

# The logarithm of no weight at all: finite, so that a ray without any point has a difference of logarithms.
NO_WEIGHT = -1e30


class Path(NamedTuple):
    """The points that a march visited, in order; beyond `count` the last one is repeated."""

    t: jax.Array  # (N,) distance along the ray, scene units
    f: jax.Array  # (N,) value of the field
    count: jax.Array  # () int32

    @property
    def visited(self) -> jax.Array:
        """Which entries (N,) are points of the march, not repetitions of the last."""
        return jnp.arange(self.t.shape[0]) < self.count

    @property
    def slope(self) -> jax.Array:
        """n·d (N,) at every point, by differences; 1, far from grazing, at the first.

        A difference along the ray costs nothing where a normal costs a gradient. It vanishes at a grazing point as n·d
        does, which is all that weights and band ask of it.
        """
        step = away_from_zero(self.t - jnp.roll(self.t, 1), 1e-9)
        return ((self.f - jnp.roll(self.f, 1)) / step).at[0].set(1.0)

    @property
    def spacing(self) -> jax.Array:
        """Quadrature weights (t_{i+1} - t_{i-1}) / 2 (N,), positive [B22 eq. 13 has the sign reversed].

        A sphere tracer's next point is |f| away, whether it is still visited or not, and the last point stands for all
        that would follow it down to the surface: where a path ends must not move the warp.
        """
        length = jnp.abs(self.f)
        before = jnp.roll(length, 1).at[0].set(0.0)
        last = jnp.arange(self.t.shape[0]) == self.count - 1
        slope = self.slope
        down = last & (slope < 0)
        after = jnp.where(down, 2.0 * length / jnp.clip(-slope, 0.05, 2.0), length)
        return jnp.maximum(0.5 * (before + after), 1e-12)


def path_init(points: int) -> Callable[[Ray], Path]:
    """Observer of the visited points themselves, at most `points` of them."""

    def init(ray: Ray) -> Path:
        blank = jnp.broadcast_to(ray.near, (points,))
        return Path(t=blank, f=jnp.ones_like(blank), count=jnp.zeros((), jnp.int32))

    return init


def path_step(path: Path, ray: Ray, index: jax.Array, t: jax.Array, f: jax.Array) -> Path:
    """Note the visited point number `index` (), of value f () at t (), scene units; repeat it to the end."""
    del ray
    later = jnp.arange(path.t.shape[0]) >= index
    return Path(t=jnp.where(later, t, path.t), f=jnp.where(later, f, path.f), count=index + 1)


def rim(ray: Ray) -> jax.Array:
    """A factor () that takes the warp of a ray to zero where the ray leaves the unit sphere's outline; else 1."""
    x = ray.origin - (ray.origin @ ray.direction) * ray.direction
    return jnp.clip((1.0 - x @ x) / _RIM, 0.0, 1.0)


def log_presence(ray: Ray, path: Path) -> jax.Array:
    """The logarithm (N,) of a weight that lets points fade in at the camera and out at the rim of the unit sphere."""
    x = ray.origin[None] + path.t[:, None] * ray.direction[None]
    inside = jnp.minimum((1.0 - jnp.sum(x**2, axis=1)) / _RIM, 1.0) * jnp.minimum(path.t / _RIM, 1.0)
    present = path.visited & (inside > 1e-12)
    return jnp.where(present, jnp.log(jnp.where(present, inside, 1.0)), NO_WEIGHT)


def on_film(ray: Ray, t: jax.Array, f: jax.Array, n: jax.Array) -> jax.Array:
    """P n / (|n|² + (f / _CALM)²) (2,): how the film sees a point at distance t move when f falls by one unit, pixels.

    P is the pseudo-inverse of ∂x/∂u at fixed t, t ∂d/∂u. Points nearer than 0.001 count as that far.      [B22 eq. 5]

    The paper has no second term. On the surface there is none; away from it a smooth field has points without slope,
    half way between two surfaces, where the first alone moves the film without bound.
    """
    differential = ray.differential
    pseudo_inverse = jnp.linalg.inv(differential.T @ differential) @ differential.T
    slope_squared = jnp.maximum(n @ n + (f / _CALM) ** 2, 1e-6)
    return pseudo_inverse @ n / (slope_squared * jnp.maximum(t, 1e-3))
