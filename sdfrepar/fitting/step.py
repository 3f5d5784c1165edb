"""One step of the optimiser, on all devices that are visible."""

from collections.abc import Callable, Hashable, Sequence
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
from flax import struct
from jax.flatten_util import ravel_pytree

from sdfrepar import losses
from sdfrepar.fitting.config import FitConfig
from sdfrepar.fitting.objective import choose_batch, objective_of_batch
from sdfrepar.fitting.pixels import Pixels
from sdfrepar.fitting.shares import AXIS, Share
from sdfrepar.rendering import RenderConfig, Scene


@struct.dataclass(kw_only=True)
class FitState:
    """Everything that changes from step to step."""

    params: Any  # as they are optimised
    average: Any  # moving average of params
    optimiser: Any  # optax's state
    step: jax.Array  # () int32, steps done


def make_optimiser(config: FitConfig) -> optax.GradientTransformation:
    """Adam under a cosine decay, on clipped gradients; the field warms up, so that colours come before shape.

    Cameras, where they are refined, warm up for longer, and turn later still: they are right but for a little, and the
    first shape is not.
    """

    def adam(rate: float, warm_up: int) -> optax.GradientTransformation:
        schedule = warm_then_cosine(config.steps, rate, warm_up, config.final_rate)
        return optax.chain(optax.clip_by_global_norm(config.clip), optax.adam(schedule, b2=0.99))

    def group(params: Any) -> dict[str, str]:
        return {name: {"sdf": "shape", "poses": "poses"}.get(name, "colour") for name in params}

    groups: dict[Hashable, optax.GradientTransformation] = {
        "shape": adam(config.shape_rate, config.warm_up),
        "colour": adam(config.colour_rate, 1),
        "poses": optax.chain(
            adam(config.pose_rate, max(round(config.pose_warm_up * config.steps), 1)),
            optax.scale_by_schedule(partial(_turning_last, config)),
        ),
    }
    return optax.multi_transform(groups, group)


def warm_then_cosine(steps: int, rate: float, warm_up: int, final_rate: float) -> optax.Schedule:
    """A learning rate that rises from zero over `warm_up` steps, and then falls to a share `final_rate` of itself."""
    return optax.warmup_cosine_decay_schedule(
        init_value=0.0,
        peak_value=rate,
        warmup_steps=warm_up,
        decay_steps=max(steps, warm_up + 1),
        end_value=final_rate * rate,
    )


def _turning_last(config: FitConfig, count: jax.typing.ArrayLike) -> jax.Array:
    """Factors (1, 6) of the numbers of `cameras.moved`: those that pictures tell least stand still until it is time."""
    is_late = jnp.array([[True, True, False, False, False, True]])
    return jnp.where(is_late, jnp.asarray(count) >= config.pose_turning * config.steps, 1.0)


def on_all_devices(tree: Any, devices: Sequence[Any] | None = None) -> Any:
    """A copy of a pytree on every device, of all hosts: what `make_step` takes."""
    sharding = jax.NamedSharding(_mesh(devices), jax.P())

    def copied(leaf: jax.Array) -> jax.Array:
        if jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key):
            return jax.random.wrap_key_data(copied(jax.random.key_data(leaf)), impl=jax.random.key_impl(leaf))
        # By way of the host: an array that is on a device already cannot be put on another host's.
        return jax.device_put(np.asarray(leaf), sharding)

    return jax.tree.map(copied, tree)


def first_state(config: FitConfig, params: Any) -> FitState:
    """The state before the first step, where the params are."""
    return state_of(make_optimiser(config), params)


def state_of(optimiser: optax.GradientTransformation, params: Any) -> FitState:
    """The state of an optimiser before its first step."""
    return FitState(params=params, average=params, optimiser=optimiser.init(params), step=jnp.zeros((), jnp.int32))


def stepped(
    optimiser: optax.GradientTransformation, average: float, state: FitState, gradient: Any, metrics: dict[str, Any]
) -> tuple[FitState, dict[str, Any]]:
    """The state a step further down a gradient, its moving average with a decay of `average`, and the metrics."""
    updates, optimiser_state = optimiser.update(gradient, state.optimiser, state.params)
    params = optax.apply_updates(state.params, updates)
    # Early on the average follows closely, so that it forgets where it began.
    decay = jnp.minimum(average, (1.0 + state.step) / (10.0 + state.step))
    return FitState(
        params=params,
        average=optax.incremental_update(params, state.average, 1.0 - decay),
        optimiser=optimiser_state,
        step=state.step + 1,
    ), {**metrics, "gradient_norm": optax.tree.norm(gradient)}


def start(config: FitConfig, params: Any, devices: Sequence[Any] | None = None) -> FitState:
    """`first_state` on all devices, where a step leaves it: so that all steps are one program."""
    return on_all_devices(first_state(config, params), devices)


