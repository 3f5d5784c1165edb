"""Photograph an object whose shape is known into a data set: files that a user could have made, and the truth.

    python -m experiments.make_scene --scene=figure --output=runs/figure/data --views=36
    python -m experiments.make_scene --mesh=bunny.ply --output=runs/bunny/data --alpha=true

Less than a minute on 2 cores. `experiments.synthetic.scenes` lists the scenes; a mesh must be closed, and gets its own
texture. --format chooses among the forms that can be read; those without a split of their own get test.txt, which is
read with --data.holdout=test.txt. Beside the pictures, for evaluation alone:

    truth.npz         occupancy (packed bits) on a grid of `resolution` a side over [-1, 1]³, axes x, y, z; and
                      surface_points (N, 3), world frame
    truth_views.npz   of the test views, at the pixel centres: depth (N, H, W), z in scene units, 0 where nothing is
                      met; normal (N, H, W, 3), outward, scene frame; mask (N, H, W)
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import jax
import numpy as np
from absl import flags

from experiments import flags as experiment_flags
from experiments.synthetic import meshes, paint, photography, scenes
from experiments.synthetic.scenes import SceneName
from experiments.synthetic.surfaces import Surface
from sdfrepar import datasets, files
from sdfrepar.datasets.pictures import of_each
from sdfrepar.records import Camera

FormatName = Literal["nerf", "transforms", "neus", "idr", "colmap", "mvsnet", "middlebury"]

MESH_RADIUS = 0.9
"""Scene units that a mesh reaches out to."""
TEST_TURN = 0.35
"""How far along the spiral of cameras the test views are shifted, in cameras."""


@dataclass(frozen=True)
class MakeConfig:
    """Everything that decides a data set."""

    scene: SceneName = "demo"
    """A solid from the table; ignored where there is a mesh."""
    mesh: str | None = None
    """File of a closed triangle mesh, .ply, .obj, .glb, or .npz with arrays v and f."""
    format: FormatName = "nerf"
    """The form of the folder."""
    views: int = 24
    """Training views."""
    test_views: int = 6
    resolution: int = 128
    """Of the square pictures, pixels."""
    supersampling: int = 4
    """Each pixel takes the square of this many rays."""
    alpha: bool = False
    """Write RGBA: alpha is the share of the pixel that the object covers, so the pictures give the masks away."""
    occupancy_resolution: int = 128
    """Points a side of the grid in truth.npz."""
    surface_points: int = 100_000

    def __post_init__(self) -> None:
        """Refuse what cannot work."""
        least = {"views": 1, "test_views": 1, "resolution": 1, "supersampling": 1}
        for name, bound in (least | {"occupancy_resolution": 2, "surface_points": 1}).items():
            if getattr(self, name) < bound:
                raise ValueError(f"{name} is {getattr(self, name)}, expected at least {bound}; raise it.")


def main(argv: Sequence[str]) -> None:
    """Write the data set."""
    if len(argv) > 1:
        raise ValueError(f"{argv[1]!r} is no flag; write --scene=figure --output=FOLDER.")
    write(experiment_flags.read(MakeConfig()), Path(flags.FLAGS.output))


def write(config: MakeConfig, folder: Path) -> None:
    """Photograph the object from all around and write the pictures, the cameras and the truth into `folder`.

    Raises:
        FileNotFoundError, ValueError: a mesh that cannot be used.
        ImportError: a mesh without Embree or libigl.
    """
    surface = surface_of(config)
    train, test = (
        photography.cameras_around(count, turn, config.resolution)
        for count, turn in ((config.views, 0.0), (config.test_views, TEST_TURN))
    )
    rig = jax.tree.map(lambda *leaves: np.concatenate(leaves), train, test)
    taken = datasets.Taken(
        images_srgb=np.stack(_of_each(lambda camera: _picture(config, surface, camera), rig)),
        cameras=rig,
        names=[f"view_{i:03d}" for i in range(config.views)] + [f"test_{i:03d}" for i in range(config.test_views)],
        test=range(config.views, config.views + config.test_views),
    )
    datasets.FORMATS[config.format].write(folder, taken)
    print(
        f"{folder}: {config.views} training and {config.test_views} test views of {config.resolution} x "
        f"{config.resolution} pixels"
    )
    exact = _of_each(lambda camera: photography.survey(surface, camera), test)
    depth, normal, mask = (np.stack(maps) for maps in zip(*exact, strict=True))
    np.savez_compressed(folder / "truth_views.npz", depth=depth, normal=normal, mask=mask)
    np.savez_compressed(
        folder / "truth.npz",
        occupancy=np.packbits(surface.occupancy(config.occupancy_resolution)),
        resolution=config.occupancy_resolution,
        surface_points=surface.points(config.surface_points, config.occupancy_resolution).astype(np.float32),
    )


def surface_of(config: MakeConfig) -> Surface:
    """The object to photograph.

    Raises:
        FileNotFoundError, ValueError: a mesh file that is missing or holds none.
    """
    if config.mesh is None:
        return scenes.surface(config.scene)
    vertices, faces = meshes.read(Path(config.mesh))
    return meshes.MeshSurface(meshes.fitted(vertices, MESH_RADIUS), faces, paint.waves)


def with_straight_alpha(picture_srgb: np.ndarray, coverage: np.ndarray) -> np.ndarray:
    """The picture (H, W, 3), sRGB, without the background, and its alpha: (H, W, 4).

    Laid over the background, a mixture of code values as readers of this format make it, it is the picture again.
    """
    # The colours are those that go with the alpha of the file, which has 8 bits.
    alpha = np.round(255.0 * coverage[..., None]) / 255.0
    behind = (1.0 - alpha) * files.encode_srgb(np.array(photography.BACKGROUND))
    colour = np.where(alpha > 0.0, (picture_srgb - behind) / np.maximum(alpha, 1.0 / 255.0), 0.0)
    return np.concatenate([np.clip(colour, 0.0, 1.0), alpha], axis=-1)


def _picture(config: MakeConfig, surface: Surface, camera: Camera) -> np.ndarray:
    """A picture as it is stored, sRGB: (H, W, 3), or (H, W, 4) with alpha."""
    linear, coverage = photography.photograph(surface, camera, config.supersampling)
    picture_srgb = files.encode_srgb(linear)
    return with_straight_alpha(picture_srgb, coverage) if config.alpha else picture_srgb


def _of_each(function: Callable[[Camera], Any], rig: Camera) -> list[Any]:
    """A function of each camera of a rig, a few at a time."""
    return of_each(function, [jax.tree.map(lambda leaf, i=i: leaf[i], rig) for i in range(len(rig.position))])


if __name__ == "__main__":
    flags.DEFINE_string("output", None, "folder to write into", required=True)
    experiment_flags.define(MakeConfig())
    experiment_flags.run(main)
