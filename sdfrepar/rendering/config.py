"""What there is to see, and how to render and differentiate it."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Literal

import jax
import jax.numpy as jnp

from sdfrepar import shading
from sdfrepar.fields import Distance
from sdfrepar.imaging import FilmConfig
from sdfrepar.precision import Precision
from sdfrepar.tracing import TraceConfig
from sdfrepar.warping import DistanceConfig, GrazingConfig, RelaxedConfig, VelocityConfig

Method = Literal["grazing", "velocity", "distance", "relaxed", "interior", "finite_difference"]

WARPS = ("grazing", "velocity", "distance")


def _matt_white(params: Any, x: jax.Array, normal: jax.Array, direction: jax.Array) -> jax.Array:
    return shading.lambert(jnp.ones(3), normal, jnp.array([0.4, 0.8, -0.45]), ambient=0.2)


def _black(params: Any, origin: jax.Array, direction: jax.Array) -> jax.Array:
    return jnp.zeros(3)


@dataclass(frozen=True)
class Scene:
    """What there is to see, as pure functions of one pytree of parameters."""

    distance: Distance
    """(params, x) -> () the signed distance."""
    radiance: Callable[[Any, jax.Array, jax.Array, jax.Array], jax.Array] = _matt_white
    """(params, x, normal, direction) -> (3,) linear radiance leaving x against the ray's direction; if not given, that
    of a matt white solid under one light from above and before."""
    background: Callable[[Any, jax.Array, jax.Array], jax.Array] = _black
    """(params, origin, direction) -> (3,) linear radiance of a ray that hits nothing; black if not given."""
    prepare: Callable[[Any], Any] = lambda params: params
    """params as they are optimised -> params as they are fastest to evaluate; the functions above take either."""


@dataclass(frozen=True)
class GradientConfig:
    """How the picture is differentiated."""

    method: Method = "grazing"
    """velocity [B22], distance [V22], grazing (ours, the cheapest): warps, silhouettes included, unbiased; relaxed
    [W24]: silhouettes included, biased; interior [I20]: implicit differentiation at the hit alone, no silhouettes;
    finite_difference: central differences of the picture, for few parameters."""
    band: float = 2.0
    """Samples further from every silhouette than this are left alone, pixels; `inf` follows every sample."""
    band_share: float = 0.5
    """Room for the samples near silhouettes, as a share of all; beyond it a random subset stands for the rest. Room
    that is not needed costs memory, and hardly any time."""
    step: float = 0.002
    """Step of the finite difference, in the units of the parameter; a tenth of a pixel of motion is a good one."""
    velocity: VelocityConfig = field(default_factory=VelocityConfig)
    distance: DistanceConfig = field(default_factory=DistanceConfig)
    grazing: GrazingConfig = field(default_factory=GrazingConfig)
    relaxed: RelaxedConfig = field(default_factory=RelaxedConfig)

    def __post_init__(self) -> None:
        """Refuse what cannot work."""
        if self.band <= 0:
            raise ValueError(f"gradient.band is {self.band} pixels; it must be positive (inf follows every sample).")
        if not 0 < self.band_share <= 1:
            raise ValueError(f"gradient.band_share is {self.band_share}; it is a share of all samples, in (0, 1].")
        if self.step <= 0:
            raise ValueError(f"gradient.step is {self.step}; a central difference needs a positive step, say 0.01.")
        if self.relaxed.thickness > self.band:
            raise ValueError(
                f"gradient.relaxed.thickness is {self.relaxed.thickness} pixels, beyond gradient.band, {self.band}; "
                "samples outside the band are left alone, so make the band wider."
            )


@dataclass(frozen=True)
class RenderConfig:
    """How to sample, trace and differentiate."""

    film: FilmConfig = field(default_factory=FilmConfig)
    trace: TraceConfig = field(default_factory=TraceConfig)
    gradient: GradientConfig = field(default_factory=GradientConfig)
    first_steps: int = 12
    """Marching steps that every ray makes before the unfinished ones are gathered."""
    unfinished_share: float = 0.125
    """Room for the rays that march on, as a share of all; what does not fit takes another round."""
    undecided_share: float = 0.015625
    """Room for the rays that are settled by refinement, as a share of all."""
    far_precision: Precision = "float32"
    """Precision of the marches that clear the space before a pixel's samples. They keep as far from the surface as this
    needs, and all that is seen or differentiated is float32."""
    chunk: int = 16384
    """Rays at a time in whole pictures."""

    def __post_init__(self) -> None:
        """Refuse what cannot work."""
        film = self.film
        if self.gradient.method in WARPS and not film.kernel.vanishes and not film.edge_samples:
            raise ValueError(
                f"film.edge_samples is 0 with film.filter {film.filter} and gradient.method {self.gradient.method}; a "
                "warp carries light across the edges of such a pixel, so sample them (2), or choose the filter tent."
            )
