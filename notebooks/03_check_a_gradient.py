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
# # Check a gradient
#
# Is the derivative of a picture of *your* field right? `gradcheck.check` holds it against finite differences of the
# picture, and says so in a sentence. Three minutes, most of which go into compiling.

# %%
import os

os.environ.setdefault("XLA_PYTHON_CLIENT_PREALLOCATE", "false")  # so that two notebooks can share a GPU
FAST = os.environ.get("SDFREPAR_FAST") == "1"  # a smaller size, for tests

from dataclasses import replace

import jax.numpy as jnp
import matplotlib.pyplot as plt
import numpy as np

from sdfrepar import cameras, fields, gradcheck, reports
from sdfrepar.gradcheck import GradcheckConfig
from sdfrepar.imaging import FilmConfig
from sdfrepar.rendering import RenderConfig, Scene

# %% [markdown]
# ## A field and a direction
#
# The field is an ellipsoid, by a well-known approximation of its distance. A picture has many derivatives: one for each
# number in `params`. A check looks along one direction through them all, a tree like `params`: here the ellipsoid gets
# longer in x, and a little flatter in y.


# %%
def ellipsoid(params, x):
    """Nearly the distance to an ellipsoid with these half axes, negative inside."""
    scaled = jnp.sqrt(jnp.sum((x / params["axes"]) ** 2) + 1e-12)
    slope = jnp.sqrt(jnp.sum((x / params["axes"] ** 2) ** 2) + 1e-12)
    return scaled * (scaled - 1.0) / slope


params = {"axes": jnp.array([0.7, 0.45, 0.5])}
direction = {"axes": jnp.array([1.0, -0.3, 0.0])}
side = 12 if FAST else 24
camera = cameras.look_at(
    jnp.array([1.3, 1.1, -1.9]), jnp.zeros(3), jnp.array([0.0, 1.0, 0.0]), field_of_view=0.6, resolution=(side, side)
)
config = GradcheckConfig(
    render=RenderConfig(film=FilmConfig(samples_per_side=2 if FAST else 6)),
    repetitions=2 if FAST else 8,
    reference_repetitions=2 if FAST else 24,
    step=0.01,  # of the finite difference: silhouettes move by a seventh of a pixel
)
egg = Scene(ellipsoid)  # a matt white solid before black, unless you say otherwise
report = gradcheck.check(egg, params, camera, direction, config=config)
print(report)

# %% [markdown]
# Line by line:
#
# - *finite difference*: the reference, and its own noise: the standard error of the picture's sum, and of the picture
#   (relative L2). It costs four pictures a repetition and works in any direction, but in one only.
# - *estimate*: what automatic differentiation of the package's picture gives, and its noise.
# - *error*: how far the sums differ; then, over the whole picture, the error with all noise in it; the **bias**, which
#   is what is left when noise is taken off; and the error of *one* estimate, as a step of an optimiser sees it.
# - the verdict: **AGREES**, **BIASED**, **TOO NOISY TO TELL** (take more repetitions), or **NOT FINITE**.
#
# `report.passed` is for tests; `report.reference.mean`, `report.estimate.mean` and `report.bias` are pictures. Red gets
# brighter, blue darker.


# %%
def show(report, name):
    """The picture, both derivatives, and the error, on one scale."""
    scale = float(np.quantile(np.abs(report.reference.mean), 0.995))
    shown = {
        name: np.repeat(np.clip(report.value, 0.0, 1.0)[..., None], 3, axis=-1),
        "finite difference": reports.signed_picture(report.reference.mean, scale),
        report.method: reports.signed_picture(report.estimate.mean, scale),
        f"error: bias {report.bias_l2:.0%}": reports.signed_picture(report.bias, scale),
    }
    _, grid = plt.subplots(1, 4, figsize=(12, 3.3), layout="constrained")
    for axes, (title, picture) in zip(grid, shown.items(), strict=True):
        axes.imshow(picture)
        axes.set_title(title)
        axes.set_axis_off()


show(report, "the picture")

# %% [markdown]
# ## Methods
#
# `GradientConfig.method` says how silhouettes are followed. The reference is the same for all, and is handed on. Bars
# are the error to expect of a single estimate of so many samples: bias (dark) and noise together. The interior alone is
# biased by all that silhouettes have to tell; the relaxed boundary [W24] by less; the three warps by nothing that this
# check can tell from its finite differences. The default is `grazing`.

# %%
methods = ("grazing",) if FAST else ("grazing", "velocity", "distance", "relaxed", "interior")
compared = {"grazing": report}
for method in methods[1:]:
    gradient = replace(config.render.gradient, method=method)
    other = replace(config, render=replace(config.render, gradient=gradient))
    compared[method] = gradcheck.check(egg, params, camera, direction, config=other, reference=report.reference)
    print(f"{method:10s} {compared[method].verdict}")

figure, axes = plt.subplots(figsize=(6.5, 2.8), layout="constrained")
axes.barh(
    list(compared), [r.single_error for r in compared.values()], color="tab:blue", alpha=0.4, label="one estimate"
)
axes.barh(list(compared), [r.bias_l2 for r in compared.values()], color="tab:blue", height=0.4, label="its bias")
axes.invert_yaxis()
axes.set(title="error of the gradient picture", xlabel="relative L2 error")
axes.grid(axis="x", alpha=0.25)
axes.legend()

# %% [markdown]
# ## A field that fails
#
# A field should be C1: its gradient has no jumps. A box with sharp edges breaks that where it is seen. Its outline is
# made of edges, on which the normal is one or another and never at right angles to a ray, so that no warp finds them;
# and where an edge is seen between two faces, the brightness jumps at what is no silhouette. What the edges' motion
# does to the picture is missed.

# %%
block = Scene(fields.box)
wider = {"half_extent": jnp.array([1.0, 0.0, 0.0]), "rounding": jnp.array(0.0)}


def box_with_rounding(rounding):
    """Params of a box of one size, its edges included."""
    return {"half_extent": jnp.array([0.45, 0.3, 0.4]) - rounding, "rounding": jnp.asarray(rounding)}


sharp = gradcheck.check(block, box_with_rounding(0.0), camera, wider, config=config)
show(sharp, "a sharp box")
print(sharp)

# %% [markdown]
# The remedy is to make the field C1, at a scale that the picture can see: round the edges by a few pixels. Here a pixel
# is 0.06 scene units wide at the box.

# %%
rounded = gradcheck.check(block, box_with_rounding(0.12), camera, wider, config=config)
show(rounded, "a rounded box")
print(rounded)

# %% [markdown]
# When a check of your own field fails:
#
# | the error picture shows | because | so |
# |---|---|---|
# | lines along edges and creases | a kink: `min`, `max`, `abs`, ReLU | `fields.smooth_union`, rounded edges, softplus |
# | lines within a face | a texture jumps | let it be continuous |
# | specks; holes in the picture itself | the field overstates the distance | divide it by its steepest slope |
# | faint lines along silhouettes | slopes near zero, or without bound | scale the field; an eikonal term |
# | nothing: NOT FINITE | a root, a norm or a division at zero | `numerics.safe_norm` and its neighbours |
#
# Next: [reconstruct your photos](04_reconstruct_your_photos.ipynb).
