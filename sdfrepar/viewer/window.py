"""The browser's side: viser, its scene and its controls, and nothing else. Opened here and nowhere else."""

import html
import math
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from sdfrepar import cameras, files, meshing
from sdfrepar.meshing import Mesh
from sdfrepar.records import Camera
from sdfrepar.viewer import slices
from sdfrepar.viewer.pictures import MODES, Mode
from sdfrepar.viewer.programs import MOTIONS
from sdfrepar.viewer.viewpoints import Viewpoint, at_camera

# How far before its camera a picture stands, of the mean distance of the cameras from the scene.
_FRUSTUM = 0.08

# Cameras nearer to somebody's eye than so many times that are not shown: they would see nothing else.
_ROOM = 2.0

_CAMERA = (60, 110, 200)

_LOOPBACK = ("127.0.0.1", "localhost", "::1")


@dataclass(frozen=True)
class WindowConfig:
    """Where the browser finds us."""

    host: str = "127.0.0.1"
    """Address to listen at; one that is not of this machine alone lets everybody in who can reach it."""
    port: int = 8080
    """Port to listen at; the next that is free if it is taken, and 0 for any."""

    def __post_init__(self) -> None:
        """Refuse what cannot work."""
        if not 0 <= self.port < 65536:
            raise ValueError(f"port is {self.port}; expected 0 for any, or up to 65535.")


@dataclass(frozen=True)
class Controls:
    """What the controls of the window say."""

    mode: Mode = "colour"
    """What is shown of what is seen."""
    motion: str = next(iter(MOTIONS))
    """One of MOTIONS, of which the warp is."""
    slice_axis: Literal["none", "x", "y", "z"] = "none"
    """Across which axis of the scene the field is cut."""
    slice_at: float = 0.0
    """Where along that axis, scene units."""
    mesh: bool = False
    """Whether the mesh is shown."""


