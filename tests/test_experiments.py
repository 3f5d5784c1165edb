"""The launchers, from the command line's point of view, on a scene of a few pixels."""

import contextlib
import io
import os
import re
import shutil
import socket
import subprocess
import sys
from dataclasses import replace

import jax
import numpy as np
import pytest
import tiny
import trimesh
from absl import flags as absl_flags

from experiments import (
    evaluate,
    export_mesh,
    flags,
    make_scene,
    reconstruct,
    render_views,
    runs,
    sweep,
    watch,
)
from experiments.board import Board
from experiments.flags import RunError
from experiments.hosts import HostsConfig
from experiments.make_scene import MakeConfig
from experiments.orbit import orbit
from experiments.presets import PRESETS
from experiments.synthetic import photography
from sdfrepar import datasets, files, memory
from sdfrepar.fitting import FitConfig

QUICK = PRESETS["quick"]
TINY = replace(
    QUICK,
    mesh_resolution=24,
    log_every=2,
    pictures=1,
    network=tiny.NETWORK,
    # Room for every sample, so that no random subset stands for the rest.
    render=replace(QUICK.render, chunk=512, gradient=replace(QUICK.render.gradient, band_share=1.0)),
    fit=FitConfig(steps=4, pixels=16, warm_up=1, eikonal_points=8),
)


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """The demo's scene, tiny."""
    folder = tmp_path_factory.mktemp("data")
    config = MakeConfig(views=3, test_views=2, resolution=16, occupancy_resolution=16, surface_points=500)
    make_scene.write(config, folder)
    return folder


@pytest.fixture(scope="module")
def run(data, tmp_path_factory):
    """One tiny run, with a checkpoint after every step, and what it said it measured."""
    workdir = tmp_path_factory.mktemp("run")
    return workdir, reconstruct.reconstruct(replace(TINY, checkpoint_every=0.0), data, workdir)


def test_a_run_leaves_everything(run):
    workdir, metrics = run
    assert {"psnr", "ssim", "iou", "chamfer", "seconds", "seconds_per_step", "steps", "gradient", "versions"} <= set(
        files.read_json(workdir / "metrics.json")
    )
    assert (workdir / "report.html").is_file() and (workdir / "flags.txt").is_file()
    assert metrics["steps"] == 4 and metrics["gradient"] == "grazing"
    assert np.isfinite(metrics["psnr"]) and 0 < metrics["iou"] < 1
    steps = [line["step"] for line in files.read_json_lines(workdir / "metrics.jsonl")]
    assert steps == [2, 4]
    assert files.read_json(workdir / "config.json")["fit"]["pixels"] == 16
    assert len(list((workdir / "images").glob("test_*.png"))) == 2
    assert files.read_image(workdir / "images" / "test_000.png").shape[:2] == (16, 5 * 16 + 4 * 2)
    mesh = trimesh.load(workdir / "mesh.ply")
    assert mesh.is_watertight and mesh.volume > 0
    assert mesh.visual.vertex_colors.shape[0] == len(mesh.vertices)


def test_a_run_can_be_done_again_from_its_flags(data, run):
    """flags.txt holds flags of ours alone, and brings the config back; later flags go before it."""
    path = run[0] / "flags.txt"
    lines = path.read_text().splitlines()
    assert lines[0] == f"--data={data}" and all(re.fullmatch(r"--[a-z][\w.]*=.*", line) for line in lines)
    config = replace(TINY, checkpoint_every=0.0)
    assert sweep.changed(QUICK, lines[1:]) == config
    values = absl_flags.FlagValues()
    absl_flags.DEFINE_string("data", None, "", flag_values=values)
    flags.define(QUICK, flag_values=values)
    values(["reconstruct", f"--flagfile={path}", "--fit.steps=5"])
    assert flags.read(QUICK, values) == replace(config, fit=replace(config.fit, steps=5)) and values.data == str(data)


def test_a_run_leaves_a_report(data, run):
    page = (run[0] / "report.html").read_text()
    assert "Finished: 4 steps in" in page and page.count('<figure class="wipe">') == 2 and "triangles" in page
    # Three cameras that were fitted and two that were held out.
    assert page.count('"held_out": false') == 3 and page.count('"held_out": true') == 2
    assert f"--flagfile={run[0] / 'flags.txt'}" in page and "step 4" in page


