"""Scenes whose pictures are differentiated in one direction, and the finite differences to hold gradients against.

    subject = make("torus", resolution=96)
    truth = finite_difference(subject, RenderConfig(), ReferenceConfig(), seed=0)

A solid, a network in the middle of its fit, both after [B22 Fig. 6], and a voxel grid.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import jax
import jax.numpy as jnp
import numpy as np
import optax

from experiments.perlin import fade, noise
from experiments.synthetic import meshes
from sdfrepar import cameras, fields, gradcheck, grids, networks, shading
from sdfrepar.gradcheck import Estimate, GradcheckConfig
from sdfrepar.networks import NetworkConfig
from sdfrepar.records import Camera
from sdfrepar.rendering import RenderConfig, Scene

SceneName = Literal["torus", "neural", "spot"]

FIT_STEPS, FIT_POINTS, FIT_RATE = 80, 1024, 1e-3
"""The fit of `neural`, stopped when the ring has just opened and nothing is smooth yet."""

GRID_RESOLUTION = 48
MESH_RADIUS = 0.85
"""Scene units; the rest of the unit sphere is room to grow."""

_LIGHT = np.array([-0.6, 0.75, -0.3]) / np.linalg.norm([-0.6, 0.75, -0.3])
_AMBIENT = 0.2
_GREY = 0.25
_LATTICE = 5.0  # cells of the noise in a unit of length


@dataclass(frozen=True)
class Subject:
    """A picture to differentiate."""

    title: str
    """What is seen, and in what it is differentiated."""
    scene: Scene
    params: Any
    direction: Any
    """Like `params`: the derivative is taken along it."""
    camera: Camera


@dataclass(frozen=True)
class ReferenceConfig:
    """The finite differences that gradients are held against."""

    samples_per_side: int = 16
    """Each pixel takes the square of this many samples, in each of the four pictures of a difference."""
    repetitions: int = 8
    """Independent differences."""
    step: float = 0.002
    """Along the direction. The filters have kinks: a silhouette should move by a small part of a pixel alone."""


def make(name: SceneName, resolution: int, mesh: str | None = None) -> Subject:
    """A scene by its name.

    Args:
        name: torus, neural or spot.
        resolution: of the square picture, pixels.
        mesh: file of a closed triangle mesh, for spot alone: .ply, .obj, .glb, or .npz with vertices v and faces f.

    Raises:
        ValueError: spot without a mesh, or a mesh that is not closed.
        FileNotFoundError: there is no such file.
        ImportError: spot without libigl.
    """
    if name == "torus":
        return torus(resolution)
    if name == "neural":
        return neural(resolution)
    if mesh is None:
        raise ValueError("The scene spot is made from a mesh, and none came; write --mesh=FILE.obj (or .ply, .npz).")
    return voxels(*meshes.read(Path(mesh)), resolution)


def finite_difference(subject: Subject, render: RenderConfig, config: ReferenceConfig, seed: int) -> Estimate:
    """The derivative of the picture, averaged over the colours, without any method's help; see `gradcheck`."""
    check = GradcheckConfig(
        render=replace(render, film=replace(render.film, samples_per_side=config.samples_per_side)),
        reference_repetitions=config.repetitions,
        step=config.step,
        seed=seed,
    )
    still = jax.tree.map(jnp.zeros_like, subject.camera)
    return gradcheck.finite_difference(
        subject.scene, check, (subject.params, subject.camera), (subject.direction, still)
    )


def torus(resolution: int) -> Subject:
    """A ring with marbled colours, which occludes itself; the outer radius grows, the tube keeps its thickness."""
    return Subject(
        title="torus, in its outer radius",
        scene=_before_grey(fields.torus, marble),
        params={"major": jnp.float32(0.55), "minor": jnp.float32(0.25)},
        direction={"major": jnp.float32(1.0), "minor": jnp.float32(0.0)},
        camera=_camera((0.9, 1.3, -2.2), resolution),
    )


