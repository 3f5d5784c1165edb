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
# # Bring your own field
#
# Whatever you can write as `distance(params, x)` can be rendered, checked, and fitted to pictures: a few solids with a
# dozen numbers, or a network of your own. Two minutes.

# %%
import os

os.environ.setdefault("XLA_PYTHON_CLIENT_PREALLOCATE", "false")  # so that two notebooks can share a GPU
FAST = os.environ.get("SDFREPAR_FAST") == "1"  # a smaller size, for tests

from functools import partial

import flax.linen as nn
import jax
import jax.numpy as jnp
import matplotlib.pyplot as plt
import numpy as np

from sdfrepar import cameras, fields, files, fitting, gradcheck, reports, shading
from sdfrepar.fitting import FitConfig
from sdfrepar.gradcheck import GradcheckConfig
from sdfrepar.imaging import FilmConfig
from sdfrepar.numerics import safe_norm
from sdfrepar.records import Views
from sdfrepar.rendering import RenderConfig, Scene, render_image
from sdfrepar.tracing import TraceConfig

# %% [markdown]
# ## The contract
#
# `distance(params, x)`: any pytree of parameters, **one** point `(3,)` in, a number `()` out, negative inside. It
# should be
#
# - C1 in x within the unit sphere: softplus rather than ReLU, smooth unions rather than `min`;
# - no steeper than about 1: rays step as far as it says. Some excess is forgiven, as marches look back. A field that is
#   far flatter is safe, and takes many steps, of which a march has `TraceConfig.max_steps`;
# - free of Python side effects and of batch axes, as everything in JAX that is mapped and differentiated.
#
# First a network, as a Flax module that knows nothing of this package. It starts as a ball, to which its layers add
# next to nothing: a field that starts as noise has no surface to begin with.


# %%
class Blob(nn.Module):
    """A point (3,) to a distance (): a ball, and what two smooth layers add."""

    width: int = 48
    activation: str = "softplus"

    @nn.compact
    def __call__(self, x):
        """Distance () at x (3,)."""
        act = {"softplus": lambda h: nn.softplus(10.0 * h) / 10.0, "relu": nn.relu}[self.activation]
        h = act(nn.Dense(self.width)(2.0 * x))
        h = act(nn.Dense(self.width)(h))
        added = nn.Dense(1, kernel_init=nn.initializers.normal(0.02))(h)[0]
        return jnp.sqrt(x @ x + 0.01) - 0.6 + added


blob = Blob()
initial = blob.init(jax.random.key(0), jnp.zeros(3))["params"]

# %% [markdown]
# Is it one? Along any line its slope should have no jumps and stay near one. With ReLU in place of softplus it jumps.

# %%
way = np.linspace(-1.0, 1.0, 100 if FAST else 600)
points = jnp.asarray(np.stack([way, np.full_like(way, 0.3), np.full_like(way, -0.2)], axis=-1), jnp.float32)
louder = jax.tree.map(lambda leaf: 3.0 * leaf, initial)  # as after some training

_, axes = plt.subplots(figsize=(7, 3), layout="constrained")
for activation in ("relu", "softplus"):
    module = Blob(activation=activation)
    normals = jax.vmap(lambda x, m=module: fields.gradient(lambda p, x: m.apply({"params": p}, x), louder, x))(points)
    axes.plot(way, normals[:, 1], label=activation, linewidth=1.2)
axes.set(title="one component of the field's gradient, along a line", xlabel="x", ylabel="∂f/∂y")
axes.legend()
axes.grid(alpha=0.25)

# %% [markdown]
# ## A scene
#
# A `Scene` is made of functions of *one* tree of parameters. Call the field's part of it `"sdf"`: fits move that with
# `FitConfig.shape_rate`, and all the rest, colours for instance, with `colour_rate`. Here the colour is a single
# albedo, and the light is known.

# %%
LIGHT = jnp.array([0.5, 0.7, -0.5]) / jnp.sqrt(0.99)


