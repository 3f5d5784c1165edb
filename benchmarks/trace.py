"""What a picture of the demo costs, half way through its training: evaluations of the field, seconds, differences.

    python -m benchmarks.trace            (ten minutes the first time, which trains; half_way.npz is kept)

    plain       sphere tracing, every ray marched for 24 steps beside every other, the undecided then settled
    rounds      unfinished rays are gathered in smaller and smaller buffers
    relaxed     steps as long as touching spheres allow
    cones       the samples of a pixel start where the cone around them all ends: what is used; in float32, and with
                the cones in bfloat16

An evaluation counts where it is made: also for a ray that was done, but marched along in a full batch; one with its
derivatives counts once. Writes runs/benchmarks/trace.json beside the table; keep the latter in benchmarks/RESULTS.md.
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
from experiments import make_scene
from experiments.presets import PRESETS
from experiments.reconstruct import border_colour
from sdfrepar import datasets, fitting, imaging, networks, raygen, reports
from sdfrepar.imaging import FilmConfig
from sdfrepar.records import Camera
from sdfrepar.rendering import RenderConfig, Scene, buffers, render_image, trace_rays
from sdfrepar.rendering.cones import starts_of_cells
from sdfrepar.rendering.rays import starting_at

CONFIG = PRESETS["network"]
DATA, PARAMS = results.FOLDER / "demo", results.FOLDER / "half_way.npz"
REPETITIONS = 5
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
    print(reports.table(HEADER, [_cells(row, rows[0]) for row in rows]))


def ways() -> dict[str, RenderConfig]:
    """Render configs, the plain one first."""
    used = replace(CONFIG.render, film=FilmConfig(samples_per_side=4))
    everything = replace(used.trace, max_steps=24, relaxation=0.0)
    no_cones = replace(used.gradient, band=float("inf"))
    rounds = replace(used, gradient=no_cones, trace=replace(used.trace, relaxation=0.0))
    return {
        "plain": replace(used, gradient=no_cones, trace=everything, first_steps=24),
        "rounds": rounds,
        "relaxed": replace(rounds, trace=used.trace),
        "cones": used,
        "cones, bfloat16": replace(used, far_precision="bfloat16"),
    }


def half_way(scene: Scene) -> tuple[Any, Camera]:
    """The networks of the demo after half of their steps, and its held-out cameras."""
    if not DATA.is_dir():
        make_scene.write(make_scene.MakeConfig(), DATA)
    train, test = datasets.load(DATA, CONFIG.data)
    key = jax.random.key(CONFIG.seed)
    params = networks.initialise(CONFIG.network, border_colour(train), key=key)
    _, unravel = ravel_pytree(params)
    if PARAMS.is_file():
        return unravel(jnp.asarray(np.load(PARAMS, allow_pickle=False)["params"])), test.cameras
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
    """Evaluations of the field a sample, counted as they are made."""
    made = 0

    def note(x: np.ndarray) -> np.ndarray:
        nonlocal made
        made += x.size // 3
        return np.zeros(x.shape[:-1], x.dtype)

    def counted(params: Any, x: jax.Array) -> jax.Array:
        nothing = jax.pure_callback(
            note, jax.ShapeDtypeStruct((), x.dtype), jax.lax.stop_gradient(x), vmap_method="broadcast_all"
        )
        return scene.distance(params, x) + nothing

    side, (height, width) = render.film.samples_per_side, camera.resolution
    u = (imaging.corners(height * side, width * side) + 0.5) / side

    def trace(params: Any) -> jax.Array:
        def one_chunk(u: jax.Array, start: jax.Array | None) -> jax.Array:
            rays = jax.vmap(raygen.ray_through, in_axes=(None, 0))(camera, u)
            return trace_rays(counted, render, params, starting_at(rays, start))[0].status

        start = starts_of_cells(counted, render, params, camera, u)
        return buffers.in_chunks(one_chunk, (u, start), render.chunk)

    jax.block_until_ready(jax.jit(trace)(params))
    return made / len(u)


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
