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
# # Why silhouettes need a warp
#
# A picture's derivative has a part that its samples do not see. Here is that part in one dimension, then on the film,
# and what becomes of it in a picture. Two minutes.

# %%
import os

os.environ.setdefault("XLA_PYTHON_CLIENT_PREALLOCATE", "false")  # so that two notebooks can share a GPU
FAST = os.environ.get("SDFREPAR_FAST") == "1"  # a smaller size, for tests

from dataclasses import replace
from functools import partial

import jax
import jax.numpy as jnp
import matplotlib.pyplot as plt
import numpy as np

from experiments import gradient_scenes
from sdfrepar import cameras, fields, gradcheck, raygen, reports, warping
from sdfrepar.gradcheck import GradcheckConfig
from sdfrepar.imaging import FilmConfig
from sdfrepar.numerics import bump
from sdfrepar.rendering import GradientConfig, RenderConfig, Scene, sample_film
from sdfrepar.rendering.rays import march
from sdfrepar.tracing import TraceConfig
from sdfrepar.warping.velocity import top_weights

# %% [markdown]
# ## One dimension
#
# A pixel is an integral of light over a film, `I(θ) = ∫ k(u) L(u; θ) du`, with a filter k. Let L be bright to the left
# of an edge at θ and dark to its right. As θ grows the edge sweeps over the film and I grows smoothly, by `dI/dθ = k(θ)
# (bright - dark)`.
#
# A renderer averages samples. Each of them is bright or dark; none changes when θ moves a little. Their average is a
# staircase, and its derivative is zero wherever it exists: automatic differentiation, asked for the derivative of the
# average, gives zero, however many samples there are.

# %%
BRIGHT, DARK = 1.0, 0.2


def k(u):
    """The filter: a tent over [0, 1], of integral one."""
    return 4.0 * jnp.minimum(u, 1.0 - u)


def light(u, θ):
    """L(u; θ): it jumps at θ."""
    return jnp.where(u < θ, BRIGHT, DARK)


def average(θ, u):
    """What a renderer computes."""
    return jnp.mean(k(u) * light(u, θ))


# %% [markdown]
# The remedy is to let the samples move along: `T(u; θ) = u + V(u; θ)`, where V is zero in *value*, so that the picture
# stays what it was; its *derivative* at the edge is the edge's own speed, and falls off smoothly to both sides. A
# change of variables brings the factor `dT/du`. In
#
# $$E(θ) = \frac{1}{N} \sum_i k(T_i)\, L(T_i; θ)\, \frac{∂T}{∂u}$$
#
# samples never cross the edge, and the whole derivative sits in factors that are smooth.


# %%
def V(u, θ):
    """A warp: at the edge it moves as the edge does, with speed 1."""
    now = jax.lax.stop_gradient(θ)
    return bump(jnp.abs(u - now), 0.0, 0.35) * (θ - now)


def warped(θ, u):
    """The same value as `average`, and the integral's derivative on average."""
    T, stretch = jax.vmap(jax.value_and_grad(lambda u: u + V(u, θ)))(u)
    return jnp.mean(k(T) * light(T, θ) * stretch)


def stratified(key, count):
    """One sample in each of so many equal parts of [0, 1]."""
    return (jnp.arange(count) + jax.random.uniform(key, (count,))) / count


θ = jnp.linspace(0.005, 0.995, 100 if FAST else 400)
few = stratified(jax.random.key(1), 12)
many = jax.vmap(lambda key: stratified(key, 12))(jax.random.split(jax.random.key(2), 256))
exact = jnp.where(θ < 0.5, 2.0 * θ**2, 1.0 - 2.0 * (1.0 - θ) ** 2) * (BRIGHT - DARK) + DARK
by_samples = jax.jit(jax.vmap(jax.value_and_grad(average), (0, None)))(θ, few)
by_warp = jax.jit(jax.vmap(jax.value_and_grad(warped), (0, None)))(θ, few)
mean_by_warp = jax.jit(jax.vmap(lambda θ: jnp.mean(jax.vmap(jax.grad(warped), (None, 0))(θ, many))))(θ)

