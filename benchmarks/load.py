"""Reading many photographs: seconds, and memory against what the run states.

    python -m benchmarks.load --pictures=1000 --width=1920 --height=1080
    python -m benchmarks.load --pictures=200 --masks

Writes the photographs (copies of one, JPEG) into a temporary folder, reads them as `experiments.reconstruct` does, and
prints what was stated, what the process held at most, and what it holds in the end. With masks (one for all, PNG) also
how much faster several of them are decoded at a time than one after the other. Minutes on two cores.
"""

import json
import os
import resource
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import imageio.v3 as imageio
import jax
import numpy as np
from absl import app, flags
from skimage.filters import gaussian

from experiments import reconstruct
from experiments.presets import PRESETS
from sdfrepar import datasets, files, fitting
from sdfrepar.datasets import DataConfig
from sdfrepar.datasets.pictures import of_each
from sdfrepar.records import Pictures

_PICTURES = flags.DEFINE_integer("pictures", 1000, "how many")
_WIDTH = flags.DEFINE_integer("width", 1920, "pixels")
_HEIGHT = flags.DEFINE_integer("height", 1080, "pixels")
_MASKS = flags.DEFINE_bool("masks", False, "whether they have masks")

# Masks that are timed, and how often.
_TIMED, _ROUNDS = 48, 3


def main(argv: Sequence[str]) -> None:
    """Write, read, print."""
    del argv
    with tempfile.TemporaryDirectory() as folder:
        write_photographs(Path(folder), _PICTURES.value, _HEIGHT.value, _WIDTH.value, with_masks=_MASKS.value)
        before = _held()
        train, test = datasets.load(folder, DataConfig(holdout="0"))
        config = PRESETS["quick"]
        stated = fitting.bytes_of_pixels(train, config.fit.levels)
        begun = time.monotonic()
        pixels = jax.block_until_ready(fitting.on_all_devices(reconstruct.load_pixels(config, train)))
        seconds = time.monotonic() - begun
        print(f"{len(train)} + {len(test)} pictures of {_WIDTH.value} x {_HEIGHT.value}, read in {seconds:.0f} s")
        print(f"stated {stated / 1e9:.2f} GB, on the device {_bytes_of(pixels) / 1e9:.2f} GB")
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
        print(f"process: {before / 1e9:.2f} GB before, {peak / 1e9:.2f} GB at most, {_held() / 1e9:.2f} GB after")
        if train.masks is not None:
            time_masks(train.masks)


def time_masks(masks: Pictures) -> None:
    """Print how long some masks take, one after the other and several at a time, in turns."""
    some = range(min(_TIMED, len(masks)))
    seconds = np.array([[_seconds_of(read, masks, some) for read in (_in_turn, of_each)] for _ in range(_ROUNDS)])
    alone, together = np.median(seconds, axis=0)
    times = f"{alone / together:.2f} times as fast"
    print(f"{len(some)} masks: one at a time {alone:.2f} s, several {together:.2f} s, {times}")


def write_photographs(folder: Path, count: int, height: int, width: int, *, with_masks: bool) -> None:
    """A folder of nerfstudio's form with one photograph under many names, and cameras on a ring."""
    noise = np.random.default_rng(0).random((height, width, 3)).astype(np.float32)
    picture = files.as_bytes(0.5 + 4.0 * (gaussian(noise, 3.0, channel_axis=-1) - 0.5))
    (folder / "images").mkdir()
    imageio.imwrite(folder / "images" / "0000.jpg", picture, quality=92)
    frames = []
    for i in range(count):
        if i:
            os.link(folder / "images" / "0000.jpg", folder / "images" / f"{i:04}.jpg")
        angle = 2.0 * np.pi * i / count
        backward = np.array([np.cos(angle), np.sin(angle), 0.0])
        pose = np.eye(4)
        pose[:3, :3] = np.stack([np.cross([0.0, 0.0, 1.0], backward), [0.0, 0.0, 1.0], backward], axis=1)
        pose[:3, 3] = 3.0 * backward
        frames.append({"file_path": f"images/{i:04}.jpg", "transform_matrix": pose.tolist()})
    if with_masks:
        row, column = np.mgrid[:height, :width]
        disc = np.hypot(row - 0.5 * height, column - 0.5 * width) < 0.3 * height
        files.write_image(folder / "mask.png", np.repeat(disc[..., None], 3, axis=-1))
        frames = [frame | {"mask_path": "mask.png"} for frame in frames]
    (folder / "transforms.json").write_text(json.dumps({"fl_x": 1.2 * width, "frames": frames}))


def _in_turn(function: Callable[[int], Any], items: Sequence[int]) -> list[Any]:
    return [function(item) for item in items]


def _seconds_of(read: Callable[..., Any], masks: Pictures, some: Sequence[int]) -> float:
    begun = time.monotonic()
    read(lambda i: np.asarray(masks[i]) > 0.5, some)
    return time.monotonic() - begun


def _held() -> int:
    """Bytes of memory that the process has now."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def _bytes_of(pixels: fitting.Pixels) -> int:
    return sum(leaf.nbytes for leaf in jax.tree.leaves(pixels))


if __name__ == "__main__":
    app.run(main)
