"""A closed surface from a few range scans, without a prior: what they saw, and a smooth closing of what they did not.

    python -m experiments.fit_scans --scans=bun000.ply,bun090.ply --poses=bun.conf --workdir=runs/bunny

    python -m experiments.fit_scans --scans=depth_0.png,depth_1.png --camera=CAMERA.json --poses=POSES.json \
        --plane=0,-0.9,-0.4,0.03,0.02,0.31 --fit.pose_rate=1e-3 --workdir=runs/toy

A scan is a PLY file of points, or an .npz file with the array points, in the scanner's own axes, of which z points to
the scanner; poses are the lines `bmesh FILE tx ty tz qx qy qz qw` of the Stanford repository, by whose convention a
point is turned by the inverse of the quaternion and then shifted, or lie in the .npz files as translation and
quaternion_xyzw. Or a scan is a depth picture of 16 bits of a pinhole, whose file has width, height, fx, fy, cx, cy, by
OpenCV's axes, and depth_unit_m if a unit is no millimetre; poses are then a JSON file of 4 x 4 matrices, camera to
world, by names as the pictures' or what follows their last underscore. Of what stands on a table, --plane=NORMAL,POINT
in the world keeps what is above it.

With --truth=MESH the surface is compared with one that is known, where scans saw it. With --fit.pose_rate=1e-3 the
poses are refined with the shape. Leaves in the work directory: mesh.ply, in the frame of the poses; metrics.json, with
how far the points of each scan are from the surface; scans.png, from the first scanner and from behind.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from absl import flags
from scipy.spatial import KDTree

from experiments import flags as experiment_flags
from experiments import runs, scan_files
from experiments.flags import RunError
from experiments.panels import labelled
from experiments.priors import pictures
from experiments.priors.samples import Shape, of_mesh
from experiments.synthetic import meshes
from experiments.versions import versions
from sdfrepar import cameras, evaluation, fields, files, fitting, meshing, networks
from sdfrepar.fitting import FitState, Ranges, RangesConfig
from sdfrepar.fitting.ranges import moved
from sdfrepar.networks import NetworkConfig
from sdfrepar.records import Camera
from sdfrepar.rendering import Scene
from sdfrepar.reports import Progress

# How far the points reach out from the middle of their box, scene units; what they do not show has room beyond it.
_REACH = 0.7

# On each surface, for their distances.
_POINTS = 300_000

# Of the pictures, pixels.
_PICTURE = 256


@dataclass(frozen=True)
class FitScansConfig:
    """Everything that decides a fit, besides the scans."""

    seed: int = 0
    every: int = 1
    """Of the points of each scan, every so many are taken."""
    above: float = 0.005
    """How far above a plane a point must lie, in the unit of the scans."""
    around: float = 0.15
    """How far from the plane's point it may lie."""
    mesh_resolution: int = 192
    """Grid points a side of the mesh."""
    seen: float = 0.002
    """The true surface is taken to be seen this near to a point of a scan, in the unit of the scans."""
    network: NetworkConfig = field(default_factory=lambda: NetworkConfig(sdf_width=96, sdf_depth=4, sdf_octaves=5))
    fit: RangesConfig = field(default_factory=RangesConfig)


class Scan(NamedTuple):
    """What one scanner measured, world units."""

    points: np.ndarray  # (N, 3)
    towards: np.ndarray  # (N, 3) unit, to the scanner


class Placed(NamedTuple):
    """Scans in scene space."""

    ranges: Ranges
    scale: float  # world units of a scene unit
    centre: np.ndarray  # (3,) of the scene, world units


def main(argv: Sequence[str]) -> None:
    """Fit, then score and draw."""
    del argv
    given, config = flags.FLAGS, experiment_flags.read(FitScansConfig())
    names = [Path(name) for name in given.scans]
    poses, camera = (Path(name) if name else None for name in (given.poses, given.camera))
    scans = read(names, poses, camera, config.every)
    if given.plane:
        scans = [standing(config, scan, plane_of(given.plane)) for scan in scans]
    metrics = fit(config, scans, Path(given.truth) if given.truth else None, Path(given.workdir))
    files.write_json(Path(given.workdir) / runs.METRICS, {"scans": given.scans, **metrics})


