"""A run in a browser: what is followed of it, and the page itself, in Chromium without a screen."""

import importlib.util
import io
import shutil
import threading
import time
from dataclasses import replace
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import tiny

from experiments import make_scene, runs, view
from experiments.following import Follower
from experiments.make_scene import MakeConfig
from experiments.presets import PRESETS
from sdfrepar import cameras, files, networks
from sdfrepar.viewer import LevelsConfig, WindowConfig

QUICK = PRESETS["quick"]
CONFIG = replace(QUICK, mesh_resolution=24, network=tiny.NETWORK)

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
_WITHOUT_SCREEN = ["--headless=new", "--no-sandbox", "--use-gl=angle", "--use-angle=swiftshader"]


def checkpoint(workdir: Path, data: Path, step: int, radius: float) -> None:
    """Write what a run on the pictures in `data` has at a step: a sphere of this radius."""
    network = replace(CONFIG.network, initial_radius=radius)
    params = jax.jit(networks.initialise, static_argnums=0)(network, jnp.full(3, 0.02), key=jax.random.key(0))
    snapshot = runs.begin(CONFIG, data, workdir, params, overwrite=False)
    state = snapshot.state.replace(step=jnp.int32(step), params=params, average=params)
    runs.save(CONFIG, data, workdir, snapshot._replace(state=state))


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A few tiny pictures of the demo's scene, and a run that has just begun, whose name is no good HTML."""
    folder = tmp_path_factory.mktemp("view")
    make_scene.write(
        MakeConfig(views=3, test_views=1, resolution=16, occupancy_resolution=16, surface_points=100), folder / "data"
    )
    checkpoint(folder / "a <img src=x onerror=document.title='broken'> run", folder / "data", 1, 0.5)
    return folder


@pytest.fixture
def workdir(folder):
    return next(folder.glob("a *"))


@pytest.fixture(scope="module")
def follower(folder):
    return Follower(next(folder.glob("a *")), mesh_resolution=24)


def test_a_run_is_followed_to_its_newest_checkpoint(workdir, follower, tmp_path):
    shutil.copytree(workdir, tmp_path / "run")
    later = Follower(tmp_path / "run", mesh_resolution=24)
    assert later.look() is None and later.newer() is None
    checkpoint(tmp_path / "run", workdir.parent / "data", 2, 0.8)
    found = later.look()
    assert found is not None and found.step == 2 and later.look() is None
    # The programs of the first are those of all.
    centre = jnp.zeros(3)
    depths = [-later.run.scene.distance(exhibit.params, centre) for exhibit in (follower.now, found)]
    assert depths[1] > depths[0] + 0.2
    np.testing.assert_allclose(found.cameras.position, later.train.cameras.position)


def test_another_run_in_the_folder_is_told(workdir, tmp_path):
    shutil.copytree(workdir, tmp_path / "run")
    later = Follower(tmp_path / "run", workdir.parent / "data")
    shutil.rmtree(tmp_path / "run")
    assert later.look() is None and later.trouble == ""
    other = replace(CONFIG, render=replace(CONFIG.render, first_steps=9))
    params = later.run.snapshot.state.params
    snapshot = runs.begin(other, workdir.parent / "data", tmp_path / "run", params, overwrite=False)
    runs.save(other, workdir.parent / "data", tmp_path / "run", snapshot)
    assert later.look() is None and "holds another run by now; open the viewer again" in later.trouble


def test_the_mesh_is_the_run_s_own_where_it_is_of_the_same_step(workdir, follower, tmp_path):
    mesh, colours = follower.now.mesh()
    radius = np.linalg.norm(mesh.vertices, axis=1)
    assert 0.3 < radius.mean() < 0.7 and colours.shape == mesh.vertices.shape
    shutil.copytree(workdir, tmp_path / "run")
    world = 3.0 * mesh.vertices + [1.0, 2.0, 3.0]
    files.write_mesh(tmp_path / "run" / "mesh.ply", world, mesh.faces, np.full(world.shape, 0.2))
    files.write_json(tmp_path / "run" / "metrics.json", {"steps": 1})
    left = Follower(tmp_path / "run", workdir.parent / "data")
    left._test = replace(
        left._test, world_from_scene=np.array([[3, 0, 0, 1], [0, 3, 0, 2], [0, 0, 3, 3], [0, 0, 0, 1.0]])
    )
    own, grey = left.now.mesh()
    np.testing.assert_allclose(own.vertices, mesh.vertices, atol=1e-5)
    np.testing.assert_allclose(grey, 0.2, atol=0.01)


