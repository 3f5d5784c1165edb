"""The analytic scenes by name, from easy to hard."""

from collections.abc import Callable
from typing import Literal, NamedTuple

import jax
import jax.numpy as jnp

from experiments.synthetic import animal, demo, figure, vessel
from experiments.synthetic.parts import Part
from experiments.synthetic.surfaces import Albedo, FieldSurface

SceneName = Literal["demo", "figure", "vessel", "animal"]


class SyntheticScene(NamedTuple):
    """A solid in the unit sphere and its colours."""

    text: str
    solid: Callable[[], Part]
    albedo: Albedo


SCENES: dict[SceneName, SyntheticScene] = {
    "demo": SyntheticScene("a tilted ring and a ball above its hole", demo.solid, demo.albedo),
    "vessel": SyntheticScene("a hollow jug with a handle", vessel.solid, vessel.albedo),
    "figure": SyntheticScene("a figure that strides and waves", figure.solid, figure.albedo),
    "animal": SyntheticScene("a spotted animal on four thin legs", animal.solid, animal.albedo),
}


def surface(name: SceneName) -> FieldSurface:
    """The surface of a scene."""
    scene = SCENES[name]
    distance, params = scene.solid()
    # On the device at once: a march hands them over a thousand times.
    return FieldSurface(distance, jax.tree.map(jnp.asarray, params), scene.albedo)