def read(names: Sequence[Path], poses: Path | None, camera: Path | None = None, every: int = 1) -> list[Scan]:
    """The scans, world units.

    Raises:
        FileNotFoundError, ValueError: files that are missing, or not what they should be.
    """
    placed, found = scan_files.poses(poses) if poses else {}, []
    for name in names:
        points, pose = scan_files.measured(name, camera)
        pose = placed.get(name.stem, placed.get(name.stem.rpartition("_")[2], pose))
        if pose is None:
            raise ValueError(f"{name} has no pose; name --poses=FILE, with one for {name.stem}.")
        x = points[::every] @ pose[:3, :3].T + pose[:3, 3]
        if camera is None:
            towards = np.broadcast_to(pose[:3, 2], x.shape)
        else:
            towards = (pose[:3, 3] - x) / np.linalg.norm(pose[:3, 3] - x, axis=1, keepdims=True)
        found.append(Scan(x, towards))
    return found


def plane_of(numbers: Sequence[str]) -> np.ndarray:
    """A plane's unit normal and a point of it, (2, 3), from six numbers.

    Raises:
        ValueError: they are not.
    """
    try:
        normal, point = np.array([float(number) for number in numbers]).reshape(2, 3)
    except ValueError as error:
        raise ValueError(f"--plane is {','.join(numbers)}; expected a normal and a point, six numbers.") from error
    return np.stack([normal / np.linalg.norm(normal), point])


def standing(config: FitScansConfig, scan: Scan, plane: np.ndarray) -> Scan:
    """What a scan saw above a plane, and around its point.

    Raises:
        ValueError: nothing.
    """
    normal, point = plane
    apart = scan.points - point
    kept = (apart @ normal > config.above) & (np.linalg.norm(apart, axis=1) < config.around)
    if not kept.any():
        raise ValueError("No point of a scan lies above the plane; check --plane, and --around in the scans' unit.")
    return Scan(scan.points[kept], scan.towards[kept])


def fit(config: FitScansConfig, scans: list[Scan], truth: Path | None, workdir: Path) -> dict[str, Any]:
    """The mesh and its picture; returns the metrics.

    Raises:
        RunError: the loss is not finite, or there is no surface in the end.
    """
    placed = in_scene(scans)
    scene = networks.scene(config.network)
    state = trained(config, scene, placed.ranges, len(scans))
    try:
        mesh = meshing.extract(scene.distance, scene.prepare(state.average["field"]), config.mesh_resolution)
    except meshing.EmptyMeshError as error:
        raise RunError("There is no surface in the end; lower --fit.rate.") from error
    vertices = placed.scale * mesh.vertices + placed.centre
    files.write_mesh(workdir / "mesh.ply", vertices, mesh.faces)
    metrics: dict[str, Any] = {
        "config": experiment_flags.to_json(config),
        "points": len(placed.ranges.point),
        "poses": np.asarray(state.average["poses"]).tolist(),
        "off_median": _off(scene, state, placed),
        "versions": versions(),
    }
    shapes = {"found": of_mesh(mesh.vertices, mesh.faces)}
    if truth is not None:
        true_vertices, true_faces = meshes.read(truth)
        truth_points = evaluation.sample_surface(true_vertices, true_faces, _POINTS, seed=1)
        found = evaluation.sample_surface(vertices, mesh.faces, _POINTS, seed=0)
        metrics |= scored(config, np.concatenate([scan.points for scan in scans]), found, truth_points)
        shapes["truth"] = of_mesh((true_vertices - placed.centre) / placed.scale, true_faces)
        print(", ".join(f"{name} {metrics[name]:.3g}" for name in ("to_truth_median", "from_truth_median")))
    files.write_image(workdir / "scans.png", picture(shapes, state, placed))
    return metrics


def in_scene(scans: list[Scan]) -> Placed:
    """The scans, the middle of their points' box moved to the origin, scaled into the unit sphere."""
    points = np.concatenate([scan.points for scan in scans])
    centre = 0.5 * (points.min(axis=0) + points.max(axis=0))
    scale = float(np.linalg.norm(points - centre, axis=1).max()) / _REACH
    number = np.repeat(np.arange(len(scans)), [len(scan.points) for scan in scans])
    towards = np.concatenate([scan.towards for scan in scans])
    x, towards = (jnp.asarray(x, jnp.float32) for x in ((points - centre) / scale, towards))
    return Placed(Ranges(x, towards, jnp.asarray(number, jnp.int32)), scale, centre)


