"""The vertices of a mesh moved until pairs of pictures show the same colours at its points: the baseline of fit_views.

In the manner of photometric mesh optimisation [Lin et al. 2019]; Embree tells which points a camera sees.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
import trimesh

from experiments.synthetic.meshes import MeshSurface
from sdfrepar import cameras
from sdfrepar.imaging import looked_up
from sdfrepar.meshing import Mesh
from sdfrepar.records import Camera


@dataclass(frozen=True)
class MeshConfig:
    """The optimisation of the vertices."""

    resolution: int = 48
    """Grid points a side of the mesh to begin with."""
    steps: int = 300
    rate: float = 3e-3
    """Learning rate of the vertices, scene units."""
    points: int = 6000
    """Points on the mesh that are compared."""
    drawn_every: int = 20
    """Steps after which points are drawn anew, and looked for from every camera."""
    smoothness_weight: float = 30.0
    """Weight of the mean squared Laplacian of how the vertices have moved, over squared lengths of edges."""


class _Points(NamedTuple):
    """Points of a mesh, and who sees them."""

    face: np.ndarray  # (P,)
    shares: np.ndarray  # (P, 3) of its corners
    visible: np.ndarray  # (V, P) bool


def optimised(
    config: MeshConfig,
    mesh: Mesh,
    rig: Camera,
    pictures: jax.Array,
    pairs: jax.Array,
    told: Callable[[int, dict[str, float]], None] = lambda *_: None,
) -> Mesh:
    """The mesh with its vertices moved.

    Args:
        config: how.
        mesh: to begin with.
        rig: V cameras.
        pictures: (V, H, W, 3) linear.
        pairs: (P, 2) of them.
        told: of the steps done, and their loss.
    """
    faces, start = jnp.asarray(mesh.faces), jnp.asarray(mesh.vertices, jnp.float32)
    edges = jnp.asarray(trimesh.Trimesh(mesh.vertices, mesh.faces, process=False).edges_unique)
    optimiser = optax.adam(config.rate)
    vertices, memory = start, optimiser.init(start)
    length = jnp.mean(jnp.linalg.norm(start[edges[:, 0]] - start[edges[:, 1]], axis=1))

    def loss_of(vertices: jax.Array, points: Any) -> jax.Array:
        x = jnp.einsum("pc,pcd->pd", points.shares, vertices[faces[points.face]])
        seen = jax.vmap(lambda camera, picture: _colours(camera, picture, x))(rig, pictures)
        both = points.visible[pairs[:, 0]] & points.visible[pairs[:, 1]]
        off = jnp.sum(jnp.abs(seen[pairs[:, 0]] - seen[pairs[:, 1]]), axis=-1)
        photometric = jnp.sum(jnp.where(both, off, 0.0)) / jnp.maximum(jnp.sum(both), 1)
        return photometric + config.smoothness_weight * _roughness(vertices - start, edges) / length**2

    @jax.jit
    def step(vertices: jax.Array, memory: Any, points: Any) -> tuple[jax.Array, Any, jax.Array]:
        loss, gradient = jax.value_and_grad(loss_of)(vertices, points)
        update, memory = optimiser.update(gradient, memory)
        return jnp.asarray(optax.apply_updates(vertices, update)), memory, loss

    rng, points = np.random.default_rng(0), None
    for number in range(config.steps):
        if number % config.drawn_every == 0:
            points = _draw(config, np.asarray(vertices), mesh.faces, rig, rng)
        vertices, memory, loss = step(vertices, memory, points)
        if number % config.drawn_every == config.drawn_every - 1:
            told(number + 1, {"loss": float(loss)})
    moved = np.asarray(vertices, np.float64)
    normals = trimesh.Trimesh(moved, mesh.faces, process=False).vertex_normals
    return Mesh(moved, mesh.faces, np.asarray(normals))


def _draw(
    config: MeshConfig, vertices: np.ndarray, faces: np.ndarray, rig: Camera, rng: np.random.Generator
) -> _Points:
    """Points on a mesh, even by area."""
    corners = vertices[faces]
    areas = np.linalg.norm(np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]), axis=1)
    face = rng.choice(len(faces), config.points, p=areas / areas.sum())
    shares = rng.dirichlet(np.ones(3), config.points).astype(np.float32)
    x = np.einsum("pc,pcd->pd", shares, corners[face])
    surface = MeshSurface(vertices, faces, np.ones_like)
    visible = [surface.first_faces(np.asarray(position), x) == face for position in np.asarray(rig.position)]
    return _Points(face, shares, np.stack(visible))


def _colours(camera: Camera, picture: jax.Array, x: jax.Array) -> jax.Array:
    """What a picture shows at points (P, 3): (P, 3)."""
    u, _ = jax.vmap(partial(cameras.project, camera))(x)
    return jax.vmap(partial(looked_up, picture))(u)


def _roughness(moved: jax.Array, edges: jax.Array) -> jax.Array:
    """The mean squared length of the Laplacian of what vertices (N, 3) have moved."""
    i, j = edges.T
    between = moved[j] - moved[i]
    count = jnp.zeros(len(moved)).at[i].add(1.0).at[j].add(1.0)
    laplacian = jnp.zeros_like(moved).at[i].add(between).at[j].add(-between) / jnp.maximum(count, 1.0)[:, None]
    return jnp.mean(jnp.sum(laplacian**2, axis=1))