figure, (left, middle, right) = plt.subplots(1, 3, figsize=(13, 3.6), layout="constrained")
now = 0.42
film = np.linspace(0, 1, 501)
left.plot(film, light(film, now), color="tab:orange", label="light L")
left.plot(film, k(film), color="grey", label="filter k")
left.plot(few, light(few, now), "o", color="black", markersize=4, label="12 samples")
left.set(title=f"a pixel whose edge is at θ = {now}", xlabel="u")
middle.plot(θ, exact, color="tab:green", label="exact")
middle.plot(θ, by_samples[0], color="black", linewidth=1, label="12 samples")
middle.set(title="the pixel I(θ)", xlabel="θ")
right.plot(θ, (BRIGHT - DARK) * k(θ), color="tab:green", linewidth=3, alpha=0.5, label="exact")
right.plot(θ, by_samples[1], color="black", label="of the samples: 0")
right.plot(θ, by_warp[1], color="tab:blue", linewidth=0.7, label="of 12 warped samples")
right.plot(θ, mean_by_warp, "--", color="tab:red", label="their mean")
right.set(title="its derivative dI/dθ", xlabel="θ")
for axes in (left, middle, right):
    axes.legend(fontsize=8, loc="lower center" if axes is right else "best")
    axes.grid(alpha=0.25)

# %% [markdown]
# ## On the film
#
# On a film of two dimensions edges are silhouettes, and nobody knows where they are. [B22] finds them by the rays.
# Along a ray that grazes the surface there is a point where the field f vanishes and its gradient n is at right angles
# to the ray. The measure `S = |f| + λ |n·d|` is zero there and nowhere else, so that the weight `S^-γ` has a pole at
# the silhouette. Every point that a ray's march visits anyway moves along with the field, `δ = -(f(x; θ) - f(x; θ₀)) n
# / |n|²`; the mean of these motions, seen on the film, weighted by `S^-γ`, is a warp.
#
# Below is the plane through a camera and the middle of a sphere. Colours show the weight; dots are points that the
# march visits, as large as their share in the mean of their ray. Far from the silhouette many points count a little;
# the nearer a ray comes to it, the more all weight is on the one point that touches the surface.

# %%
RADIUS, AWAY, side = 0.6, 2.5, 64
scene = Scene(
    distance=fields.sphere,
    radiance=lambda params, x, normal, direction: jnp.ones(3),
    background=lambda params, origin, direction: jnp.zeros(3),
)
params = {"radius": jnp.array(RADIUS)}
camera = cameras.look_at(
    jnp.array([0.0, 0.0, -AWAY]), jnp.zeros(3), jnp.array([0.0, 1.0, 0.0]), field_of_view=0.8, resolution=(side, side)
)
focal = float(camera.focal[0])
outline = focal * RADIUS / np.sqrt(AWAY**2 - RADIUS**2)  # radius of the silhouette, pixels
speed = focal * AWAY**2 / (AWAY**2 - RADIUS**2) ** 1.5  # at which it grows, pixels a unit of the radius
config = RenderConfig(
    trace=TraceConfig(max_steps=32), gradient=GradientConfig(method="velocity", band=float("inf"), band_share=1.0)
)
constants = config.gradient.velocity
nothing = jax.tree.map(lambda x: x[None], warping.Approaches.none())


@jax.jit
@jax.vmap
def weights(u):
    """Points (K, 3) of the ray through u that weigh most, and their weights (K,)."""
    ray = raygen.ray_through(camera, u)
    path = march(scene.distance, config, params, camera, u)
    weight, kept = top_weights(constants, ray, path, nothing)
    t = jnp.concatenate([path.t, nothing.t])[kept]
    return ray.origin + t[:, None] * ray.direction, weight


@jax.jit
@jax.vmap
def log_weight(x):
    """log10 of S^-γ at a point, seen from the camera."""
    direction = (x - camera.position) / jnp.linalg.norm(x - camera.position)
    f, n = jax.value_and_grad(scene.distance, argnums=1)(params, x)
    return -constants.gamma * jnp.log10(jnp.abs(f) + constants.angle_weight * jnp.abs(n @ direction) + 1e-3)