class Window:
    """A server with its scene and controls; browsers come and go."""

    def __init__(self, config: WindowConfig, title: str, facts: Mapping[str, str], changed: Callable[[], None]):
        """Listen.

        Args:
            config: where.
            title: over the controls; any text.
            facts: what there is to say of the run, by its name; any texts.
            changed: called, from any thread, when somebody comes, moves or turns a control.

        Raises:
            ImportError: viser is not installed.
            OSError: there is no such address.
        """
        self._server = require_viser().ViserServer(host=config.host, port=config.port, verbose=False)
        self._changed = changed
        self._lock = threading.Lock()
        self._visitors: dict[int, Visitor] = {}
        self._frustums: list[tuple[np.ndarray, Any]] = []
        self._rig = self._server.scene.add_frame("/cameras", show_axes=False)
        # Sharing would send all of it through somebody else's server.
        self._server.gui.configure_theme(show_share_button=False, show_logo=False)
        self._server.gui.main_panel.dock_right()
        self._server.gui.set_panel_label(title)
        self._build(facts)
        self._server.on_client_connect(self._come)
        self._server.on_client_disconnect(self._go)

    @property
    def port(self) -> int:
        """The port that it listens at."""
        return self._server.get_port()

    @property
    def visitors(self) -> list["Visitor"]:
        """Those who are looking."""
        with self._lock:
            return list(self._visitors.values())

    @property
    def controls(self) -> Controls:
        """What the controls say now."""
        return Controls(
            mode=self._mode.value,
            motion=self._motion.value,
            slice_axis=self._axis.value,
            slice_at=float(self._at.value),
            mesh=bool(self._mesh.value),
        )

    def say(self, step: int, state: str) -> None:
        """Tell the step that is shown, and what is going on."""
        for field, text in ((self._step, str(step)), (self._state, state)):
            if field.value != text:
                field.value = text

    def stand(self, viewpoint: Viewpoint, up: np.ndarray) -> None:
        """Say where those who come stand at first, and which way (3,) is up; they turn about one near the origin."""
        self._server.scene.set_up_direction(up)
        initial = self._server.initial_camera
        initial.position, initial.look_at = viewpoint.position, _ahead(viewpoint)
        initial.fov = viewpoint.field_of_view

    def show_cameras(self, rig: Camera, pictures: Sequence[np.ndarray]) -> None:
        """Show N cameras, each with its small picture (H, W, 3), uint8; a click goes there. NumPy leaves."""
        height, width = rig.resolution
        self._size = _FRUSTUM * float(np.mean(np.linalg.norm(rig.position, axis=1)))
        self._frustums = []
        for index, picture in enumerate(pictures):
            camera = cameras.one_of(rig, index)
            right, down = float(width / camera.focal[0]), float(height / camera.focal[1])
            frustum = self._server.scene.add_camera_frustum(
                f"/cameras/{index}",
                fov=2.0 * math.atan(0.5 * down),
                aspect=right / down,
                scale=self._size,
                thickness=0.02 * self._size,
                color=_CAMERA,
                image=picture,
                wxyz=_quaternion(np.asarray(camera.rotation)),
                position=np.asarray(camera.position, float),
                cast_shadow=False,
                receive_shadow=False,
            )
            frustum.on_click(lambda event, camera=camera: self._go_to(event.client_id, camera))
            self._frustums.append((np.asarray(camera.position), frustum))

    def make_way(self) -> None:
        """Hide the cameras in whose place somebody stands, who would see nothing but their pictures."""
        eyes = np.array([visitor.viewpoint.position for visitor in self.visitors]).reshape(-1, 3)
        for position, frustum in self._frustums:
            clear = bool(np.all(np.linalg.norm(eyes - position, axis=1) > _ROOM * self._size))
            if frustum.visible != clear:
                frustum.visible = clear

    def show_mesh(self, mesh: Mesh | None, colours: np.ndarray | None) -> None:
        """Show a mesh in scene units with colours (V, 3), sRGB in [0, 1]; none takes it away."""
        if mesh is None:
            self._server.scene.remove_by_name("/mesh")
            return
        body: Any = meshing.as_trimesh(mesh)
        # A browser takes the colours of vertices to be linear.
        body.visual.vertex_colors = None if colours is None else files.decode_srgb(colours)
        self._server.scene.add_mesh_trimesh("/mesh", body, cast_shadow=False, receive_shadow=False)

    def show_slice(self, picture: np.ndarray | None, axis: int = 0, at: float = 0.0) -> None:
        """Show a slice (H, W, 4) in [0, 1] where it lies in the scene; none takes it away."""
        if picture is None:
            self._server.scene.remove_by_name("/slice")
            return
        rotation, position = slices.pose(axis, at)
        codes = np.rint(255.0 * picture).astype(np.uint8)
        self._server.scene.add_image(
            "/slice", codes, 2.0, 2.0, format="png", wxyz=_quaternion(rotation), position=position, cast_shadow=False
        )

    def close(self) -> None:
        """Stop listening."""
        self._server.stop()

    def _build(self, facts: Mapping[str, str]) -> None:
        """The controls, from top to bottom."""
        gui = self._server.gui
        self._step = gui.add_text("step", "", disabled=True)
        self._state = gui.add_text("state", "", disabled=True)
        self._mode = gui.add_dropdown("show", MODES, initial_value="colour")
        self._motion = gui.add_dropdown("warp of a", tuple(MOTIONS), hint="the change whose warp is shown")
        self._axis = gui.add_dropdown("slice across", ("none", *slices.AXES), initial_value="none")
        self._at = gui.add_slider("slice at", -1.0, 1.0, 0.01, 0.0)
        self._cameras = gui.add_checkbox("cameras", True)
        self._mesh = gui.add_checkbox("mesh", False, hint="in place of the live picture")
        with gui.add_folder("run", expand_by_default=False):
            gui.add_html(table_of(facts))
        for control in (self._mode, self._motion, self._axis, self._at, self._mesh):
            control.on_update(lambda _: self._changed())
        self._cameras.on_update(lambda _: setattr(self._rig, "visible", self._cameras.value))

    def _come(self, client: Any) -> None:
        with self._lock:
            self._visitors[client.client_id] = Visitor(client)
        client.camera.on_update(lambda _: self._changed())
        self._changed()

    def _go(self, client: Any) -> None:
        with self._lock:
            self._visitors.pop(client.client_id, None)

    def _go_to(self, visitor: int | None, camera: Camera) -> None:
        with self._lock:
            found = self._visitors.get(visitor if visitor is not None else -1)
        if found is not None:
            found.go_to(at_camera(camera, found.viewpoint.aspect))


