"""Pictures of completions: what was measured, the truth and what came of it, from the camera and from behind."""

from collections.abc import Mapping
from dataclasses import replace

import jax.numpy as jnp
import numpy as np

from experiments.panels import grid, labelled
from experiments.priors import pictures
from experiments.priors.pictures import Pictures
from experiments.priors.samples import Shape
from experiments.priors.scans import Scan
from sdfrepar import reports
from sdfrepar.records import Camera

_RESOLUTION = 128


def case(drawn: Pictures, scan: Scan, shape: Shape | None, codes: Mapping[str, np.ndarray]) -> np.ndarray:
    """Two rows, as the camera sees it and from behind: depths that were measured, the truth where it is known, and what
    is decoded of each code; (H, W, 3) sRGB.
    """
    maps = scan.maps
    measured = np.asarray(maps.measured)
    depth = reports.depth_picture(np.asarray(maps.depth), measured.astype(np.float32))
    views = [square(scan.camera), behind(scan.camera)]
    columns = [[labelled(depth, f"{measured.sum()} depths", _RESOLUTION), np.zeros((0, 0, 3))]]
    if shape is not None:
        columns.append([labelled(pictures.true(shape, view), "truth", _RESOLUTION) for view in views])
    for name, code in codes.items():
        columns.append([labelled(drawn.decoded(code, view), name, _RESOLUTION) for view in views])
    return grid(columns)


def square(camera: Camera) -> Camera:
    """The camera with square pixels and picture that sees as much at least."""
    height, width = camera.resolution
    scale = _RESOLUTION / max(height, width)
    middle = jnp.array([width, height]) / 2.0
    return replace(
        camera,
        focal=camera.focal * scale,
        principal=(camera.principal - middle) * scale + _RESOLUTION / 2.0,
        resolution=(_RESOLUTION, _RESOLUTION),
    )


def behind(camera: Camera) -> Camera:
    """A camera as far away as this one, on the other side of the y axis, that sees the whole unit sphere."""
    x, y, z = np.asarray(camera.position)
    radius = float(np.linalg.norm([x, y, z]))
    return pictures.camera(_RESOLUTION, (-x, y, -z), 2.0 * float(np.arcsin(min(1.0 / radius, 0.9))))
