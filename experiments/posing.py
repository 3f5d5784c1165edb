"""Cameras that are off, on purpose or not, and where a fit that refines poses has brought them."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from experiments.presets import ReconstructConfig
from sdfrepar import cameras, datasets, evaluation
from sdfrepar.datasets.normalisation import in_frame
from sdfrepar.records import Camera, Views


def disturbed(views: Views, amount: float, *, seed: int) -> Views:
    """The views with every camera turned by `amount` degrees and shifted by as many hundredths of its distance.

    Each about its own centre, in directions that the seed draws; the pictures stay.
    """
    if not amount:
        return views
    rng = np.random.default_rng(seed)
    rig = views.cameras
    position = np.asarray(rig.position)
    axes, ways = (_unit(rng.normal(size=position.shape)) for _ in range(2))
    turns = jax.vmap(cameras.rotation_by)(jnp.asarray(np.radians(amount) * axes, jnp.float32))
    shifts = 0.01 * amount * np.linalg.norm(position, axis=1, keepdims=True) * ways
    moved = replace(
        rig,
        rotation=np.asarray(turns) @ np.asarray(rig.rotation),  # pyright: ignore[reportArgumentType]
        position=(position + shifts).astype(np.float32),  # pyright: ignore[reportArgumentType]
    )
    return replace(views, cameras=moved)


def load(config: ReconstructConfig, data: Path) -> tuple[Views, Views, "Posing"]:
    """The training views as a run begins with them, the held-out views, and what becomes of their cameras.

    Raises:
        ValueError, FileNotFoundError: data that cannot be used.
    """
    given, test = datasets.load(data, config.data)
    train = disturbed(given, config.pose_noise, seed=config.seed)
    return train, test, Posing(given.cameras, train.cameras)


class Posing:
    """The training cameras of a run: as the data give them, and as it began with them."""

    def __init__(self, given: Camera, begun: Camera):
        """Both with a leading axis N, NumPy leaves."""
        self._given, self._begun = given, begun

    def in_scene(self, params: Any, views: Views) -> Views:
        """Views that stand among the given cameras, in the frame that the fit has drifted to, if it moves cameras."""
        if "poses" not in params:
            return views
        return in_frame(views, evaluation.alignment(self.now(params), self._given))

    def now(self, params: Any) -> Camera:
        """The training cameras as they are now, in the frame of the scene; NumPy leaves, leading axis N."""
        if "poses" not in params:
            return self._begun
        return jax.tree.map(np.asarray, jax.vmap(cameras.moved)(self._begun, params["poses"]))

    def scores(self, params: Any) -> dict[str, float]:
        """How far the cameras are from the given ones after the best alignment: degrees, scene units, on average."""
        if "poses" not in params:
            return {}
        now, first = (evaluation.pose_error(rig, self._given) for rig in (self.now(params), self._begun))
        return {
            "rotation_error": float(now.rotation.mean()),
            "rotation_error_at_first": float(first.rotation.mean()),
            "position_error": float(now.position.mean()),
            "position_error_at_first": float(first.position.mean()),
        }


def _unit(vectors: np.ndarray) -> np.ndarray:
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