def test_tensorboard_without_its_extra_is_one_sentence(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "tensorboardX", None)
    with pytest.raises(ImportError, match=r"needs tensorboardX.*pip install 'sdfrepar\[tensorboard\]'"):
        Board(tmp_path, 0)


def without_seconds(lines):
    return [{name: value for name, value in line.items() if name != "seconds"} for line in lines]


@pytest.fixture(scope="module")
def resumed(data, run, tmp_path_factory):
    """The run, killed after the last line was written and before its checkpoint, and gone on; and what it said."""
    workdir = tmp_path_factory.mktemp("resumed")
    shutil.copytree(run[0], workdir, dirs_exist_ok=True)
    shutil.rmtree(workdir / "checkpoints" / "4")
    broken, said = runs.load(workdir), io.StringIO()
    with contextlib.redirect_stdout(said):
        config = replace(TINY, tensorboard=True)
        metrics = reconstruct.reconstruct(config, data, workdir, command="python 'a b'")
    return workdir, broken, metrics, said.getvalue()


def test_a_run_that_was_killed_goes_on_to_the_same_result(run, resumed):
    """The line that was written already is written once."""
    workdir, broken, metrics, said = resumed
    whole = runs.load(run[0])
    assert (broken.step, whole.step) == (3, 4)
    assert "it goes on at step 3" in said
    assert metrics["psnr"] == run[1]["psnr"]
    assert metrics["seconds"] > metrics["seconds_per_step"] * 4 > float(broken.snapshot.in_steps)
    jax.tree.map(np.testing.assert_array_equal, runs.load(workdir).snapshot.state, whole.snapshot.state)
    lines = [files.read_json_lines(folder / "metrics.jsonl") for folder in (workdir, run[0])]
    assert without_seconds(lines[0]) == without_seconds(lines[1])


def test_a_run_tells_what_it_does_and_has_made(resumed):
    workdir, _, _, said = resumed
    assert re.search(r"step 4/4  100%  loss \S+ .*photometric \S+ .*psnr \S+ dB  hit_rate \S+%  band \S+%", said)
    for line in ("report", "mesh", "pictures", "scores", "curves"):
        assert re.search(rf"\n  {line} +{workdir}/\S+", said), line
    assert "python &#x27;a b&#x27;" in (workdir / "report.html").read_text()


def test_a_run_tells_tensorboard(resumed):
    """Of its last step: scalars, the held-out views and the mesh."""
    (events,) = (resumed[0] / "tensorboard").iterdir()
    told = events.read_bytes()
    for name in (b"loss/photometric", b"step/psnr", b"views/test_000", b"views/test_001", b"mesh_1"):
        assert name in told, name


def test_a_finished_run_is_evaluated_again(data, run, capsys):
    workdir, metrics = run
    again = reconstruct.reconstruct(replace(TINY, memory_gb=4.0), data, workdir)
    said = capsys.readouterr().out
    assert "it goes on at step 4" in said and "compiled" not in said
    assert again == metrics


def test_another_run_is_not_overwritten_unasked(data, run, tmp_path):
    workdir, _ = run
    other = replace(TINY, fit=replace(TINY.fit, shape_rate=1e-3))
    with pytest.raises(RunError, match=r"fit\.shape_rate was 0\.0004 and is now 0\.001\. Choose.*--overwrite"):
        reconstruct.reconstruct(other, data, workdir)
    assert runs.load(workdir).config.fit == TINY.fit
    shutil.copytree(workdir, tmp_path / "copy")
    snapshot = runs.begin(other, data, tmp_path / "copy", runs.load(workdir).params, overwrite=True)
    assert int(snapshot.state.step) == 0
    assert files.read_json_lines(tmp_path / "copy" / "metrics.jsonl") == []
    with pytest.raises(FileNotFoundError, match="holds no checkpoint; let the run go on"):
        runs.load(tmp_path / "copy")


def test_a_folder_without_a_run_is_said(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"holds no config\.json, so no run; set --workdir"):
        runs.load(tmp_path)


