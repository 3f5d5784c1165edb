"""Reconstruct a shape and its colours from a folder of posed pictures, without masks.

    python -m experiments.reconstruct --data=runs/demo/data --workdir=runs/demo --preset=quick

Seven minutes on two CPU cores for the demo: PSNR about 39 dB, occupancy IoU about 0.97. With --gradient=interior the
same run differentiates the interior of the surface alone, and does not find the shape. --gradient=interior --masks=use
is IDR as published: centre rays, the masks' loss, and the same networks.

All devices that are visible share the pixels of a step; for several hosts see `experiments.hosts`.

Leaves in the work directory: config.json, flags.txt, metrics.jsonl and checkpoints/ (as it runs), metrics.json,
mesh.ply (world frame), images/, and report.html, which shows them. The same command on the same work directory goes on
where the last checkpoint was written, to exactly the same result. Stopped by SIGTERM or SIGINT (Ctrl-C), it saves the
step it is at and ends with the code 75; a second signal ends it at once. A run that goes wrong goes back to where all
was well and halves the field's rate, as often as --rollbacks allows. --flagfile=runs/demo/flags.txt with another work
directory, and flags that differ after it, begins another run like it.
"""

import shlex
import sys
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, get_args

import jax
import jax.numpy as jnp
import numpy as np
from absl import flags

from experiments import baselines, bundling, hosts, matching, posing, runs
from experiments import flags as experiment_flags
from experiments.board import Board
from experiments.fit_loop import fit
from experiments.outcome import Outcome
from experiments.presets import PRESETS, ReconstructConfig
from experiments.runs import Resume
from experiments.watch import TroubleError
from sdfrepar import fitting, memory, networks, reports
from sdfrepar.fitting import Pixels
from sdfrepar.records import Views

ALIASES = {
    "gradient": "render.gradient.method",
    "field": "network.field",
    "background": "network.background.kind",
    "masks": "fit.masks",
    "refine_poses": "fit.refine_poses",
}
"""Short names of flags."""

# Pictures whose borders are looked at.
_BORDERS = 40


def main(argv: Sequence[str]) -> None:
    """Load, fit, evaluate."""
    if len(argv) > 1:
        raise ValueError(f"{argv[1]!r} is no flag; write --data=FOLDER --workdir=FOLDER.")
    config = baselines.as_published(experiment_flags.read(PRESETS[flags.FLAGS.preset]))
    data, workdir = Path(flags.FLAGS.data), Path(flags.FLAGS.workdir)
    command = shlex.join(["python", "-m", "experiments.reconstruct", *sys.argv[1:]])
    hosts.connect(config.hosts)
    with hosts.only_the_first_speaks():
        given = flags.FLAGS
        reconstruct(config, data, workdir, resume=given.resume, overwrite=given.overwrite, command=command)


def reconstruct(
    config: ReconstructConfig,
    data: Path,
    workdir: Path,
    *,
    resume: Resume = "auto",
    overwrite: bool = False,
    command: str | None = None,
) -> dict[str, Any]:
    """The whole run, or the rest of it; returns what it wrote to metrics.json, nothing on hosts that do not write.

    Args:
        config: everything that decides it.
        data: folder of posed pictures.
        workdir: folder to write into.
        resume: what becomes of a run that is there already: `auto` goes on with the same one, `never` with none, and
            `force` with one of another config too.
        overwrite: whether a run that is there is thrown away.
        command: the command line that asked for this, for the report.

    Raises:
        TroubleError: the run has gone wrong more often than `config.rollbacks` allows.
        OtherRunError: `workdir` holds a run that `resume` does not let go on, and `overwrite` is false.
        Stopped: SIGTERM or SIGINT asked for it, and the last step is saved.
        ValueError, OSError: data that cannot be used, no room, or no checkpoint that is sound.
    """
    if not overwrite:
        runs.require_resumable(config, data, workdir, resume)
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
    snapshot = runs.begin(config, data, workdir, params, resume=resume, overwrite=overwrite, command=command)
    pixels = replace(load_pixels(config, train), tracks=tracks)
    pixels, key = fitting.on_all_devices((pixels, key))
    keep = partial(runs.save, config, data, workdir)
    while True:
        calm = runs.calmed(config, int(snapshot.restarts))
        board = Board(workdir, int(snapshot.state.step)) if config.tensorboard and hosts.is_first() else None
        outcome = Outcome(scene, config, data, workdir, test, poses, board=board)
        try:
            log = workdir / runs.LOG
            last = fit(calm, scene, snapshot, pixels, key, log, show=outcome.show, keep=keep, board=board)
            return outcome.write(last) if hosts.is_first() else {}
        except TroubleError as trouble:
            if snapshot.restarts >= config.rollbacks:
                if hosts.is_first():
                    outcome.report(snapshot.state, trouble=str(trouble))
                raise
            snapshot = runs.go_back(config, workdir, params, int(snapshot.restarts), trouble.sound_until)
            step, rate = int(snapshot.state.step), calm.fit.shape_rate / 2
            print(f"{trouble} The run goes back to step {step}, with --fit.shape_rate={rate:g}.")


def load_pixels(config: ReconstructConfig, train: Views) -> Pixels:
    """All pixels of the training views, with a line of progress; NumPy leaves.

    Raises:
        ValueError: more of them than the memory holds, or a picture with values that are not finite.
    """
    needed, room = fitting.bytes_of_pixels(train, config.fit.levels), memory.budget(config.memory_gb, jax.devices()[0])
    if needed > room:
        raise ValueError(
            f"The pixels of {len(train)} views take {needed / 1e9:.3g} GB, and there is room for {room / 1e9:.3g}; "
            f"make the pictures smaller with --data.downscale={2 * config.data.downscale}, or state --memory_gb."
        )
    with reports.Progress(len(train), unit="picture") as progress:
        pixels = fitting.gather_pixels(train, config.fit.levels, done=lambda count: progress.update(count, {}))
        _require_finite(train.names, pixels)
        progress.note(f"pictures read; their pixels take {needed / 1e9:.2g} GB")
    return pixels


def _require_finite(names: Sequence[str], pixels: Pixels) -> None:
    """Refuse pictures that hold NaNs or infinities, which whole numbers cannot."""
    for what, levels in (("picture", pixels.colour), ("mask", pixels.mask or ())):
        if not levels or not np.issubdtype(levels[0].dtype, np.floating):
            continue
        broken = [name for name, values in zip(names, levels[0], strict=True) if not np.isfinite(values).all()]
        if broken:
            shown = ", ".join(broken[:3]) + (f" and {len(broken) - 3} more" if len(broken) > 3 else "")
            raise ValueError(
                f"The {what} of {shown} holds values that are not finite; mend it, or leave that view out."
            )


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
    flags.DEFINE_enum(
        "resume",
        "auto",
        get_args(Resume),
        "what becomes of a run that is in the work directory already: auto goes on with the same one and refuses one "
        "of another config, never refuses any, force goes on although the config differs",
    )
    flags.DEFINE_boolean("overwrite", False, "throw away a run that is in the work directory, and begin anew")
    experiment_flags.define(PRESETS["quick"])
    experiment_flags.define_aliases(ALIASES)
    experiment_flags.run(main)