offsets = np.array([-12.0, -4.0, -1.0, 1.0, 4.0, 12.0])
u = jnp.asarray(np.stack([0.5 * side + outline + offsets, np.full_like(offsets, 0.5 * side)], axis=-1), jnp.float32)
visited, shares = map(np.asarray, weights(u))
across, ahead = np.meshgrid(np.linspace(0.0, 1.0, 60 if FAST else 300), np.linspace(-1.0, 1.0, 120 if FAST else 600))
plane = np.stack([across, np.zeros_like(across), ahead], axis=-1).reshape(-1, 3)
intensity = np.asarray(log_weight(jnp.asarray(plane, jnp.float32))).reshape(across.shape)

figure, axes = plt.subplots(figsize=(9, 4.6), layout="constrained")
shown = axes.pcolormesh(ahead, across, intensity, cmap="magma", shading="auto", rasterized=True)
figure.colorbar(shown, ax=axes, label="log₁₀ S$^{-γ}$", shrink=0.85)
axes.add_patch(plt.Circle((0, 0), RADIUS, fill=False, color="white", linewidth=1.5))
for points, share, offset, colour in zip(visited, shares, offsets, plt.cm.cool(np.linspace(0, 1, 6)), strict=True):
    last = points[share > 0][:, 2].max() if offset < 0 else 1.0
    slope = (0.5 * side - (0.5 * side + outline + offset)) / focal
    z = np.array([-1.0, last])
    axes.plot(z, -slope * (z + AWAY), color=colour, linewidth=0.8)
    axes.scatter(
        points[:, 2],
        np.abs(points[:, 0]),
        160 * share,
        color=colour,
        edgecolor="black",
        linewidth=0.4,
        label=f"{offset:+.0f} pixels from the silhouette",
        zorder=3,
    )
axes.legend(fontsize=7, loc="lower center", markerscale=0.7)
axes.set(
    title="weights of a sphere's points: the camera is far to the left",
    xlabel="z",
    ylabel="|x|",
    aspect="equal",
    xlim=(-1, 1),
    ylim=(0, 1),
)

# %% [markdown]
# The warp itself is the package's: `sample_film` returns it with every sample, zero in value, and `jax.jvp` shows what
# it is in the derivative: V, in pixels for a unit of the radius. This is the picture of [B22, Fig. 5]: the film moves
# outwards (left), and on the silhouette (dashed) V is the silhouette's own speed (right), as it must be. How it goes on
# from there is free, so long as it is smooth.
#
# So the package multiplies V by a bump that is one at silhouettes and zero some pixels away: samples beyond that band
# need no warp at all. Other methods take other means. `distance` [V22] averages the places of the points first, and
# moves the one point that comes of it; `grazing`, the default here, goes to the closest approach at once. On the
# outline of a sphere they all do the same.


# %%
@partial(jax.jit, static_argnums=0)
def velocities(config, u):
    """V (K, 2) at film positions u (K, 2), pixels for a unit of the radius."""
    rig = jax.tree.map(lambda leaf: jnp.broadcast_to(leaf, (len(u), *leaf.shape)), camera)

    def displacement(params):
        samples, _ = sample_film(scene, config, params, rig, u, jnp.ones(len(u)), key=jax.random.key(0))
        return samples.warp.displacement

    return jax.jvp(displacement, (params,), ({"radius": jnp.ones(())},))[1]


def with_method(method, band):
    """The config with another gradient."""
    share = 1.0 if band == float("inf") else 0.5
    return replace(config, gradient=replace(config.gradient, method=method, band=band, band_share=share))


step = 4
arrows = np.stack(np.meshgrid(np.arange(step / 2, side, step), np.arange(step / 2, side, step)), -1).reshape(-1, 2)
line = np.sort(np.append(np.linspace(0.02, 0.5 * side - 0.5, 100 if FAST else 500), outline))
row = np.stack([0.5 * side + line, np.full_like(line, 0.5 * side + 0.013)], axis=-1)
film_positions = jnp.asarray(np.concatenate([arrows, row]), jnp.float32)