def trained(config: FitScansConfig, scene: Scene, ranges: Ranges, scans: int) -> FitState:
    """The state after all steps."""
    key = jax.random.key(config.seed)
    first = networks.initialise(config.network, jnp.zeros(3), key=key)
    state = fitting.on_all_devices(fitting.first_ranges_state(config.fit, first, scans))
    step = fitting.make_ranges_step(scene.distance, config.fit)
    with Progress(config.fit.steps) as progress:
        for number in range(1, config.fit.steps + 1):
            state, metrics = step(state, ranges, key)
            if number % 50 == 0 or number == config.fit.steps:
                values = {name: float(value) for name, value in metrics.items()}
                if not np.isfinite(values["loss"]):
                    raise RunError(f"The loss is not finite at step {number}; lower --fit.rate.")
                progress.update(number, values)
    return state


def scored(config: FitScansConfig, points: np.ndarray, found: np.ndarray, truth: np.ndarray) -> dict[str, float]:
    """Distances of points of surfaces, world units, where scans saw them: of what was found from the truth, and the
    other way.
    """
    scanned, true, near = (KDTree(x) for x in (points, truth, found))
    seen_found = found[scanned.query(found)[0] < config.seen]
    seen_truth = truth[scanned.query(truth)[0] < config.seen]
    to_truth, from_truth = true.query(seen_found)[0], near.query(seen_truth)[0]
    return {
        "to_truth_median": float(np.median(to_truth)),
        "to_truth_95": float(np.quantile(to_truth, 0.95)),
        "from_truth_median": float(np.median(from_truth)),
        "from_truth_95": float(np.quantile(from_truth, 0.95)),
    }


def picture(shapes: dict[str, Shape], state: FitState, placed: Placed) -> np.ndarray:
    """The points that were measured, and shapes, from the first scanner and from behind; (H, W, 3) sRGB."""
    x, towards = moved(state.average["poses"], placed.ranges)
    side = np.asarray(jnp.mean(towards[placed.ranges.scan == 0], axis=0))
    rows = []
    for direction in (side, -side):
        camera = pictures.camera(_PICTURE, 3.0 * direction / np.linalg.norm(direction))
        shown = [labelled(_dots(camera, x), "measured", _PICTURE)]
        shown += [labelled(pictures.true(shape, camera), name, _PICTURE) for name, shape in shapes.items()]
        rows.append(np.concatenate(shown, axis=1))
    return np.concatenate(rows)


def _off(scene: Scene, state: FitState, placed: Placed) -> list[float]:
    """The median distance of each scan's points from the surface, world units."""
    x, _ = moved(state.average["poses"], placed.ranges)
    f = placed.scale * np.abs(np.asarray(fields.values(scene.distance, state.average["field"], x)))
    number = np.asarray(placed.ranges.scan)
    return [float(np.median(f[number == scan])) for scan in np.unique(number)]


def _dots(camera: Camera, points: jax.Array) -> np.ndarray:
    """A picture (H, W, 3) with a dark pixel wherever a point falls."""
    u, _ = jax.vmap(partial(cameras.project, camera))(points)
    column, row = np.clip(np.asarray(u).astype(int), 0, _PICTURE - 1).T
    dots = np.ones((_PICTURE, _PICTURE, 3), np.float32)
    dots[row, column] = 0.25
    return dots


if __name__ == "__main__":
    flags.DEFINE_list("scans", None, "range scans: PLY, npz, or depth pictures of 16 bits", required=True)
    flags.DEFINE_string("camera", None, "JSON file of the pinhole that took depth pictures")
    flags.DEFINE_string("poses", None, "poses of the scans: lines 'bmesh FILE tx ty tz qx qy qz qw', or JSON")
    flags.DEFINE_list("plane", None, "normal and point, six numbers, of the plane on which the object stands")
    flags.DEFINE_string("truth", None, "mesh of the whole surface, in the frame of the poses")
    flags.DEFINE_string("workdir", None, "folder to write into", required=True)
    experiment_flags.define(FitScansConfig())
    experiment_flags.run(main)
