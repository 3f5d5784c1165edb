"""A prior without a network: its shapes are balls, and a code is what a radius is more than 0.4."""

from functools import cached_property

import jax.numpy as jnp
import numpy as np

from experiments.priors.samples import Shape
from experiments.priors.store import Prior, PriorConfig
from experiments.synthetic.surfaces import FieldSurface
from sdfrepar import fields
from sdfrepar.networks import DecoderConfig
from sdfrepar.observing import Subject

BALL = Subject(
    distance=lambda params, x: fields.sphere({"radius": params["network"] + params["code"][0]}, x),
    properties=lambda params, x: jnp.zeros(0),
)


class Balls(Prior):
    """The prior."""

    @cached_property
    def decoder(self) -> Subject:
        """Of balls."""
        return BALL


def prior() -> Balls:
    """A prior of two balls, of radius 0.35 and 0.45."""
    codes = np.array([[-0.05], [0.05]], np.float32)
    return Balls(PriorConfig(), ("mug 0", "mug 3"), jnp.float32(0.4), codes, 0)


def shape(radius: float) -> Shape:
    """One of its kind."""
    surface = FieldSurface(fields.sphere, {"radius": jnp.float32(radius)}, np.ones_like)
    return Shape(surface, lambda points: np.linalg.norm(points, axis=-1) - radius)


COLOURED = Subject(BALL.distance, lambda params, x: _waves(x))


class ColouredBalls(Balls):
    """Balls with colours that depend on the direction from the centre alone."""

    @cached_property
    def decoder(self) -> Subject:
        """Of coloured balls."""
        return COLOURED


def coloured_prior() -> ColouredBalls:
    """As `prior`."""
    codes = np.array([[-0.05], [0.05]], np.float32)
    config = PriorConfig(network=DecoderConfig(latent=1, channels=3))
    return ColouredBalls(config, ("mug 0", "mug 3"), jnp.float32(0.4), codes, 0)


def coloured_shape(radius: float) -> Shape:
    """One of its kind."""
    surface = FieldSurface(fields.sphere, {"radius": jnp.float32(radius)}, lambda points: np.asarray(_waves(points)))
    return Shape(surface, lambda points: np.linalg.norm(points, axis=-1) - radius)


def _waves(x):
    """Linear colours (..., 3) at points (..., 3)."""
    direction = x / jnp.sqrt(jnp.sum(jnp.square(x), axis=-1, keepdims=True) + 1e-9)
    return 0.5 + 0.4 * jnp.sin(5.0 * direction)
