"""A surface from range scans: half a ball from each side, and scans whose poses are a little off."""

from dataclasses import replace

import imageio.v3 as imageio
import jax.numpy as jnp
import numpy as np
import pytest
import trimesh

from experiments import fit_scans
from experiments.fit_scans import FitScansConfig, Scan
from sdfrepar import cameras, files, networks
from sdfrepar.fitting import Ranges, RangesConfig
from sdfrepar.fitting.ranges import moved as moved_by
from sdfrepar.networks import NetworkConfig

CONFIG = FitScansConfig(
    mesh_resolution=32,
    seen=0.02,
    network=NetworkConfig(sdf_width=32, sdf_depth=3, sdf_skip=0, sdf_octaves=2),
    fit=RangesConfig(steps=200, points=256, rate=4e-3, warm_up=5),
)


def half_a_ball(towards, count=1500, seed=0):
    """Points of a ball of 0.2 about (1, 2, 3) that a scanner sees along `towards`."""
    x = np.random.default_rng(seed).standard_normal((count, 3))
    x /= np.linalg.norm(x, axis=1, keepdims=True)
    x = x[x @ towards > 0.1] * 0.2 + [1.0, 2.0, 3.0]
    return Scan(x, np.broadcast_to(towards, x.shape))


@pytest.fixture(scope="module")
def scans():
    return [half_a_ball([0.0, 0.0, 1.0]), half_a_ball([1.0, 0.0, 0.0], seed=1)]


def test_a_ball_is_closed_from_two_sides_in_the_frame_of_its_scans(scans, tmp_path):
    truth = trimesh.creation.icosphere(subdivisions=3, radius=0.2).apply_translation([1.0, 2.0, 3.0])
    truth.export(tmp_path / "truth.ply")
    metrics = fit_scans.fit(CONFIG, scans, tmp_path / "truth.ply", tmp_path)
    assert metrics["to_truth_median"] < 0.01 and metrics["from_truth_median"] < 0.01
    mesh = trimesh.load_mesh(tmp_path / "mesh.ply")
    assert mesh.is_watertight and np.linalg.norm(mesh.centroid - [1.0, 2.0, 3.0]) < 0.05
    assert files.read_image(tmp_path / "scans.png").shape[1] == 3 * 256


def test_scans_are_read_with_their_poses(tmp_path):
    """A quaternion turns by its inverse, as the Stanford repository has it: about z by a quarter, then a shift."""
    points, half = np.array([[1.0, 0.0, 2.0]]), np.sqrt(0.5)
    np.savez(tmp_path / "own.npz", points=points, translation=np.zeros(3), quaternion_xyzw=np.array([0, 0, 0, 1.0]))
    np.savez(tmp_path / "a.npz", points=points)
    trimesh.PointCloud(points).export(tmp_path / "b.ply")
    (tmp_path / "poses.conf").write_text(
        f"camera 1 2 3 0 0 0 1\nbmesh a.ply 10 0 0 0 0 {half} {half}\nbmesh b.ply 0 0 0 0 {half} 0 {half}\n"
    )
    (own, towards), (a, _), (b, along) = fit_scans.read(
        [tmp_path / name for name in ("own.npz", "a.npz", "b.ply")], tmp_path / "poses.conf"
    )
    np.testing.assert_allclose(own, points)
    np.testing.assert_allclose(towards, [[0.0, 0.0, 1.0]])
    np.testing.assert_allclose(a, [[10.0, -1.0, 2.0]], atol=1e-12)
    np.testing.assert_allclose(b, [[-2.0, 0.0, 1.0]], atol=1e-12)
    np.testing.assert_allclose(along, [[-1.0, 0.0, 0.0]], atol=1e-12)