shown_as = {
    ("velocity", float("inf")): {"linewidth": 3, "color": "tab:blue"},
    ("velocity", 4.0): {"linewidth": 4, "color": "tab:orange"},
    ("distance", 4.0): {"linewidth": 2, "color": "tab:green"},
    ("grazing", 4.0): {"linewidth": 1, "color": "black", "linestyle": "--"},
}
found = {
    key: np.asarray(velocities(with_method(*key), film_positions)) for key in list(shown_as)[: 1 if FAST else None]
}

figure, (left, right) = plt.subplots(1, 2, figsize=(11, 4.6), layout="constrained", width_ratios=(1, 1.35))
whole = found["velocity", float("inf")]
size = np.linalg.norm(whole[: len(arrows)], axis=-1)
shown = left.quiver(
    *arrows.T, *whole[: len(arrows)].T, size, angles="xy", scale=18 * speed, width=0.005, cmap="viridis"
)
figure.colorbar(shown, ax=left, label="|V|, pixels a unit of the radius", shrink=0.85)
left.add_patch(plt.Circle((side / 2, side / 2), outline, fill=False, linestyle="--"))
left.set(
    title="V on the film, γ = 4",
    xlabel="u[0], pixels",
    ylabel="u[1], pixels",
    aspect="equal",
    xlim=(0, side),
    ylim=(side, 0),
)
for (method, band), values in found.items():
    label = method + (", everywhere" if band == float("inf") else f", band of {band:.0f} pixels")
    right.plot(line, values[len(arrows) :, 0], label=label, **shown_as[method, band])
right.axvline(outline, color="grey", linestyle="--", linewidth=1)
right.plot(outline, speed, "k*", markersize=12, label="the silhouette's own speed", zorder=3)
right.set(
    title="V along a row, outwards", xlabel="distance from the middle, pixels", ylabel="V, pixels a unit of the radius"
)
right.legend(fontsize=8)
right.grid(alpha=0.25)
for (method, band), values in found.items():
    on_silhouette = values[len(arrows) + np.searchsorted(line, outline), 0]
    print(f"{method}, band {band}: V on the silhouette is {on_silhouette / speed:.3f} of its speed")

# %% [markdown]
# ## In a picture
#
# The derivative of a picture of a marbled ring in its outer radius, by finite differences, which trust nobody; by the
# interior alone, which is what automatic differentiation of the samples gives, and what IDR [I20] uses; and with the
# warp. Red gets brighter, blue darker. The interior knows that the marbling moves, and misses every outline, the ring's
# own before itself included.

# %%
ring = gradient_scenes.torus(16 if FAST else 64)
checks = {}
for method in ("interior",) if FAST else ("interior", "velocity"):
    check = GradcheckConfig(
        render=RenderConfig(
            film=FilmConfig(samples_per_side=2 if FAST else 5),
            trace=TraceConfig(max_steps=32),
            gradient=GradientConfig(method=method),
        ),
        repetitions=2 if FAST else 4,
        reference_repetitions=2 if FAST else 6,
    )
    reference = checks["interior"].reference if checks else None
    checks[method] = gradcheck.check(
        ring.scene, ring.params, ring.camera, ring.direction, config=check, reference=reference
    )

truth = checks["interior"].reference.mean
scale = float(np.quantile(np.abs(truth), 0.995))
panels = [("the picture", checks["interior"].value), ("finite differences", truth)]
for method, report in checks.items():
    panels += [(method, report.estimate.mean), (f"{method}: error {report.error:.0%}", report.bias)]
figure, grid = plt.subplots(1, len(panels), figsize=(2.5 * len(panels), 3.1), layout="constrained")
for number, (axes, (title, values)) in enumerate(zip(grid, panels, strict=True)):
    axes.imshow(values if number == 0 else reports.signed_picture(values, scale), cmap="gray")
    axes.set_title(title, fontsize=10)
    axes.set_axis_off()
for method, report in checks.items():
    print(f"{method:10s} sum of the gradient {report.estimate.sum:+8.2f}, truth {report.reference.sum:+8.2f}")

# %% [markdown]
# What the interior misses is most of what tells a shape from its pictures: without it a fit does not find the object,
# or needs masks. Next: [check a gradient](03_check_a_gradient.ipynb), of your own field.
