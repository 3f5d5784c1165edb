"""The camera that sees a known shape as depth and silhouette show it, by first-order gradients [D20 Fig. 6]."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax

from sdfrepar import cameras, losses, observing
from sdfrepar.fitting.completion import outline_loss
from sdfrepar.fitting.maps import Maps, strided
from sdfrepar.fitting.step import warm_then_cosine
from sdfrepar.observing import Channel, ObserveConfig, Subject
from sdfrepar.records import Camera


@dataclass(frozen=True)
class PoseConfig:
    """The search, from coarse to fine."""

    strides: tuple[int, ...] = (2, 1)
    """The pixels that are looked at, stage after stage: every so many of a row and of a column."""
    steps: tuple[int, ...] = (100, 30)
    """Steps of each stage."""
    rate: float = 0.02
    """Learning rate, radians and scene units."""
    final_rate: float = 0.02
    """Learning rate at the end, as a share of that at the start; the decay is a cosine."""
    depth_weight: float = 1.0
    """Weight of `losses.depth`."""
    silhouette_weight: float = 0.3
    """Weight of `losses.silhouette`."""
    normal_weight: float = 0.0
    """Weight of `losses.normals`."""
    near: float = 0.05
    """Differences of depth beyond this, scene units, count ever less: there another part of the shape is seen."""

    def __post_init__(self) -> None:
        """Refuse what cannot work."""
        if not self.steps or len(self.steps) != len(self.strides) or min(*self.steps, *self.strides) < 1:
            raise ValueError(
                f"fit.strides is {self.strides} and fit.steps {self.steps}; expected as many of both, one for each "
                "stage, all at least 1."
            )
        if self.near <= 0:
            raise ValueError(f"fit.near is {self.near} scene units; it must be positive, say 0.05.")


class Way(NamedTuple):
    """How a search went, N steps."""

    motions: jax.Array  # (N + 1, 6) of `cameras.moved`, from the first camera; the last is what was found
    losses: jax.Array  # (N,) before each step


def make_pose_search(
    subject: Subject, observe: ObserveConfig, config: PoseConfig
) -> Callable[[Any, Camera, Maps], Way]:
    """A jitted search (params, camera to start from, true maps) -> way.

    The maps are those of the camera's resolution, of rays through pixel centres.
    """
    channels: tuple[Channel, ...] = ("silhouette", "normal") if config.normal_weight else ("silhouette",)
    rate = warm_then_cosine(sum(config.steps), config.rate, 0, config.final_rate)
    optimiser = optax.adam(rate, b2=0.99)

    def loss_of(motion: jax.Array, params: Any, first: Camera, true: Maps) -> jax.Array:
        found = observing.observe(subject, observe, params, cameras.moved(first, motion), channels=channels)
        both = found.valid & true.measured
        loss = config.depth_weight * losses.depth(found.depth, true.depth, both, near=config.near)
        loss += config.silhouette_weight * outline_loss(found, true)
        return loss + config.normal_weight * losses.normals(found.normal, true.normal, both)

    def stage(state: Any, stride: int, steps: int, params: Any, first: Camera, true: Maps) -> tuple[Any, Any]:
        camera, maps = strided(first, true, stride)

        def step(state: Any, _: None) -> tuple[Any, Any]:
            motion, memory = state
            loss, gradient = jax.value_and_grad(loss_of)(motion, params, camera, maps)
            update, memory = optimiser.update(gradient, memory)
            return (motion + update, memory), (motion, loss)

        return jax.lax.scan(step, state, None, length=steps)

    @jax.jit
    def search(params: Any, first: Camera, true: Maps) -> Way:
        state, parts, params = (jnp.zeros(6), optimiser.init(jnp.zeros(6))), [], subject.prepare(params)
        for stride, steps in zip(config.strides, config.steps, strict=True):
            state, part = stage(state, stride, steps, params, first, true)
            parts.append(part)
        motions, values = jax.tree.map(lambda *leaves: jnp.concatenate(leaves), *parts)
        return Way(jnp.concatenate([motions, state[0][None]]), values)

    return search