def test_where_there_is_no_run_it_is_said(tmp_path):
    pytest.importorskip("viser")
    with pytest.raises(FileNotFoundError, match=r"holds no config\.json, so no run; set --workdir"):
        view.view(view.ViewConfig(), tmp_path)


def test_up_is_that_of_the_first_picture_where_pictures_have_none_in_common():
    upside_down = np.stack([np.eye(3), np.diag([-1.0, -1.0, 1.0])])
    rig = cameras.look_at(
        jnp.array([0.0, 0.0, -3.0]), jnp.zeros(3), jnp.array([0.0, 1.0, 0.0]), field_of_view=0.7, resolution=(8, 8)
    )
    rig = jax.tree.map(lambda leaf: np.stack([leaf, leaf]), rig).replace(rotation=upside_down)
    np.testing.assert_allclose(view.up_of(rig), [0.0, -1.0, 0.0])


def listeners(port: int) -> set[str]:
    """The addresses, in hexadecimal, at which this machine listens to a port."""
    found = set()
    for table in ("tcp", "tcp6"):
        for line in Path(f"/proc/net/{table}").read_text().splitlines()[1:]:
            _, local, _, state, *_ = line.split()
            address, number = local.split(":")
            if int(number, 16) == port and state == "0A":
                found.add(address)
    return found


def picture_of(page) -> np.ndarray:
    """The left half of a page, which the controls do not cover, (H, W, 3)."""
    from PIL import Image

    shot = Image.open(io.BytesIO(page.screenshot())).convert("RGB")
    return np.asarray(shot, np.float32)[:, : shot.width // 2]


def waits_for(what, seconds: float = 60.0):
    """The first value of `what()` that is neither None nor false."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        found = what()
        if found is not None and found is not False:
            return found
        time.sleep(0.2)
    raise AssertionError("nothing came")


@pytest.mark.skipif(CHROMIUM is None, reason="Chromium is not installed")
@pytest.mark.skipif(importlib.util.find_spec("viser") is None, reason="viser is not installed")
@pytest.mark.skipif(importlib.util.find_spec("playwright") is None, reason="playwright is not installed")
def test_a_browser_sees_the_surface_and_goes_around_it(workdir, capsys):
    from playwright.sync_api import sync_playwright

    closed = threading.Event()
    config = view.ViewConfig(levels=LevelsConfig(finest=64), window=WindowConfig(port=0))
    server = threading.Thread(target=view.view, args=(config, workdir), kwargs={"closed": closed})
    server.start()
    said: list[str] = []
    try:

        def address() -> str | None:
            assert server.is_alive()
            said.append(capsys.readouterr().out)
            return next((line.split()[1] for line in "".join(said).splitlines() if line.startswith("open ")), None)

        url = waits_for(address, 90.0)
        port = int(url.rsplit(":", 1)[1])
        assert listeners(port) == {"0100007F"}
        assert f"ssh -L {port}:127.0.0.1:{port}" in "".join(said)
        with sync_playwright() as playwright:
            browser = playwright.chromium.launch(executable_path=CHROMIUM, args=_WITHOUT_SCREEN)
            page = browser.new_page(viewport={"width": 640, "height": 360})
            page.goto(url)
            page.get_by_text("cameras", exact=True).click()
            page.get_by_text("run", exact=True).last.click()
            # A shaded ball before a dark ground.
            before = waits_for(lambda: picture if (picture := picture_of(page)).std() > 15 else None)
            page.mouse.move(120, 250)
            page.mouse.down()
            page.mouse.move(170, 200, steps=5)
            page.mouse.up()
            waits_for(lambda: bool(np.abs(picture_of(page) - before).mean() > 2))
            assert workdir.name in page.inner_text("body") and page.title() != "broken"
            browser.close()
    finally:
        closed.set()
        server.join(20.0)
    assert not server.is_alive()
    assert listeners(port) == set()
