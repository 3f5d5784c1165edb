"""Where the stages meet: samples of the film, pixels with their derivative, whole pictures.

    rays → hits → warps → radiance → pixels

This is the one module that maps the stages over many rays, in buffers of a fixed size where only some rays need work.
"""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any, Literal

import jax
import jax.numpy as jnp

from sdfrepar import cameras, imaging, raygen, shading, tracing, warping
from sdfrepar.fields import Distance
from sdfrepar.records import Camera, Hit, Image, Ray, Sample, Status, Warp
from sdfrepar.tracing import TraceConfig
from sdfrepar.warping import WarpConfig

# Rounds after which rays are left as they are. A round takes what did not fit into the one before, so the first number
# only has to exceed 1 / unfinished_share; a settling round takes its rays past one grazing approach each.
_MARCHING_ROUNDS = 16
_SETTLING_ROUNDS = 24

_CLOSEST = tracing.Observer(warping.closest_init, warping.closest_step)


@dataclass(frozen=True)
class Scene:
    """What there is to see, as pure functions of one pytree of parameters."""

    distance: Distance
    """(params, x) -> () the signed distance."""
    radiance: Callable[[Any, jax.Array, jax.Array, jax.Array], jax.Array]
    """(params, x, normal, direction) -> (3,) linear radiance leaving x against the ray's direction."""
    background: Callable[[Any, jax.Array], jax.Array]
    """(params, direction) -> (3,) linear radiance of a ray that hits nothing."""


@dataclass(frozen=True)
class RenderConfig:
    """How to sample and how to differentiate."""

    gradient: Literal["velocity", "interior"] = "velocity"
    """velocity: silhouettes included [B22]; interior: implicit differentiation at the hit alone [I20], biased."""
    samples_per_side: int = 2
    """Each pixel is sampled in this many strata a side."""
    first_steps: int = 12
    """Marching steps that every ray makes before the unfinished ones are gathered."""
    unfinished_share: float = 0.25
    """Room for the rays that march on, as a share of all; what does not fit takes another round."""
    undecided_share: float = 0.0625
    """Room for the rays that are settled by refinement, as a share of all."""
    band_share: float = 0.25
    """Room for the samples near silhouettes, as a share of all; beyond it a random subset stands for the rest."""
    chunk: int = 16384
    """Rays at a time in whole pictures."""
    trace: TraceConfig = field(default_factory=TraceConfig)
    warp: WarpConfig = field(default_factory=WarpConfig)


def sample_film(
    scene: Scene, config: RenderConfig, params: Any, camera: Camera, u: jax.Array, width: jax.Array, *, key: jax.Array
) -> tuple[Sample, dict[str, jax.Array]]:
    """Radiance and warp at many film positions.

    Args:
        scene: what there is to see.
        config: how.
        params: parameters of the scene.
        camera: S cameras, one a sample.
        u: (S, 2) pixels.
        width: (S,) width of the sampled pixels, in pixels of the full-resolution image.
        key: for the random subset of an overfull band.

    Returns:
        S samples, and measurements of the work: see `_statistics`.

    Gradient: with "velocity", that of the film once `imaging` has turned the samples into pixels.
    """
    rays = jax.vmap(raygen.ray_through)(camera, u)
    hits, grazing = trace_rays(scene.distance, config, params, rays)
    if config.gradient == "velocity":
        in_band = (grazing / width < config.warp.band) & (rays.far > rays.near)
        warp = _warp_band(scene.distance, config, params, camera, u, width, in_band, key)
    else:
        in_band = jnp.zeros(u.shape[0], bool)
        warp = Warp(displacement=jnp.zeros_like(u), divergence=jnp.zeros_like(u[:, 0]))
    radiance = jax.vmap(partial(_radiance, scene, params))(camera, u + warp.displacement, hits)
    point = jax.lax.stop_gradient(rays.origin + hits.distance[:, None] * rays.direction)
    samples = Sample(film=u, radiance=radiance, warp=warp, point=point, status=hits.status)
    return samples, _statistics(config, hits, in_band)