def test_a_run_is_evaluated_from_its_checkpoint(data, run, tmp_path):
    """The same numbers, from config.json and the checkpoint alone; a finer mesh where it is asked for."""
    workdir, metrics = run
    again = evaluate.evaluate(runs.load(workdir), data, tmp_path, mesh_resolution=32)
    assert "Finished: 4 steps" in (tmp_path / "report.html").read_text()
    same = {"psnr", "ssim", "iou", "steps", "seconds", "seconds_per_step", "views"}
    assert {name: again[name] for name in same} == {name: metrics[name] for name in same}
    assert files.read_json(tmp_path / "metrics.json")["psnr"] == metrics["psnr"]
    assert len(files.read_mesh(tmp_path / "mesh.ply")[0]) > len(files.read_mesh(workdir / "mesh.ply")[0])


def test_the_mesh_of_a_run_is_that_of_its_outcome(run, tmp_path):
    """At the same resolution, and carried to another frame."""
    workdir, _ = run
    world_from_scene = np.diag([2.0, 2.0, 2.0, 1.0])
    mesh = export_mesh.export(
        runs.load(workdir), tmp_path / "a.glb", world_from_scene, resolution=TINY.mesh_resolution, components="all"
    )
    np.testing.assert_allclose(mesh.vertices, 2.0 * files.read_mesh(workdir / "mesh.ply")[0], atol=1e-5)
    assert mesh.volume > 0 and (mesh.normals * mesh.vertices).sum(-1).mean() > 0
    colours = [trimesh.load_mesh(path).visual.vertex_colors for path in (tmp_path / "a.glb", workdir / "mesh.ply")]
    np.testing.assert_array_equal(*colours)
    assert re.search(r"vertices, .* watertight True, Euler number 2, from \(-\S+ ", export_mesh.described(mesh))
    with pytest.raises(ValueError, match=r"a\.off has no known mesh format"):
        export_mesh.export(runs.load(workdir), tmp_path / "a.off", world_from_scene)


@pytest.fixture(scope="module")
def training(data):
    """The cameras that took the pictures."""
    return datasets.load(data, datasets.DataConfig())[0].cameras


def test_a_turn_around_a_run(run, training, tmp_path):
    """Lit from straight ahead of the first picture's camera, the white surface is bright; from behind, ambient."""
    loaded = runs.load(run[0])
    light = tuple(float(x) for x in orbit(training, 2, elevation=0.0)[0].position)
    config = render_views.ViewsConfig(
        frames=2, elevation=0.0, resolution=(12, 8), what=("colour", "normals", "depth"), relight=light
    )
    frames = list(render_views.turntable(config, loaded, training))
    assert [frame.shape for frame in frames] == [(8, 3 * 12 + 2 * 2, 3)] * 2
    lit, unlit = (frame[4, 6] for frame in frames)
    assert lit.max() - lit.min() < 1e-3
    assert lit[0] > 0.8 and unlit[0] == pytest.approx(files.encode_srgb(np.array(0.8 * 0.15)), abs=2e-3)
    np.testing.assert_allclose(frames[0][0, -1], 1.0)
    render_views.write(tmp_path / "turn", frames)
    assert sorted(path.name for path in (tmp_path / "turn").iterdir()) == ["0000.png", "0001.png"]
    np.testing.assert_allclose(files.read_image(tmp_path / "turn" / "0000.png"), frames[0], atol=0.003)
    render_views.write(tmp_path / "turn.gif", frames)
    assert (tmp_path / "turn.gif").is_file()


def test_relighting_keeps_the_colours_that_were_found(run):
    scene, params = runs.load(run[0]).scene, runs.load(run[0]).params
    x, normal = np.array([0.0, 0.0, 0.5], np.float32), np.array([0.0, 0.0, 1.0], np.float32)
    lit = render_views.relit(scene, (0.0, 0.0, 3.0), "network").radiance(params, x, normal, -normal)
    np.testing.assert_allclose(lit, scene.radiance(params, x, normal, -normal), rtol=1e-6)
    dim = render_views.relit(scene, (0.0, 0.0, -3.0), "network").radiance(params, x, normal, -normal)
    np.testing.assert_allclose(dim, 0.15 * lit, rtol=1e-5)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"frames": 0}, "frames is 0"),
        ({"elevation": 90.0}, r"elevation is 90\.0 degrees"),
        ({"radius": -1.0}, r"radius is -1\.0"),
        ({"resolution": (0, 8)}, r"resolution is \(0, 8\)"),
        ({"what": ()}, "what is empty"),
        ({"up": (0.0, 0.0, 0.0)}, r"up is \(0\.0, 0\.0, 0\.0\), which is no direction"),
    ],
)
def test_views_that_cannot_be_are_refused(changes, words):
    with pytest.raises(ValueError, match=words):
        render_views.ViewsConfig(**changes)