def neural(resolution: int) -> Subject:
    """A network on its way to a ring and a ball; the bias of its last layer grows, and so the solid shrinks."""
    config = NetworkConfig()
    network = networks.initialise(config, jnp.zeros(3), key=jax.random.key(0))
    scene = _before_grey(networks.scene(config).distance, lambda x: jnp.full(3, 0.8))
    params = _half_fitted(scene.distance, {"sdf": network["sdf"]})
    direction = jax.tree.map(jnp.zeros_like, params)
    bias = direction["sdf"]["network"]["distance"]["bias"]
    direction["sdf"]["network"]["distance"]["bias"] = jnp.ones_like(bias)
    return Subject(
        title="network, in its last bias",
        scene=scene,
        params=params,
        direction=direction,
        camera=_camera((0.9, 1.3, -2.2), resolution),
    )


def voxels(vertices: np.ndarray, faces: np.ndarray, resolution: int) -> Subject:
    """A mesh as a cubic B-spline grid; all the coefficients fall alike, and so the solid grows by an even layer."""
    params = grids.from_mesh(meshes.fitted(vertices, MESH_RADIUS), faces, GRID_RESOLUTION)
    return Subject(
        title="voxel grid, in a layer all over it",
        scene=_before_grey(grids.distance, lambda x: jnp.full(3, 0.8)),
        params=params,
        direction=jax.tree.map(lambda c: -jnp.ones_like(c), params),
        camera=_camera((-1.5, 0.7, -2.0), resolution),
    )


def marble(x: jax.Array) -> jax.Array:
    """Albedo (3,), linear, at x (3,): gradient noise between two colours, C1 in x."""
    share = fade(0.5 + noise(_LATTICE * x))
    return share * jnp.array([0.9, 0.75, 0.5]) + (1.0 - share) * jnp.array([0.1, 0.3, 0.45])


def samples_per_pixel(render: RenderConfig) -> int:
    """Samples that one picture takes for each of its pixels; a box pixel shares its edges with its neighbours."""
    return render.film.inside + 2 * render.film.on_edges


def _before_grey(distance: fields.Distance, albedo: Callable[[jax.Array], jax.Array]) -> Scene:
    """A diffuse solid under one light and an even surrounding, before grey."""

    def radiance(params: Any, x: jax.Array, normal: jax.Array, direction: jax.Array) -> jax.Array:
        return shading.lambert(albedo(x), normal, jnp.asarray(_LIGHT, x.dtype), _AMBIENT)

    return Scene(distance=distance, radiance=radiance, background=lambda params, origin, direction: jnp.full(3, _GREY))


def _camera(position: tuple[float, float, float], resolution: int) -> Camera:
    return cameras.look_at(
        jnp.array(position),
        jnp.zeros(3),
        jnp.array([0.0, 1.0, 0.0]),
        field_of_view=0.66,
        resolution=(resolution, resolution),
    )


def _half_fitted(distance: fields.Distance, params: Any) -> Any:
    """The network's parameters after a few steps of Adam towards the distance to a ring and a ball."""
    target = fields.smooth_union(fields.torus, fields.placed(fields.sphere))
    truth = {
        "first": {"major": 0.55, "minor": 0.2},
        "second": {"solid": {"radius": 0.3}, "position": jnp.array([0.0, 0.45, 0.0]), "rotation": jnp.eye(3)},
        "width": 0.1,
    }
    optimiser = optax.adam(FIT_RATE)

    def loss(params: Any, points: jax.Array) -> jax.Array:
        return jnp.mean(jax.vmap(lambda x: (distance(params, x) - target(truth, x)) ** 2)(points))

    def step(state: tuple[Any, Any], key: jax.Array) -> tuple[tuple[Any, Any], None]:
        params, memory = state
        points = jax.random.uniform(key, (FIT_POINTS, 3), minval=-1.0, maxval=1.0)
        updates, memory = optimiser.update(jax.grad(loss)(params, points), memory)
        return (optax.apply_updates(params, updates), memory), None

    keys = jax.random.split(jax.random.key(1), FIT_STEPS)
    return jax.jit(lambda state: jax.lax.scan(step, state, keys)[0])((params, optimiser.init(params)))[0]