def render_pixels(
    scene: Scene,
    config: RenderConfig,
    params: Any,
    camera: Camera,
    centre: jax.Array,
    width: jax.Array,
    baseline: jax.Array,
    *,
    key: jax.Array,
) -> tuple[jax.Array, Sample, dict[str, jax.Array]]:
    """Tent pixels with their derivative.

    Args:
        scene: what there is to see.
        config: how.
        params: parameters of the scene.
        camera: P cameras, one a pixel.
        centre: (P, 2) pixels.
        width: (P,) pixels of the full-resolution image.
        baseline: (P, 3) the control variate b of `imaging.tent_pixel`, linear: any guess of the pixel that does not
            depend on the samples drawn here; half way between the colours that meet in the pixel is best.
        key: random key.

    Returns:
        (P, 3) linear radiance, the (P, S) samples behind it, and measurements of the work.

    Gradient: in `params`. Unbiased with "velocity" but for the tracer's verdicts; without silhouettes with "interior".
    """
    pixels, per_pixel = centre.shape[0], config.samples_per_side**2
    jitter_key, band_key = jax.random.split(key)
    u = jax.vmap(partial(imaging.tent_positions, per_side=config.samples_per_side))(
        jax.random.split(jitter_key, pixels), centre, width
    )
    per_sample = partial(jnp.repeat, repeats=per_pixel, axis=0, total_repeat_length=pixels * per_pixel)
    samples, statistics = sample_film(
        scene,
        config,
        params,
        jax.tree.map(per_sample, camera),
        u.reshape(-1, 2),
        per_sample(width),
        key=band_key,
    )
    samples = jax.tree.map(lambda s: s.reshape(pixels, per_pixel, *s.shape[1:]), samples)
    return jax.vmap(imaging.tent_pixel)(samples, centre, width, baseline), samples, statistics


