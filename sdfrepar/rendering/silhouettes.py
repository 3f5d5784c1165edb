"""Following the silhouettes: the chosen method, for the samples near one."""

from functools import partial
from typing import Any

import jax

from sdfrepar import raygen, shading, warping
from sdfrepar.numerics import tangent_of
from sdfrepar.records import Camera, Ray, Warp
from sdfrepar.rendering import buffers
from sdfrepar.rendering.config import RenderConfig, Scene
from sdfrepar.rendering.rays import march, point_at


def warp_band(
    scene: Scene,
    config: RenderConfig,
    params: Any,
    camera: Camera,
    u: jax.Array,
    width: jax.Array,
    in_band: jax.Array,
    key: jax.Array,
) -> Warp:
    """The warp of the samples in the band, zero elsewhere; (S,) records.

    When there are more of them than the buffer holds, a random subset stands for all.
    """
    work = partial(_warp, scene, config, params)
    return buffers.stand_for(work, in_band, config.gradient.band_share, (camera, u, width), key)


def relax_band(
    scene: Scene,
    config: RenderConfig,
    params: Any,
    camera: Camera,
    u: jax.Array,
    width: jax.Array,
    behind: jax.Array,
    in_band: jax.Array,
    key: jax.Array,
) -> jax.Array:
    """The widened boundary term (S, 3) of the samples in the band, zero in value; `behind` (S, 3) is their radiance."""
    work = partial(_relaxed, scene, config, params)
    return buffers.stand_for(work, in_band, config.gradient.band_share, (camera, u, width, behind), key)


def _warp(scene: Scene, config: RenderConfig, params: Any, camera: Camera, u: jax.Array, width: jax.Array) -> Warp:
    """V and div V at one film position, by the chosen method, limited to the band."""
    still_params, still_camera = jax.lax.stop_gradient((params, camera))

    def points(u: jax.Array) -> tuple[jax.Array, jax.Array]:
        # The grazing warp only starts its search from the march, and needs no derivative of it.
        marched = jax.lax.stop_gradient(u) if config.gradient.method == "grazing" else u
        path = march(scene.distance, config, still_params, still_camera, marched)
        return _points(scene, config, still_params, raygen.ray_through(still_camera, u), path, width)

    c = warping.coefficients(points, u)
    return warping.attach(scene.distance, point_at, params, camera, u, c)


def _points(
    scene: Scene, config: RenderConfig, params: Any, ray: Ray, path: warping.Path, width: jax.Array
) -> tuple[jax.Array, jax.Array]:
    """The points t_i (K,) of a ray whose motion the warp follows, and their coefficients a_i (K, 2)."""
    gradient = config.gradient
    bands_per_length = 1.0 / gradient.band / (width * ray.footprint)
    if gradient.method == "grazing":
        t, a = warping.grazing_points(scene.distance, gradient.grazing, params, ray, path, bands_per_length)
        return t, warping.rim(ray) * a
    found = warping.approaches(scene.distance, gradient.grazing, params, ray, path, bands_per_length)
    if gradient.method == "distance":
        t, a = warping.distance_points(scene.distance, gradient.distance, params, ray, path, found)
    else:
        t, a = warping.velocity_points(scene.distance, gradient.velocity, params, ray, path, found)
    return t, warping.rim(ray) * warping.limiter(found, gradient.band) * a


def _relaxed(
    scene: Scene,
    config: RenderConfig,
    params: Any,
    camera: Camera,
    u: jax.Array,
    width: jax.Array,
    behind: jax.Array,
) -> jax.Array:
    """ΔL (-h) / ε (3,) of one sample in the band, zero in value [W24]."""
    still_params, still_camera = jax.lax.stop_gradient((params, camera))
    ray = raygen.ray_through(still_camera, u)
    path = march(scene.distance, config, still_params, still_camera, u)
    t, surface, density = warping.beside_silhouette(
        scene.distance, config.gradient.relaxed, config.gradient.grazing, still_params, ray, path, width
    )
    normal = shading.normal(scene.distance, still_params, surface)
    jump = scene.radiance(still_params, surface, normal, ray.direction) - jax.lax.stop_gradient(behind)
    h = tangent_of(scene.distance(params, point_at(camera, u, t)))
    return -density * h * jump
