"""Scenes with known answers: each owns its parameters, its camera, and the exact derivative of its picture."""

import itertools
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from sdfrepar import cameras, fields, grids, networks, shading
from sdfrepar.fields import Distance
from sdfrepar.imaging import FILTERS
from sdfrepar.imaging.filters import FilterName
from sdfrepar.numerics import safe_normalize
from sdfrepar.records import Camera
from sdfrepar.rendering import Scene

LIGHT = jnp.array([0.3, 0.8, -0.5]) / np.sqrt(0.98)


def white_on_black(distance: Distance) -> Scene:
    """Constant radiance 1 on the surface, 0 behind it: all of the gradient is at the silhouette."""
    return Scene(
        distance=distance,
        radiance=lambda params, x, normal, direction: jnp.ones(3),
        background=lambda params, origin, direction: jnp.zeros(3),
    )


def shaded(distance: Distance) -> Scene:
    """Lambert under one light before a dark grey, with waves of albedo."""

    def radiance(params, x, normal, direction):
        albedo = 0.6 + 0.4 * jnp.sin(7 * x[0]) * jnp.sin(5 * x[1] + 2) * jnp.sin(6 * x[2])
        return shading.lambert(jnp.full(3, albedo), normal, LIGHT, ambient=0.2)

    return Scene(distance=distance, radiance=radiance, background=lambda params, origin, direction: jnp.full(3, 0.1))


def camera_at(position: tuple[float, float, float], resolution: tuple[int, int], field_of_view: float = 0.7) -> Camera:
    """A camera at `position` that looks at the origin."""
    return cameras.look_at(
        jnp.array(position),
        jnp.zeros(3),
        jnp.array([0.0, 1.0, 0.0]),
        field_of_view=field_of_view,
        resolution=resolution,
    )


@dataclass(frozen=True)
class SphereImage:
    """A white sphere on the optical axis, whose filtered picture has a closed-form derivative in the radius."""

    radius: float = 0.6
    distance: float = 2.5
    side: int = 32
    field_of_view: float = 0.7
    scene: Scene = field(default_factory=lambda: white_on_black(fields.sphere))

    @property
    def camera(self) -> Camera:
        """On the z axis."""
        return camera_at((0.0, 0.0, -self.distance), (self.side, self.side), self.field_of_view)

    @property
    def params(self) -> dict[str, jax.Array]:
        """Of `fields.sphere`."""
        return {"radius": jnp.asarray(self.radius)}

    def gradient(self, filter_name: FilterName = "tent") -> np.ndarray:
        """d(pixel)/d(radius), (side, side): the integral of the kernel along the silhouette times its speed.

        The silhouette is the circle of film radius F r / √(D² - r²), F the focal length and D the camera's distance.
        """
        square = self.distance**2 - self.radius**2
        focal = 0.5 * self.side / np.tan(0.5 * self.field_of_view)
        on_film = focal * self.radius / np.sqrt(square)
        speed = focal * (1 / np.sqrt(square) + self.radius**2 / square**1.5)
        angle = 2 * np.pi * (np.arange(400_000) + 0.5) / 400_000
        points = 0.5 * self.side + on_film * np.stack([np.cos(angle), np.sin(angle)], axis=-1)
        flux = speed * on_film * 2 * np.pi / len(angle)
        image = np.zeros((self.side, self.side))
        cell = np.floor(points).astype(int)
        kernel = FILTERS[filter_name].kernel
        reach = range(-2, 3)
        for step in itertools.product(reach, reach):
            pixel = cell + step
            offset = jnp.asarray(points - (pixel + 0.5), jnp.float32)
            weight = np.asarray(kernel(offset), np.float64).prod(axis=1)
            np.add.at(image, (pixel[:, 1], pixel[:, 0]), weight * flux)
        return image


PARALLEL = SphereImage(distance=60.0, field_of_view=2 * np.arctan(0.9 / 60.0))
"""As good as a parallel camera: the rays differ by 1.7 degrees."""


@dataclass(frozen=True)
class Row:
    """A scene of the gradient matrix: what moves, how far a finite difference may reach, what error passes."""

    scene: Scene
    params: Any
    direction: Any = None
    camera: Camera = field(default_factory=lambda: camera_at((1.2, 1.6, -2.0), (24, 24)))
    camera_direction: Any = None
    step: float = 0.005
    picture: float = 0.04  # relative L2 error allowed to a method that claims no bias
    total: float = 0.015  # error of the sum, as a share of the sum of magnitudes
    repetitions: int = 4  # of the estimate, to have its noise below what is allowed


TORUS = {"major": jnp.asarray(0.55), "minor": jnp.asarray(0.22)}
MAJOR = {"major": 1.0, "minor": 0.0}


