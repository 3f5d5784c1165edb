"""All of the viewer together: what is to be seen now, drawn for everybody who looks."""

import math
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from sdfrepar.meshing import Mesh
from sdfrepar.records import Camera
from sdfrepar.viewer import slices
from sdfrepar.viewer.levels import Levels, LevelsConfig, Speeds
from sdfrepar.viewer.painter import Wish, paint, stand
from sdfrepar.viewer.photographs import Photographs
from sdfrepar.viewer.programs import ACROSS_THE_SPHERE, MOTIONS, Programs
from sdfrepar.viewer.viewpoints import film_of
from sdfrepar.viewer.window import Controls, Visitor, Window

# Points along each side of a slice.
_SLICE = 192

# Nobody waits for anything longer than this, seconds.
_PATIENCE = 0.5

# Who stands so near to a training camera stands there: scene units, and elements of the rotation.
_NEAR = 1e-3


@dataclass(frozen=True, eq=False)
class Exhibit:
    """What a checkpoint has to show; arrays on the host."""

    step: int
    """Of the run, when it was written."""
    params: Any
    """Of the field and its colours, prepared."""
    cameras: Camera
    """Of the training pictures, as the fit has them now, leading axis N."""
    mesh: Callable[[], tuple[Mesh, np.ndarray] | None]
    """Its mesh, in scene units, with colours (V, 3), sRGB; made when somebody wants it. None where there is none."""


