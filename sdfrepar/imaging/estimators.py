"""From samples to pixels: the estimator whose mean is the pixel, and whose derivative has the pixel's as its mean.

    E(u) = k(T - c) (L(T) - b) det ∂T/∂u + b,   T = u + V                                         after [B22 eq. 3]

With a constant b the term k(u - c) b integrates to b, which stands here in place of its noisy estimate. Where the
kernel does not vanish on the border of its support, a box, T carries light across it, and the flux of (L - b) V through
the four edges is taken off again, from samples on the edges.
"""

import math
from dataclasses import dataclass

import jax
import jax.numpy as jnp

from sdfrepar.imaging.filters import FILTERS, Filter, FilterName
from sdfrepar.imaging.sampling import Pattern, line_points, square_points
from sdfrepar.numerics import tangent_of
from sdfrepar.records import Sample

EDGES = 4


@dataclass(frozen=True)
class FilmConfig:
    """How pixels gather light."""

    filter: FilterName = "tent"
    """tent, bspline (cubic), gaussian (windowed): smooth; box: with extra samples on the pixel's edges."""
    pattern: Pattern = "stratified"
    """stratified: one sample in each cell; sobol: Owen-scrambled, best with a power of two a side; independent;
    regular: the middles of the cells, biased; with box and one sample a side it is the ray of [I20]."""
    samples_per_side: int = 2
    """Each pixel takes the square of this many samples."""
    edge_samples: int = 2
    """Samples on each edge of a box pixel; a warp needs them, the interior's gradient does without."""
    control_variate: bool = True
    """Whether a constant b is taken off the radiance and put back; it changes no mean and takes most noise away."""

    def __post_init__(self) -> None:
        """Refuse what cannot work."""
        if self.samples_per_side < 1 or self.edge_samples < 0:
            raise ValueError(
                f"film.samples_per_side and edge_samples are {self.samples_per_side} and {self.edge_samples}; "
                "expected at least 1 and at least 0."
            )

    @property
    def kernel(self) -> Filter:
        """The filter itself."""
        return FILTERS[self.filter]

    @property
    def reach(self) -> float:
        """How far from its centre a pixel takes samples, pixels."""
        return math.sqrt(2.0) * self.kernel.radius

    @property
    def inside(self) -> int:
        """Samples of the film's area a pixel."""
        return self.samples_per_side**2

    @property
    def on_edges(self) -> int:
        """Samples on each edge; none where the kernel vanishes there."""
        return 0 if self.kernel.vanishes else self.edge_samples


def pixel_positions(config: FilmConfig, key: jax.Array, centre: jax.Array, width: jax.Array) -> jax.Array:
    """Film positions for one pixel on its own: over the filter's support first, then along the edges, if it needs them.

    Args:
        config: filter and pattern.
        key: random key.
        centre: (2,) centre of the pixel, in pixels of the full-resolution image.
        width: () width of the pixel, likewise (2 ** level in a pyramid).

    Returns:
        (inside + 4 on_edges, 2) positions, in pixels of the full-resolution image.
    """
    inner_key, edge_key = jax.random.split(key)
    offset = config.kernel.place(square_points(config.pattern, inner_key, config.samples_per_side))
    if config.on_edges:
        along = jax.vmap(lambda key: line_points(config.pattern, key, config.on_edges))(
            jax.random.split(edge_key, EDGES)
        )
        side = jnp.full_like(along[0], 0.5)
        left, right, top, bottom = along - 0.5
        edges = [(-side, left), (side, right), (top, -side), (bottom, side)]
        offset = jnp.concatenate([offset, *(jnp.stack(edge, axis=-1) for edge in edges)])
    return centre[None] + width * offset


def pixel(config: FilmConfig, samples: Sample, centre: jax.Array, width: jax.Array, baseline: jax.Array) -> jax.Array:
    """The value of one pixel from samples placed by `pixel_positions`: the mean of E over them.

    Args:
        config: filter and pattern.
        samples: (inside + 4 on_edges,) samples.
        centre: (2,) pixels of the full-resolution image.
        width: () likewise.
        baseline: (3,) b, linear; any constant that does not depend on these samples.

    Returns:
        (3,) linear radiance.

    Gradient: with the warp's tangents attached, unbiased for the pixel's derivative, silhouettes included.
    """
    baseline = jax.lax.stop_gradient(baseline)
    inner, outer = (jax.tree.map(lambda s, part=part: s[part], samples) for part in _parts(config))

    def contribution(sample: Sample) -> jax.Array:
        drawn = (sample.film - centre) / width
        weight = weigh(config.kernel, sample, centre, width) / jnp.prod(config.kernel.density(drawn))
        return weight * excess(sample, baseline)

    value = baseline + jnp.mean(jax.vmap(contribution)(inner), axis=0)
    if config.on_edges:
        flux = jax.vmap(edge_flux, in_axes=(0, None))(outer, baseline)  # (4 on_edges, 3, 2)
        left, right, top, bottom = jnp.mean(flux.reshape(EDGES, config.on_edges, 3, 2), axis=1) / width
        value = value - (right - left)[:, 0] - (bottom - top)[:, 1]
    return value


def weigh(kernel: Filter, sample: Sample, centre: jax.Array, width: jax.Array) -> jax.Array:
    """k(T - c) (), in units of the pixel's own area, with the derivative that the warp gives it."""
    return jnp.prod(kernel.kernel((sample.film + sample.warp.displacement - centre) / width))


def excess(sample: Sample, baseline: jax.Array) -> jax.Array:
    """(L - b) det ∂T/∂u, with the widened boundary of `relaxed`, which is zero in value: (3,)."""
    return (sample.radiance - baseline) * (1.0 + sample.warp.divergence) + sample.boundary


def edge_flux(sample: Sample, baseline: jax.Array) -> jax.Array:
    """(L - b) V (3, 2) at a sample on an edge: zero in value."""
    light = jax.lax.stop_gradient(sample.radiance) - baseline
    return light[:, None] * tangent_of(sample.warp.displacement)[None]


def _parts(config: FilmConfig) -> tuple[slice, slice]:
    """Which samples of a pixel lie inside, and which on the edges."""
    return slice(0, config.inside), slice(config.inside, None)
