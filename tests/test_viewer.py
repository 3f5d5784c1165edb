"""What a viewer shows, without a browser: films, tiles, levels, slices, pictures, and the warp of a sphere."""

import math
import sys
from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scenes

from sdfrepar import cameras, fields, files
from sdfrepar.records import Views
from sdfrepar.rendering import RenderConfig, Scene
from sdfrepar.tracing import TraceConfig
from sdfrepar.viewer import pictures, programs, slices, window
from sdfrepar.viewer.levels import Levels, LevelsConfig, Speeds
from sdfrepar.viewer.painter import Wish, paint
from sdfrepar.viewer.photographs import Photographs
from sdfrepar.viewer.programs import MOTIONS, Programs, width_of_pixels
from sdfrepar.viewer.session import Exhibit, Session
from sdfrepar.viewer.viewpoints import Viewpoint, at_camera, film_of, nearest, tiles_of
from sdfrepar.viewer.window import Controls, WindowConfig, table_of, welcome

RADIUS, AWAY, SIDE = 0.5, 2.5, 32
PARAMS = {"radius": jnp.asarray(RADIUS)}
SCENE = Scene(
    distance=fields.sphere,
    radiance=lambda params, x, normal, direction: 0.5 + 0.5 * normal,
    background=lambda params, origin, direction: jnp.zeros(3),
)
# In tiles of half the film's side, so that a film is put together.
PROGRAMS = Programs(SCENE, RenderConfig(first_steps=6, trace=TraceConfig(max_steps=16)), SIDE // 2, 0.01)
FRONT = Viewpoint(np.eye(3), np.array([0.0, 0.0, -AWAY]), 0.7, 1.5)


def rig() -> cameras.Camera:
    """Two cameras, before and beside the sphere, with pictures that are wider than high."""
    two = [scenes.camera_at(position, (24, 32)) for position in ((0.0, 0.0, -AWAY), (AWAY, 0.0, 0.0))]
    return jax.tree.map(lambda *leaves: np.stack([np.asarray(leaf) for leaf in leaves]), *two)


def photographs(value: float = 0.0) -> Photographs:
    images = np.full((2, 24, 32, 3), value, np.float32)
    return Photographs(Views(images=images, cameras=rig(), names=("a", "b"), world_from_scene=np.eye(4)))


def painted(mode: pictures.Mode, viewpoint: Viewpoint = FRONT, side: int = SIDE, motion: str = "growth"):
    wish = Wish(viewpoint, mode, motion)
    return paint(PROGRAMS, photographs(), PARAMS, rig(), wish, side, lambda: False)


def test_a_film_is_stretched_over_the_window():
    film = film_of(FRONT, SIDE)
    top = np.array([SIDE / 2, 0.0])
    corner = np.asarray(cameras.unproject(film, jnp.zeros(2)))
    upward = np.asarray(cameras.unproject(film, jnp.asarray(top)))
    assert math.atan2(-upward[1], upward[2]) == pytest.approx(0.35, abs=1e-6)
    assert corner[0] / corner[1] == pytest.approx(1.5, rel=1e-6)


def test_tiles_see_what_their_place_on_the_film_sees():
    film = film_of(FRONT, SIDE)
    tiles = list(tiles_of(film, SIDE // 2))
    assert len(tiles) == 4
    for rows, columns, camera in tiles:
        here = jnp.array([3.5, 7.5])
        there = here + jnp.array([columns.start, rows.start])
        np.testing.assert_allclose(cameras.unproject(camera, here), cameras.unproject(film, there), atol=1e-6)


def test_a_window_of_any_aspect_shows_all_of_a_picture():
    camera = cameras.one_of(rig(), 1)
    for aspect in (0.5, 4 / 3, 3.0):
        viewpoint = at_camera(camera, aspect)
        film = film_of(viewpoint, SIDE)
        corner = cameras.at_depth(camera, jnp.zeros(2), jnp.asarray(1.0))
        u, _ = cameras.project(film, corner)
        assert np.all(np.asarray(u) > -1e-3) and np.min(np.asarray(u)) == pytest.approx(0.0, abs=1e-3)


def test_the_nearest_camera_is_found():
    assert nearest(rig(), FRONT) == 0
    assert nearest(rig(), FRONT._replace(position=np.array([2.0, 0.5, -0.5]))) == 1


def test_a_painted_sphere_is_where_it_is():
    shown = painted("colour")
    focal = 0.5 * SIDE / math.tan(0.35)
    area = math.pi * (focal * RADIUS / math.sqrt(AWAY**2 - RADIUS**2)) ** 2 / FRONT.aspect
    hit = shown.depth < 50.0
    assert hit.sum() == pytest.approx(area, rel=0.06)
    assert shown.depth[hit].min() == pytest.approx(AWAY - RADIUS, abs=5e-3)
    assert (shown.picture[~hit] == 0).all() and shown.picture.dtype == np.uint8
    # Towards the camera, along -z, which is half of red, half of green and no blue; linear, so sRGB 188.
    assert np.abs(shown.picture[SIDE // 2, SIDE // 2].astype(int) - [188, 188, 0]).max() <= 12


def test_normals_and_depth_are_those_of_the_sphere():
    facing = painted("normals").picture[SIDE // 2, SIDE // 2]
    assert np.abs(facing.astype(int) - [128, 128, 0]).max() <= 12
    depth = painted("depth").picture
    assert (depth[0, 0] == 255).all() and depth[SIDE // 2, SIDE // 2, 0] > depth[SIDE // 2, SIDE // 2 - 5, 0] > 0


def test_a_stale_picture_is_given_up():
    asked = iter([False, False, True])
    wish = Wish(FRONT, "colour", "growth")
    assert paint(PROGRAMS, photographs(), PARAMS, rig(), wish, SIDE, lambda: next(asked)) is None


def test_errors_are_those_at_the_nearest_camera_and_unknown_beside_its_picture():
    aside = FRONT._replace(position=np.array([0.3, 0.1, -2.2]), rotation=np.diag([-1.0, -1.0, 1.0]))
    shown = painted("error", aside._replace(aspect=2.0)).picture
    assert (shown[:, 0] == shown[0, 0]).all() and shown[0, 0, 0] == 89  # grey: the window is wider than the picture
    assert shown[2, SIDE // 2].max() <= 4  # no error before the background, which is black in both
    assert shown[SIDE // 2, SIDE // 2].min() > 150  # the sphere is not in the picture


def test_a_photograph_is_laid_on_a_film_of_other_intrinsics():
    ramp = np.broadcast_to(np.arange(32.0)[None, :, None] / 32.0, (24, 32, 3)).astype(np.float32)
    images = np.stack([ramp, ramp])
    views = Views(images=images, cameras=rig(), names=("a", "b"), world_from_scene=np.eye(4))
    camera = cameras.one_of(rig(), 0)
    film = film_of(at_camera(camera, 32 / 24), 48)
    found = Photographs(views).on_film(0, camera, film)
    expected = files.encode_srgb(np.interp((np.arange(48) + 0.5) * 32 / 48 - 0.5, np.arange(32), ramp[0, :, 0]))
    np.testing.assert_allclose(found[24, 3:-3, 0], expected[3:-3], atol=0.02)
    assert Photographs(views).small(0).shape == (24, 32, 3)


def test_the_warp_follows_the_silhouette_of_a_growing_sphere():
    """The silhouette is a circle of film radius F r / √(D² - r²), which grows by F D² / (D² - r²)^1.5."""
    front = FRONT._replace(aspect=1.0)
    film = film_of(front, SIDE)
    focal, width = 0.5 * SIDE / math.tan(0.35), width_of_pixels(rig(), film)
    # So large that the silhouette goes through the middles of pixels on the diagonals.
    on_film = 7.5 * math.sqrt(2.0)
    radius = AWAY * on_film / math.hypot(focal, on_film)
    params = {"radius": jnp.asarray(radius)}
    v = PROGRAMS.over_film(lambda tile: PROGRAMS.displacement(params, tile, MOTIONS["growth"], width), film, lambda: 0)
    speed = focal * AWAY**2 / (AWAY**2 - radius**2) ** 1.5
    for down, across in ((1, 1), (1, -1), (-1, 1), (-1, -1)):
        row, column = (SIDE // 2 + (7 if sign > 0 else -8) for sign in (down, across))
        np.testing.assert_allclose(v[row, column], speed / math.sqrt(2.0) * np.array([across, down]), rtol=0.03)
    away = np.hypot(*np.meshgrid(np.arange(SIDE) + 0.5 - SIDE / 2, np.arange(SIDE) + 0.5 - SIDE / 2))
    assert (v[away < on_film - 5] == 0).all() and (v[away > on_film + 5] == 0).all()
    shown = pictures.arrows(v)
    assert len(shown) >= 8
    ends = np.linalg.norm(shown - SIDE / 2, axis=-1)
    assert (ends[:, 1] > ends[:, 0]).all()
    picture = painted("warp", front).picture
    assert picture.std(axis=-1).max() > 40 and (picture[0, 0] == picture[0, 0, 0]).all()


def test_slices_tell_inside_from_outside():
    side, axis = 64, 2
    values = np.asarray(slices.sliced(fields.sphere, PARAMS, jnp.int32(axis), jnp.float32(0.3), side))
    assert (values < 0).sum() * 4 / side**2 == pytest.approx(math.pi * (RADIUS**2 - 0.3**2), rel=0.03)
    picture = slices.picture(values)
    assert picture[0, 0, 3] == 0 and picture[side // 2, side // 2, 3] == 1
    assert picture[side // 2, side // 2, 2] > picture[side // 2, side // 2, 0]  # blue inside
    assert picture[2, side // 2, 0] > picture[2, side // 2, 2]  # red outside
    line = (picture[..., :3] == 0).all(axis=-1)
    assert 0.8 < line.sum() / (2 * math.pi * 0.4 * side / 2) < 2.0


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_a_slice_lies_in_the_scene_where_it_was_taken(axis):
    def along(params, x):
        return x @ jnp.array([1.0, 10.0, 100.0])

    values = np.asarray(slices.sliced(along, {}, jnp.int32(axis), jnp.float32(0.25), 8))
    rotation, middle = slices.pose(axis, 0.25)
    assert np.linalg.det(rotation) == pytest.approx(1.0)
    place = middle + rotation @ np.array([2.5 / 4 - 1.0, 6.5 / 4 - 1.0, 0.0])
    assert values[6, 2] == pytest.approx(place @ [1.0, 10.0, 100.0], abs=1e-4)


class Clock:
    """Says what it is told."""

    now = 0.0

    def __call__(self) -> float:
        """Seconds."""
        return self.now


def test_levels_are_as_fine_as_their_time_allows_and_finer_at_rest():
    clock, speeds = Clock(), Speeds(64, 0.05)
    levels = Levels(LevelsConfig(finest=256, seconds=0.1, rest=0.2), 64, speeds, clock)
    levels.moved()
    assert levels.next("colour") == 64 and levels.due() == 0.0
    levels.drawn(64)
    assert levels.next("colour") is None and levels.due() == pytest.approx(0.2)
    clock.now = 0.3
    assert levels.next("colour") == 128
    levels.drawn(128)
    assert levels.next("colour") == 256
    levels.drawn(256)
    assert levels.next("colour") is None and levels.due() == math.inf
    # It turns out that pictures are quick, of this kind alone.
    speeds.took("colour", 256, 0.08)
    levels.moved()
    assert levels.next("colour") == 256 and levels.next("warp") == 64
    # And slow, since somebody else has begun to work.
    for _ in range(9):
        speeds.took("colour", 256, 4.0)
    assert levels.next("colour") == 64


def test_levels_that_cannot_work_are_refused():
    with pytest.raises(ValueError, match=r"levels.finest is 100; expected 16 times a power of two"):
        LevelsConfig(finest=100)
    with pytest.raises(ValueError, match=r"port is 70000"):
        WindowConfig(port=70000)


class Browser:
    """Somebody who looks, without a browser."""

    number = 0

    def __init__(self):
        self.viewpoint = FRONT
        self.shown: list[tuple[np.ndarray | None, np.ndarray | None]] = []

    def show(self, picture, depth):
        self.shown.append((picture, depth))

    def go_to(self, viewpoint):
        self.viewpoint = viewpoint


class Wall:
    """A window without a server."""

    def __init__(self):
        self.visitors, self.controls, self.said, self.slices = [Browser()], Controls(), [], []

    def show_cameras(self, rig, small):
        self.cameras = len(small)

    def make_way(self):
        pass

    def say(self, step, state):
        self.said.append((step, state))

    def show_slice(self, picture, axis=0, at=0.0):
        self.slices.append(picture)

    def show_mesh(self, mesh, colours):
        pass


def test_a_session_draws_coarsely_then_finely_and_again_when_something_changes():
    clock = Clock()
    exhibit = Exhibit(step=3, params=PARAMS, cameras=rig(), mesh=lambda: None)
    coarse = replace(PROGRAMS, seconds=1.0)
    session = Session(coarse, photographs(), LevelsConfig(finest=SIDE, seconds=0.1, rest=0.2), exhibit, clock)
    wall = Wall()
    session.open(wall)
    browser = wall.visitors[0]
    session.work()
    assert wall.cameras == 2 and wall.said[-1] == (3, "live")
    assert [picture.shape[0] for picture, _ in browser.shown] == [SIDE // 2]
    clock.now = 1.0
    session.work()
    assert [picture.shape[0] for picture, _ in browser.shown] == [SIDE // 2, SIDE]
    # A newer checkpoint is drawn by the same programs: nothing is compiled for it.
    compiled = programs._seen._cache_size()
    session.replace(replace(exhibit, step=4, params={"radius": jnp.asarray(0.3)}))
    session.work()
    assert wall.said[-1] == (4, "live") and len(browser.shown) == 3 and programs._seen._cache_size() == compiled
    assert browser.shown[2][1].min() > browser.shown[1][1].min() + 0.15
    # Errors are seen from where the picture was taken; slices are seen through the surface.
    browser.viewpoint = FRONT._replace(position=np.array([0.2, 0.0, -2.4]))
    wall.controls = Controls(mode="error", slice_axis="x")
    session.work()
    clock.now = 2.0
    session.work()
    np.testing.assert_allclose(browser.viewpoint.position, rig().position[0], atol=1e-5)
    assert browser.shown[-1][1] is None and wall.slices[-1].shape[2] == 4


def test_any_text_is_only_text():
    shown = table_of({"<b>": "</table><script>alert(1)</script> & \"'"})
    assert "<script" not in shown and "<b>" not in shown and "&lt;script&gt;" in shown


def test_the_greeting_tells_the_way_in_and_warns_of_others():
    quiet = welcome(WindowConfig(), 8081)
    assert "http://127.0.0.1:8081" in quiet and "ssh -L 8081:127.0.0.1:8081" in quiet and "WARNING" not in quiet
    assert "WARNING: it listens at 0.0.0.0" in welcome(WindowConfig(host="0.0.0.0"), 8081)


def test_a_missing_viser_is_told(monkeypatch):
    monkeypatch.setitem(sys.modules, "viser", None)
    with pytest.raises(ImportError, match=r"needs viser.*pip install -e '\.\[viewer\]'"):
        window.require_viser()
