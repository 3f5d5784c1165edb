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
# # Render an SDF
#
# From a formula to a picture: what a field must be, what a camera is, and what comes out. A few seconds.

# %%
import os

os.environ.setdefault("XLA_PYTHON_CLIENT_PREALLOCATE", "false")  # so that two notebooks can share a GPU
FAST = os.environ.get("SDFREPAR_FAST") == "1"  # a smaller size, for tests

import jax
import jax.numpy as jnp
import matplotlib.pyplot as plt
import numpy as np

from sdfrepar import cameras, fields, files, reports, shading
from sdfrepar.imaging import FilmConfig
from sdfrepar.rendering import RenderConfig, Scene, render_image

# %% [markdown]
# ## A field
#
# A *signed distance function* says of any point how far the surface is: positive outside, negative inside, zero on the
# surface. Here a field is a pure function `distance(params, x)` of some parameters (any pytree of arrays) and **one**
# point `x` of shape `(3,)`. Nothing needs a batch axis: whoever needs many points uses `jax.vmap`.
#
# The formula below is a ball with dimples. The ripples make the field steeper than a distance, so it is divided by the
# steepest slope that it can have: a field may say that the surface is *nearer* than it is, never that it is farther.


# %%
def dimpled_ball(params, x):
    """A field, negative inside: a ball with ripples of some depth and frequency."""
    ripple = params["depth"] * jnp.prod(jnp.sin(params["frequency"] * x))
    steepest = 1.0 + params["depth"] * params["frequency"]
    return (jnp.sqrt(x @ x + 1e-12) - params["radius"] - ripple) / steepest


params = {"radius": jnp.array(0.68), "depth": jnp.array(0.11), "frequency": jnp.array(9.0)}

# %% [markdown]
# A slice through it. The black line is the surface; grey lines are at equal steps of the field. The object lies in the
# *unit sphere* (dashed), the only place where rays are marched. To the right, the slope: it stays below one.

# %%
axis = np.linspace(-1.15, 1.15, 60 if FAST else 240)
across, up = np.meshgrid(axis, axis)
height = np.pi / 18  # of the slice: where the ripples are deepest
points = jnp.asarray(np.stack([across, up, np.full_like(across, height)], axis=-1), jnp.float32).reshape(-1, 3)
value = np.asarray(fields.values(dimpled_ball, params, points)).reshape(across.shape)
slopes = jax.jit(jax.vmap(lambda x: jnp.linalg.norm(fields.gradient(dimpled_ball, params, x))))(points)

figure, (left, right) = plt.subplots(1, 2, figsize=(10, 4.3), layout="constrained")
shown = left.contourf(across, up, value, np.linspace(-0.5, 0.5, 21), cmap="RdBu_r", extend="both")
left.contour(across, up, value, np.linspace(-0.5, 0.5, 21), colors="grey", linewidths=0.4, linestyles="solid")
figure.colorbar(shown, ax=left, label="f, scene units")
shown = right.contourf(across, up, np.asarray(slopes).reshape(across.shape), np.linspace(0, 1, 21), cmap="viridis")
figure.colorbar(shown, ax=right, label="|∂f/∂x|")
for axes, title in ((left, "the field"), (right, "its slope")):
    axes.contour(across, up, value, [0.0], colors="black", linewidths=1.5)
    axes.add_patch(plt.Circle((0, 0), np.sqrt(1 - height**2), fill=False, linestyle="--", color="black", linewidth=0.8))
    axes.set(title=f"{title}, at z = {height:.2f}", xlabel="x", ylabel="y", aspect="equal")

# %% [markdown]
# ## A scene and a camera
#
# A `Scene` is three functions of one tree of parameters: the field; the light that leaves a point of the surface; and
# the light of a ray that meets nothing. Colours are *linear*: they are turned into sRGB when they are shown.

# %%
LIGHT = jnp.array([0.5, 0.7, -0.5]) / jnp.sqrt(0.99)


def matt(params, x, normal, direction):
    """Linear radiance (3,): matt, darker in the dimples."""
    lifted = jnp.clip((jnp.linalg.norm(x) - params["radius"]) / params["depth"], -1.0, 1.0)
    albedo = jnp.array([0.75, 0.45, 0.2]) + lifted * jnp.array([0.2, 0.25, 0.15])
    return shading.lambert(albedo, normal, LIGHT, ambient=0.15)


scene = Scene(
    distance=dimpled_ball,
    radiance=matt,
    background=lambda params, origin, direction: jnp.full(3, 0.9),
)