def lit(distance):
    """The scene of a field: matt, one colour, before white."""
    return Scene(
        distance=lambda params, x: distance(params["sdf"], x),
        radiance=lambda params, x, n, direction: shading.lambert(nn.sigmoid(params["colour"]), n, LIGHT, ambient=0.3),
        background=lambda params, origin, direction: jnp.ones(3),
    )


network = lit(lambda params, x: blob.apply({"params": params}, x))
network_params = {"sdf": initial, "colour": jnp.zeros(3)}

# %% [markdown]
# The second field has fourteen numbers: two balls, joined smoothly, with a third taken away (constructive solid
# geometry), and the widths of the two fillets. `fields` has solids and ways to combine them; any part may be your own,
# as the ball.


# %%
def ball(params, x):
    """Distance to a ball somewhere."""
    return safe_norm(x - params["position"]) - params["radius"]


carved = fields.smooth_difference(fields.smooth_union(ball, ball), ball)


def solid(*balls):
    """Params of `carved`, of three radii and positions."""
    first, second, third = ({"radius": jnp.array(radius), "position": jnp.array(place)} for radius, place in balls)
    joined = {"first": first, "second": second, "width": jnp.array(0.15)}
    return {"first": joined, "second": third, "width": jnp.array(0.1)}


true_sdf = solid((0.45, [-0.3, -0.1, 0.0]), (0.32, [0.4, 0.15, -0.1]), (0.3, [-0.35, 0.3, -0.35]))
start = solid((0.35, [-0.2, 0.0, 0.0]), (0.35, [0.2, 0.0, 0.0]), (0.2, [-0.2, 0.4, -0.2]))
csg, csg_params = lit(carved), {"sdf": start, "colour": jnp.zeros(3)}

# %% [markdown]
# ## Does its gradient hold?
#
# One call, in a random direction through all parameters ([how to read it](03_check_a_gradient.ipynb)).

# %%
side = 16 if FAST else 48
angles = np.linspace(0.0, 2.0 * np.pi, 3 if FAST else 10, endpoint=False)
places = [2.6 * np.array([np.cos(a), 0.6 * np.sin(2 * a + 1), np.sin(a)]) for a in angles]
rig = [
    cameras.look_at(
        jnp.asarray(place, jnp.float32),
        jnp.zeros(3),
        jnp.array([0.0, 1.0, 0.0]),
        field_of_view=0.75,
        resolution=(side, side),
    )
    for place in places
]
leaves, tree = jax.tree.flatten(csg_params)
keys = jax.random.split(jax.random.key(3), len(leaves))
direction = tree.unflatten([jax.random.normal(key, leaf.shape) for key, leaf in zip(keys, leaves, strict=True)])
check = GradcheckConfig(
    render=RenderConfig(film=FilmConfig(samples_per_side=2 if FAST else 6)),
    repetitions=2 if FAST else 4,
    reference_repetitions=2 if FAST else 32,
    step=0.002,  # the direction is long: balls move by a tenth of a pixel
)
print(gradcheck.check(csg, csg_params, rig[0], direction, config=check))

# %% [markdown]
# The sum agrees; the picture's bias is some percent, of which most is the noise of so few repetitions (the ± above),
# and some the narrow fillets, which are nearly kinks: wider ones, or more repetitions, tell them apart. It serves for a
# fit.

# %% [markdown]
# ## Fit it to pictures
#
# The pictures are of the carved solid. `Views` is what every reader of `sdfrepar.datasets` returns; here it is made by
# hand. `gather_pixels` puts all pixels of all pyramid levels on the device, and `make_step` is one jitted step of the
# optimiser, which renders a batch of them with the gradient of silhouettes. No masks.

# %%
render = RenderConfig(film=FilmConfig(samples_per_side=3), trace=TraceConfig(max_steps=24))


@partial(jax.jit, static_argnums=0)
def picture(scene, params, camera):
    """One picture (H, W, 3), linear."""
    return render_image(scene, render, params, camera).radiance


