"""A run that goes on, as something to look at: each time it has written a checkpoint, there is more to see."""

import threading
from collections import deque
from pathlib import Path

import numpy as np

from experiments import posing, runs
from experiments.pictures import vertex_colours
from experiments.runs import Run
from sdfrepar import checkpoints, files, meshing
from sdfrepar.meshing import Mesh
from sdfrepar.viewer import Exhibit

# Seconds between two looks at the folder.
_PATIENCE = 1.0

_GREY = 0.7


class Follower:
    """Reads the newest checkpoint of a run, in a thread of its own, whenever there is another."""

    def __init__(self, workdir: Path, data: Path | None = None, *, mesh_resolution: int = 96):
        """Of the run in a work directory.

        Args:
            workdir: of experiments.reconstruct.
            data: folder of its pictures; that of the run if not given.
            mesh_resolution: grid points a side for marching cubes, where the run has left no mesh.

        Raises:
            FileNotFoundError, ValueError: as `runs.load`, or pictures that cannot be read.
        """
        self._workdir, self._resolution = workdir, mesh_resolution
        self.run = runs.load(workdir)
        self.train, self._test, self._posing = posing.load(self.run.config, self.run.data if data is None else data)
        self.now = self._exhibit(self.run)
        self.trouble = ""
        self._newest: deque[Exhibit] = deque(maxlen=1)
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)

    def start(self) -> None:
        """Begin to watch."""
        self._thread.start()

    def stop(self) -> None:
        """Cease to watch."""
        self._stop.set()

    def newer(self) -> Exhibit | None:
        """What has come since it was last asked for, if anything has."""
        return self._newest.pop() if self._newest else None

    def look(self) -> Exhibit | None:
        """Read the newest checkpoint, if it is another than the last one read; at once, in this thread.

        One that is being replaced while it is read is left for the next time. `trouble` says what is wrong with one
        that cannot be read or shown: it may belong to another run, which was begun in the same folder.
        """
        try:
            step = checkpoints.latest_step(self._workdir / runs.CHECKPOINTS)
            if step is None or step == self.now.step:
                return None
            run = runs.load(self._workdir)
        except (FileNotFoundError, ValueError) as error:
            self.trouble = str(error)
            return None
        if (run.config.network, run.config.render) != (self.run.config.network, self.run.config.render):
            self.trouble = f"{self._workdir} holds another run by now; open the viewer again."
            return None
        self.trouble = ""
        self.now = self._exhibit(run)
        return self.now

    def _watch(self) -> None:
        while not self._stop.wait(_PATIENCE):
            if (found := self.look()) is not None:
                self._newest.append(found)

    def _exhibit(self, run: Run) -> Exhibit:
        rig = self._posing.now(run.params)
        return Exhibit(step=run.step, params=run.params, cameras=rig, mesh=lambda: self._mesh(run))

    def _mesh(self, run: Run) -> tuple[Mesh, np.ndarray] | None:
        """The mesh that the run has left of this very step, or one that is extracted now."""
        written, metrics = self._workdir / "mesh.ply", self._workdir / runs.METRICS
        if written.is_file() and metrics.is_file() and files.read_json(metrics).get("steps") == run.step:
            world_from_scene = self._posing.in_scene(run.params, self._test).world_from_scene
            return _in_scene(*files.read_coloured_mesh(written), world_from_scene)
        try:
            mesh = meshing.extract(self.run.scene.distance, run.params, self._resolution, components="all")
        except meshing.EmptyMeshError:
            return None
        return mesh, vertex_colours(self.run.scene, run.params, mesh)


def _in_scene(
    vertices: np.ndarray, faces: np.ndarray, colours: np.ndarray | None, world_from_scene: np.ndarray
) -> tuple[Mesh, np.ndarray]:
    """A mesh of the world in scene units, its codes as colours in [0, 1], grey if it has none."""
    import trimesh

    normals = trimesh.Trimesh(vertices, faces, process=False).vertex_normals
    mesh = Mesh(vertices, faces, np.asarray(normals))
    shown = np.full(vertices.shape, _GREY) if colours is None else colours / 255.0
    return meshing.transform(mesh, np.linalg.inv(world_from_scene)), shown
