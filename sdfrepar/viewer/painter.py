"""A picture of what is to be seen, for somebody, at a level; none if they have moved meanwhile."""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from sdfrepar import cameras, files
from sdfrepar.records import Camera
from sdfrepar.viewer import pictures
from sdfrepar.viewer.photographs import Photographs
from sdfrepar.viewer.pictures import Mode
from sdfrepar.viewer.programs import MOTIONS, Frame, Programs, width_of_pixels
from sdfrepar.viewer.viewpoints import Viewpoint, at_camera, film_of, nearest

# Where nothing is seen, so that everything in the scene is before it; scene units.
_FAR = 100.0


class Wish(NamedTuple):
    """What somebody wants to see."""

    viewpoint: Viewpoint
    mode: Mode  # what is shown of what is seen
    motion: str  # one of MOTIONS, of which the warp is

    def is_like(self, other: "Wish") -> bool:
        """Whether both ask for the same picture."""
        return self.viewpoint.is_like(other.viewpoint) and self[1:] == other[1:]


class Painted(NamedTuple):
    """A picture that is ready to be shown, of the size at which it was drawn."""

    picture: np.ndarray  # (H, W, 3) uint8 sRGB
    depth: np.ndarray  # (H, W) z, scene units; far away where nothing is seen


def stand(wish: Wish, rig: Camera) -> tuple[Viewpoint, int]:
    """Where a picture is taken from, and the nearest training camera: errors are those at that camera."""
    index = nearest(rig, wish.viewpoint)
    if wish.mode != "error":
        return wish.viewpoint, index
    return at_camera(cameras.one_of(rig, index), wish.viewpoint.aspect), index


def paint(
    programs: Programs,
    photographs: Photographs,
    params: Any,
    rig: Camera,
    wish: Wish,
    side: int,
    stale: Callable[[], bool],
) -> Painted | None:
    """The picture that somebody wants, of `side`² pixels; None as soon as it is stale.

    Args:
        programs: of what is seen.
        photographs: the training pictures.
        params: of the scene.
        rig: the cameras of the training pictures now, leading axis N; NumPy leaves.
        wish: what is wanted.
        side: pixels.
        stale: whether something else is wanted by now.
    """
    viewpoint, index = stand(wish, rig)
    film = film_of(viewpoint, side)
    frame = programs.over_film(lambda tile: programs.see(params, tile), film, stale)
    if frame is None:
        return None
    shown = _shown(programs, photographs, params, rig, wish, film, frame, index, stale)
    if shown is None:
        return None
    return Painted(files.as_bytes(shown), np.where(frame.opacity > 0, frame.depth, _FAR))


def _shown(
    programs: Programs,
    photographs: Photographs,
    params: Any,
    rig: Camera,
    wish: Wish,
    film: Camera,
    frame: Frame,
    index: int,
    stale: Callable[[], bool],
) -> np.ndarray | None:
    """The colours (H, W, 3) in [0, 1] of a frame in the mode that is wanted."""
    if wish.mode == "error":
        return pictures.error(frame, photographs.on_film(index, cameras.one_of(rig, index), film))
    if wish.mode == "warp":
        motion, width = MOTIONS[wish.motion], width_of_pixels(rig, film)
        moved = programs.over_film(lambda tile: programs.displacement(params, tile, motion, width), film, stale)
        return None if moved is None else pictures.warp(frame, moved)
    if wish.mode == "depth":
        return pictures.depth(frame, film)
    return pictures.normals(frame) if wish.mode == "normals" else pictures.colour(frame)