# %% [markdown]
# Cameras follow OpenCV: x to the right, y **down**, z ahead; a pose leads from the camera to the scene. Film positions
# `u` count pixels, columns first, from the picture's upper left corner, so that the first pixel's centre is `(0.5,
# 0.5)`. Resolutions are `(height, width)`, as arrays have them. Angles are radians.

# %%
side = 32 if FAST else 320
camera = cameras.look_at(
    jnp.array([1.4, 1.3, -2.2]),  # position, scene units
    jnp.zeros(3),  # looks at the origin
    jnp.array([0.0, 1.0, 0.0]),  # a direction that appears upright
    field_of_view=0.75,
    resolution=(side, side),
)
config = RenderConfig(film=FilmConfig(samples_per_side=2 if FAST else 3))


@jax.jit
def render(params, camera):
    """Radiance, opacity, depth and normals of every pixel."""
    return render_image(scene, config, params, camera)


image = jax.tree.map(np.asarray, render(params, camera))

# %% [markdown]
# `render_image` gives every channel at once. Depth is z along the camera's axis, not along the ray; normals are in the
# frame of the scene, and shown as the colours (n + 1) / 2.

# %%
panels = {
    "radiance, as sRGB": files.encode_srgb(np.clip(image.radiance, 0.0, 1.0)),
    "opacity": np.repeat(image.opacity[..., None], 3, axis=-1),
    "normals": reports.normal_picture(image.normal, image.opacity),
    "depth, near is bright": reports.depth_picture(image.depth, image.opacity),
}
figure, grid = plt.subplots(1, 4, figsize=(13, 3.6), layout="constrained")
for axes, (title, picture) in zip(grid, panels.items(), strict=True):
    axes.imshow(picture, extent=(0, side, side, 0))
    axes.set_title(title)
    axes.set_axis_off()

# %% [markdown]
# `cameras.project` leads from a point of the scene to the film, so that what is drawn over a picture falls into place:
# the axes of the scene, and the outline of the unit sphere. y points up in the scene, and `u[1]` counts down.

# %%
ends, _ = jax.vmap(cameras.project, (None, 0))(camera, jnp.concatenate([jnp.zeros((1, 3)), jnp.eye(3)]))
origin, *tips = np.asarray(ends)
# The outline of the unit sphere is a circle on the plane through the tangent points.
distance = float(jnp.linalg.norm(camera.position))
towards = camera.position / distance
first = jnp.cross(towards, jnp.array([0.0, 1.0, 0.0]))
first /= jnp.linalg.norm(first)
turn = jnp.linspace(0.0, 2.0 * jnp.pi, 200)[:, None]
circle = jnp.cos(turn) * first[None] + jnp.sin(turn) * jnp.cross(towards, first)[None]
tangent = towards[None] / distance + np.sqrt(1.0 - 1.0 / distance**2) * circle
outline, _ = jax.vmap(cameras.project, (None, 0))(camera, tangent)

figure, axes = plt.subplots(figsize=(4.6, 4.6), layout="constrained")
axes.imshow(panels["radiance, as sRGB"], extent=(0, side, side, 0))
for name, tip, colour in zip("xyz", tips, ("tab:red", "tab:green", "tab:blue"), strict=True):
    axes.annotate("", tip, origin, arrowprops={"arrowstyle": "->", "color": colour, "linewidth": 2})
    axes.text(*tip, name, color=colour, fontsize=13)
axes.plot(*np.asarray(outline).T, "--", color="black", linewidth=0.8)
axes.set(title="axes of the scene, and the unit sphere", xlabel="u[0], pixels", ylabel="u[1], pixels")

# %% [markdown]
# ## When a field claims too much
#
# Rays step from point to point, as far as the field says that nothing is in their way. A field that overstates the
# distance lets them step through the surface: here is the same ball, four times as steep. Its front is missing in
# places, and one looks at walls from within. Where a picture looks like this, divide the field by its steepest slope.

# %%
overstated = Scene(distance=lambda params, x: 4.0 * dimpled_ball(params, x), radiance=matt, background=scene.background)
wrong = jax.jit(lambda params: render_image(overstated, config, params, camera).radiance)(params)

figure, grid = plt.subplots(1, 2, figsize=(7, 3.7), layout="constrained")
for axes, picture, title in zip(grid, (image.radiance, wrong), ("never farther", "four times as far"), strict=True):
    axes.imshow(files.encode_srgb(np.clip(np.asarray(picture), 0.0, 1.0)))
    axes.set_title(title)
    axes.set_axis_off()

# %% [markdown]
# Next: [why silhouettes need a warp](02_why_silhouettes_need_a_warp.ipynb).
