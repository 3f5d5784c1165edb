"""Turn around the surface of a run, or light it anew: pictures, or a film of them.

    python -m experiments.render_views --workdir=runs/demo --output=runs/demo/turn          (a folder of PNG)
    python -m experiments.render_views --workdir=runs/demo --output=turn.gif --what=colour,normals,depth
    python -m experiments.render_views --workdir=runs/demo --output=lit.gif --relight=0.4,0.8,-0.4

`--relight` takes the radiance that was found away and lights a white Lambert surface from the direction of that vector,
in the axes of the input's cameras; `--albedo=network` paints it in the colours that were found, their shading included.
"""

import math
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import jax
import jax.numpy as jnp
import numpy as np
from absl import flags

from experiments import flags as experiment_flags
from experiments import posing, runs
from experiments.orbit import orbit
from experiments.pictures import compile_render, srgb
from experiments.runs import Run
from sdfrepar import files, films, reports, shading
from sdfrepar.records import Camera, Image
from sdfrepar.rendering import Scene
from sdfrepar.reports import Progress

FRAMES_PER_SECOND = 20.0

# Of a surface that is lit anew: the linear albedo of the white one, and the share of the light that comes from all
# around.
_WHITE, _AMBIENT = 0.8, 0.15

Channel = Literal["colour", "normals", "depth"]


@dataclass(frozen=True)
class ViewsConfig:
    """What is shown, and from where."""

    frames: int = 60
    """Pictures of one turn."""
    elevation: float = 20.0
    """Of the cameras above the level plane, degrees."""
    radius: float | None = None
    """Distance of the cameras from the centre, scene units; none for the mean of the training cameras."""
    up: tuple[float, float, float] | None = None
    """The upright axis of the turn, in the axes of the input's cameras; none for that of the training pictures."""
    resolution: tuple[int, int] | None = None
    """Width and height, pixels; none for those of the training pictures."""
    what: tuple[Channel, ...] = ("colour",)
    """What stands side by side in a picture."""
    relight: tuple[float, float, float] | None = None
    """Direction towards a light, in the axes of the input's cameras; none for the radiance that was found."""
    albedo: Literal["white", "network"] = "white"
    """What relight shines on: white, or the colours that were found."""

    def __post_init__(self) -> None:
        """Refuse what cannot work."""
        if self.frames < 1:
            raise ValueError(f"frames is {self.frames}; a turn takes at least 1 picture.")
        if not abs(self.elevation) < 90:
            raise ValueError(
                f"elevation is {self.elevation} degrees; expected less than 90, where up is still upright."
            )
        if self.radius is not None and not self.radius > 0:
            raise ValueError(f"radius is {self.radius}; expected a positive distance, scene units: 3 sees all.")
        if self.resolution is not None and min(self.resolution) < 1:
            raise ValueError(f"resolution is {self.resolution}; expected a width and a height of at least 1 pixel.")
        if not self.what:
            raise ValueError("what is empty; name at least one of colour, normals, depth.")
        for name in ("up", "relight"):
            vector = getattr(self, name)
            if vector is not None and not 0 < math.hypot(*vector) < math.inf:
                raise ValueError(f"{name} is {vector}, which is no direction; expected three numbers such as 0,0,1.")


def main(argv: Sequence[str]) -> None:
    """Write the pictures that the flags describe."""
    del argv
    given, output = flags.FLAGS, Path(flags.FLAGS.output)
    config = experiment_flags.read(ViewsConfig())
    if output.suffix:
        films.require(output)
    run = runs.load(Path(given.workdir))
    train, _, _ = posing.load(run.config, run.data if given.data is None else Path(given.data))
    write(output, turntable(config, run, train.cameras))


def turntable(config: ViewsConfig, run: Run, training: Camera) -> Iterator[np.ndarray]:
    """The pictures (H, W, 3), sRGB, of one turn around the surface of a run, one after the other.

    Args:
        config: what is shown, and from where.
        run: whose surface.
        training: its training cameras, leading axis N; scene units.
    """
    rig = orbit(
        training,
        config.frames,
        elevation=math.radians(config.elevation),
        radius=config.radius,
        up=config.up,
        resolution=None if config.resolution is None else (config.resolution[1], config.resolution[0]),
    )
    scene = run.scene if config.relight is None else relit(run.scene, config.relight, config.albedo)
    params = jax.tree.map(jnp.asarray, run.params)
    rays = math.prod(rig[0].resolution) * run.config.picture_samples**2
    with Progress(len(rig)) as progress:
        draw = compile_render(scene, run.config, params, rig[0])
        begun = time.monotonic()
        for number, camera in enumerate(rig, start=1):
            image = jax.tree.map(np.asarray, draw(params, camera))
            progress.update(number, {}, rays * number / (time.monotonic() - begun))
            yield reports.side_by_side(*(_CHANNELS[name](image, camera) for name in config.what))


def relit(scene: Scene, light: Sequence[float], albedo: Literal["white", "network"]) -> Scene:
    """The scene with a Lambert surface under one distant light, before the same background.

    Args:
        scene: what there is to see.
        light: (3,) towards the light, scene axes, any length but 0.
        albedo: "white", or "network" for the radiance that was found, as seen from straight above.
    """
    towards = jnp.asarray(np.asarray(light) / np.linalg.norm(light), jnp.float32)

    def radiance(params: Any, x: jax.Array, normal: jax.Array, direction: jax.Array) -> jax.Array:
        del direction
        own = jnp.full(3, _WHITE) if albedo == "white" else scene.radiance(params, x, normal, -normal)
        return shading.lambert(own, normal, towards, _AMBIENT)

    return replace(scene, radiance=radiance)


def write(output: Path, pictures: Iterable[np.ndarray]) -> None:
    """Write pictures into a folder as they come, or as a film where `output` ends in .gif or .mp4."""
    if output.suffix:
        films.write(output, list(pictures), FRAMES_PER_SECOND)
    else:
        for number, picture in enumerate(pictures):
            files.write_image(output / f"{number:04d}.png", picture)
    print(f"written: {output}")


def _depth(image: Image, camera: Camera) -> np.ndarray:
    """In greys that are the same in all pictures of a turn: the unit sphere's depths."""
    distance = float(np.linalg.norm(np.asarray(camera.position)))
    return reports.depth_picture(np.asarray(image.depth), np.asarray(image.opacity), (distance - 1.0, distance + 1.0))


_CHANNELS: dict[Channel, Callable[[Image, Camera], np.ndarray]] = {
    "colour": lambda image, camera: srgb(image),
    "normals": lambda image, camera: reports.normal_picture(np.asarray(image.normal), np.asarray(image.opacity)),
    "depth": _depth,
}

if __name__ == "__main__":
    flags.DEFINE_string("workdir", None, "work directory of experiments.reconstruct", required=True)
    flags.DEFINE_string("output", None, "folder of PNG to write, or a film: .gif, .mp4", required=True)
    flags.DEFINE_string("data", None, "folder of posed pictures, for the cameras; that of the run if not given")
    experiment_flags.define(ViewsConfig())
    experiment_flags.run(main)