class Visitor:
    """One browser."""

    def __init__(self, client: Any):
        """Of viser's."""
        self._client = client

    @property
    def number(self) -> int:
        """That no other browser has."""
        return self._client.client_id

    @property
    def viewpoint(self) -> Viewpoint:
        """Where it looks from."""
        from scipy.spatial.transform import Rotation

        camera = self._client.camera
        rotation = Rotation.from_quat(camera.wxyz, scalar_first=True).as_matrix()
        aspect = max(camera.image_width, 1) / max(camera.image_height, 1)
        return Viewpoint(rotation, np.array(camera.position), float(camera.fov), aspect)

    def go_to(self, viewpoint: Viewpoint) -> None:
        """Move it there."""
        camera = self._client.camera
        with self._client.atomic():
            camera.position = viewpoint.position
            camera.look_at = _ahead(viewpoint)
            camera.up_direction = -viewpoint.rotation[:, 1]
            camera.fov = viewpoint.field_of_view

    def show(self, picture: np.ndarray | None, depth: np.ndarray | None) -> None:
        """Show a picture (H, W, 3), uint8, behind everything, or at its depth (H', W'), scene units; none takes it
        away.
        """
        self._client.scene.set_background_image(picture, format="jpeg", jpeg_quality=90, depth=depth)
        self._client.flush()


def welcome(config: WindowConfig, port: int) -> str:
    """What to do to see it: the address, and the tunnel from another machine; a warning where others may look too."""
    if config.host in _LOOPBACK:
        return (
            f"open http://{config.host}:{port}\n"
            f"from another machine: ssh -L {port}:{config.host}:{port} USER@THIS_MACHINE, then open "
            f"http://localhost:{port} there"
        )
    return (
        f"open http://{config.host}:{port}\n"
        f"WARNING: it listens at {config.host}, so that everybody who can reach this machine sees the run, and nobody "
        "is asked who they are; without --host it listens to this machine alone, and ssh -L reaches it from others."
    )


def table_of(facts: Mapping[str, str]) -> str:
    """Any texts as a table in HTML, which none of them can break out of."""
    rows = "".join(
        f"<tr><th style='text-align:left;vertical-align:top;padding-right:1em'>{html.escape(name)}</th>"
        f"<td style='overflow-wrap:anywhere'>{html.escape(text)}</td></tr>"
        for name, text in facts.items()
    )
    return f"<table style='font-size:80%;margin:0.5em'>{rows}</table>"


def require_viser() -> Any:
    """The library, to be asked for before the rest of the work is done.

    Raises:
        ImportError: it is not installed.
    """
    try:
        import viser
    except ImportError as error:
        raise ImportError("The viewer needs viser, which is not here: pip install -e '.[viewer]'.") from error
    return viser


def _ahead(viewpoint: Viewpoint) -> np.ndarray:
    """The point (3,) of a line of sight that is nearest to the origin, but before the camera: it turns about that."""
    forward = viewpoint.rotation[:, 2]
    return viewpoint.position + max(float(-viewpoint.position @ forward), 0.1) * forward


def _quaternion(rotation: np.ndarray) -> np.ndarray:
    """The rotation (3, 3) as w, x, y, z."""
    from scipy.spatial.transform import Rotation

    return Rotation.from_matrix(np.asarray(rotation, float)).as_quat(scalar_first=True)
