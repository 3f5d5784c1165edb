"""Write the surface of a run as a mesh, with colours at its vertices and normals that point outward.

    python -m experiments.export_mesh --workdir=runs/demo --output=demo.glb --resolution=384

The suffix chooses the format: .ply, .obj, .glb, or .stl, which has no colours.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Literal

import numpy as np
from absl import flags

from experiments import flags as experiment_flags
from experiments import posing, runs
from experiments.pictures import vertex_colours
from experiments.runs import Run
from sdfrepar import files, meshing
from sdfrepar.meshing import Mesh


def main(argv: Sequence[str]) -> None:
    """Write the mesh that the flags describe, and say what it is."""
    del argv
    given = flags.FLAGS
    run = runs.load(Path(given.workdir))
    world_from_scene = np.eye(4)
    if given.frame == "world":
        train, _, poses = posing.load(run.config, run.data if given.data is None else Path(given.data))
        world_from_scene = poses.in_scene(run.params, train).world_from_scene
    mesh = export(run, Path(given.output), world_from_scene, resolution=given.resolution, components=given.components)
    print(f"{given.output}: step {run.step}, {described(mesh)}, {given.frame} frame")


def export(
    run: Run,
    output: Path,
    world_from_scene: np.ndarray,
    *,
    resolution: int = 384,
    components: Literal["largest", "all"] = "largest",
) -> Mesh:
    """Write the mesh of a run and return it, in the frame to which `world_from_scene` (4, 4) leads.

    Args:
        run: whose surface.
        output: where to; the suffix chooses the format.
        world_from_scene: a similarity; the identity for scene units.
        resolution: grid points a side for marching cubes.
        components: "largest" keeps the connected part with the largest area, "all" keeps every part.

    Raises:
        EmptyMeshError: there is no surface.
        ValueError: an unknown suffix, or an argument out of range.
    """
    files.require_mesh(output)
    print(f"evaluating the distance at {resolution}³ points")
    mesh = meshing.extract(run.scene.distance, run.params, resolution, components=components)
    colours = vertex_colours(run.scene, run.params, mesh)
    world = meshing.transform(mesh, world_from_scene)
    files.write_mesh(output, world.vertices, world.faces, colours, world.normals)
    return world


def described(mesh: Mesh) -> str:
    """What a mesh is, in a line."""
    low, high = (" ".join(f"{x:.4g}" for x in corner) for corner in (mesh.vertices.min(0), mesh.vertices.max(0)))
    return (
        f"{len(mesh.vertices)} vertices, {len(mesh.faces)} faces, watertight {mesh.watertight}, "
        f"Euler number {mesh.euler_number}, from ({low}) to ({high})"
    )


if __name__ == "__main__":
    flags.DEFINE_string("workdir", None, "work directory of experiments.reconstruct", required=True)
    flags.DEFINE_string("output", None, "file to write: .ply, .obj, .glb or .stl", required=True)
    flags.DEFINE_integer("resolution", 384, "grid points a side for marching cubes")
    flags.DEFINE_enum("components", "largest", ["largest", "all"], "the part with the largest area, or every part")
    flags.DEFINE_enum("frame", "world", ["world", "scene"], "that of the input's cameras, or of the unit sphere")
    flags.DEFINE_string("data", None, "folder of posed pictures, for the world frame; that of the run if not given")
    experiment_flags.run(main)