@pytest.mark.slow
def test_a_run_that_lost_its_surface_begins_again_more_calmly(data, tmp_path, capsys, monkeypatch):
    """Lost at its first try, it comes to what a run with half the rate and twice the warm-up comes to."""
    watched = watch.Watch.__call__

    def lost_at_first(self, step, metrics):
        watched(self, step, metrics)
        if step == 4 and "lost" not in said:
            said.append("lost")
            raise watch.LostSurfaceError("The surface is lost.", 0)

    said: list[str] = []
    monkeypatch.setattr(watch.Watch, "__call__", lost_at_first)
    metrics = reconstruct.reconstruct(TINY, data, tmp_path / "lost")
    monkeypatch.undo()
    assert metrics["restarts"] == 1 and "goes back to step 0, with --fit.shape_rate=0.0002" in capsys.readouterr().out
    calm = replace(TINY, fit=replace(TINY.fit, shape_rate=2e-4, warm_up=2))
    reconstruct.reconstruct(calm, data, tmp_path / "calm")
    lost, found = (runs.load(tmp_path / name).snapshot.state for name in ("lost", "calm"))
    jax.tree.map(np.testing.assert_array_equal, lost, found)
    assert [line["step"] for line in files.read_json_lines(tmp_path / "lost" / "metrics.jsonl")] == [2, 4]
    with pytest.raises(watch.LostSurfaceError):
        monkeypatch.setattr(watch.Watch, "__call__", lost_at_first)
        said.clear()
        reconstruct.reconstruct(replace(TINY, rollbacks=0), data, tmp_path / "given_up")
    assert "It failed. The surface is lost." in (tmp_path / "given_up" / "report.html").read_text()


def test_border_colour_is_the_backgrounds(data):
    train, _ = datasets.load(data, datasets.DataConfig())
    np.testing.assert_allclose(reconstruct.border_colour(train), photography.BACKGROUND, atol=0.01)


@pytest.mark.slow
def test_two_hosts_leave_what_one_does(data, tmp_path):
    """The same command on both; the first writes, the second is silent."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    shared = [
        *(sys.executable, "-m", "experiments.reconstruct", f"--data={data}", "--fit.steps=4", "--fit.pixels=16"),
        *("--fit.eikonal_points=8", "--fit.warm_up=1", "--network.sdf_width=16", "--network.radiance_width=16"),
        *("--mesh_resolution=24", f"--hosts.coordinator=127.0.0.1:{port}", "--hosts.count=2"),
        f"--workdir={tmp_path / 'run'}",
    ]
    processes = [
        subprocess.Popen(
            [*shared, f"--hosts.index={host}"],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            env={**os.environ, "JAX_PLATFORMS": "cpu", "JAX_NUM_CPU_DEVICES": "2"},
        )
        for host in range(2)
    ]
    said = [process.communicate(timeout=600)[0] for process in processes]
    assert [process.returncode for process in processes] == [0, 0], "\n".join(said)
    assert "psnr" in said[0] and "psnr" not in said[1]
    assert (tmp_path / "run" / "mesh.ply").is_file()
    assert runs.load(tmp_path / "run").step == 4


def test_hosts_that_do_not_add_up_are_refused():
    with pytest.raises(ValueError, match=r"hosts\.index is 2 and hosts\.count 2"):
        HostsConfig(coordinator="a:1", count=2, index=2)
    with pytest.raises(ValueError, match="without a coordinator"):
        HostsConfig(count=2)


@pytest.mark.slow
def test_parts_leave_the_same_metrics(data, run, tmp_path, capsys, monkeypatch):
    """A step in four parts, pictures in smaller chunks: all that is measured is the same to round-off."""
    _, whole = run
    monkeypatch.setattr(memory, "fewest_parts", lambda compile_parts, allowed, limit: (4, compile_parts(4)))
    metrics = reconstruct.reconstruct(TINY, data, tmp_path)
    assert re.search(r"a step takes .* GB, in 4 parts", capsys.readouterr().out)
    for name in ("psnr", "ssim", "iou", "chamfer"):
        assert metrics[name] == pytest.approx(whole[name], rel=1e-3), name
