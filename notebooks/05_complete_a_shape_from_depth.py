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
# # Complete a shape from depth
#
# Fifty depths of one view, and the outline: what is the whole shape, its back included? Only someone who knows the kind
# of thing can tell. That someone is a *prior*: a decoder with a code for each shape of a family [P19]. Here a small one
# is learnt of mugs, and a mug that it has not seen is completed. Two minutes.

# %%
import os

os.environ.setdefault("XLA_PYTHON_CLIENT_PREALLOCATE", "false")  # so that two notebooks can share a GPU
FAST = os.environ.get("SDFREPAR_FAST") == "1"  # a smaller size, for tests

from dataclasses import replace
from functools import partial
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np

from experiments import train_prior
from experiments.priors import completion_figures, listing, pictures, scans, scores, store
from experiments.priors.completing import Completion, MethodConfig
from experiments.priors.pictures import Pictures
from experiments.priors.store import PriorConfig
from sdfrepar import reports
from sdfrepar.fitting import ClaimsConfig, CodesConfig
from sdfrepar.networks import DecoderConfig

RUNS = (Path("..") if Path.cwd().name == "notebooks" else Path()) / "runs"

# %% [markdown]
# ## A family of shapes
#
# If `python -m experiments.train_prior --workdir=runs/prior` has been run (planes, mugs and tables; twenty minutes),
# that prior is taken. Otherwise a decoder of 4 layers of 64 learns 24 procedural mugs, each from distances at some
# thousand points. A mug is a code of 8 numbers then.

# %%
small = PriorConfig(
    families=("mug:24",),
    samples=12_000,
    network=DecoderConfig(latent=8, width=64, depth=4, skip=2, activation="softplus"),
    fit=CodesConfig(steps=1000, shapes=8, points=512, rate=2e-3, code_rate=3e-3, warm_up=50),
)
if FAST:
    small = replace(
        small,
        families=("mug:3",),
        samples=500,
        network=replace(small.network, latent=2, width=16, depth=2, skip=0),
        fit=replace(small.fit, steps=40, shapes=3, points=64, warm_up=4),
    )
workdir = RUNS / "prior"
if FAST or not (workdir / "metrics.json").is_file():
    workdir = RUNS / "notebooks" / ("mugs_fast" if FAST else "mugs")
    train_prior.train(small, [], workdir)
prior = store.load(workdir)
print(f"{workdir}: {len(prior.names)} shapes, codes of {prior.codes.shape[1]} numbers")

# %% [markdown]
# True mugs above, what is decoded of their codes below; then what lies between the codes of two of them: all of it
# mugs.

# %%
drawn = Pictures(prior)
camera = pictures.camera(24 if FAST else 112)
mugs = {name: partial(listing.one, prior.config, name) for name in prior.names if name.startswith("mug")}
_, (above, below) = plt.subplots(2, 1, figsize=(10, 5.2), layout="constrained", height_ratios=(2, 1))
for axes, (picture, title) in zip(
    (above, below),
    zip(drawn.of_families(mugs, camera).values(), ("true, and decoded", "from one code to another"), strict=True),
    strict=True,
):
    axes.imshow(picture)
    axes.set_title(title)
    axes.set_axis_off()

# %% [markdown]
# ## What is seen
#
# A mug of the same family that was not learnt, seen from one side. Of all its pixels 50 have a depth (red); of all
# others it is known whether the mug covers them. A depth camera or LiDAR gives no more, of things that shine even less.

# %%
name = "mug 45"
shape = listing.one(prior.config, name)
scan = scans.of_shape(shape, pictures.camera(24 if FAST else 48), density="50", noise=0.0, seed=0)
mask, rows_columns = np.asarray(scan.maps.mask), np.argwhere(np.asarray(scan.maps.measured))

side = mask.shape[0]
_, (left, right) = plt.subplots(1, 2, figsize=(7.5, 3.9), layout="constrained")
left.imshow(pictures.true(shape, scan.camera), extent=(0, side, side, 0))
left.set_title(f"{name}: its normals, which nobody tells")
right.imshow(np.where(mask, 0.85, 1.0), cmap="gray", vmin=0, vmax=1, extent=(0, side, side, 0))
shown = right.scatter(
    rows_columns[:, 1] + 0.5,
    rows_columns[:, 0] + 0.5,
    14,
    np.asarray(scan.maps.depth)[tuple(rows_columns.T)],
    cmap="plasma",
)
plt.colorbar(shown, ax=right, label="depth, scene units", shrink=0.8)
right.set_title(f"{len(rows_columns)} depths and the outline")
for axes in (left, right):
    axes.set_axis_off()

# %% [markdown]
# ## Its code
#
# A depth claims something of the field at single points: it is zero at the depth, and not negative before it; a ray
# within the outline meets the inside somewhere, one beside it nowhere. What a code misses of all these claims is
# minimised by damped least squares, from the mean and from the nearest learnt shapes; at the end the decoder's biases
# may give a little, for what no code decodes to.

# %%
method = MethodConfig()
if FAST:
    method = MethodConfig(starts=1, fit=ClaimsConfig(steps=2, bias_steps=0))
completion = Completion(method, prior)
codes = {"mean mug": prior.mean_code("mug")}
if not FAST:
    codes["50 depths"] = completion.code("ours", scan, "mug")
codes["and the outline"] = completion.code("ours + mask", scan, "mug")

_, axes = plt.subplots(figsize=(11, 5), layout="constrained")
axes.imshow(completion_figures.case(drawn, scan, shape, codes))
axes.set_title("from the camera, and from behind")
axes.set_axis_off()

# %% [markdown]
# The Chamfer distance of the whole surface, that from behind included: the sum of the mean squared distances both ways
# (an object is about one unit across).

# %%
truth = scores.true_points(shape, 1000 if FAST else 20_000)
rows = []
for title, code in codes.items():
    params = prior.decoder.prepare(prior.params(code))
    distance = scores.chamfer(prior.decoder.distance, params, truth, 24 if FAST else 96)
    rows.append([title, "nothing is decoded" if distance is None else f"{distance:.2e}"])
print(reports.table(["", "Chamfer"], rows))

# %% [markdown]
# The same on the command line, with a mesh in the end; of a depth image or of points of one's own as well:
#
# ```
# python -m experiments.complete_shape --prior=runs/prior --shape="mug 45" --density=50 --workdir=runs/mug
# python -m experiments.complete_shape --prior=runs/prior --depth=DEPTH.png --camera=CAMERA.json --workdir=runs/own
# ```
#
# Next: [bring your own field](06_bring_your_own_field.ipynb).
