"""What a reconstruction leaves behind: pictures, a mesh, the numbers, and a page of them all."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from experiments import frustums, run_report
from experiments.board import Board
from experiments.pictures import compile_render, srgb, vertex_colours
from experiments.posing import Posing
from experiments.presets import ReconstructConfig
from experiments.run_report import MESH
from experiments.runs import LOG, METRICS, Snapshot
from experiments.scores import duration
from experiments.versions import versions
from experiments.view_scores import load_exact, mean_scores, score_view
from sdfrepar import cameras, evaluation, files, meshing, reports
from sdfrepar.fitting import FitState
from sdfrepar.meshing import Mesh
from sdfrepar.records import Camera, Image, Views
from sdfrepar.rendering import Scene

# Of the unit sphere's radius: how near a surface must be for the F-score.
NEAR = 0.01


class Outcome:
    """Evaluates a fit against held-out views and, where the data set has it, against the true shape."""

    def __init__(
        self,
        scene: Scene,
        config: ReconstructConfig,
        data: Path,
        workdir: Path,
        test: Views,
        posing: Posing,
        *,
        run: Path | None = None,
        board: Board | None = None,
    ):
        """Of a run on the pictures in `data`, writing into `workdir`, which is the folder of the run if not `run`."""
        self._scene, self._config, self._posing = scene, config, posing
        self._given_test = self._test = test
        self._data, self._workdir, self._run = data, workdir, run or workdir
        self._board = board
        self._exact = load_exact(data / "truth_views.npz", test)
        self._render: Callable[[Any, Camera], Image] | None = None

    def show(self, state: FitState) -> None:
        """Write the first held-out view as it looks now, and the report as things stand."""
        step, panels = int(state.step), self._panels(self._image(self._params(state), 0), 0)
        files.write_image(self._workdir / "images" / "progress" / f"step_{step:06d}.png", panels)
        if self._board is not None:
            self._board.picture(step, f"views/{self._test.names[0]}", panels)
        self.report(state)

    def report(self, state: FitState, trouble: str | None = None) -> Path:
        """Write report.html from what is in the folder; `trouble` says why the run cannot go on."""
        rig = self._posing.now(self._params(state))
        return run_report.write(self._run, frustums.of_run(rig, self._test), self._workdir, trouble)

    def write(self, snapshot: Snapshot) -> dict[str, Any]:
        """Write images/, mesh.ply, metrics.json and report.html, and say where they are; returns the metrics."""
        params, steps = self._params(snapshot.state), int(snapshot.state.step)
        views = [self._view(params, index, steps) for index in range(len(self._test))]
        metrics: dict[str, Any] = mean_scores(views) | self._shape(params, steps) | self._posing.scores(params)
        metrics |= {
            "seconds": float(snapshot.seconds),
            "seconds_per_step": float(snapshot.in_steps) / max(steps, 1),
            "step_gigabytes": float(snapshot.step_gigabytes),
            "restarts": int(snapshot.restarts),
            "steps": steps,
            "gradient": self._config.render.gradient.method,
            "views": {name: view for name, view in zip(self._test.names, views, strict=True)},
            "versions": versions(),
        }
        files.write_json(self._workdir / METRICS, metrics)
        report = self.report(snapshot.state)
        shown = {name: round(value, 4) for name, value in metrics.items() if isinstance(value, int | float)}
        print(", ".join(f"{name} {value}" for name, value in shown.items()))
        print(f"{steps} steps in {duration(metrics['seconds'])}; what they made:")
        made = {
            "report": report,
            "mesh": self._workdir / MESH,
            "pictures": self._workdir / "images",
            "scores": self._workdir / METRICS,
            "curves": self._run / LOG,
        }
        print("\n".join(f"  {name:<9} {path}" for name, path in made.items() if path.exists()), flush=True)
        return metrics

    def _params(self, state: FitState) -> Any:
        """The averaged params, ready to be evaluated; the held-out cameras follow where they have drifted."""
        params = jax.jit(self._scene.prepare)(_here(state.average))
        self._test = self._posing.in_scene(params, self._given_test)
        return params

    def _view(self, params: Any, index: int, step: int) -> dict[str, float]:
        """Render, write and score one held-out view."""
        image, truth, name = self._image(params, index), self._truth(index), self._test.names[index]
        panels = self._panels(image, index)
        files.write_image(self._workdir / "images" / f"{name}.png", panels)
        if self._board is not None:
            self._board.picture(step, f"views/{name}", panels)
        return score_view(image, srgb(image), truth, self._test, index, self._exact)

    def _shape(self, params: Any, step: int) -> dict[str, Any]:
        """Write the mesh and score it against `truth.npz`, if the data set has one."""
        world_from_scene = self._test.world_from_scene
        try:
            mesh = meshing.extract(self._scene.distance, params, self._config.mesh_resolution, components="all")
        except meshing.EmptyMeshError as error:
            print(f"no mesh: {error}")
            world = None
            (self._workdir / MESH).unlink(missing_ok=True)
        else:
            world = meshing.transform(mesh, world_from_scene)
            colours = vertex_colours(self._scene, params, mesh)
            files.write_mesh(self._workdir / MESH, world.vertices, world.faces, colours, world.normals)
            if self._board is not None:
                self._board.mesh(step, world.vertices, world.faces, colours)
            print(
                f"{MESH}: {len(mesh.vertices)} vertices, watertight {mesh.watertight}, Euler number {mesh.euler_number}"
            )
        truth = self._data / "truth.npz"
        return score_shape(self._scene, params, world, world_from_scene, truth) if truth.exists() else {}

    def _image(self, params: Any, index: int) -> Image:
        camera = cameras.one_of(self._test.cameras, index)
        if self._render is None:
            self._render = compile_render(self._scene, self._config, params, camera)
        return jax.tree.map(np.asarray, self._render(params, camera))

    def _truth(self, index: int) -> np.ndarray:
        return files.encode_srgb(self._test.images[index])

    def _panels(self, image: Image, index: int) -> np.ndarray:
        """Truth | render | error | normals | depth."""
        truth, rendered, opacity = self._truth(index), srgb(image), np.asarray(image.opacity)
        return reports.side_by_side(
            truth,
            rendered,
            reports.error_map(truth, rendered),
            reports.normal_picture(np.asarray(image.normal), opacity),
            reports.depth_picture(np.asarray(image.depth), opacity),
        )


def score_shape(
    scene: Scene, params: Any, world: Mesh | None, world_from_scene: np.ndarray, truth: Path
) -> dict[str, float | None]:
    """IoU of the occupancy on the truth's grid of the world's [-1, 1]³, Chamfer distance in world units, and F-score.

    Distances are over as many points each way as the truth has; the F-score's threshold, in world units, is NEAR of the
    radius of scene space's unit sphere. `world` is the mesh in the world frame; without one these scores are None.
    """
    inside, surface_points = read_truth(truth)
    resolution = len(inside)
    scene_from_world = jnp.asarray(np.linalg.inv(world_from_scene), jnp.float32)

    def in_world(params: Any, x: jax.Array) -> jax.Array:
        return scene.distance(params, scene_from_world[:3, :3] @ x + scene_from_world[:3, 3])

    values = meshing.sample_grid(in_world, params, resolution)
    near = NEAR * float(np.cbrt(np.linalg.det(world_from_scene[:3, :3])))
    scores: dict[str, float | None] = {
        "iou": evaluation.occupancy_iou(values, np.where(inside, -1.0, 1.0)),
        "chamfer": None,
        "fscore": None,
        "fscore_threshold": near,
    }
    if world is not None:
        points = evaluation.sample_surface(world.vertices, world.faces, len(surface_points), seed=0)
        scores["chamfer"] = evaluation.chamfer(points, surface_points)
        scores["fscore"] = evaluation.fscore(points, surface_points, near).f
    return scores


def _here(params: Any) -> Any:
    """Parameters that live on the devices of all hosts, for a program that this one runs alone."""
    return jax.tree.map(lambda leaf: jnp.asarray(np.asarray(leaf)), params)


def read_truth(path: Path) -> tuple[np.ndarray, np.ndarray]:
    """What a data set knows of its shape: occupancy (R, R, R), boolean, and points (P, 3) of the surface, world units.

    Raises:
        FileNotFoundError, ValueError: no such file, or one that holds other arrays.
    """
    stored = files.read_arrays(path, {"resolution": (), "occupancy": (None,), "surface_points": (None, 3)})
    resolution, packed, points = float(stored["resolution"]), stored["occupancy"], stored["surface_points"]
    bits = resolution * resolution * resolution
    if packed.dtype != np.uint8 or len(packed) != np.ceil(bits / 8) or not len(points):
        raise ValueError(
            f"{path} has {len(packed)} of {packed.dtype} for a grid of {resolution:g} points a side, and {len(points)} "
            "surface points; expected a bit for each point of the grid, and some surface points."
        )
    side = round(resolution)
    return np.unpackbits(packed)[: side**3].reshape(side, side, side).astype(bool), points
