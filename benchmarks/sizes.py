"""How the time of a step grows with the networks and with the samples: linearly, or there is waste.

    python -m benchmarks.sizes                (twenty minutes on two cores)

The band-limited step of the network preset, with larger networks and batches. Beside the seconds stands what they come
to for each sample and weight of the SDF network, in picoseconds: the same everywhere if time is linear in both. Small
networks pay for what grows with neither, large batches show what grows faster. Cells that would take longer than
--longest seconds, by those before them, are left out. Writes runs/benchmarks/sizes.json.
"""

import argparse
from collections.abc import Iterator
from contextlib import nullcontext
from dataclasses import replace
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from benchmarks import results
from benchmarks.step import compile_gradient, interleaved
from experiments.presets import PRESETS, ReconstructConfig
from sdfrepar import networks, reports

NETWORKS = ((4, 64), (4, 128), (8, 256), (8, 512))
SAMPLES = (1 << 10, 1 << 12, 1 << 14, 1 << 16, 1 << 18)
REPETITIONS = 3


def main() -> None:
    """Print the table and write the JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", default=None, help="cpu, gpu; the first there is if not given")
    parser.add_argument("--longest", type=float, default=20.0, help="seconds of a step above which a cell is left out")
    arguments = parser.parse_args()
    device = jax.devices(arguments.device)[0]
    with jax.default_device(device):
        rows = list(measure(arguments.longest))
    results.write("sizes", device, rows)
    print(reports.table(("network", "weights", *(f"{samples // 1024}k samples" for samples in SAMPLES)), _cells(rows)))


def measure(longest: float) -> Iterator[dict[str, Any]]:
    """A row for every cell that is not left out."""
    for depth, width in NETWORKS:
        seconds = 0.0
        for samples in SAMPLES:
            if 4.0 * seconds > longest:
                break
            config = sized(depth, width, samples)
            run, memory = compile_gradient(config, config.render, nullcontext)
            seconds = float(np.median(interleaved({"step": run}, REPETITIONS)["step"]))
            network = f"{depth} x {width}"
            yield {
                "network": network,
                "weights": weights(config),
                "samples": samples,
                "seconds": seconds,
                "memory_bytes": memory,
            }
            print(f"{network}, {samples} samples: {seconds:.3f} s", flush=True)


def sized(depth: int, width: int, samples: int) -> ReconstructConfig:
    """The network preset with another network and batch."""
    preset = PRESETS["network"]
    return replace(
        preset,
        network=replace(preset.network, sdf_depth=depth, sdf_width=width, sdf_skip=depth // 2),
        fit=replace(preset.fit, pixels=samples // preset.render.film.inside, eikonal_points=samples // 4),
    )


def weights(config: ReconstructConfig) -> int:
    """Of the SDF network: a multiplication and an addition each, in every evaluation."""
    params = jax.eval_shape(lambda key: networks.initialise(config.network, jnp.zeros(3), key=key), jax.random.key(0))
    return sum(leaf.size for leaf in jax.tree.leaves(params["sdf"]))


def _cells(rows: list[dict[str, Any]]) -> list[list[str]]:
    table = []
    for depth, width in NETWORKS:
        own = {row["samples"]: row for row in rows if row["network"] == f"{depth} x {width}"}
        if own:
            size = next(iter(own.values()))["weights"]
            cells = [_cell(own[samples]) if samples in own else "" for samples in SAMPLES]
            table.append([f"{depth} x {width}", f"{size:,}", *cells])
    return table


def _cell(row: dict[str, Any]) -> str:
    each = 1e12 * row["seconds"] / (row["samples"] * row["weights"])
    return f"{row['seconds']:.3g} s, {each:.0f} ps, {row['memory_bytes'] / 2**20:.0f} MiB"


if __name__ == "__main__":
    main()
