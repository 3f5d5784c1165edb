"""What a ray meets, exactly: the surface of a field, marched in float64 without any cleverness."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple, Protocol

import jax
import numpy as np

from sdfrepar import evaluation, fields, meshing

Albedo = Callable[[np.ndarray], np.ndarray]
"""Linear colours (N, 3) at points (N, 3), scene units."""

_STEPS = 1000
_ARRIVED = 2e-6
"""A ray is done at this distance from the surface, scene units: what float32 can tell."""
_CLOSE = 1e-4
"""It has hit if it ended as close as this."""
_BATCHES = (1 << 8, 1 << 10, 1 << 13)
"""Points are evaluated in batches of these sizes, so that few shapes are compiled and all stays in the cache."""
_MARGIN = 1.25
"""Of a cone over the rays within: between two spheres that touch, a ray off the axis is a little further from both."""


class Crossings(NamedTuple):
    """Where rays from one origin first meet a surface; M of them do."""

    hit: np.ndarray  # (P, S) bool
    points: np.ndarray  # (M, 3) scene units
    normals: np.ndarray  # (M, 3) unit, outward


class Surface(Protocol):
    """The boundary of a solid in the unit sphere, with its colours."""

    @property
    def albedo(self) -> Albedo:
        """The colours."""
        ...

    def cast(self, origin: np.ndarray, directions: np.ndarray) -> Crossings:
        """First crossings of the rays from `origin` (3,), outside the unit sphere, along unit `directions`.

        These are (P, S, 3): P pixels of S rays each, which lie close together.
        """
        ...

    def occupancy(self, resolution: int) -> np.ndarray:
        """Which points (R, R, R) of a grid over [-1, 1]³ are inside."""
        ...

    def points(self, count: int, resolution: int) -> np.ndarray:
        """Points (count, 3) on the surface, even by area; a field is meshed at `resolution` to find them."""
        ...


@dataclass(frozen=True)
class FieldSurface:
    """The zero level of a field. Its slope is at most 1, so that no step passes through the surface."""

    distance: fields.Distance
    params: Any
    albedo: Albedo

    def cast(self, origin: np.ndarray, directions: np.ndarray) -> Crossings:
        """See `Surface`; positions are float64, the field float32."""
        hit = np.zeros(directions.shape[:2], bool)
        near = self._may_hit(origin, directions)
        chosen = directions[near].reshape(-1, 3)
        t, arrived = self._march(origin, chosen, 0.0)
        hit[near] = arrived.reshape(-1, directions.shape[1])
        x = origin + t[arrived, None] * chosen[arrived]
        n = self._batched(_gradients, x)
        return Crossings(hit, x, n / np.linalg.norm(n, axis=1, keepdims=True))

    def occupancy(self, resolution: int) -> np.ndarray:
        """See `Surface`."""
        return meshing.sample_grid(self.distance, self.params, resolution) < 0

    def points(self, count: int, resolution: int) -> np.ndarray:
        """See `Surface`; a Newton step brings points of the mesh onto the exact surface."""
        mesh = meshing.extract(self.distance, self.params, resolution, components="all")
        near = evaluation.sample_surface(mesh.vertices, mesh.faces, count, seed=0)
        f, n = self._batched(_values, near), self._batched(_gradients, near)
        return near - (f / np.sum(n * n, axis=1))[:, None] * n

    def _may_hit(self, origin: np.ndarray, directions: np.ndarray) -> np.ndarray:
        """The pixels (P,) whose rays do not all pass at a distance: one march, of a cone around them, for each."""
        axes = directions.mean(axis=1)
        axes /= np.linalg.norm(axes, axis=1, keepdims=True)
        spread = _MARGIN * np.linalg.norm(directions - axes[:, None], axis=2).max()
        return self._march(origin, axes, spread)[1]

    def _march(self, origin: np.ndarray, directions: np.ndarray, spread: float) -> tuple[np.ndarray, np.ndarray]:
        """Sphere tracing of cones (N, 3) that are `spread` wide a unit of length; rays for 0.

        Returns:
            How far each went (N,), scene units, and whether it ended on the surface.
        """
        leave = np.linalg.norm(origin) + 1.0
        t = np.full(len(directions), leave - 2.0)
        f = np.full(len(directions), np.inf)
        active = np.arange(len(directions))
        for _ in range(_STEPS):
            f[active] = self._batched(_values, origin + t[active, None] * directions[active])
            t[active] += f[active]
            active = active[(np.abs(f[active]) > _ARRIVED + spread * t[active]) & (t[active] < leave)]
            if not active.size:
                break
        return t, (np.abs(f) < _CLOSE + spread * t) & (t < leave)

    def _batched(self, function: Callable, x: np.ndarray) -> np.ndarray:
        """A function of points (N, 3)."""
        size = next((size for size in _BATCHES if len(x) <= size), _BATCHES[-1])
        padded = np.resize(x, (max(1, -(-len(x) // size)) * size, 3)).astype(np.float32)
        batches = [function(self.distance, self.params, batch) for batch in padded.reshape(-1, size, 3)]
        return np.concatenate([np.asarray(batch) for batch in batches])[: len(x)]


@partial(jax.jit, static_argnums=0)
def _values(distance: fields.Distance, params: Any, x: jax.Array) -> jax.Array:
    return jax.vmap(partial(distance, params))(x)


@partial(jax.jit, static_argnums=0)
def _gradients(distance: fields.Distance, params: Any, x: jax.Array) -> jax.Array:
    return jax.vmap(fields.gradient, in_axes=(None, None, 0))(distance, params, x)