def at(radius: float, *position: float) -> dict[str, Any]:
    """Params of a placed sphere."""
    return {"solid": {"radius": jnp.asarray(radius)}, "position": jnp.array(position), "rotation": jnp.eye(3)}


def towards(params: Any, **leaves: Any) -> Any:
    """A direction like `params`, a dict: the named entries given, the others still."""
    still = jax.tree.map(jnp.zeros_like, params)
    return {**still, **leaves}


def occluders() -> Row:
    """A small sphere before a large one; the small one moves sideways and grows."""
    ball = fields.placed(fields.sphere)
    small, large = at(0.28, 0.35, 0.15, -0.5), at(0.5, -0.1, 0.0, 0.2)
    motion = {"solid": {"radius": 1.0}, "position": jnp.array([0.5, 0.5, 0.0]), "rotation": jnp.zeros((3, 3))}
    still = jax.tree.map(jnp.zeros_like, large)
    return Row(
        scene=shaded(fields.union(ball, ball)),
        params=(small, large),
        direction=(motion, still),
        camera=camera_at((0.4, 0.6, -2.5), (24, 24)),
    )


def rod() -> Row:
    """A capsule a quarter of a pixel thick, aslant; its radius grows."""
    c, s = np.cos(0.5), np.sin(0.5)
    rotation = jnp.array([[c, -s, 0.0], [s, c, 0.0], [0.0, 0.0, 1.0]])
    solid = {"half_length": jnp.asarray(0.6), "radius": jnp.asarray(0.01)}
    params = {"solid": solid, "position": jnp.zeros(3), "rotation": rotation}
    return Row(
        scene=white_on_black(fields.placed(fields.capsule)),
        params=params,
        direction=towards(params, solid={"half_length": 0.0, "radius": 1.0}),
        camera=camera_at((0.0, 0.0, -2.5), (24, 24)),
        step=0.002,
        # The silhouettes on both sides lie within one pixel, and few samples meet them.
        picture=0.06,
        total=0.02,
        repetitions=24,
    )


def smooth() -> Row:
    """Two spheres melted into one another; the fillet widens and one of them moves."""
    ball = fields.placed(fields.sphere)
    params = {"first": at(0.4, -0.25, 0.0, 0.0), "second": at(0.3, 0.3, 0.1, -0.1), "width": jnp.asarray(0.2)}
    still = jax.tree.map(jnp.zeros_like, params["first"])
    motion = {**still, "position": jnp.array([0.0, 1.0, 0.0])}
    return Row(
        scene=shaded(fields.smooth_union(ball, ball)),
        params=params,
        direction={"first": still, "second": motion, "width": 0.5},
    )


def grid() -> Row:
    """A torus in a voxel grid, all of whose coefficients move, each in its own measure."""
    params = grids.from_samples(np.asarray(grids.sample(lambda p, x: fields.torus(TORUS, x), None, 22)))
    ramp = jnp.linspace(-1.0, 1.0, params["coefficients"].shape[0])
    motion = 0.6 + 0.4 * jnp.sin(3 * ramp)[:, None, None] * jnp.cos(2 * ramp)[None, :, None]
    return Row(
        scene=shaded(grids.distance),
        params=params,
        direction={"coefficients": -jnp.broadcast_to(motion, params["coefficients"].shape)},
    )


def decoder(params: dict[str, Any], x: jax.Array) -> jax.Array:
    """A small softplus network of a point and a latent code that bends a torus: a DeepSDF in miniature."""
    inputs = jnp.concatenate([x, params["code"]])
    hidden = networks.softplus(params["first"] @ inputs, 30.0)
    return fields.torus(TORUS, x) + 0.1 * params["last"] @ hidden


def latent(moving: str) -> Row:
    """The decoder; its code moves, or its last layer's weights."""
    first, last, code = jax.random.split(jax.random.key(4), 3)
    params = {
        "first": jax.random.normal(first, (16, 5)),
        "last": jax.random.normal(last, (16,)) / 4,
        "code": 0.5 * jax.random.normal(code, (2,)),
    }
    motion = {"code": jnp.array([1.0, -0.7]), "last": jax.random.normal(jax.random.key(5), (16,)) / 4}[moving]
    return Row(scene=shaded(decoder), params=params, direction=towards(params, **{moving: motion}), step=0.02)


def network() -> Row:
    """The softplus network of the network preset, as initialised: a bent sphere; its last bias moves."""
    config = networks.NetworkConfig(sdf_width=32, sdf_depth=3, sdf_skip=2, features=8, radiance_width=16)
    params = networks.initialise(config, jnp.full(3, 0.2), key=jax.random.key(2))
    motion = jax.tree.map(jnp.zeros_like, params)
    motion["sdf"]["network"]["distance"]["bias"] = -jnp.ones(1)
    neural = networks.scene(config)
    matt = shaded(neural.distance)
    camera = camera_at((1.2, 1.6, -2.0), (12, 12))
    return Row(scene=matt, params=params, direction=motion, camera=camera, repetitions=12)


