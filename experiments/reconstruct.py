"""Reconstruct a shape and its colours from a folder of posed pictures, without masks.

    python -m experiments.reconstruct --data=runs/demo/data --workdir=runs/demo --preset=quick

Seven minutes on two CPU cores for the demo: PSNR about 39 dB, occupancy IoU about 0.97. With --gradient=interior the
same run differentiates the interior of the surface alone, and does not find the shape. --gradient=interior --masks=use
is IDR as published: centre rays, the masks' loss, and the same networks.

All devices that are visible share the pixels of a step; for several hosts see `experiments.hosts`.

Leaves in the work directory: config.json, metrics.jsonl and checkpoints/ (as it runs), metrics.json, mesh.ply (world
frame), images/. The same command on the same work directory goes on where the last checkpoint was written, to exactly
the same result.
"""

from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from absl import flags

from experiments import baselines, bundling, hosts, matching, posing, runs
from experiments import flags as experiment_flags
from experiments.fit_loop import LostSurfaceError, fit
from experiments.outcome import Outcome
from experiments.presets import PRESETS, ReconstructConfig
from sdfrepar import fitting, memory, networks, reports
from sdfrepar.fitting import Pixels
from sdfrepar.records import Views

# Pictures whose borders are looked at.
_BORDERS = 40


def main(argv: Sequence[str]) -> None:
    """Load, fit, evaluate."""
    if len(argv) > 1:
        raise ValueError(f"{argv[1]!r} is no flag; write --data=FOLDER --workdir=FOLDER.")
    config = experiment_flags.read(PRESETS[flags.FLAGS.preset])
    if config.render.gradient.method == "interior" and config.fit.masks == "use":
        config = baselines.idr(config)
    hosts.connect(config.hosts)
    with hosts.only_the_first_speaks():
        reconstruct(config, Path(flags.FLAGS.data), Path(flags.FLAGS.workdir), overwrite=flags.FLAGS.overwrite)


def reconstruct(config: ReconstructConfig, data: Path, workdir: Path, *, overwrite: bool = False) -> dict[str, Any]:
    """The whole run, or the rest of it; returns what it wrote to metrics.json, nothing on hosts that do not write.

    Raises:
        RunError: the surface was lost once too often, a value is not finite, or `workdir` holds another run and
            `overwrite` is false.
        ValueError, FileNotFoundError: data that cannot be used.
    """
    train, test, poses = posing.load(config, data)
    height, width = train.cameras.resolution
    print(f"{data}: {len(train)} training and {len(test)} held-out views of {width} x {height} pixels")

    key = jax.random.key(config.seed)
    scene = networks.scene(config.network)
    params = jax.jit(networks.initialise, static_argnums=0)(config.network, border_colour(train), key=key)
    params |= fitting.of_views(config.fit, len(train))
    tracks = None
    if config.fit.refine_poses and config.fit.match_weight:
        params["poses"], tracks = bundling.bundled(train.cameras, matching.tracks_of(train))
    snapshot = runs.begin(config, data, workdir, params, overwrite=overwrite)
    pixels = replace(load_pixels(config, train), tracks=tracks)
    pixels, key = fitting.on_all_devices((pixels, key))
    outcome = Outcome(scene, config, data, workdir, test, poses)
    show, keep = outcome.progress_picture, partial(runs.save, config, data, workdir)
    while True:
        calm = runs.calmed(config, int(snapshot.restarts))
        try:
            last = fit(calm, scene, snapshot, pixels, key, workdir / runs.LOG, show=show, keep=keep)
            return outcome.write(last) if hosts.is_first() else {}
        except LostSurfaceError as lost:
            if snapshot.restarts >= config.restarts:
                raise
            print(f"{lost} It begins again with --fit.shape_rate={calm.fit.shape_rate / 2:g}.")
            snapshot = runs.begin_again(config, workdir, params, snapshot)


def load_pixels(config: ReconstructConfig, train: Views) -> Pixels:
    """All pixels of the training views, with a line of progress; NumPy leaves.

    Raises:
        ValueError: more of them than the memory holds.
    """
    needed, room = fitting.bytes_of_pixels(train, config.fit.levels), memory.budget(config.memory_gb, jax.devices()[0])
    if needed > room:
        raise ValueError(
            f"The pixels of {len(train)} views take {needed / 1e9:.3g} GB, and there is room for {room / 1e9:.3g}; "
            f"make the pictures smaller with --data.downscale={2 * config.data.downscale}, or state --memory_gb."
        )
    with reports.Progress(len(train), unit="picture") as progress:
        pixels = fitting.gather_pixels(train, config.fit.levels, done=lambda count: progress.update(count, {}))
        progress.note(f"pictures read; their pixels take {needed / 1e9:.2g} GB")
    return pixels


def border_colour(views: Views) -> jax.Array:
    """The median colour (3,), linear, along the borders of some pictures: the first guess of the background."""
    edges = []
    for view in range(0, len(views), -(-len(views) // _BORDERS)):
        picture = views.images[view]
        edges += [picture[0], picture[-1], picture[:, 0], picture[:, -1]]
    return jnp.asarray(np.median(np.concatenate(edges), axis=0))


if __name__ == "__main__":
    flags.DEFINE_string("data", None, "folder of posed pictures", required=True)
    flags.DEFINE_string("workdir", None, "folder to write into", required=True)
    flags.DEFINE_enum("preset", "quick", sorted(PRESETS), "sizes of everything; other flags override it")
    flags.DEFINE_boolean("overwrite", False, "throw another run in the work directory away, and begin anew")
    experiment_flags.define(PRESETS["quick"])
    flags.DEFINE_alias("gradient", "render.gradient.method")
    flags.DEFINE_alias("field", "network.field")
    flags.DEFINE_alias("background", "network.background.kind")
    flags.DEFINE_alias("masks", "fit.masks")
    flags.DEFINE_alias("refine_poses", "fit.refine_poses")
    experiment_flags.run(main)
