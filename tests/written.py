"""Folders as runs leave them, written by hand in no time: for what reads them."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import trimesh

from experiments import flags, runs
from experiments.frustums import Frustum
from experiments.presets import PRESETS, ReconstructConfig
from experiments.run_report import MESH, PANELS
from sdfrepar import files, reports

QUICK = PRESETS["quick"]
CONFIG = replace(QUICK, fit=replace(QUICK.fit, steps=200))
NAMES = ("test_000", "test_001")


def run_folder(
    folder: Path,
    *,
    config: ReconstructConfig = CONFIG,
    step: int = 200,
    data: str = "data",
    views: tuple[str, ...] = NAMES,
    has_mesh: bool = True,
    size: tuple[int, int] = (24, 32),
) -> Path:
    """A run that has come to a step, with all that it leaves at the last one; returns the folder."""
    stored = {"data_folder": data, **flags.to_json(config), "views": 3, "command": f"python run --data='{data}'"}
    files.write_json(folder / runs.CONFIG, stored)
    files.write_json_lines(folder / runs.LOG, [line_of(number) for number in range(25, step + 1, 25)])
    files.write_image(folder / "images" / "progress" / "step_000050.png", panels(size, seed=9))
    if step == config.fit.steps:
        scores = {"psnr": 30.125, "ssim": 0.95}
        for seed, name in enumerate(views):
            files.write_image(folder / "images" / f"{name}.png", panels(size, seed))
        metrics = (scores if views else {}) | {"seconds": 63.0, "steps": step, "gradient": "grazing"}
        metrics |= {"views": dict.fromkeys(views, scores), "versions": {"jax": "0", "device": "cpu"}}
        files.write_json(folder / runs.METRICS, metrics)
        if has_mesh:
            ball = trimesh.creation.icosphere(subdivisions=3)
            files.write_mesh(folder / MESH, ball.vertices, ball.faces, 0.5 + 0.5 * ball.vertices)
    return folder


def line_of(step: int) -> dict[str, float]:
    """A line of metrics.jsonl."""
    return {
        "step": step,
        "loss": 1.0 / step,
        "loss/photometric": 0.5 / step,
        "psnr": 20.0 + 0.05 * step,
        "hit_rate": 0.4,
        "band": 0.2,
        "hits": 10.0,
    }


def panels(size: tuple[int, int], seed: int) -> np.ndarray:
    """What is joined for a view; noise, which no format makes smaller."""
    rng = np.random.default_rng(seed)
    return reports.side_by_side(*rng.random((PANELS, *size, 3), np.float32))


def rig() -> list[Frustum]:
    """Two cameras that look along -z and -x, y up, the second one held out."""
    film = np.array([[-0.4, 0.3, -0.5], [0.4, 0.3, -0.5], [0.4, -0.3, -0.5], [-0.4, -0.3, -0.5]])
    first = np.concatenate([np.zeros((1, 3)), film]) + np.array([0.0, 0.0, 3.0])
    return [Frustum(first, False), Frustum(first @ np.array([[0, 0, -1], [0, 1, 0], [1, 0, 0]]), True)]