def test_scans_that_are_wrong_are_refused(tmp_path):
    np.savez(tmp_path / "a.npz", points=np.zeros((1, 3)))
    np.savez(tmp_path / "c.npz", x=np.zeros((1, 3)))
    with pytest.raises(ValueError, match="has no pose; name --poses"):
        fit_scans.read([tmp_path / "a.npz"], None)
    with pytest.raises(ValueError, match="expected points"):
        fit_scans.read([tmp_path / "c.npz"], None)
    with pytest.raises(FileNotFoundError, match="check --scans"):
        fit_scans.read([tmp_path / "none.npz"], None)
    (tmp_path / "poses.conf").write_text("bmesh a.ply 1 2\n")
    with pytest.raises(ValueError, match="line 1"):
        fit_scans.read([tmp_path / "a.npz"], tmp_path / "poses.conf")


def test_depth_pictures_are_read_and_what_stands_on_a_plane_is_kept(tmp_path):
    depth = np.zeros((4, 6), np.uint16)
    depth[1, 2], depth[3, 5] = 500, 1000
    imageio.imwrite(tmp_path / "depth_7.png", depth)
    camera = {"width": 6, "height": 4, "fx": 10.0, "fy": 10.0, "cx": 2.0, "cy": 1.0, "depth_unit_m": 0.002}
    files.write_json(tmp_path / "camera.json", camera)
    pose = np.eye(4)
    pose[:3, 3] = [0.0, 0.0, 5.0]
    files.write_json(tmp_path / "poses.json", {"7": pose.tolist()})
    given = [tmp_path / "depth_7.png"], tmp_path / "poses.json", tmp_path / "camera.json"
    (scan,) = fit_scans.read(*given)
    np.testing.assert_allclose(scan.points, [[0.0, 0.0, 6.0], [0.6, 0.4, 7.0]], atol=1e-6)
    np.testing.assert_allclose(scan.towards[0], [0.0, 0.0, -1.0], atol=1e-6)
    config = replace(CONFIG, above=0.5, around=3.0)
    kept = fit_scans.standing(config, scan, fit_scans.plane_of(["0", "0", "2", "0", "0", "6"]))
    np.testing.assert_allclose(kept.points, scan.points[1:])
    with pytest.raises(ValueError, match="No point of a scan lies above"):
        fit_scans.standing(config, scan, fit_scans.plane_of(["0", "0", "1", "0", "0", "9"]))
    with pytest.raises(ValueError, match="six numbers"):
        fit_scans.plane_of(["1", "2"])
    files.write_json(tmp_path / "camera.json", {**camera, "width": 7})
    with pytest.raises(ValueError, match="6 x 4 pixels"):
        fit_scans.read(*given)


def test_a_scan_that_is_off_is_brought_back():
    """The pose of the second moves towards where its points lie on the field that the first, and most of it, shows."""
    rng = np.random.default_rng(0)
    x = rng.standard_normal((3000, 3)) * [0.25, 0.35, 0.5]
    x *= 0.5 / np.linalg.norm(x / [0.5, 0.7, 1.0], axis=1, keepdims=True)
    towards = x / np.linalg.norm(x, axis=1, keepdims=True)
    number = (np.arange(3000) % 3 == 2).astype(np.int32)
    off = jnp.array([0.0, 0.06, 0.0, 0.02, 0.0, 0.0])
    turn = np.asarray(cameras.rotation_by(-off[:3]))
    moved = np.where(number[:, None] == 1, (x - np.asarray(off[3:])) @ turn.T, x)
    ranges = Ranges(*(jnp.asarray(a, jnp.float32) for a in (moved, towards)), jnp.asarray(number))
    config = replace(CONFIG.fit, pose_rate=2e-3, steps=300)
    state = fit_scans.trained(replace(CONFIG, fit=config), networks.scene(CONFIG.network), ranges, 2)
    poses = np.asarray(state.average["poses"])
    assert np.all(poses[0] == 0)
    back, _ = moved_by(jnp.asarray(poses), ranges)
    before, after = (np.linalg.norm(np.asarray(p) - x, axis=1)[number == 1].mean() for p in (moved, back))
    assert after < 0.5 * before
