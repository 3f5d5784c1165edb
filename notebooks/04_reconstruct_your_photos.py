# ---
# jupyter:
#   jupytext:
#     formats: ipynb,py:percent
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
#   language_info:
#     name: python
# ---

# %% [markdown]
# # Reconstruct your photos
#
# From a folder of posed pictures to a mesh, without masks: look at the data, fit, look at what came of it. Two minutes
# on two CPU cores for the shortened run below; `steps=5000`, as the preset has it, takes five and is much sharper.

# %%
import os

os.environ.setdefault("XLA_PYTHON_CLIENT_PREALLOCATE", "false")  # so that two notebooks can share a GPU
FAST = os.environ.get("SDFREPAR_FAST") == "1"  # a smaller size, for tests

from dataclasses import replace
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
from mpl_toolkits.mplot3d.art3d import Poly3DCollection

from experiments import check_data, make_scene, reconstruct
from experiments.make_scene import MakeConfig
from experiments.presets import PRESETS
from sdfrepar import files

RUNS = (Path("..") if Path.cwd().name == "notebooks" else Path()) / "runs" / "notebooks"

# %% [markdown]
# ## Pictures
#
# To use your own, let `PHOTOS` be their folder: of nerfstudio, COLMAP, NeRF, NeuS or IDR, MVSNet or Middlebury; the
# README has the list. Otherwise a solid is photographed, a tilted ring with a ball above it, by a plain renderer that
# shares nothing with the package's own. Its true shape is kept beside the pictures, for scores alone.

# %%
PHOTOS = None  # Path("my/folder")

data, workdir = PHOTOS or RUNS / "demo_photos", RUNS / "reconstruction"
if PHOTOS is None:
    made = MakeConfig(views=24, test_views=3, resolution=96, surface_points=20_000)
    if FAST:
        made = replace(made, views=6, test_views=1, resolution=24, occupancy_resolution=32, surface_points=1000)
    make_scene.write(made, data)

# %% [markdown]
# ## Are the cameras right?
#
# Most failed reconstructions are failed cameras: another axis convention, an inverted pose, an object outside the unit
# sphere. `check_data` looks at the pictures and says what is wrong in a sentence (and raises), or that nothing is. Its
# pictures show the outline of the unit sphere, in which the object must lie, and the axes of the scene.

# %%
preset = PRESETS["quick"]
check_data.check(data, preset.data, RUNS / "check")

_, axes = plt.subplots(figsize=(12, 6), layout="constrained")
axes.imshow(files.read_image(RUNS / "check" / "overlay.png"))
axes.set_title("the unit sphere over some of the pictures")
axes.set_axis_off()

# %% [markdown]
# ## Fit
#
# All that decides a run is one frozen config, and `dataclasses.replace` makes another of it; on the command line the
# same fields are flags (`--fit.steps=800`). The `quick` preset fits a spline grid with a small colour network, by the
# `grazing` gradient. Stopped and started again, the same call goes on where its last checkpoint was written, unless it
# is told to `overwrite`.

# %%
config = replace(preset, fit=replace(preset.fit, steps=800), pictures=4, mesh_resolution=96)
if FAST:
    config = replace(
        config,
        fit=replace(config.fit, steps=6, pixels=32, eikonal_points=32),
        log_every=2,
        pictures=1,
        mesh_resolution=24,
        picture_samples=1,
    )
metrics = reconstruct.reconstruct(config, data, workdir, overwrite=True)

# %% [markdown]
# `metrics.jsonl` has what happened on the way. The favoured pictures are coarse at first, so that the surface finds its
# place, and become finer (the loss may rise then).

# %%
lines = files.read_json_lines(workdir / "metrics.jsonl")
_, (left, right) = plt.subplots(1, 2, figsize=(10, 3), layout="constrained")
for axes, name, label in (
    (left, "psnr", "PSNR of a step's pixels, dB"),
    (right, "loss/photometric", "photometric loss"),
):
    axes.plot([line["step"] for line in lines], [line[name] for line in lines])
    axes.set(xlabel="step", ylabel=label)
    axes.grid(alpha=0.25)
right.set_yscale("log")

# %% [markdown]
# ## What came of it
#
# Views that were held out: truth, render, error (pale is 0.25), normals, depth. `metrics.json` has their PSNR, SSIM and
# the silhouettes' IoU; where the true shape is known, the Chamfer distance, the IoU of the solids and more.

# %%
shown = sorted((workdir / "images").glob("*.png"))[:3]
figure, grid = plt.subplots(len(shown), 1, figsize=(11, 2.35 * len(shown)), layout="constrained", squeeze=False)
for axes, path in zip(grid[:, 0], shown, strict=True):
    axes.imshow(files.read_image(path))
    axes.set_title(f"{path.stem}: PSNR {metrics['views'][path.stem]['psnr']:.1f} dB", fontsize=10)
    axes.set_axis_off()
for name in ("psnr", "ssim", "silhouette_iou", "iou", "chamfer", "seconds"):
    print(f"{name:15s} {metrics.get(name, np.nan):.4g}")

# %% [markdown]
# `mesh.ply` is the surface in the frame of the input's cameras, with colours: for Blender, MeshLab or `trimesh`.
# `python -m experiments.render_views --workdir=...` turns around it.

# %%
vertices, faces, colours = files.read_coloured_mesh(workdir / "mesh.ply")
middle, reach = vertices.mean(axis=0), 0.8 * np.abs(vertices - vertices.mean(axis=0)).max()
triangles = vertices[faces]
normals = np.cross(triangles[:, 1] - triangles[:, 0], triangles[:, 2] - triangles[:, 0])
normals /= np.maximum(np.linalg.norm(normals, axis=1, keepdims=True), 1e-12)

figure = plt.figure(figsize=(10, 4.6), layout="constrained")
for number, azimuth in enumerate((-60, 120)):
    axes = figure.add_subplot(1, 2, number + 1, projection="3d", computed_zorder=False)
    turn = np.radians(azimuth)
    light = np.array([np.sin(turn - 0.5), 0.8, np.cos(turn - 0.5)]) / np.sqrt(1.64)
    shade = 0.5 + 0.5 * np.clip(normals @ light, 0.0, 1.0)
    colour = colours[faces].mean(axis=1) / 255.0 * shade[:, None]
    # Matplotlib's third axis is up, and the scene's second.
    axes.add_collection3d(Poly3DCollection(triangles[:, :, [2, 0, 1]], facecolors=colour[:, :3]))
    for limits, centre in zip((axes.set_xlim, axes.set_ylim, axes.set_zlim), middle[[2, 0, 1]], strict=True):
        limits(centre - reach, centre + reach)
    axes.view_init(elev=25, azim=azimuth)
    axes.set_box_aspect((1, 1, 1))
    axes.set(title=f"mesh.ply, {len(faces)} triangles", xlabel="z", ylabel="x", zlabel="y")

# %% [markdown]
# ## Your own folder
#
# On the command line, with the preset as it is:
#
# ```
# python -m experiments.check_data --data=FOLDER
# python -m experiments.reconstruct --data=FOLDER --workdir=runs/mine --preset=quick
# ```
#
# What most often helps: `--data.downscale=2` for large pictures; `--data.centre=x,y,z --data.radius=r` where the object
# is a small part of what the cameras see; `--background=sphere` for photographs with surroundings; `--refine_poses` for
# cameras that are only nearly right; `--fit.exposure` where pictures differ in brightness; `--preset=standard` on a
# GPU.