class Session:
    """Draws, for each browser, what its controls ask for; newer exhibits take the place of older ones."""

    def __init__(
        self,
        programs: Programs,
        photographs: Photographs,
        levels: LevelsConfig,
        exhibit: Exhibit,
        clock: Callable[[], float] = time.monotonic,
    ):
        """Of a first exhibit; `open` begins."""
        self._programs, self._photographs, self._config, self._clock = programs, photographs, levels, clock
        self._speeds = Speeds(programs.tile, programs.seconds)
        self._exhibit, self._params = exhibit, jax.tree.map(jnp.asarray, exhibit.params)
        self._changed = threading.Event()
        self._seats: dict[int, _Seat] = {}
        self._controls = Controls()
        self._warp: threading.Thread | None = None
        self.trouble = ""  # what keeps newer exhibits away, in a sentence

    def wake(self) -> None:
        """Say, from any thread, that there is something to do."""
        self._changed.set()

    def open(self, window: Window) -> None:
        """Hang everything up in a window."""
        self._window = window
        self._show_cameras()

    def replace(self, exhibit: Exhibit) -> None:
        """Show another checkpoint from now on, with the same programs."""
        self._exhibit, self._params = exhibit, jax.tree.map(jnp.asarray, exhibit.params)
        self._show_cameras()
        self._show_slice()
        self._show_mesh()
        for seat in self._seats.values():
            seat.levels.changed()

    def work(self) -> None:
        """Draw one picture for each who waits for one; where nobody does, wait for half a second at most."""
        self._changed.clear()
        self._follow_controls()
        self._say()
        visitors = {visitor.number: visitor for visitor in self._window.visitors}
        self._seats = {number: self._seats.get(number) or self._seat() for number in visitors}
        self._window.make_way()
        drawn = [self._draw(visitors[number], seat) for number, seat in self._seats.items()]
        if not any(drawn):
            due = min((seat.levels.due() for seat in self._seats.values()), default=math.inf)
            self._changed.wait(min(max(due, 0.005), _PATIENCE))

    def _seat(self) -> "_Seat":
        return _Seat(Levels(self._config, self._programs.tile, self._speeds, self._clock))

    def _draw(self, visitor: Visitor, seat: "_Seat") -> bool:
        """Draw the next picture for somebody; whether there was one to draw."""
        wish = self._wish(visitor)
        seat.ask(wish)
        if self._controls.mesh:
            if seat.levels.is_first:
                visitor.show(None, None)
            seat.levels.drawn()
            return False
        if wish.mode == "error":
            self._snap(visitor, seat, wish)
        side = seat.levels.next(wish.mode)
        if side is None:
            return False
        begun = self._clock()
        stale = self._staleness(visitor, seat)
        painted = paint(self._programs, self._photographs, self._params, self._exhibit.cameras, wish, side, stale)
        if painted is None:
            return True
        # The browser enlarges it smoothly. A slice lies within the shape: to be seen, it is drawn over all of it.
        visitor.show(painted.picture, painted.depth if self._controls.slice_axis == "none" else None)
        seat.levels.drawn(side)
        self._speeds.took(wish.mode, side, self._clock() - begun)
        return True

    def _wish(self, visitor: Visitor) -> Wish:
        """What somebody wants to see; its colours, while the program of the warp is not there yet."""
        mode = self._controls.mode
        if mode == "warp" and not self._warp_is_ready():
            mode = "colour"
        return Wish(visitor.viewpoint, mode, self._controls.motion)

    def _staleness(self, visitor: Visitor, seat: "_Seat") -> Callable[[], bool]:
        """Whether a picture is not wanted any more. The quickest is finished in any case, or nothing would be seen."""
        if seat.levels.is_first:
            return lambda: False
        return lambda: not seat.wants(self._wish(visitor)) or self._window.controls != self._controls

    def _snap(self, visitor: Visitor, seat: "_Seat", wish: Wish) -> None:
        """Take somebody who rests to the training camera whose errors they see."""
        there, _ = stand(wish, self._exhibit.cameras)
        if seat.levels.at_rest and not seat.taken and not wish.viewpoint.is_like(there, _NEAR):
            seat.taken = True
            visitor.go_to(there)

    def _follow_controls(self) -> None:
        """Do what has been asked for since the last time."""
        before, self._controls = self._controls, self._window.controls
        if before == self._controls:
            return
        if (before.slice_axis, before.slice_at) != (self._controls.slice_axis, self._controls.slice_at):
            self._show_slice()
        if before.mesh != self._controls.mesh:
            self._show_mesh()
        for seat in self._seats.values():
            seat.levels.changed()

    def _show_cameras(self) -> None:
        pictures = [self._photographs.small(index) for index in range(len(self._photographs.names))]
        self._window.show_cameras(self._exhibit.cameras, pictures)

    def _show_slice(self) -> None:
        if self._controls.slice_axis == "none":
            self._window.show_slice(None)
            return
        axis, at = slices.AXES.index(self._controls.slice_axis), self._controls.slice_at
        values = slices.sliced(self._programs.scene.distance, self._params, jnp.int32(axis), jnp.float32(at), _SLICE)
        self._window.show_slice(slices.picture(np.asarray(values)), axis, at)

    def _show_mesh(self) -> None:
        found = self._exhibit.mesh() if self._controls.mesh else None
        self._window.show_mesh(*(found or (None, None)))

    def _say(self) -> None:
        compiling = self._controls.mode == "warp" and not self._warp_is_ready()
        self._window.say(self._exhibit.step, self.trouble or ("compiling the warp's program" if compiling else "live"))

    def _warp_is_ready(self) -> bool:
        """Whether the program of the warp is there; it is compiled in the background when it is first asked for."""
        if self._warp is None:
            self._warp = threading.Thread(target=self._compile_warp, daemon=True)
            self._warp.start()
        return not self._warp.is_alive()

    def _compile_warp(self) -> None:
        tile = film_of(ACROSS_THE_SPHERE, self._programs.tile)
        self._programs.displacement(self._params, tile, next(iter(MOTIONS.values())), 1.0)
        self.wake()


class _Seat:
    """What somebody wants to see, and how much of it they have been shown."""

    def __init__(self, levels: Levels):
        self.levels = levels
        self.taken = False  # to a training camera, since they last moved
        self._wish: Wish | None = None

    def wants(self, wish: Wish) -> bool:
        """Whether this is what they have asked for."""
        return self._wish is not None and self._wish.is_like(wish)

    def ask(self, wish: Wish) -> None:
        """Ask for something, which may be what was asked for before."""
        if self.wants(wish):
            return
        if self._wish is None or not wish.viewpoint.is_like(self._wish.viewpoint):
            self.levels.moved()
        else:
            self.levels.changed()
        self._wish, self.taken = wish, False
