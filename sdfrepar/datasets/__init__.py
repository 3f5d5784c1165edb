"""Readers of posed pictures: one file per format, all giving the same `Listing`, of which `assembly` makes `Views`.

To add a format, write `read(folder) -> Listing` and `write(folder, taken)` in a file of its own and add a line to
`FORMATS`.
"""

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np

from sdfrepar.datasets import colmap, holdouts, idr, middlebury, mvsnet, nerf_synthetic, posed, transforms
from sdfrepar.datasets.assembly import first_centre_of, pixel_of, views_of
from sdfrepar.datasets.check import require_sphere_in_view
from sdfrepar.datasets.config import DataConfig
from sdfrepar.datasets.listing import Listing
from sdfrepar.datasets.paths import require_below
from sdfrepar.datasets.writing import Taken
from sdfrepar.records import Views

__all__ = ["FORMATS", "DataConfig", "Format", "Survey", "Taken", "load", "survey"]


class Format(NamedTuple):
    """A format: its name, the files any of which gives it away, its reader and its writer."""

    name: str
    """As people call it."""
    signs: tuple[str, ...]
    """Glob patterns of files, any of which gives it away."""
    read: Callable[[Path], Listing]
    """folder -> listing."""
    write: Callable[[Path, Taken], None]
    """(folder, what was taken) -> files of this format."""


FORMATS = {
    "nerf": Format("NeRF synthetic", ("transforms_train.json",), nerf_synthetic.read, nerf_synthetic.write),
    "transforms": Format("nerfstudio or instant-ngp", ("transforms.json",), transforms.read, transforms.write),
    "neus": Format("NeuS", ("cameras_sphere.npz",), idr.read, idr.write_neus),
    "idr": Format("IDR", ("cameras.npz",), idr.read, idr.write),
    "colmap": Format(
        "COLMAP",
        ("sparse/**/cameras.*", "colmap/sparse/**/cameras.*", "cameras.bin", "cameras.txt"),
        colmap.read,
        colmap.write,
    ),
    "mvsnet": Format("MVSNet or BlendedMVS", ("cams/*_cam.txt",), mvsnet.read, mvsnet.write),
    "middlebury": Format("Middlebury", ("*_par.txt",), middlebury.read, middlebury.write),
}
"""By short names; a folder is of the first format whose sign it has."""


class Survey(NamedTuple):
    """Everything in a data set, right or wrong."""

    format: str
    """The name of its `Format`."""
    listing: Listing
    """As its reader gives it."""
    views: Views
    """All of them, in scene space."""
    test: tuple[int, ...]
    """Those that are held out."""
    first_centre: float
    """Where the intrinsics were read to have the centre of the first pixel, pixels of their own."""
    pixel: np.ndarray
    """(N, 2) width and height of such a pixel, pixels of the views."""


def survey(folder: str | Path, config: DataConfig) -> Survey:
    """What a folder holds; the format is found from the files in it. Cameras may look anywhere.

    Raises:
        FileNotFoundError: no such folder, no known format in it, or pictures missing.
        ImportError: a library that this format alone needs is missing.
        ValueError: files that contradict their format, or that lie out of the folder.
    """
    folder = Path(folder)
    known = _format_of(folder)
    listing = known.read(folder)
    require_below(folder, (*listing.pictures, *(listing.masks or ())))
    test = listing.test
    if test is None:
        test = holdouts.chosen(config.holdout, listing.names, folder)
    views = views_of(listing, config)
    return Survey(known.name, listing, views, test, first_centre_of(listing, config), pixel_of(listing, views, config))


def load(folder: str | Path, config: DataConfig) -> tuple[Views, Views]:
    """The training and the test views of a folder, in scene space.

    Returns:
        Two `Views` whose pictures are decoded when they are asked for; cameras in scene units with NumPy leaves.

    Raises:
        FileNotFoundError, ImportError: as `survey`.
        ValueError: as `survey`, cameras that do not see the unit sphere, or nothing left on one side of the split.
    """
    found = survey(folder, config)
    require_sphere_in_view(found.views)
    return posed.split(found.views, found.test)


def _format_of(folder: Path) -> Format:
    if not folder.is_dir():
        raise FileNotFoundError(f"There is no folder {folder}; set --data to the folder of a data set.")
    for known in FORMATS.values():
        if any(True for sign in known.signs for _ in folder.glob(sign)):
            return known
    looked_for = " or ".join(f"{known.signs[0]} ({known.name})" for known in FORMATS.values())
    raise FileNotFoundError(
        f"{folder} holds no data set of a known format: looked for {looked_for}, found {_contents(folder)}; "
        "point to the folder that holds the camera file, or convert it to one of these formats."
    )


def _contents(folder: Path) -> str:
    names = sorted(path.name for path in folder.iterdir())
    more = f" and {len(names) - 5} more" if len(names) > 5 else ""
    return (", ".join(names[:5]) + more) or "nothing"
