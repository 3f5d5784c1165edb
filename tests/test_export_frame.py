"""Meshes that runs leave lie where the cameras of the files put the object, by the files' own matrices."""

import shutil
from dataclasses import replace

import imageio.v3 as imageio
import jax
import jax.numpy as jnp
import numpy as np
import pytest
import trimesh

from experiments import export_mesh, make_scene, posing, reconstruct, runs
from experiments.make_scene import MakeConfig
from experiments.presets import PRESETS
from sdfrepar import networks
from sdfrepar.datasets import DataConfig
from sdfrepar.fitting import FitConfig
from sdfrepar.networks import NetworkConfig

QUICK = PRESETS["quick"]
TINY = replace(
    QUICK,
    mesh_resolution=24,
    pictures=1,
    network=NetworkConfig(sdf_width=16, sdf_depth=2, sdf_skip=1, features=4, radiance_width=16, radiance_depth=1),
    render=replace(QUICK.render, chunk=512, gradient=replace(QUICK.render.gradient, band_share=1.0)),
    fit=FitConfig(steps=2, pixels=16, warm_up=1, eikonal_points=8),
)


SPHERE = np.eye(4)
"""Where the unit sphere comes to lie in another world: millimetres, turned and far away."""
SPHERE[:3, :3] = 120.0 * np.array([[0.0, -1.0, 0.0], [0.6, 0.0, -0.8], [0.8, 0.0, 0.6]])
SPHERE[:3, 3] = [-30.0, 20.0, 650.0]


@pytest.fixture
def worlds(tmp_path):
    """A folder of pictures, and the same whose `scale_mat` and `world_mat` speak of the other world."""
    one, other = tmp_path / "one", tmp_path / "other"
    make_scene.write(
        MakeConfig(format="neus", views=3, test_views=2, resolution=16, occupancy_resolution=16, surface_points=50),
        one,
    )
    (one / "truth.npz").unlink()
    shutil.copytree(one, other)
    stored = dict(np.load(one / "cameras_sphere.npz"))
    for name in list(stored):
        if name.startswith("scale_mat"):
            stored[name] = SPHERE @ stored[name]
        elif name.startswith("world_mat"):
            stored[name] = stored[name] @ np.linalg.inv(SPHERE)
    np.savez(other / "cameras_sphere.npz", **stored)
    return one, other


def test_files_whose_world_is_another_give_the_same_cameras_and_the_mesh_there(worlds, tmp_path):
    """A fit sees the cameras of scene space, and its mesh is carried to the world: here that of bent parameters."""
    loaded = [posing.load(TINY, folder)[:2] for folder in worlds]
    for one, other in zip(*loaded, strict=True):
        for name in ("position", "rotation", "focal", "principal"):
            np.testing.assert_allclose(
                getattr(other.cameras, name), getattr(one.cameras, name), rtol=1e-5, atol=1e-5, err_msg=name
            )
    initialise = jax.jit(networks.initialise, static_argnums=0)
    leaves, tree = jax.tree.flatten(initialise(TINY.network, jnp.zeros(3), key=jax.random.key(0)))
    rng = np.random.default_rng(0)
    params = tree.unflatten([leaf + 0.03 * rng.normal(size=leaf.shape).astype(np.float32) for leaf in leaves])
    meshes = []
    for folder, views in zip(worlds, loaded, strict=True):
        workdir = tmp_path / f"run_{folder.name}"
        runs.save(TINY, folder, workdir, runs.begin(TINY, folder, workdir, params, overwrite=False))
        frame = views[1].world_from_scene
        meshes.append(export_mesh.export(runs.load(workdir), workdir / "a.ply", frame, resolution=24))
    one, other = meshes
    np.testing.assert_allclose(other.vertices, trimesh.transform_points(one.vertices, SPHERE), atol=1e-3)
    # No ball, which would look the same however it is turned.
    assert np.ptp(np.ptp(one.vertices, axis=0)) > 0.1


@pytest.mark.slow
def test_files_whose_world_is_another_give_the_same_mesh_there(worlds, tmp_path):
    """The whole run."""
    for folder in worlds:
        reconstruct.reconstruct(TINY, folder, tmp_path / f"run_{folder.name}")
    before, after = (trimesh.load_mesh(tmp_path / f"run_{folder.name}" / "mesh.ply") for folder in worlds)
    moved = trimesh.transform_points(before.vertices, SPHERE)
    # Cameras in scene space are rounded to float32, so that the runs are the same but for that.
    np.testing.assert_allclose(after.bounds, [moved.min(axis=0), moved.max(axis=0)], atol=0.5)
    assert after.volume == pytest.approx(120.0**3 * before.volume, rel=0.01)


@pytest.mark.slow
@pytest.mark.realdata
def test_the_skull_lies_in_the_millimetres_of_its_cameras(realdata, tmp_path):
    """Its outline, by the matrices of the file alone, is that of the masks; by those of the next view it is not."""
    folder = realdata / "dtu_scan65_skull"
    config = replace(
        QUICK,
        data=DataConfig(holdout="0,8"),
        network=replace(QUICK.network, view_dependent=True, initial_radius=0.5),
        render=replace(
            QUICK.render,
            gradient=replace(QUICK.render.gradient, method="interior"),
            film=replace(QUICK.render.film, samples_per_side=1),
        ),
        fit=replace(QUICK.fit, masks="use", steps=1000),
    )
    reconstruct.reconstruct(config, folder, tmp_path)
    mesh = trimesh.load_mesh(tmp_path / "mesh.ply")
    matrices = np.load(folder / "cameras_sphere.npz")
    masks = [np.asarray(imageio.imread(path)) > 127 for path in sorted((folder / "mask").iterdir())]
    same, next_to = (
        [_overlap(_shadow(mesh, matrices[f"world_mat_{i}"]), masks[(i + shift) % 49]) for i in range(0, 49, 6)]
        for shift in (0, 1)
    )
    assert np.mean(same) > 0.96 and np.min(same) > 0.94
    assert np.mean(next_to) < 0.9


def _shadow(mesh: trimesh.Trimesh, world_mat: np.ndarray) -> np.ndarray:
    """What a mesh covers (300, 400): rays through whole pixels of pictures that were shrunk by four."""
    shrink = np.array([[0.25, 0.0, -0.375], [0.0, 0.25, -0.375], [0.0, 0.0, 1.0]])
    projection = shrink @ world_mat[:3]
    columns, rows = np.meshgrid(np.arange(400), np.arange(300))
    back = np.linalg.inv(projection[:, :3])
    ahead = np.stack([columns, rows, np.ones_like(rows)], axis=-1).reshape(-1, 3) @ back.T
    origins = np.tile(-back @ projection[:, 3], (len(ahead), 1))
    return mesh.ray.intersects_any(origins, ahead).reshape(300, 400)


def _overlap(one: np.ndarray, other: np.ndarray) -> float:
    return (one & other.reshape(300, 400, -1)[..., 0]).sum() / (one | other.reshape(300, 400, -1)[..., 0]).sum()
