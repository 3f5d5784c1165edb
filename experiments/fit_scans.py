"""A closed surface from a few range scans, without a prior: what they saw, and a smooth closing of what they did not.

    python -m experiments.fit_scans --scans=bun000.ply,bun090.ply --poses=bun.conf --workdir=runs/bunny

A scan is a PLY file of points, or an .npz file with the array points, in the scanner's own axes, of which z points to
the scanner; poses are the lines `bmesh FILE tx ty tz qx qy qz qw` of the Stanford repository, by whose convention a
point is turned by the inverse of the quaternion and then shifted, or lie in the .npz files as translation and
quaternion_xyzw. With --truth=MESH the surface is compared with one that is known, where scans saw it, and its picture
with that one's. With --fit.pose_rate=1e-3 the poses are refined with the shape. Leaves in the work directory: mesh.ply,
in the frame of the poses; metrics.json; scans.png, from the first scanner and from behind.
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
from scipy.spatial.transform import Rotation

from experiments import flags as experiment_flags
from experiments import runs
from experiments.flags import RunError
from experiments.panels import labelled
from experiments.priors import pictures
from experiments.priors.samples import Shape, of_mesh
from experiments.synthetic import meshes
from experiments.versions import versions
from sdfrepar import cameras, evaluation, files, fitting, meshing, networks
from sdfrepar.fitting import FitState, Ranges, RangesConfig
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
    mesh_resolution: int = 192
    """Grid points a side of the mesh."""
    seen: float = 0.002
    """The true surface is taken to be seen this near to a point of a scan, in the unit of the scans."""
    network: NetworkConfig = field(default_factory=lambda: NetworkConfig(sdf_width=96, sdf_depth=4, sdf_octaves=5))
    fit: RangesConfig = field(default_factory=RangesConfig)


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
    scans = read(names, Path(given.poses) if given.poses else None, config.every)
    metrics = fit(config, scans, Path(given.truth) if given.truth else None, Path(given.workdir))
    files.write_json(Path(given.workdir) / runs.METRICS, {"scans": given.scans, **metrics})


def read(names: Sequence[Path], poses: Path | None, every: int = 1) -> list[tuple[np.ndarray, np.ndarray]]:
    """Points (N, 3) of each scan and the direction (3,) to its scanner, world units.

    Raises:
        FileNotFoundError, ValueError: files that are missing, or not what they should be.
    """
    placed = _conf(poses) if poses else {}
    found = []
    for name in names:
        points, pose = _scan(name)
        pose = placed.get(name.stem, pose)
        if pose is None:
            raise ValueError(f"{name} has no pose; name --poses=FILE with a line 'bmesh {name.stem}.ply ...'.")
        translation, quaternion = pose
        rotation = Rotation.from_quat(quaternion).inv().as_matrix()
        found.append((points[::every] @ rotation.T + translation, rotation[:, 2]))
    return found


def fit(
    config: FitScansConfig, scans: list[tuple[np.ndarray, np.ndarray]], truth: Path | None, workdir: Path
) -> dict[str, Any]:
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
        "versions": versions(),
    }
    shapes = {"found": of_mesh(mesh.vertices, mesh.faces)}
    if truth is not None:
        true_vertices, true_faces = meshes.read(truth)
        truth_points = evaluation.sample_surface(true_vertices, true_faces, _POINTS, seed=1)
        found = evaluation.sample_surface(vertices, mesh.faces, _POINTS, seed=0)
        metrics |= scored(config, np.concatenate([points for points, _ in scans]), found, truth_points)
        shapes["truth"] = of_mesh((true_vertices - placed.centre) / placed.scale, true_faces)
        print(", ".join(f"{name} {metrics[name]:.3g}" for name in ("to_truth_median", "from_truth_median")))
    files.write_image(workdir / "scans.png", picture(shapes, placed, scans[0][1]))
    return metrics


def in_scene(scans: list[tuple[np.ndarray, np.ndarray]]) -> Placed:
    """The scans, the middle of their points' box moved to the origin, scaled into the unit sphere."""
    points = np.concatenate([points for points, _ in scans])
    centre = 0.5 * (points.min(axis=0) + points.max(axis=0))
    scale = float(np.linalg.norm(points - centre, axis=1).max()) / _REACH
    number = np.repeat(np.arange(len(scans)), [len(points) for points, _ in scans])
    towards = np.stack([towards for _, towards in scans])[number]
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


def picture(shapes: dict[str, Shape], placed: Placed, towards: np.ndarray) -> np.ndarray:
    """The points that were measured, and shapes, from the first scanner and from behind; (H, W, 3) sRGB."""
    rows = []
    for side in (towards, -towards):
        camera = pictures.camera(_PICTURE, 3.0 * side)
        shown = [labelled(_dots(camera, placed.ranges.point), "measured", _PICTURE)]
        shown += [labelled(pictures.true(shape, camera), name, _PICTURE) for name, shape in shapes.items()]
        rows.append(np.concatenate(shown, axis=1))
    return np.concatenate(rows)


def _dots(camera: Camera, points: jax.Array) -> np.ndarray:
    """A picture (H, W, 3) with a dark pixel wherever a point falls."""
    u, _ = jax.vmap(partial(cameras.project, camera))(points)
    column, row = np.clip(np.asarray(u).astype(int), 0, _PICTURE - 1).T
    dots = np.ones((_PICTURE, _PICTURE, 3), np.float32)
    dots[row, column] = 0.25
    return dots


def _scan(path: Path) -> tuple[np.ndarray, tuple[np.ndarray, np.ndarray] | None]:
    """The points of a scan, and its translation and quaternion if the file has them."""
    if path.suffix.lower() != ".npz":
        return files.read_points(path), None
    if not path.is_file():
        raise FileNotFoundError(f"There is no file {path}; check --scans.")
    with np.load(path) as arrays:
        if "points" not in arrays:
            raise ValueError(f"{path} holds the arrays {', '.join(arrays)}, expected points (N, 3); check --scans.")
        known = {"translation", "quaternion_xyzw"} <= set(arrays)
        pose = (arrays["translation"], arrays["quaternion_xyzw"]) if known else None
        return np.asarray(arrays["points"], np.float64), pose


def _conf(path: Path) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Translations and quaternions of the lines `bmesh FILE tx ty tz qx qy qz qw`, by names of files without suffix."""
    if not path.is_file():
        raise FileNotFoundError(f"There is no file {path}; check --poses.")
    found = {}
    for number, line in enumerate(path.read_text().splitlines(), start=1):
        kind, *rest = line.split() or [""]
        if kind != "bmesh":
            continue
        try:
            name, values = rest[0], np.array([float(value) for value in rest[1:]])
            found[Path(name).stem] = values[:3], values[3:].reshape(4)
        except (IndexError, ValueError) as error:
            raise ValueError(f"{path}, line {number}: {line!r}; expected 'bmesh FILE tx ty tz qx qy qz qw'.") from error
    return found


if __name__ == "__main__":
    flags.DEFINE_list("scans", None, "range scans, PLY or npz", required=True)
    flags.DEFINE_string("poses", None, "their poses, a file of lines 'bmesh FILE tx ty tz qx qy qz qw'")
    flags.DEFINE_string("truth", None, "mesh of the whole surface, in the frame of the poses")
    flags.DEFINE_string("workdir", None, "folder to write into", required=True)
    experiment_flags.define(FitScansConfig())
    experiment_flags.run(main)
