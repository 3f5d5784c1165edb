"""Pictures of a prior: true shapes above decoded ones, the way from one code to another, and the loss."""

import math
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from experiments import curves
from experiments.priors.listing import family_of
from experiments.priors.samples import Shape
from experiments.priors.store import Prior
from experiments.synthetic import photography
from sdfrepar import cameras, observing, reports
from sdfrepar.observing import ObserveConfig
from sdfrepar.records import Camera

_COLUMNS = 6


POSITION = (1.0, 1.5, -2.4)
"""Of the camera, scene units: from the side and from above. Planes fly along -x, and mugs have their handles at +x."""


def camera(
    resolution: int, position: Sequence[float] | np.ndarray = POSITION, field_of_view: float = photography.FIELD_OF_VIEW
) -> Camera:
    """A camera at a position (3,), scene units, that looks at the origin, y up, and sees the whole unit sphere if its
    field of view, radians, is not given.
    """
    return cameras.look_at(
        jnp.asarray(position, jnp.float32),
        jnp.zeros(3),
        jnp.array([0.0, 1.0, 0.0]),
        field_of_view=field_of_view,
        resolution=(resolution, resolution),
    )


def towards(azimuth: float, elevation: float) -> np.ndarray:
    """The unit direction (3,) at these angles, radians: from z towards x, about y, and above the horizon."""
    level = math.cos(elevation)
    return np.array([level * math.sin(azimuth), math.sin(elevation), level * math.cos(azimuth)])


class Pictures:
    """Normals of what a prior decodes; every picture of one resolution is drawn by one program."""

    def __init__(self, prior: Prior):
        """Of a prior."""
        self._prior = prior
        self._see = jax.jit(partial(observing.observe, prior.decoder, ObserveConfig(), channels=("normal",)))

    def decoded(self, code: str | np.ndarray, camera: Camera) -> np.ndarray:
        """What is decoded from a code, or for a shape of the prior, (H, W, 3) sRGB."""
        seen = self._see(self._prior.params(code), camera)
        return reports.normal_picture(np.asarray(seen.normal), np.asarray(seen.valid, np.float32))

    def of_families(self, shapes: Mapping[str, Callable[[], Shape]], camera: Camera) -> dict[str, np.ndarray]:
        """Of each family some shapes, true above decoded, and the way from the first code to the last; by name."""
        found = {}
        for family in dict.fromkeys(map(family_of, shapes)):
            names = [name for name in shapes if family_of(name) == family]
            some = [names[i] for i in np.unique(np.linspace(0, len(names) - 1, _COLUMNS).round().astype(int))]
            rows = [[true(shapes[name](), camera) for name in some], [self.decoded(name, camera) for name in some]]
            found[f"shapes_{family}"] = np.concatenate([reports.side_by_side(*row) for row in rows])
            found[f"between_{family}"] = self._between(names[0], names[-1], camera)
        return found

    def _between(self, first: str, last: str, camera: Camera) -> np.ndarray:
        """The way from the code of one shape to that of another, evenly."""
        ends = [np.asarray(self._prior.params(name)["code"]) for name in (first, last)]
        codes = [(1.0 - share) * ends[0] + share * ends[1] for share in np.linspace(0.0, 1.0, _COLUMNS)]
        return reports.side_by_side(*(self.decoded(code, camera) for code in codes))


def true(shape: Shape, camera: Camera) -> np.ndarray:
    """Normals of a shape as it is, (H, W, 3) sRGB."""
    seen = photography.survey(shape.surface, camera)
    return reports.normal_picture(seen.normal, seen.mask.astype(np.float32))


def loss(lines: Sequence[Mapping[str, Any]]) -> bytes:
    """The loss and the codes' lengths against steps, as a PNG, from the lines of metrics.jsonl.

    Raises:
        ImportError: matplotlib is missing.
    """

    def draw(figure: Any) -> None:
        left, right = figure.subplots(1, 2)
        steps = [line["step"] for line in lines]
        for axes, name, label in ((left, "distance", "|f - f true|, clamped"), (right, "code", "length of a code")):
            axes.plot(steps, [line[name] for line in lines])
            axes.set(xlabel="step", ylabel=label)
            axes.grid(True, which="both", alpha=0.25)
        left.set_yscale("log")

    return curves.drawn(draw, (9.0, 3.5))
