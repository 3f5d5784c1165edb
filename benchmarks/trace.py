"""What a picture of the demo costs, half way through its training: evaluations of the field, seconds, differences.

    python -m benchmarks.trace            (ten minutes the first time, which trains; half_way.npz is kept)

    plain       sphere tracing, every ray marched for 24 steps beside every other, the undecided then settled
    rounds      unfinished rays are gathered in smaller and smaller buffers
    relaxed     steps as long as touching spheres allow
    cones       the samples of a pixel start where the cone around them all ends: what is used

An evaluation counts where it is made: also for a ray that was done, but marched along in a full batch. Writes
runs/benchmarks/trace.json beside the table; keep the latter in benchmarks/RESULTS.md.
"""

import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.flatten_util import ravel_pytree

from benchmarks import results
from experiments import demo_scene
from experiments.presets import PRESETS
from experiments.reconstruct import border_colour
from sdfrepar import datasets, fitting, imaging, networks, raygen
from sdfrepar.imaging import FilmConfig
from sdfrepar.records import Camera
from sdfrepar.rendering import RenderConfig, Scene, render_image, trace_rays
from sdfrepar.rendering.cones import starts_of_cells
from sdfrepar.rendering.rays import starting_at

CONFIG = PRESETS["quick"]
DATA, PARAMS = results.FOLDER / "demo", results.FOLDER / "half_way.npz"
REPETITIONS = 5
COUNTED = 32  # pixels a side of the picture whose evaluations are counted, one by one
HEADER = ("tracing", "evaluations a sample", "of plain", "seconds", "largest difference", "rms difference")


def main() -> None:
    """Train if need be, then print the table and write the JSON."""
    scene = networks.scene(CONFIG.network)
    params, cameras = half_way(scene)
    camera = jax.tree.map(lambda leaf: jnp.asarray(leaf[0]), cameras)
    rows = []
    for name, render in ways().items():
        draw = jax.jit(lambda params, camera, render=render: render_image(scene, render, params, camera).radiance)
        picture = np.asarray(draw(params, camera))
        rows.append(
            {
                "tracing": name,
                "evaluations": evaluations(scene, render, params, camera),
                "seconds": seconds(lambda draw=draw: draw(params, camera)),
                "picture": picture,
            }
        )
    plain = rows[0]["picture"]
    for row in rows:
        difference = row.pop("picture") - plain
        row |= {"largest": float(np.abs(difference).max()), "rms": float(np.sqrt(np.mean(difference**2)))}
    results.write("trace", jax.devices()[0], rows, resolution=camera.resolution)
    print(results.table(HEADER, [_cells(row, rows[0]) for row in rows]))


def ways() -> dict[str, RenderConfig]:
    """Render configs, the plain one first."""
    used = replace(CONFIG.render, film=FilmConfig(samples_per_side=4))
    everything = replace(used.trace, max_steps=24, relaxation=0.0)
    no_cones = replace(used.gradient, band=float("inf"))
    whole = {"unfinished_share": 1.0, "undecided_share": 1.0}
    rounds = replace(used, gradient=no_cones, trace=replace(used.trace, relaxation=0.0))
    return {
        "plain": replace(used, gradient=no_cones, trace=everything, first_steps=24, **whole),
        "rounds": rounds,
        "relaxed": replace(rounds, trace=used.trace),
        "cones": used,
    }


def half_way(scene: Scene) -> tuple[Any, Camera]:
    """The networks of the demo after half of their steps, and its held-out cameras."""
    if not DATA.is_dir():
        demo_scene.write(DATA)
    train, test = datasets.load(DATA, CONFIG.data)
    key = jax.random.key(CONFIG.seed)
    params = networks.initialise(CONFIG.network, border_colour(train), key=key)
    _, unravel = ravel_pytree(params)
    if PARAMS.is_file():
        return unravel(jnp.asarray(np.load(PARAMS)["params"])), test.cameras
    step = fitting.make_step(scene, CONFIG.render, CONFIG.fit)
    state, pixels = fitting.start(CONFIG.fit, params), fitting.gather_pixels(train, CONFIG.fit.levels)
    for number in range(CONFIG.fit.steps // 2):
        state, metrics = step(state, pixels, key)
        if number % 500 == 0:
            print(f"training: step {number}, psnr {float(metrics['psnr']):.1f} dB", flush=True)
    PARAMS.parent.mkdir(parents=True, exist_ok=True)
    np.savez(PARAMS, params=np.asarray(ravel_pytree(state.average)[0]))
    return state.average, test.cameras


def evaluations(scene: Scene, render: RenderConfig, params: Any, camera: Camera) -> float:
    """Evaluations of the field a sample, counted as they are made, in a small picture of the same view."""
    shrink = COUNTED / camera.resolution[1]
    small = replace(
        camera, focal=shrink * camera.focal, principal=shrink * camera.principal, resolution=(COUNTED, COUNTED)
    )
    made = 0

    def note(_: Any) -> None:
        nonlocal made
        made += 1

    def counted(params: Any, x: jax.Array) -> jax.Array:
        jax.debug.callback(note, x[0])
        return scene.distance(params, x)

    def trace(params: Any) -> Any:
        side = render.film.samples_per_side
        u = (imaging.corners(COUNTED * side, COUNTED * side) + 0.5) / side
        rays = jax.vmap(raygen.ray_through, in_axes=(None, 0))(small, u)
        start = starts_of_cells(counted, render, params, small, u)
        return trace_rays(counted, render, params, starting_at(rays, start))[0].status

    jax.block_until_ready(jax.jit(trace)(params))
    jax.effects_barrier()
    return made / (COUNTED**2 * render.film.inside)


def seconds(run: Callable[[], Any]) -> float:
    """The median of a few runs."""
    times = []
    for _ in range(REPETITIONS):
        begun = time.perf_counter()
        jax.block_until_ready(run())
        times.append(time.perf_counter() - begun)
    return float(np.median(times))


def _cells(row: dict[str, Any], plain: dict[str, Any]) -> list[str]:
    return [
        row["tracing"],
        f"{row['evaluations']:.2f}",
        f"{row['evaluations'] / plain['evaluations']:.2f}",
        f"{row['seconds']:.2f}",
        f"{row['largest']:.1e}",
        f"{row['rms']:.1e}",
    ]


if __name__ == "__main__":
    main()