def features() -> Row:
    """Grids of features that have been bent by chance; those of the coarse level grow."""
    config = networks.NetworkConfig(field="features", grid=networks.FeatureConfig(levels=2, coarsest=4, finest=8))
    params = networks.initialise(config, jnp.full(3, 0.2), key=jax.random.key(2))
    leaves, tree = jax.tree.flatten(params["sdf"])
    keys = jax.random.split(jax.random.key(3), len(leaves))
    bent = [leaf + 0.05 * jax.random.normal(key, leaf.shape) for leaf, key in zip(leaves, keys, strict=True)]
    params["sdf"] = tree.unflatten(bent)
    motion = jax.tree.map(jnp.zeros_like, params)
    motion["sdf"]["tables"][0] = jnp.ones_like(motion["sdf"]["tables"][0])
    return Row(
        scene=shaded(networks.scene(config).distance),
        params=params,
        direction=motion,
        camera=camera_at((1.2, 1.6, -2.0), (12, 12)),
        step=0.02,
        repetitions=12,
    )


def surroundings() -> Row:
    """The torus before a background that changes with where a ray leaves the scene, and with where it goes."""

    def background(params, origin, direction):
        point = networks.background.leaves_sphere(origin, direction, 2.0)
        return params["brightness"] * (0.4 + 0.2 * jnp.sin(3.0 * point) + 0.2 * direction)

    params = {"torus": TORUS, "brightness": jnp.asarray(1.0)}
    bright = replace(
        shaded(lambda params, x: fields.torus(params["torus"], x)),
        background=background,
    )
    return Row(scene=bright, params=params, direction={"torus": MAJOR, "brightness": 0.3})


def moving_camera(**motion: Any) -> Row:
    """The torus, seen by a camera that moves."""
    camera = camera_at((1.2, 1.6, -2.0), (24, 24))
    still = jax.tree.map(jnp.zeros_like, camera)
    if "turn" in motion:
        turn = jnp.asarray(motion.pop("turn"))
        cross = jnp.array([[0.0, -turn[2], turn[1]], [turn[2], 0.0, -turn[0]], [-turn[1], turn[0], 0.0]])
        motion = {"rotation": cross @ camera.rotation}
    return Row(
        scene=shaded(fields.torus),
        params=TORUS,
        camera=camera,
        camera_direction=still.replace(**motion),
        step=0.005 if set(motion) <= {"position", "rotation"} else 0.2,
    )


def lit() -> Row:
    """The torus under a light that turns, before a background that brightens, with a material that darkens."""

    def radiance(params, x, normal, direction):
        return shading.lambert(params["albedo"], normal, safe_normalize(params["light"]), ambient=0.2)

    params = {"torus": TORUS, "light": LIGHT, "albedo": jnp.full(3, 0.7), "background": jnp.full(3, 0.2)}
    scene = Scene(
        distance=lambda params, x: fields.torus(params["torus"], x),
        radiance=radiance,
        background=lambda params, origin, direction: params["background"],
    )
    motion = towards(params, light=jnp.array([1.0, 0.0, 0.5]), albedo=-0.5 * jnp.ones(3), background=jnp.ones(3))
    return Row(scene=scene, params=params, direction=motion)


ROWS: dict[str, Callable[[], Row]] = {
    "torus": lambda: Row(scene=shaded(fields.torus), params=TORUS, direction=MAJOR),
    "occluders": occluders,
    "rod": rod,
    "smooth": smooth,
    "grid": grid,
    "network": network,
    "code": lambda: latent("code"),
    "weights": lambda: latent("last"),
    "camera_position": lambda: moving_camera(position=jnp.array([0.6, -0.3, 0.5])),
    "camera_rotation": lambda: moving_camera(turn=[0.2, 0.5, 0.4]),
    "camera_focal": lambda: moving_camera(focal=jnp.array([1.0, 0.7])),
    "camera_principal": lambda: moving_camera(principal=jnp.array([1.0, 0.5])),
    "light": lit,
    "features": features,
    "surroundings": surroundings,
}
"""Every kind of parameter, every kind of silhouette."""


def every_pixel(camera: Camera) -> tuple[Camera, jax.Array, jax.Array]:
    """Cameras, centres (P, 2) and widths (P,) of all the pixels of a picture, row by row."""
    height, width = camera.resolution
    columns, rows = jnp.meshgrid(jnp.arange(width), jnp.arange(height), indexing="xy")
    centre = jnp.stack([columns, rows], axis=-1).reshape(-1, 2) + 0.5
    pixels = height * width
    return jax.tree.map(lambda c: jnp.broadcast_to(c, (pixels, *c.shape)), camera), centre, jnp.ones(pixels)
