"""Pictures of a prior: true shapes above decoded ones, the way from one code to another, and the loss."""

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


POSITION = (-1.7, 1.4, -2.0)
"""Of the camera, scene units: from the side, from ahead and from above; planes fly along -x."""


def camera(resolution: int, position: Sequence[float] = POSITION) -> Camera:
    """A camera that sees the whole unit sphere, from a position (3,), scene units."""
    return cameras.look_at(
        jnp.asarray(position, jnp.float32),
        jnp.zeros(3),
        jnp.array([0.0, 1.0, 0.0]),
        field_of_view=photography.FIELD_OF_VIEW,
        resolution=(resolution, resolution),
    )


class Pictures:
    """Normals of decoded and of true shapes."""

    def __init__(self, prior: Prior, camera: Camera):
        """Of a prior, seen by one camera."""
        self._prior, self._camera = prior, camera
        see = partial(observing.observe, prior.decoder, ObserveConfig(), channels=("normal",))
        self._see = jax.jit(see)

    def decoded(self, code: str | np.ndarray) -> np.ndarray:
        """What is decoded from a code, or for a shape of the prior, (H, W, 3) sRGB."""
        seen = self._see(self._prior.params(code), self._camera)
        return reports.normal_picture(np.asarray(seen.normal), np.asarray(seen.valid, np.float32))

    def true(self, shape: Shape) -> np.ndarray:
        """A shape as it is, (H, W, 3) sRGB."""
        seen = photography.survey(shape.surface, self._camera)
        return reports.normal_picture(seen.normal, seen.mask.astype(np.float32))

    def of_families(self, shapes: Mapping[str, Callable[[], Shape]]) -> dict[str, np.ndarray]:
        """Of each family some shapes, true above decoded, and the way from the first code to the last; by name."""
        found = {}
        for family in dict.fromkeys(map(family_of, shapes)):
            names = [name for name in shapes if family_of(name) == family]
            some = [names[i] for i in np.unique(np.linspace(0, len(names) - 1, _COLUMNS).round().astype(int))]
            rows = [[self.true(shapes[name]()) for name in some], [self.decoded(name) for name in some]]
            found[f"shapes_{family}"] = np.concatenate([reports.side_by_side(*row) for row in rows])
            found[f"between_{family}"] = self.between(names[0], names[-1])
        return found

    def between(self, first: str, last: str) -> np.ndarray:
        """The way from the code of one shape to that of another, evenly."""
        ends = [np.asarray(self._prior.params(name)["code"]) for name in (first, last)]
        shares = np.linspace(0.0, 1.0, _COLUMNS)
        return reports.side_by_side(*(self.decoded((1.0 - share) * ends[0] + share * ends[1]) for share in shares))


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
