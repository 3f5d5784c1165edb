"""Look at a run in a browser, while it goes on or afterwards.

    python -m experiments.view --workdir=runs/demo

The surface is traced anew wherever one moves to: in colours, normals, depth, as the error against the nearest training
picture, or as the warp by which its silhouettes are differentiated. Slices show the field, and newer checkpoints of a
run that goes on are shown as they come. It listens to this machine alone; from another, `ssh -L` leads there.
"""

import json
import threading
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
from absl import flags

from experiments import flags as experiment_flags
from experiments.following import Follower
from experiments.orbit import upright
from sdfrepar import cameras
from sdfrepar.records import Camera
from sdfrepar.viewer import (
    LevelsConfig,
    Photographs,
    Programs,
    Session,
    Window,
    WindowConfig,
    at_camera,
    require_viser,
    welcome,
)


@dataclass(frozen=True)
class ViewConfig:
    """What is shown, and where."""

    mesh_resolution: int = 96
    """Grid points a side of the mesh that is extracted where the run has left none."""
    levels: LevelsConfig = field(default_factory=LevelsConfig)
    window: WindowConfig = field(default_factory=WindowConfig)


def main(argv: Sequence[str]) -> None:
    """Show until interrupted."""
    if len(argv) > 1:
        raise ValueError(f"{argv[1]!r} is no flag; write --workdir=FOLDER.")
    given, config = flags.FLAGS, experiment_flags.read(ViewConfig())
    data = None if given.data is None else Path(given.data)
    view(config, Path(given.workdir), data)


def view(config: ViewConfig, workdir: Path, data: Path | None = None, *, closed: threading.Event | None = None) -> None:
    """Show the run in `workdir` until interrupted, or until `closed` is set.

    Raises:
        FileNotFoundError, ValueError: no run, or pictures that cannot be read.
        ImportError: viser is missing.
    """
    require_viser()
    follower = Follower(workdir, data, mesh_resolution=config.mesh_resolution)
    exhibit, run = follower.now, follower.run
    print(f"{workdir}: step {exhibit.step}; compiling")
    params = jax.tree.map(jnp.asarray, exhibit.params)
    programs = Programs.fitting(run.scene, run.config.render, params, config.levels.seconds)
    session = Session(programs, Photographs(follower.train), config.levels, exhibit)
    window = Window(config.window, f"sdfrepar {workdir.name}", facts_of(follower, workdir), session.wake)
    window.stand(at_camera(cameras.one_of(exhibit.cameras, 0), 1.0), up_of(exhibit.cameras))
    session.open(window)
    print(welcome(config.window, window.port), flush=True)
    follower.start()
    try:
        while closed is None or not closed.is_set():
            session.trouble = follower.trouble
            session.work()
            if (newer := follower.newer()) is not None:
                session.replace(newer)
                print(f"step {newer.step}", flush=True)
    except KeyboardInterrupt:
        print("closed")
    finally:
        follower.stop()
        window.close()


def facts_of(follower: Follower, workdir: Path) -> dict[str, str]:
    """What there is to say of a run, by its name; any texts."""
    config, train = follower.run.config, follower.train
    height, width = train.cameras.resolution
    return {
        "work directory": str(workdir),
        "pictures": str(follower.run.data),
        "training views": f"{len(train)} of {width} x {height} pixels",
        "field": config.network.field,
        "gradient": config.render.gradient.method,
        "steps": str(config.fit.steps),
        "config": json.dumps(experiment_flags.to_json(config)),
    }


def up_of(rig: Camera) -> np.ndarray:
    """The upright axis (3,) of N cameras' pictures; that of the first where they have none in common."""
    try:
        return upright(rig)
    except ValueError:
        return -np.asarray(rig.rotation)[0, :, 1]


if __name__ == "__main__":
    flags.DEFINE_string("workdir", None, "work directory of experiments.reconstruct", required=True)
    flags.DEFINE_string("data", None, "folder of posed pictures; that of the run if not given")
    experiment_flags.define(ViewConfig())
    experiment_flags.define_aliases({"host": "window.host", "port": "window.port"})
    experiment_flags.run(main)