def make_step(
    scene: Scene,
    render_config: RenderConfig,
    config: FitConfig,
    devices: Sequence[Any] | None = None,
    parts: int = 1,
) -> Callable[[FitState, Pixels, jax.Array], tuple[FitState, dict[str, jax.Array]]]:
    """One jitted step (state, pixels, key) -> (state, metrics). The batch depends on the key and the step alone.

    Args:
        scene: what is fitted.
        render_config: how it is rendered.
        config: how it is fitted.
        devices: which share the pixels of a step; all that are visible if not given.
        parts: equal parts, one after the other, in which a device does its share: memory falls with their number, and
            the gradient stays what it was while the band's buffer has room in each. Their number times that of the
            devices must divide `config.pixels` and `config.eikonal_points`.

    Raises:
        ValueError: the devices and parts do not divide the batch.
    """
    optimiser = make_optimiser(config)
    gradient_of = shared_gradient(scene, render_config, config, devices, parts)

    everywhere = jax.NamedSharding(_mesh(devices), jax.P())

    @partial(jax.jit, donate_argnums=0, in_shardings=everywhere, out_shardings=everywhere)
    def step(state: FitState, pixels: Pixels, key: jax.Array) -> tuple[FitState, dict[str, jax.Array]]:
        progress, step_key = state.step / config.steps, jax.random.fold_in(key, state.step)
        gradient, metrics = gradient_of(state.params, pixels, progress, step_key)
        return stepped(optimiser, config.average, state, gradient, metrics)

    return step


def shared_gradient(
    scene: Scene,
    render_config: RenderConfig,
    config: FitConfig,
    devices: Sequence[Any] | None = None,
    parts: int = 1,
) -> Callable[[Any, Pixels, jax.Array, jax.Array], tuple[Any, dict[str, jax.Array]]]:
    """(params, pixels, progress, key) -> (gradient of the loss, metrics), each device doing its share of the pixels.

    Every device marches until its own rays are done, part after part, and one all-reduce adds up gradients and metrics.

    Raises:
        ValueError: the devices and parts do not divide the batch.
    """
    devices = jax.devices() if devices is None else devices
    count = len(devices)
    if config.pixels % (count * parts) or config.eikonal_points % (count * parts):
        raise ValueError(
            f"fit.pixels is {config.pixels} and fit.eikonal_points {config.eikonal_points}, which {count} devices "
            f"cannot share evenly in {parts} parts each; make both multiples of {count * parts}, or let fewer devices "
            "be seen."
        )

    def of_a_share(
        params: Any, pixels: Pixels, progress: jax.Array, key: jax.Array
    ) -> tuple[Any, dict[str, jax.Array]]:
        share = Share(jax.lax.axis_index(AXIS) if count > 1 else 0, count)
        batch_key, loss_key = jax.random.split(key)
        prepared, to_params = jax.vjp(scene.prepare, params)
        chosen = choose_batch(scene, render_config, config, prepared, pixels, progress, key=batch_key, share=share)

        def of_a_part(index: jax.Array | int) -> tuple[Any, dict[str, jax.Array]]:
            loss = partial(objective_of_batch, scene, render_config, config)
            own = Share(index, parts).of(chosen)
            return jax.grad(loss, has_aux=True)(prepared, *own, progress, key=loss_key, share=share.part(index, parts))

        summands, unravel = ravel_pytree(_sum_of(of_a_part, parts))
        gradient, metrics = unravel(jax.lax.psum(summands, AXIS))
        metrics["psnr"] = losses.psnr_of(metrics.pop("squared_error"))
        return to_params(gradient)[0], metrics

    # Everything that goes in and comes out is the same on all devices. Without the check of replication a gradient
    # is that of the device's own loss, and the sum over devices stands where it is read above.
    return jax.shard_map(of_a_share, mesh=_mesh(devices), in_specs=jax.P(), out_specs=jax.P(), check_vma=False)


def _sum_of(work: Callable[[jax.Array | int], Any], count: int) -> Any:
    """Σ_i work(i), one after the other."""
    if count == 1:
        return work(0)

    def one_more(total: Any, index: jax.Array) -> tuple[Any, None]:
        return jax.tree.map(jnp.add, total, work(index)), None

    nothing = jax.tree.map(lambda x: jnp.zeros(x.shape, x.dtype), jax.eval_shape(lambda: work(jnp.asarray(0))))
    return jax.lax.scan(one_more, nothing, jnp.arange(count))[0]


def _mesh(devices: Sequence[Any] | None) -> jax.sharding.Mesh:
    devices = jax.devices() if devices is None else devices
    return jax.make_mesh((len(devices),), (AXIS,), devices=devices, axis_types=(jax.sharding.AxisType.Auto,))
