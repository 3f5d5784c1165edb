"""Following the silhouettes: the chosen method, for the samples near one."""

from functools import partial
from typing import Any

import jax
import jax.numpy as jnp

from sdfrepar import raygen, shading, warping
from sdfrepar.numerics import tangent_of
from sdfrepar.records import Camera, Hit, Status, Warp
from sdfrepar.rendering import buffers
from sdfrepar.rendering.config import RenderConfig, Scene
from sdfrepar.rendering.rays import march, point_at, rays_through

# Below a hit the closest approach is looked for this deep, in lengths of fading: any deeper than 0.9 has faded,
# whatever its curvature.
_DEPTH = 1.25

# Room for the rays that are looked into below their hits, and for the approaches that are searched, as shares of all;
# what does not fit takes another round.
_ROUND = 0.25


def warp_band(
    scene: Scene,
    config: RenderConfig,
    params: Any,
    camera: Camera,
    u: jax.Array,
    width: jax.Array,
    traced: tuple[Hit, warping.Trail],
    in_band: jax.Array,
    key: jax.Array,
) -> Warp:
    """The warp of the samples in the band, zero elsewhere; (S,) records.

    When there are more of them than the buffer holds, a random subset stands for all.
    """
    work = partial(warps, scene, config, params)
    return buffers.stand_for(work, in_band, config.gradient.band_share, (camera, u, width, *traced, in_band), key)


def relax_band(
    scene: Scene,
    config: RenderConfig,
    params: Any,
    camera: Camera,
    u: jax.Array,
    width: jax.Array,
    lows: warping.Lows,
    behind: jax.Array,
    in_band: jax.Array,
    key: jax.Array,
) -> jax.Array:
    """The widened boundary term (S, 3) of the samples in the band, zero in value; `behind` (S, 3) is their radiance."""
    work = jax.vmap(partial(_relaxed, scene, config, params))
    return buffers.stand_for(work, in_band, config.gradient.band_share, (camera, u, width, lows, behind), key)


def warps(
    scene: Scene,
    config: RenderConfig,
    params: Any,
    camera: Camera,
    u: jax.Array,
    width: jax.Array,
    hits: Hit,
    trails: warping.Trail,
    wanted: jax.Array,
) -> Warp:
    """V and div V of K samples by the chosen method, limited to the band, in pixels.

    Only the wanted ones cost work, as many rounds of it as there are; the others' results need not be right.

    Args:
        scene: what there is to see.
        config: how.
        params: parameters of the scene.
        camera: K cameras.
        u: (K, 2) pixels.
        width: (K,) width of the sampled pixels, in pixels of the full-resolution image.
        hits: K hits.
        trails: of the K marches.
        wanted: (K,) bool.

    Gradient: that of V, first order, in `params` and `camera`; zero in value.
    """
    still_params, still_camera = jax.lax.stop_gradient((params, camera))
    found, moved = closest_approaches(scene, config, still_params, still_camera, u, width, hits, trails, wanted)

    def coefficients(camera: Camera, *of_u: Any) -> warping.Coefficients:
        return warping.coefficients(partial(points, scene, config, still_params, camera), *of_u)

    c = buffers.for_the_wanted(coefficients, wanted, _ROUND, (still_camera, u, found, moved))
    count, each = c.t.shape
    attach = partial(warping.attach, scene.distance, point_at, params)
    spread = jax.tree.map(lambda x: jnp.repeat(x, each, axis=0), (camera, u))
    flat = jax.tree.map(lambda x: x.reshape(count * each, *x.shape[2:]), c)
    added = buffers.skipping(attach, jnp.any(flat.a != 0, axis=1), (*spread, flat))
    return jax.tree.map(lambda x: x.reshape(count, each, *x.shape[1:]).sum(axis=1), added)


def points(
    scene: Scene, config: RenderConfig, params: Any, camera: Camera, u: jax.Array, found: warping.Approaches
) -> tuple[jax.Array, jax.Array]:
    """The points t_i (K,) of a ray whose motion the warp follows, and their coefficients a_i (K, 2)."""
    gradient, ray = config.gradient, raygen.ray_through(camera, u)
    if gradient.method == "grazing":
        t, a = warping.grazing_points(ray, found)
        return t, warping.rim(ray) * a
    path = march(scene.distance, config, params, camera, u)
    if gradient.method == "distance":
        t, a = warping.distance_points(scene.distance, gradient.distance, params, ray, path, found)
    else:
        t, a = warping.velocity_points(scene.distance, gradient.velocity, params, ray, path, found)
    return t, warping.rim(ray) * warping.limiter(found, gradient.band) * a


