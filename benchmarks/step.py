"""Seconds of one optimisation step of the quick preset, with and without the silhouettes' gradient, in one run.

python -m benchmarks.step            (half a minute; append the table to benchmarks/RESULTS.md)
"""

import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from experiments.presets import PRESETS
from sdfrepar import cameras, fitting, networks
from sdfrepar.records import Views
from sdfrepar.rendering import RenderConfig

REPETITIONS = 20


def main() -> None:
    """Print the table."""
    config = PRESETS["quick"]
    steps = {
        method: _step(_with_method(config.render, method), config.fit, config.network)
        for method in ("interior", "relaxed", "grazing", "distance", "velocity")
    }
    seconds = {gradient: _median_seconds(step) for gradient, step in steps.items()}
    print(f"{jax.devices()[0].device_kind}, jax {jax.__version__}, {config.fit.pixels} pixels a step")
    for gradient, value in seconds.items():
        print(f"| {gradient} | {1e3 * value:.1f} ms | {value / seconds['interior']:.2f} |")


def _with_method(render: RenderConfig, method: Any) -> RenderConfig:
    return replace(render, gradient=replace(render.gradient, method=method))


def _step(render: Any, fit: Any, network: Any) -> Callable[[], Any]:
    """A step from the first state, ready to be called again and again; the surface is the initial sphere."""
    scene, key = networks.scene(network), jax.random.key(0)
    pixels = fitting.gather_pixels(_grey_views(), fit.levels)
    state = fitting.start(fit, networks.initialise(network, jnp.full(3, 0.5), key=key))
    state = state.replace(step=jnp.asarray(fit.steps // 2))
    step = jax.jit(lambda state: fitting.make_step(scene, render, fit)(state, pixels, key))
    jax.block_until_ready(step(state))
    return lambda: step(state)


def _median_seconds(step: Callable[[], Any]) -> float:
    times = []
    for _ in range(REPETITIONS):
        begun = time.perf_counter()
        jax.block_until_ready(step())
        times.append(time.perf_counter() - begun)
    return float(np.median(times))


def _grey_views() -> Views:
    """Sixteen grey pictures of 128 x 128 pixels from a circle around the unit sphere."""
    angles = 2.0 * np.pi * np.arange(16) / 16
    rig = [
        cameras.look_at(
            jnp.array([3.0 * np.cos(angle), 0.5, 3.0 * np.sin(angle)]),
            jnp.zeros(3),
            jnp.array([0.0, 1.0, 0.0]),
            field_of_view=0.66,
            resolution=(128, 128),
        )
        for angle in angles
    ]
    return Views(
        images=np.full((16, 128, 128, 3), 0.5, np.float32),
        cameras=jax.tree.map(lambda *leaves: np.stack(leaves), *rig),
        names=tuple(f"view_{index:02d}" for index in range(16)),
        world_from_scene=np.eye(4),
    )


if __name__ == "__main__":
    main()
