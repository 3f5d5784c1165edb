"""See a shape anew in first-order mode: from anywhere, as near as wanted, under other lights [D20 Fig. 4].

    python -m experiments.render_shape --shape=animal --output=runs/animal                       (a folder of PNG)
    python -m experiments.render_shape --shape="mug 3" --output=turn.gif --what=colour,normals,depth
    python -m experiments.render_shape --prior=runs/prior --shape="plane 7" --frames=1 --focal=4 --output=runs/near
    python -m experiments.render_shape --decoder=FILE --codes=FILE --shape=0 --lights=2,3,-2,1 --output=turn.mp4

Colours are those that are decoded, else grey, under point lights without shadows. `--lights` takes four numbers for
each: where it is, and how bright at the origin. The axes are those of the scene (y up), or with --lights_turn those of
the camera (x right, y down, z forward), from the origin of the scene.
"""

import math
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from absl import flags

from experiments import flags as experiment_flags
from experiments import render_views, shapes
from experiments.orbit import orbit
from experiments.render_views import Channel
from experiments.shapes import ShapeConfig, Solid
from sdfrepar import cameras, files, films, observing, reports, shading
from sdfrepar.imaging import corners
from sdfrepar.observing import ObserveConfig, Subject
from sdfrepar.records import Camera, Observation
from sdfrepar.reports import Progress


@dataclass(frozen=True)
class RenderShapeConfig:
    """What is shown, and from where."""

    frames: int = 36
    """Pictures of one turn around the upright axis."""
    azimuth: float = 30.0
    """Of the first camera, degrees from -z towards x."""
    elevation: float = 20.0
    """Of the cameras above the level plane, degrees."""
    radius: float = 3.0
    """Distance of the cameras from the origin, scene units."""
    focal: float = 1.5
    """Focal length, as many times as the shorter side of the picture; twice of it zooms in by two."""
    parallel: bool = False
    """Whether the camera is orthographic; at the origin it shows what the pinhole does."""
    resolution: tuple[int, int] = (256, 256)
    """Width and height, pixels."""
    supersampling: int = 2
    """Rays along each side of a pixel."""
    what: tuple[Channel, ...] = ("colour",)
    """What stands side by side in a picture: colour, normals, depth."""
    lights: tuple[float, ...] = (2.0, 3.0, -2.5, 0.8, -3.0, 1.0, -1.0, 0.3)
    """Point lights, four numbers each: where, scene units, and how bright at the origin."""
    lights_turn: bool = False
    """Whether the lights go with the camera, as if the object were turned."""
    ambient: float = 0.15
    """Light from all around."""
    background: float = 1.0
    """Linear grey."""
    shape: ShapeConfig = field(default_factory=ShapeConfig)
    observe: ObserveConfig = field(default_factory=lambda: ObserveConfig(pixels=0.1))

    def __post_init__(self) -> None:
        """Refuse what cannot work."""
        if self.frames < 1 or self.supersampling < 1 or min(self.resolution) < 1:
            raise ValueError(
                f"frames is {self.frames}, supersampling {self.supersampling} and resolution {self.resolution}; all "
                "must be at least 1."
            )
        if not abs(self.elevation) < 90:
            raise ValueError(
                f"elevation is {self.elevation} degrees; expected less than 90, where up is still upright."
            )
        if not (self.radius > 0 and self.focal > 0):
            raise ValueError(f"radius is {self.radius} and focal {self.focal}; both must be positive.")
        if not self.what:
            raise ValueError("what is empty; name at least one of colour, normals, depth.")
        if len(self.lights) % 4:
            raise ValueError(
                f"lights has {len(self.lights)} numbers; expected four for each light: where it is, and how bright."
            )


def main(argv: Sequence[str]) -> None:
    """Write the pictures that the flags describe."""
    if len(argv) > 1:
        raise ValueError(f"{argv[1]!r} is no flag; write --shape=animal --output=FOLDER.")
    config, output = experiment_flags.read(RenderShapeConfig()), Path(flags.FLAGS.output)
    if output.suffix:
        films.require(output)
    render_views.write(output, turntable(config, shapes.make(config.shape)))


def turntable(config: RenderShapeConfig, solid: Solid) -> Iterator[np.ndarray]:
    """The pictures (H, W, 3), sRGB, of one turn around a shape, one after the other."""
    rig = rig_of(config)
    begun = time.monotonic()
    with Progress(len(rig), unit="picture") as progress:
        for number, camera in enumerate(rig, start=1):
            light = _light_of(config, camera)
            seen, radiance = jax.tree.map(np.asarray, _seen(solid.subject, config.observe, solid.params, camera, light))
            rays = seen.valid.size * number / (time.monotonic() - begun)
            progress.update(number, {"queries a ray": int(seen.queries) / seen.valid.size}, rays)
            yield reports.side_by_side(*(_CHANNELS[name](config, seen, radiance) for name in config.what))