def drawn(scene, params):
    """Pictures (N, H, W, 3), linear, by all cameras."""
    return np.stack([np.asarray(picture(scene, params, camera)) for camera in rig])


truth = drawn(csg, {"sdf": true_sdf, "colour": jnp.array([0.9, -0.2, -1.5])})
views = Views(
    images=truth,
    cameras=jax.tree.map(lambda *leaves: np.stack(leaves), *rig),
    names=tuple(f"view_{number}" for number in range(len(rig))),
    world_from_scene=np.eye(4),
)
pixels = fitting.on_all_devices(fitting.gather_pixels(views, levels=3))


def fit(scene, params, config):
    """The params after all steps, averaged over the last ones, and the loss of every step."""
    state, step = fitting.start(config, params), fitting.make_step(scene, render, config)
    key, losses = fitting.on_all_devices(jax.random.key(0)), []
    for _ in range(config.steps):
        state, metrics = step(state, pixels, key)
        losses.append(metrics["loss/photometric"])
    return jax.tree.map(jnp.asarray, state.average), np.asarray(losses)


common = {"pixels": 32 if FAST else 256, "eikonal_points": 32 if FAST else 128, "warm_up": 20, "colour_rate": 0.03}
configs = {
    # Solids are distances already.
    "solids": (csg, csg_params, FitConfig(steps=4 if FAST else 250, shape_rate=0.01, eikonal_weight=0.0, **common)),
    # A network has to be told to stay one.
    "network": (network, network_params, FitConfig(steps=4 if FAST else 400, shape_rate=2e-3, **common)),
}
if FAST:
    del configs["solids"]
fitted = {name: fit(*of) for name, of in configs.items()}

# %%
rows = {"pictures": truth}
for name, (scene, params, _) in configs.items():
    rows |= {f"{name}: start": drawn(scene, params), f"{name}: fitted": drawn(scene, fitted[name][0])}
shown = range(0, len(rig), max(len(rig) // 5, 1))
_, grid = plt.subplots(len(rows), len(shown), figsize=(1.7 * len(shown), 1.75 * len(rows)), layout="constrained")
for line, (title, pictures) in zip(grid, rows.items(), strict=True):
    for axes, view in zip(line, shown, strict=True):
        axes.imshow(files.encode_srgb(np.clip(pictures[view], 0.0, 1.0)))
        axes.set(xticks=[], yticks=[])
    line[0].set_ylabel(title, fontsize=9)

_, axes = plt.subplots(figsize=(7, 3), layout="constrained")
for name, (_, losses) in fitted.items():
    axes.plot(losses, label=name, linewidth=0.8)
axes.set(title="photometric loss of a step's pixels", xlabel="step", yscale="log")
axes.legend()
axes.grid(alpha=0.25)

# %% [markdown]
# The solids' numbers have a meaning, so that one can see how near they came. The two balls are found; the third, whose
# dent few of the pictures show, was drawn out of the solid before it was where it belongs, and then nothing is seen of
# it: what takes away should begin where it takes something away that is seen.

# %%
found = fitted["solids"][0]["sdf"] if "solids" in fitted else start
table = []
for name, of in (
    ("first ball", lambda sdf: sdf["first"]["first"]),
    ("second ball", lambda sdf: sdf["first"]["second"]),
    ("what is taken away", lambda sdf: sdf["second"]),
):
    for what, sdf in (("start", start), ("found", found), ("true", true_sdf)):
        numbers = [of(sdf)["radius"], *of(sdf)["position"]]
        table.append([name, what, *(f"{float(number):+.3f}" for number in numbers)])
print(reports.table(["", "", "radius", "x", "y", "z"], table))

# %% [markdown]
# To hand a field to the experiments' pipeline (checkpoints, held-out views, meshes) see `sdfrepar.networks.scene`,
# which does for its own three what this notebook did: networks, grids of hashed features
# (`NetworkConfig(field="features")`), and voxels.
