"""The code of a decoder whose shape looks as a camera has seen it: shape completion by first-order gradients [D20]."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax

from sdfrepar import cameras, losses, observing
from sdfrepar.fitting.step import FitState, state_of, stepped, warm_then_cosine
from sdfrepar.imaging import corners
from sdfrepar.observing import Channel, ObserveConfig, Subject
from sdfrepar.records import Camera, Observation
from sdfrepar.rendering import buffers

# So many measured pixels are never thinned.
_FEW = 100

# Distances of measured points count up to here, scene units: a learnt field knows no more [P19].
_CLAMP = 0.1

# Points at a time.
_BLOCK = 256


@dataclass(frozen=True)
class CompletionConfig:
    """The optimisation of a code; weights as in the code of [D20]."""

    steps: int = 100
    rate: float = 1e-2
    """Learning rate of the code."""
    final_rate: float = 0.05
    """Learning rate at the end, as a share of that at the start; the decay is a cosine."""
    depth_weight: float = 10.0
    normal_weight: float = 5.0
    silhouette_weight: float = 1.0
    surface_weight: float = 0.0
    """Weight of the field where a depth was measured (ours): it tells of rays that miss, or that meet another surface,
    as a rendered depth cannot."""
    reach: float = 0.15
    """Depths that differ by more, scene units, are those of two surfaces of which one hides the other; they count, but
    do not pull, nor do their normals, as no derivative tells what would uncover the other."""
    code_weight: float = 1.0
    """Weight of the mean squared number of the code."""

    def __post_init__(self) -> None:
        """Refuse what cannot work."""
        if self.steps < 1:
            raise ValueError(f"fit.steps is {self.steps}; it must be at least 1.")


class Maps(NamedTuple):
    """What there is to see; axes (height, width)."""

    depth: jax.Array  # (H, W) z seen from the camera, scene units
    normal: jax.Array  # (H, W, 3) outward unit normal, scene frame
    mask: jax.Array  # (H, W) bool, where there is a surface
    measured: jax.Array  # (H, W) bool, where its depth and normal are known
    outlined: jax.Array  # (H, W) bool, where it is known whether there is one


def whole_maps(depth: Any, normal: Any, mask: Any) -> Maps:
    """Maps that know everything: depth (H, W), normal (H, W, 3), mask (H, W)."""
    depth, normal, mask = jnp.asarray(depth), jnp.asarray(normal), jnp.asarray(mask)
    return Maps(depth, normal, mask, mask, jnp.ones_like(mask))


def strided(camera: Camera, maps: Maps, stride: int) -> tuple[Camera, Maps]:
    """Every `stride`-th pixel of a row and of a column, of the camera and of what it sees."""
    return cameras.strided(camera, stride), Maps(*(whole[::stride, ::stride] for whole in maps))


def thinned(maps: Maps, stride: int) -> Maps:
    """The maps that know every `stride`-th pixel of a row and of a column alone; but all that are measured, where this
    would leave too few of them.
    """
    height, width = maps.mask.shape
    some = (jnp.arange(height)[:, None] % stride == 0) & (jnp.arange(width)[None] % stride == 0)
    few = jnp.sum(maps.measured & some) < _FEW
    measured = maps.measured & (some | few)
    return maps._replace(measured=measured, outlined=maps.outlined & (some | measured))


def first_completion_state(config: CompletionConfig, code: jax.Array) -> FitState:
    """The state before the first step, from a code (latent,)."""
    return state_of(_optimiser(config), {"code": code})


def make_completion_step(
    subject: Subject, observe: ObserveConfig, config: CompletionConfig
) -> Callable[[FitState, Any, Camera, Maps], tuple[FitState, dict[str, jax.Array]]]:
    """One jitted step (state, network, camera, true maps) -> (state, metrics), the network's params held.

    The metrics are those of the code before the step: `image`, the weighted loss of what is seen, its terms, and the
    code's length.
    """
    optimiser = _optimiser(config)
    channels: tuple[Channel, ...] = ("silhouette", "normal") if config.normal_weight else ("silhouette",)

    def loss_of(params: Any, network: Any, camera: Camera, true: Maps) -> Any:
        prepared, code = subject.prepare({"network": network, **params}), params["code"]
        wanted = true.measured | true.outlined
        found = observing.observe(subject, observe, prepared, camera, channels=channels, wanted=wanted)
        image, terms = image_loss(config, found, true)
        if config.surface_weight:
            terms["surface"] = _field_at_surface(subject, prepared, camera, true)
            image += config.surface_weight * terms["surface"]
        return image + config.code_weight * jnp.mean(code**2), {
            "image": image,
            **terms,
            "code": jnp.sqrt(jnp.sum(code**2)),
        }

    @partial(jax.jit, donate_argnums=0)
    def step(state: FitState, network: Any, camera: Camera, true: Maps) -> tuple[FitState, dict[str, jax.Array]]:
        gradient, metrics = jax.grad(loss_of, has_aux=True)(state.params, network, camera, true)
        return stepped(optimiser, 0.0, state, gradient, metrics)

    return step


def _field_at_surface(subject: Subject, params: Any, camera: Camera, true: Maps) -> jax.Array:
    """The mean |f| () at the points whose depths are measured; farther off than `_CLAMP` they do not pull."""

    def off(u: jax.Array, depth: jax.Array) -> jax.Array:
        x = cameras.at_depth(camera, u, depth)
        return jnp.minimum(jnp.abs(subject.distance(params, x)), _CLAMP)

    u = corners(*camera.resolution) + 0.5
    measured = true.measured.reshape(-1)
    found = buffers.skipping(off, measured, (u, true.depth.reshape(-1)), parts=max(1, len(u) // _BLOCK))
    return jnp.sum(found) / jnp.maximum(jnp.sum(measured), 1)


def image_loss(config: CompletionConfig, found: Observation, true: Maps) -> tuple[jax.Array, dict[str, jax.Array]]:
    """The weighted loss () of what is seen, and its terms: depth and normals on pixels valid in both, silhouette."""
    both = found.valid & true.measured
    alike = jnp.abs(found.depth - true.depth) < config.reach
    depth = jnp.where(alike, found.depth, jax.lax.stop_gradient(found.depth))
    normal = jnp.where(alike[..., None], found.normal, jax.lax.stop_gradient(found.normal))
    terms = {
        "depth": losses.depth(depth, true.depth, both),
        "normal": losses.normals(normal, true.normal, both),
        "silhouette": outline_loss(found, true),
    }
    weights = config.depth_weight, config.normal_weight, config.silhouette_weight
    return sum((w * term for w, term in zip(weights, terms.values(), strict=True)), jnp.zeros(())), terms


def outline_loss(found: Observation, true: Maps) -> jax.Array:
    """`losses.silhouette` () over the pixels of which it is known whether there is a surface."""
    return losses.silhouette(jnp.where(true.outlined, found.silhouette, 0.0), true.mask)


def _optimiser(config: CompletionConfig) -> optax.GradientTransformation:
    return optax.adam(warm_then_cosine(config.steps, config.rate, 0, config.final_rate), b2=0.99)
