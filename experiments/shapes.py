"""Shapes by name, for first-order mode to look at: analytic, procedural, or decoded from a code.

solid = shapes.make(ShapeConfig(name="mug 3"))
observing.observe(solid.subject, ObserveConfig(), solid.params, camera)
"""

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from experiments.priors import families, published, store
from experiments.priors.families import FAMILIES
from experiments.priors.store import Prior
from experiments.synthetic.scenes import SCENES
from experiments.synthetic.surfaces import Albedo, FieldSurface
from sdfrepar.observing import Subject

ALIASES = {
    "shape": "shape.name",
    "prior": "shape.prior",
    "decoder": "shape.decoder",
    "codes": "shape.codes",
}
"""Short names of the flags of a `ShapeConfig`, in a config that calls it `shape`."""

GREY = 0.6
"""Linear albedo of what has no colours."""


@dataclass(frozen=True)
class ShapeConfig:
    """Which shape."""

    name: str = "animal"
    """An analytic scene: demo, vessel, figure, animal; a member of a family, like "mug 3"; or a shape of `prior`, by
    the name it was learnt by, or of `decoder`, by the number of its code."""
    prior: str | None = None
    """Workdir of experiments.train_prior."""
    decoder: str | None = None
    """File of a published decoder's weights: PyTorch's, .npz or .safetensors."""
    codes: str | None = None
    """File of that decoder's codes; none for the decoder's own file."""
    octaves: int = 0
    """Of the Fourier features that the decoder takes in the point's place, which its file does not tell."""

    def __post_init__(self) -> None:
        """Refuse what contradicts itself."""
        if self.prior and self.decoder:
            raise ValueError("prior and decoder are both given; a shape is decoded by one of them.")
        if not self.decoder and (self.codes or self.octaves):
            raise ValueError("codes or octaves come without a decoder; name its file with --shape.decoder=FILE.")


@dataclass(frozen=True, eq=False)
class Solid:
    """A shape and its parameters."""

    title: str
    subject: Subject
    """Its properties are linear colours (3,), or nothing (0,) where it has none."""
    params: Any

    @cached_property
    def surface(self) -> FieldSurface:
        """For pictures and maps that are exact, by a plain march."""
        prepared = jax.jit(self.subject.prepare)(self.params)
        return FieldSurface(self.subject.distance, prepared, self.albedo)

    def albedo(self, points: np.ndarray) -> np.ndarray:
        """Linear colours (N, 3) at points (N, 3)."""
        found = jax.vmap(lambda x: self.subject.properties(self.params, x))(jnp.asarray(points, jnp.float32))
        return np.asarray(found) if found.shape[1] == 3 else np.full(points.shape, GREY)


def make(config: ShapeConfig) -> Solid:
    """The shape that a config names.

    Raises:
        FileNotFoundError: there is no such prior or decoder.
        ValueError: no shape of that name, or files that cannot be read.
    """
    if config.prior or config.decoder:
        decoded = prior(config)
        return Solid(f"{config.name} of {config.prior or config.decoder}", decoded.decoder, decoded.params(config.name))
    if member := families.member(config.name):
        family, rng = member
        params = family.draw(rng)
        return Solid(config.name, Subject(family.distance, lambda params, x: x[:0]), jax.tree.map(jnp.asarray, params))
    if config.name in SCENES:
        scene = SCENES[config.name]
        part = scene.solid()
        return Solid(scene.text, Subject(part.distance, painted(scene.albedo)), jax.tree.map(jnp.asarray, part.params))
    raise ValueError(
        f"shape.name is {config.name!r}, expected one of {', '.join(SCENES)}, or a family's member like 'mug 3', of "
        f"{', '.join(FAMILIES)}; shapes that were learnt need --shape.prior or --shape.decoder too."
    )


def prior(config: ShapeConfig) -> Prior:
    """The decoder that a config names, with the codes of its shapes.

    Raises:
        FileNotFoundError: there is no such prior or decoder.
        ValueError: none is named, or its files cannot be read.
    """
    if config.prior:
        return store.load(Path(config.prior))
    if config.decoder:
        return published.load(Path(config.decoder), Path(config.codes or config.decoder), config.octaves)
    raise ValueError("No decoder is named; expected --shape.prior=FOLDER or --shape.decoder=FILE.")


def painted(albedo: Albedo) -> Any:
    """Colours that NumPy computes, as properties of a subject.

    Gradient: none.
    """

    def at_points(x: np.ndarray) -> np.ndarray:
        points = np.asarray(x)
        return albedo(points.reshape(-1, 3)).reshape(points.shape).astype(np.float32)

    def properties(params: Any, x: jax.Array) -> jax.Array:
        del params
        like = jax.ShapeDtypeStruct((3,), jnp.float32)
        return jax.pure_callback(at_points, like, jax.lax.stop_gradient(x), vmap_method="broadcast_all")

    return properties
