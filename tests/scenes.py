"""Scenes with known answers: each owns its parameters, its camera, and the exact derivative of its picture."""

from dataclasses import dataclass, field

import jax
import jax.numpy as jnp
import numpy as np

from sdfrepar import cameras, fields, shading
from sdfrepar.fields import Distance
from sdfrepar.records import Camera
from sdfrepar.rendering import Scene

LIGHT = jnp.array([0.3, 0.8, -0.5]) / np.sqrt(0.98)


def white_on_black(distance: Distance) -> Scene:
    """Constant radiance 1 on the surface, 0 behind it: all of the gradient is at the silhouette."""
    return Scene(
        distance=distance,
        radiance=lambda params, x, normal, direction: jnp.ones(3),
        background=lambda params, direction: jnp.zeros(3),
    )


def shaded(distance: Distance) -> Scene:
    """Lambert under one light before a dark grey, with waves of albedo."""

    def radiance(params, x, normal, direction):
        albedo = 0.6 + 0.4 * jnp.sin(7 * x[0]) * jnp.sin(5 * x[1] + 2) * jnp.sin(6 * x[2])
        return shading.lambert(jnp.full(3, albedo), normal, LIGHT, ambient=0.2)

    return Scene(distance=distance, radiance=radiance, background=lambda params, direction: jnp.full(3, 0.1))


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
    """A white sphere on the optical axis, whose tent-filtered picture has a closed-form derivative in the radius."""

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

    def gradient(self) -> np.ndarray:
        """d(pixel)/d(radius), (side, side): the integral of the tent along the silhouette times the silhouette's speed.

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
        corner = np.floor(points - 0.5).astype(int)
        for step in ((0, 0), (0, 1), (1, 0), (1, 1)):
            pixel = corner + step
            offset = np.abs(points - (pixel + 0.5))
            kernel = np.prod(np.maximum(1 - offset, 0), axis=1)
            np.add.at(image, (pixel[:, 1], pixel[:, 0]), kernel * flux)
        return image


def every_pixel(camera: Camera) -> tuple[Camera, jax.Array, jax.Array]:
    """Cameras, centres (P, 2) and widths (P,) of all the pixels of a picture, row by row."""
    height, width = camera.resolution
    columns, rows = jnp.meshgrid(jnp.arange(width), jnp.arange(height), indexing="xy")
    centre = jnp.stack([columns, rows], axis=-1).reshape(-1, 2) + 0.5
    pixels = height * width
    return jax.tree.map(lambda c: jnp.broadcast_to(c, (pixels, *c.shape)), camera), centre, jnp.ones(pixels)
