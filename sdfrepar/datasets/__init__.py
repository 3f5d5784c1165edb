"""Readers of posed pictures: one file per format, all giving the same `Views` record.

To add a format, write `read(folder, config) -> (train, test)` in a file of its own and add a line to `FORMATS`.
"""

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from sdfrepar.datasets import idr, middlebury, nerf_synthetic
from sdfrepar.datasets.check import require_sphere_in_view
from sdfrepar.datasets.config import DataConfig
from sdfrepar.records import Views

__all__ = ["FORMATS", "DataConfig", "Format", "load"]


class Format(NamedTuple):
    """A format, the file that gives it away, and its reader."""

    name: str
    sign: str
    read: Callable[[Path, DataConfig], tuple[Views, Views]]


FORMATS = (
    Format("NeRF synthetic", "transforms_train.json", nerf_synthetic.read),
    Format("NeuS", "cameras_sphere.npz", idr.read),
    Format("IDR", "cameras.npz", idr.read),
    Format("Middlebury", "*_par.txt", middlebury.read),
)


def load(folder: str | Path, config: DataConfig) -> tuple[Views, Views]:
    """The training and the test views of a folder, in scene space; the format is found from the files in it.

    Returns:
        Two `Views`: images (N, H, W, 3) float32 linear, cameras in scene units with NumPy leaves.

    Raises:
        FileNotFoundError: no such folder, no known format in it, or pictures missing.
        ValueError: files that contradict their format, or cameras that do not see the unit sphere.
    """
    folder = Path(folder)
    train, test = _format_of(folder).read(folder, config)
    require_sphere_in_view(train)
    require_sphere_in_view(test)
    return train, test


def _format_of(folder: Path) -> Format:
    if not folder.is_dir():
        raise FileNotFoundError(f"There is no folder {folder}; set --data to the folder of a data set.")
    for known in FORMATS:
        if any(folder.glob(known.sign)):
            return known
    looked_for = " or ".join(f"{known.sign} ({known.name})" for known in FORMATS)
    raise FileNotFoundError(
        f"{folder} holds no data set of a known format: looked for {looked_for}, found {_contents(folder)}; "
        "point to the folder that holds the camera file, or convert it to one of these formats."
    )


def _contents(folder: Path) -> str:
    names = sorted(path.name for path in folder.iterdir())
    more = f" and {len(names) - 5} more" if len(names) > 5 else ""
    return (", ".join(names[:5]) + more) or "nothing"
