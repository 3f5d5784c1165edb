"""What one gradient of a reconstruction costs: without silhouettes, and with them in ever cheaper ways. In one run.

    python -m benchmarks.step --preset=network     (five minutes, half of them compiling the nested forms)

    interior        implicit differentiation at the hit alone
    as published    [B22]: all rays marched together, 22 steps, every sample warped by three nested derivatives
    nested          three nested derivatives for every sample (`nested`), tracing and light as here
    linear          the linear form of `warping.linear`, every sample
    band-limited    the linear form for the samples near silhouettes: what a reconstruction runs

All see the same pixels, samples and networks: those of the preset, at the start of its training, half way down its
pyramid. Writes runs/benchmarks/step-PRESET.json beside the table; keep the latter in benchmarks/RESULTS.md.
"""

import argparse
import time
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from dataclasses import replace
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from benchmarks import nested, results
from experiments.presets import PRESETS, ReconstructConfig
from sdfrepar import cameras, fitting, memory, networks, reports
from sdfrepar.records import Views
from sdfrepar.rendering import RenderConfig

WARPS = ("velocity", "grazing")
HEADER = ("gradient", "median", "quartiles", "ratio", "memory", "queries", "difference")


def main() -> None:
    """Print the table and write the JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--preset", default="network", choices=sorted(PRESETS))
    parser.add_argument("--device", default=None, help="cpu, gpu; the first there is if not given")
    parser.add_argument("--repetitions", type=int, default=20)
    parser.add_argument("--skip_nested", action="store_true", help="leave the slow twins out")
    arguments = parser.parse_args()
    device = jax.devices(arguments.device)[0]
    config = PRESETS[arguments.preset]
    with jax.default_device(device):
        rows = measure(config, arguments.repetitions, with_nested=not arguments.skip_nested)
    results.write(f"step-{arguments.preset}", device, rows, pixels=config.fit.pixels)
    print(reports.table(HEADER, [_cells(row, rows[0]) for row in rows]))


def measure(config: ReconstructConfig, repetitions: int, *, with_nested: bool = True) -> list[dict[str, Any]]:
    """A row for every way, `interior` first."""
    compiled = {name: compile_gradient(config, render, within) for name, render, within in _ways(config, with_nested)}
    seconds = interleaved({name: run for name, (run, _) in compiled.items()}, repetitions)
    rows, exact = [], {}
    for name, (run, taken) in compiled.items():
        gradient, metrics = run()
        flat = np.concatenate([np.ravel(leaf) for leaf in jax.tree.leaves(gradient)])
        warp, _, way = name.partition(", ")
        if way == "nested":
            exact[warp] = flat
        reference = None if way == "as published" else exact.get(warp)
        rows.append(
            {
                "gradient": name,
                "seconds": seconds[name],
                "memory_bytes": taken,
                "queries_per_sample": float(metrics["queries"]),
                "band_fill": float(metrics["band_fill"]),
                "difference": None if reference is None else _relative(flat, reference),
            }
        )
    return rows


def _ways(config: ReconstructConfig, with_nested: bool) -> Iterator[tuple[str, RenderConfig, Callable[[], Any]]]:
    """Names, render configs, and what they are traced within."""

    def by(method: Any, **changes: Any) -> RenderConfig:
        return replace(config.render, gradient=replace(config.render.gradient, method=method, **changes))

    yield "interior", by("interior"), nullcontext
    if with_nested:
        yield "velocity, as published", nested.published(by("velocity", band_share=1.0)), nested.publishing
    for warp in WARPS:
        if with_nested:
            yield f"{warp}, nested", by(warp, band_share=1.0), nested.nesting
        yield f"{warp}, linear", by(warp, band_share=1.0), nested.following_all
        yield f"{warp}, band-limited", by(warp), nullcontext
    for precision in ("tensorfloat32", "bfloat16"):
        yield f"{WARPS[-1]}, cones in {precision}", replace(by(WARPS[-1]), far_precision=precision), nullcontext


def compile_gradient(
    config: ReconstructConfig, render: RenderConfig, within: Callable[[], Any]
) -> tuple[Callable[[], Any], int]:
    """A call that returns the gradient of the objective and its metrics; and the temporary memory it takes, bytes."""
    scene, key = networks.scene(config.network), jax.random.key(0)
    pixels = fitting.gather_pixels(_grey_views(), config.fit.levels)
    params = networks.initialise(config.network, jnp.full(3, 0.5), key=key)

    def loss(params: Any) -> Any:
        # The pixels are those that the preset's own band would choose, whatever the method.
        batch, approach, _ = fitting.choose_batch(
            scene, config.render, config.fit, params, pixels, jnp.asarray(0.5), key=key
        )
        if render.far_precision != config.render.far_precision:
            approach = fitting.approach_pixels(scene, render, params, batch)
        return fitting.objective_of_batch(
            scene, render, config.fit, params, batch, approach, None, jnp.asarray(0.5), key=key
        )

    with within():
        compiled = jax.jit(jax.grad(loss, has_aux=True)).lower(params).compile()
    return lambda: compiled(params), memory.temporary_bytes(compiled)


def interleaved(runs: dict[str, Callable[[], Any]], repetitions: int) -> dict[str, list[float]]:
    """Seconds of each run, in turns, so that a busy machine is busy for all; after one that does not count."""
    seconds = {name: [] for name in runs}
    for repetition in range(repetitions + 1):
        for name, run in runs.items():
            begun = time.perf_counter()
            jax.block_until_ready(run())
            if repetition:
                seconds[name].append(time.perf_counter() - begun)
    return seconds


def _relative(a: np.ndarray, b: np.ndarray) -> float:
    return float(np.linalg.norm(a - b) / np.linalg.norm(b))


def _cells(row: dict[str, Any], interior: dict[str, Any]) -> list[str]:
    low, median, high = np.percentile(row["seconds"], [25, 50, 75])
    ratio = median / np.median(interior["seconds"])
    memory = row["memory_bytes"] / interior["memory_bytes"]
    return [
        row["gradient"],
        f"{1e3 * median:.1f} ms",
        f"{1e3 * low:.1f} - {1e3 * high:.1f}",
        f"{ratio:.2f}",
        f"{row['memory_bytes'] / 2**20:.0f} MiB, {memory:.2f}",
        f"{row['queries_per_sample']:.2f}",
        "" if row["difference"] is None else f"{row['difference']:.1e}",
    ]


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
