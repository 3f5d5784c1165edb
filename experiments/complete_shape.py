"""Complete a shape from one depth image, dense or a few points of it, with a learnt prior [D20 eq. 5].

    python -m experiments.complete_shape --prior=runs/prior --shape="mug 45" --density=50 --workdir=runs/mug
    python -m experiments.complete_shape --prior=runs/prior --depth=DEPTH.png --camera=CAMERA.json --workdir=runs/own
    python -m experiments.complete_shape --prior=runs/prior --points=POINTS.ply --camera=CAMERA.json --workdir=runs/own

A shape is a member of a procedural family, best one that the prior has not learnt, or a closed mesh, and its view is
computed. Of one's own there may be a depth image of 16 bits, 0 where nothing is known, with --mask=PICTURE if the
object's outline is known, or points in the camera's axes; the camera's file has width, height, fx, fy, cx, cy and
scene_from_camera, 4 x 4, with the scale, into the frame of the prior. Leaves in the work directory: mesh.ply,
metrics.json with the code, and completion.png: what was measured and what was made of it, from there and from behind.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from absl import flags

from experiments import flags as experiment_flags
from experiments import runs
from experiments.flags import RunError
from experiments.priors import completion_figures, listing, pictures, scans, scores, store
from experiments.priors.completing import Completion, MethodConfig, MethodName
from experiments.priors.pictures import Pictures
from experiments.priors.samples import Shape
from experiments.priors.scans import Scan
from experiments.priors.store import Prior
from experiments.versions import versions
from sdfrepar import files
from sdfrepar.reports import Progress


@dataclass(frozen=True)
class CompleteConfig:
    """Everything that decides a completion, besides prior and observation."""

    method: MethodName = "ours + mask"
    """DeepSDF lifts the points along their true normals [P19]; ours renders depths, with mask the outline as well."""
    start: str = ""
    """Shapes at whose mean code the fit starts, by how their names begin: plane; all if empty."""
    density: str = scans.DENSE
    """Of a shape's view, the pixels whose depth is measured: dense, a share like 10%, or a number like 50."""
    noise: float = 0.0
    """Standard deviation of the depths, share of them: of a shape's, which get it, and of one's own, which have it."""
    resolution: int = 64
    """Of a shape's square view; of an image of one's own, the most pixels that a side may have."""
    position: tuple[float, float, float] = pictures.POSITION
    """Where the camera stands that sees a shape, scene units; it looks at the origin."""
    unit: float = 0.001
    """Of a depth image: what 1 means, in the units of the camera's pose."""
    seed: int = 0
    mesh_resolution: int = 128
    """Grid points a side of the mesh."""
    by: MethodConfig = field(default_factory=MethodConfig)


def main(argv: Sequence[str]) -> None:
    """Complete, then draw."""
    del argv
    given, config = flags.FLAGS, experiment_flags.read(CompleteConfig())
    prior = store.load(Path(given.prior))
    shape = listing.one(prior.config, given.shape) if given.shape else None
    scan = observed(config, shape, given.depth, given.points, given.camera, given.mask)
    metrics = complete(config, prior, scan, shape, Path(given.workdir))
    said = {name: getattr(given, name) for name in ("prior", "shape", "depth", "points", "camera", "mask")}
    files.write_json(Path(given.workdir) / runs.METRICS, {**said, **metrics})


def observed(
    config: CompleteConfig,
    shape: Shape | None,
    depth: str | None,
    points: str | None,
    camera: str | None,
    mask: str | None,
) -> Scan:
    """The observation that flags name.

    Raises:
        FileNotFoundError, ValueError: none, several, or files that are not what they should be.
    """
    if sum(one is not None for one in (shape, depth, points)) != 1:
        raise ValueError("Expected one of --shape, --depth and --points; name what is to be completed.")
    if shape is not None:
        view = pictures.camera(config.resolution, config.position)
        return scans.of_shape(shape, view, config.density, config.noise, config.seed)
    if camera is None:
        raise ValueError("--depth and --points need --camera=FILE.json with intrinsics and scene_from_camera.")
    if depth is not None:
        outline = Path(mask) if mask else None
        return scans.from_depth(Path(depth), Path(camera), outline, config.unit, config.resolution, config.noise)
    return scans.from_points(Path(points or ""), Path(camera), config.resolution, config.noise)


def complete(config: CompleteConfig, prior: Prior, scan: Scan, shape: Shape | None, workdir: Path) -> dict[str, Any]:
    """The code, the mesh and the pictures; returns the metrics.

    Raises:
        RunError: nothing is decoded in the end.
    """
    completion = Completion(config.by, prior)
    with Progress(completion.steps(config.method, scan)) as progress:
        code = completion.code(config.method, scan, config.start, progress.update)
    params = prior.decoder.prepare(prior.params(code))
    mesh, chamfer = scores.decoded(prior.decoder.distance, params, config.mesh_resolution), None
    if mesh is None:
        raise RunError("Nothing is decoded in the end; lower --by.fit.rate, or --start at shapes of a family.")
    files.write_mesh(workdir / "mesh.ply", mesh.vertices, mesh.faces)
    if shape is not None:
        chamfer = scores.chamfer_of(mesh, scores.true_points(shape))
        print(f"Chamfer distance {chamfer:.3g}, squared, of the whole shape.")
    row = completion_figures.case(Pictures(prior), scan, shape, {config.method: code})
    files.write_image(workdir / "completion.png", row)
    return {
        "config": experiment_flags.to_json(config),
        "measured": int(np.sum(scan.maps.measured)),
        "chamfer": chamfer,
        "code": code.tolist(),
        "versions": versions(),
    }


if __name__ == "__main__":
    flags.DEFINE_string("prior", None, "workdir of experiments.train_prior", required=True)
    flags.DEFINE_string("workdir", None, "folder to write into", required=True)
    flags.DEFINE_string("shape", None, "a family's member like 'plane 40', or a file of a closed mesh")
    flags.DEFINE_string("depth", None, "a depth image of 16 bits, PNG, 0 where nothing is known")
    flags.DEFINE_string("points", None, "points in the camera's axes, PLY")
    flags.DEFINE_string("camera", None, "JSON file of the camera of --depth or --points")
    flags.DEFINE_string("mask", None, "picture of --depth's size, bright where the object is")
    experiment_flags.define(CompleteConfig())
    experiment_flags.define_aliases({"steps": "by.fit.steps"})
    experiment_flags.run(main)