def closest_approaches(
    scene: Scene,
    config: RenderConfig,
    params: Any,
    camera: Camera,
    u: jax.Array,
    width: jax.Array,
    hits: Hit,
    trails: warping.Trail,
    wanted: jax.Array,
) -> tuple[warping.Approaches, warping.Approaches]:
    """The closest approaches of K rays, (K, J), and their derivatives in u, (K, 2, J).

    Few rays have as many as there is room for, and not all hits look into the solid: the work is done in rounds.
    """
    grazing = config.gradient.grazing
    rays = rays_through(camera, u, width)
    look = partial(warping.look_beyond, scene.distance, _DEPTH * grazing.length, params)
    look_into = wanted & (hits.status == Status.HIT)
    lows = buffers.for_the_wanted(look, look_into, _ROUND, (rays, hits, trails), trails.lows)
    bands_per_length = 1.0 / (config.gradient.band * jax.vmap(lambda ray: ray.footprint)(rays))
    followed = wanted[:, None] & jax.vmap(warping.may_be_followed)(lows, bands_per_length)

    def one(camera: Camera, u: jax.Array, low: warping.Lows, scale: jax.Array) -> tuple[Any, Any]:
        t = warping.search(scene.distance, grazing, params, raygen.ray_through(camera, u), low)
        return _with_derivatives(partial(approach_at, scene, config, params, camera, t, scale), u)

    none = warping.Approaches.none()
    otherwise = none, jax.tree.map(lambda x: jnp.zeros((2, *x.shape), x.dtype), none)
    count, room = followed.shape
    items = jax.tree.map(lambda x: jnp.repeat(x, room, axis=0), (camera, u, bands_per_length))
    camera, u, scale = items
    low = jax.tree.map(lambda x: x.reshape(-1, 3), lows)
    blank = jax.tree.map(lambda x: jnp.broadcast_to(x, (count * room, *x.shape)).astype(u.dtype), otherwise)
    found, moved = buffers.for_the_wanted(one, followed.reshape(-1), _ROUND, (camera, u, low, scale), blank)
    found = jax.tree.map(lambda x: x.reshape(count, room, *x.shape[1:]), found)
    moved = jax.tree.map(lambda x: x.reshape(count, room, *x.shape[1:]).swapaxes(1, 2), moved)
    return found, moved


def approach_at(
    scene: Scene, config: RenderConfig, params: Any, camera: Camera, t: jax.Array, scale: jax.Array, u: jax.Array
) -> warping.Approaches:
    """One closest approach of the ray through u (2,), at t () there; differentiable in u by forward mode."""
    ray = raygen.ray_through(camera, u)
    return warping.approach(scene.distance, config.gradient.grazing, params, ray, t, scale)


def _with_derivatives(function: Any, u: jax.Array) -> tuple[Any, Any]:
    """A function of u (2,) and its derivatives, these with an axis (2,) in front."""
    return jax.vmap(lambda du: jax.jvp(function, (u,), (du,)), out_axes=(None, 0))(jnp.eye(2, dtype=u.dtype))


def _relaxed(
    scene: Scene,
    config: RenderConfig,
    params: Any,
    camera: Camera,
    u: jax.Array,
    width: jax.Array,
    lows: warping.Lows,
    behind: jax.Array,
) -> jax.Array:
    """ΔL (-h) / ε (3,) of one sample in the band, zero in value [W24]."""
    still_params, still_camera = jax.lax.stop_gradient((params, camera))
    ray = raygen.ray_through(still_camera, u)
    t, surface, density = warping.beside_silhouette(
        scene.distance, config.gradient.relaxed, config.gradient.grazing, still_params, ray, lows, width
    )
    normal = shading.normal(scene.distance, still_params, surface)
    jump = scene.radiance(still_params, surface, normal, ray.direction) - jax.lax.stop_gradient(behind)
    h = tangent_of(scene.distance(params, point_at(camera, u, t)))
    return -density * h * jump