def render_image(scene: Scene, config: RenderConfig, params: Any, camera: Camera) -> Image:
    """A whole picture of box pixels, with opacity, depth and normals. Without derivatives.

    Args:
        scene: what there is to see.
        config: `samples_per_side`² regular samples a pixel; `chunk` rays at a time.
        params: parameters of the scene.
        camera: one camera.

    Returns:
        An image of the camera's resolution.

    Gradient: none; use `render_pixels`.
    """
    height, width = camera.resolution
    side = config.samples_per_side
    columns, rows = jnp.meshgrid(jnp.arange(width * side), jnp.arange(height * side), indexing="xy")
    u = (jnp.stack([columns, rows], axis=-1).reshape(-1, 2) + 0.5) / side

    def one_chunk(u: jax.Array) -> Image:
        rays = jax.vmap(raygen.ray_through, in_axes=(None, 0))(camera, u)
        hits, _ = trace_rays(scene.distance, config, params, rays)
        return jax.vmap(partial(_observe, scene, params, camera))(u, hits)

    chunks = -(-u.shape[0] // config.chunk)
    padded = jnp.resize(u, (chunks * config.chunk, 2)) if chunks > 1 else u
    film = jax.lax.map(one_chunk, padded.reshape(chunks, -1, 2))
    film = jax.tree.map(lambda x: x.reshape(-1, *x.shape[2:])[: u.shape[0]], film)
    return _box_pixels(film, height, width, side)


def approach_rays(
    distance: Distance, config: RenderConfig, params: Any, rays: Ray
) -> tuple[Hit, tuple[jax.Array, jax.Array, jax.Array]]:
    """The first `config.first_steps` of many marches: S hits, some undecided, and the state of `warping.closest_step`.

    The first entry of that state is (S,) how close each ray has come to a silhouette so far, pixels.
    """
    config_of_first = replace(config.trace, max_steps=config.first_steps)
    return jax.vmap(lambda ray: tracing.trace(distance, config_of_first, params, ray, _CLOSEST))(rays)


def trace_rays(distance: Distance, config: RenderConfig, params: Any, rays: Ray) -> tuple[Hit, jax.Array]:
    """March many rays, the unfinished and then the undecided ones in smaller buffers.

    Returns:
        S decided hits, and (S,) how close each came to a silhouette on its way, pixels.
    """
    params = jax.lax.stop_gradient(params)

    def march_on(ray: Ray, state: tuple[Hit, Any]) -> tuple[Hit, Any]:
        return tracing.resume(distance, config.trace, params, ray, state, _CLOSEST)

    def settle(ray: Ray, state: tuple[Hit, Any]) -> tuple[Hit, Any]:
        hit = tracing.refine(distance, config.trace, params, ray, state[0])
        return tracing.resume(distance, config.trace, params, ray, (hit, state[1]), _CLOSEST)

    def unfinished(state: tuple[Hit, Any]) -> jax.Array:
        return undecided(state) & (state[0].queries < config.trace.max_steps)

    def undecided(state: tuple[Hit, Any]) -> jax.Array:
        return state[0].status == Status.UNDECIDED

    state = approach_rays(distance, config, params, rays)
    state = _in_rounds(march_on, unfinished, config.unfinished_share, _MARCHING_ROUNDS, rays, state)
    state = _in_rounds(settle, undecided, config.undecided_share, _SETTLING_ROUNDS, rays, state)
    hits, (grazing, _, _) = state
    return hits, grazing


def _warp_band(
    distance: Distance,
    config: RenderConfig,
    params: Any,
    camera: Camera,
    u: jax.Array,
    width: jax.Array,
    in_band: jax.Array,
    key: jax.Array,
) -> Warp:
    """The warp of the samples in the band, zero elsewhere; (S,) records.

    When there are more of them than the buffer holds, a random subset stands for all, each weighted up: unbiased.
    """
    size = u.shape[0]
    capacity = _capacity(config.band_share, size)
    chosen = _choose(in_band, capacity, jax.random.uniform(key, (size,)))
    share = in_band[chosen] * jnp.maximum(jnp.sum(in_band) / capacity, 1.0)

    def march(params: Any, camera: Camera, u: jax.Array) -> tuple[Ray, warping.Path]:
        ray = raygen.ray_through(camera, u)
        observer = tracing.Observer(warping.path_init(config.trace.max_steps), warping.path_step)
        return ray, tracing.trace(distance, config.trace, params, ray, observer)[1]

    one = partial(warping.velocity, distance, config.warp, march, params)
    few = jax.vmap(one)(jax.tree.map(lambda c: c[chosen], camera), u[chosen], width[chosen])
    return Warp(
        displacement=jnp.zeros_like(u).at[chosen].set(few.displacement * share[:, None]),
        divergence=jnp.zeros_like(u[:, 0]).at[chosen].set(few.divergence * share),
    )


def _radiance(scene: Scene, params: Any, camera: Camera, u: jax.Array, hit: Hit) -> jax.Array:
    """L(u; θ) (3,) of one sample whose detached hit is known."""
    ray = raygen.ray_through(camera, u)
    x = shading.surface_point(scene.distance, params, ray, hit.distance)
    n = shading.normal(scene.distance, params, x)
    surface = scene.radiance(params, x, n, ray.direction)
    return jnp.where(hit.status == Status.HIT, surface, scene.background(params, ray.direction))


def _observe(scene: Scene, params: Any, camera: Camera, u: jax.Array, hit: Hit) -> Image:
    """One sample of every channel of an image."""
    ray = raygen.ray_through(camera, u)
    x = shading.surface_point(scene.distance, params, ray, hit.distance)
    opacity = (hit.status == Status.HIT).astype(u.dtype)
    return Image(
        radiance=_radiance(scene, params, camera, u, hit),
        opacity=opacity,
        depth=opacity * cameras.project(camera, x)[1],
        normal=opacity * shading.normal(scene.distance, params, x),
    )


def _box_pixels(film: Image, height: int, width: int, side: int) -> Image:
    """Average the samples (height * side * width * side, ...) of each pixel; depth and normal over its hits."""

    def mean(x: jax.Array) -> jax.Array:
        return x.reshape(height, side, width, side, -1).mean(axis=(1, 3))

    opacity = mean(film.opacity)
    covered = jnp.maximum(opacity, 1e-6)
    normal = mean(film.normal)
    length = jnp.sqrt(jnp.sum(normal**2, axis=-1, keepdims=True))
    return Image(
        radiance=mean(film.radiance),
        opacity=opacity[..., 0],
        depth=(mean(film.depth) / covered)[..., 0],
        normal=normal / jnp.maximum(length, 1e-6),
    )


def _in_rounds(
    work: Callable[[Ray, Any], Any],
    wanted: Callable[[Any], jax.Array],
    share: float,
    rounds: int,
    rays: Ray,
    state: Any,
) -> Any:
    """Apply `work` to the wanted rays, gathered in a buffer of fixed size, until none is left or `rounds` are over."""
    size = rays.near.shape[0]
    capacity = _capacity(share, size)

    def unsettled(carry: tuple[jax.Array, Any]) -> jax.Array:
        done, state = carry
        return (done < rounds) & jnp.any(wanted(state))

    def one_round(carry: tuple[jax.Array, Any]) -> tuple[jax.Array, Any]:
        done, state = carry
        chosen = _choose(wanted(state), capacity, jnp.zeros(size))
        some_rays, some = jax.tree.map(lambda x: x[chosen], (rays, state))
        some = jax.vmap(work)(some_rays, some)
        return done + 1, jax.tree.map(lambda whole, part: whole.at[chosen].set(part), state, some)

    return jax.lax.while_loop(unsettled, one_round, (jnp.zeros((), jnp.int32), state))[1]


def _choose(wanted: jax.Array, capacity: int, order: jax.Array) -> jax.Array:
    """Indices (capacity,) that hold the wanted entries first, in falling `order` (values in [0, 1))."""
    return jax.lax.top_k(wanted + order, capacity)[1]


def _capacity(share: float, size: int) -> int:
    """A share of a batch as a whole number of rays, at least one."""
    return min(size, max(1, round(share * size)))


def _statistics(config: RenderConfig, hits: Hit, in_band: jax.Array) -> dict[str, jax.Array]:
    """Shares of all samples: hits, undecided rays, the band; the fill of the band's buffer; mean queries a ray."""
    size = in_band.shape[0]
    return {
        "hit_rate": jnp.mean(hits.status == Status.HIT),
        "undecided": jnp.mean(hits.status == Status.UNDECIDED),
        "band": jnp.mean(in_band),
        "band_fill": jnp.sum(in_band) / _capacity(config.band_share, size),
        "queries": jnp.mean(hits.queries),
    }