def rig_of(config: RenderShapeConfig) -> list[Camera]:
    """The cameras of the turn, with as many pixels as there are rays."""
    width, height = (config.supersampling * side for side in config.resolution)
    field_of_view = 2.0 * math.atan(0.5 * width / (config.focal * min(width, height)))
    azimuth = math.radians(config.azimuth)
    first = cameras.look_at(
        config.radius * jnp.array([math.sin(azimuth), 0.0, -math.cos(azimuth)]),
        jnp.zeros(3),
        jnp.array([0.0, 1.0, 0.0]),
        field_of_view=field_of_view,
        resolution=(height, width),
    )
    alone = jax.tree.map(lambda leaf: leaf[None], first)
    rig = orbit(alone, config.frames, elevation=math.radians(config.elevation), up=(0.0, 1.0, 0.0))
    if not config.parallel:
        return rig
    return [replace(camera, parallel=True, focal=camera.focal / config.radius) for camera in rig]


class _Light(NamedTuple):
    """What shines."""

    places: jax.Array  # (L, 3) of point lights, scene units
    brightness: jax.Array  # (L,) at the origin
    ambient: jax.Array  # ()
    background: jax.Array  # () linear grey


def _light_of(config: RenderShapeConfig, camera: Camera) -> _Light:
    """The light in which a camera sees the shape."""
    lights = jnp.reshape(jnp.asarray(config.lights, jnp.float32), (-1, 4))
    places = lights[:, :3] @ camera.rotation.T if config.lights_turn else lights[:, :3]
    return _Light(places, lights[:, 3], jnp.asarray(config.ambient), jnp.asarray(config.background))


@partial(jax.jit, static_argnums=(0, 1))
def _seen(
    subject: Subject, observe: ObserveConfig, params: Any, camera: Camera, light: _Light
) -> tuple[Observation, jax.Array]:
    """What a camera sees, and its radiance (H, W, 3)."""
    seen = observing.observe(subject, observe, params, camera, channels=("normal", "properties"))
    coloured = seen.properties.shape[-1] == 3
    albedo = seen.properties if coloured else jnp.full(seen.normal.shape, shapes.GREY)
    centres = corners(*camera.resolution).reshape(*camera.resolution, 2) + 0.5

    def shaded(u: jax.Array, distance: jax.Array, n: jax.Array, albedo: jax.Array) -> jax.Array:
        x = cameras.origin_of(camera, u) + distance * cameras.unproject(camera, u)
        return shading.point_lit(albedo, n, x, light.places, light.brightness, light.ambient)

    lit = jax.vmap(jax.vmap(shaded))(centres, seen.distance, seen.normal, albedo)
    return seen, jnp.where(seen.valid[..., None], lit, light.background)


def _averaged(config: RenderShapeConfig, picture: np.ndarray) -> np.ndarray:
    """The means (H, W, 3) of the rays of each pixel."""
    side, (width, height) = config.supersampling, config.resolution
    return picture.reshape(height, side, width, side, 3).mean(axis=(1, 3))


def _colour(config: RenderShapeConfig, seen: Observation, radiance: np.ndarray) -> np.ndarray:
    return files.encode_srgb(np.clip(_averaged(config, radiance), 0.0, 1.0))


def _normals(config: RenderShapeConfig, seen: Observation, radiance: np.ndarray) -> np.ndarray:
    return _averaged(config, reports.normal_picture(np.asarray(seen.normal), np.asarray(seen.valid, np.float32)))


def _depth(config: RenderShapeConfig, seen: Observation, radiance: np.ndarray) -> np.ndarray:
    """In greys that are the same in all pictures of a turn: the unit sphere's depths."""
    limits = config.radius - 1.0, config.radius + 1.0
    depths = reports.depth_picture(np.asarray(seen.depth), np.asarray(seen.valid, np.float32), limits)
    return _averaged(config, depths)


_CHANNELS: dict[Channel, Callable[[RenderShapeConfig, Observation, np.ndarray], np.ndarray]] = {
    "colour": _colour,
    "normals": _normals,
    "depth": _depth,
}

if __name__ == "__main__":
    flags.DEFINE_string("output", None, "folder of PNG to write, or a film: .gif, .mp4", required=True)
    experiment_flags.define(RenderShapeConfig())
    experiment_flags.define_aliases(shapes.ALIASES)
    experiment_flags.run(main)
