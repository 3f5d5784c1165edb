"""The networks as a scene: pure functions of one parameter tree."""

from collections.abc import Callable
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp

from sdfrepar import grids
from sdfrepar.networks import features, voxels
from sdfrepar.networks.background import BackgroundNetwork
from sdfrepar.networks.config import NetworkConfig
from sdfrepar.networks.layers import encode, folded
from sdfrepar.networks.surface import FeatureSDF, RadianceNetwork, SDFNetwork
from sdfrepar.rendering import Scene


def scene(config: NetworkConfig) -> Scene:
    """The fields as a scene; its params are those of `initialise`, as they are or after `Scene.prepare`.

    Gradient: naive, but none in a background that is given.
    """
    distance_of, features_of = _distance_of(config), _features_of(config)
    radiance, around = RadianceNetwork(config), BackgroundNetwork(config.background)

    def distance(params: Any, x: jax.Array) -> jax.Array:
        return distance_of(params["sdf"], x)

    def surface_radiance(params: Any, x: jax.Array, normal: jax.Array, direction: jax.Array) -> jax.Array:
        return _applied(radiance, params["radiance"], x, normal, direction, features_of(params, x))

    def background(params: Any, origin: jax.Array, direction: jax.Array) -> jax.Array:
        if config.background.kind == "sphere":
            return _applied(around, params["background"], origin, direction)
        constant = params["background"]["colour"]
        return jax.lax.stop_gradient(constant) if config.background.kind == "given" else constant

    return Scene(distance=distance, radiance=surface_radiance, background=background, prepare=prepared)


def initialise(config: NetworkConfig, background: jax.Array, *, key: jax.Array) -> dict[str, Any]:
    """Parameters of `scene(config)`: a sphere of the configured radius, before a background.

    Args:
        config: sizes.
        background: (3,) the background's colour, linear; a background on a sphere does not start from it.
        key: random key.
    """
    sdf_key, radiance_key, background_key, table_key = jax.random.split(key, 4)
    point = jnp.zeros(3)
    of_field, of_radiance = jax.random.split(table_key)
    if config.field == "network":
        sdf = _initialised(SDFNetwork(config), sdf_key, encode(point, config.sdf_octaves))
    elif config.field == "features":
        found = jnp.zeros(features.width(config.grid))
        tables = features.initial_tables(config.grid, key=of_field)
        sdf = {"tables": tables, **_initialised(FeatureSDF(config), sdf_key, point, found)}
    else:
        sdf = {"levels": voxels.initial_levels(config.voxels, config.initial_radius)}
    of_surface = jnp.zeros(config.features if config.field == "network" else features.width(config.grid))
    radiance = _initialised(RadianceNetwork(config), radiance_key, point, point, point, of_surface)
    if config.field != "network":
        radiance["tables"] = features.initial_tables(config.grid, key=of_radiance)
    around = {"colour": jnp.asarray(background, jnp.float32)}
    if config.background.kind == "sphere":
        around = _initialised(BackgroundNetwork(config.background), background_key, point, point)
    return {"sdf": sdf, "radiance": radiance, "background": around}


def prepared(params: dict[str, Any]) -> dict[str, Any]:
    """Params as fields read them fastest: weight norms folded, levels of voxels summed. Once a step, not at each point.

    Gradient: naive; the optimiser sees the params as they were.
    """
    params = folded(params)
    if "levels" not in params["sdf"]:
        return params
    return {**params, "sdf": voxels.summed(params["sdf"]["levels"])}


def _distance_of(config: NetworkConfig) -> Callable[[Any, jax.Array], jax.Array]:
    """(params["sdf"], x) -> distance () at a point (3,)."""
    large, small = SDFNetwork(config), FeatureSDF(config)

    def of_network(sdf: Any, x: jax.Array) -> jax.Array:
        return _applied(large, sdf, encode(x, config.sdf_octaves))[0]

    def of_features(sdf: Any, x: jax.Array) -> jax.Array:
        return _applied(small, sdf, x, features.lookup(config.grid, sdf["tables"], x))

    def of_voxels(sdf: Any, x: jax.Array) -> jax.Array:
        return grids.distance(sdf if "coefficients" in sdf else voxels.summed(sdf["levels"]), x)

    return {"network": of_network, "features": of_features, "voxels": of_voxels}[config.field]


def _features_of(config: NetworkConfig) -> Callable[[Any, jax.Array], jax.Array]:
    """(params, x) -> what the radiance network is told of a point (3,): by the SDF network, or by grids of its own."""
    large = SDFNetwork(config)

    def of_network(params: Any, x: jax.Array) -> jax.Array:
        return _applied(large, params["sdf"], encode(x, config.sdf_octaves))[1]

    def of_grids(params: Any, x: jax.Array) -> jax.Array:
        return features.lookup(config.grid, params["radiance"]["tables"], x)

    return of_network if config.field == "network" else of_grids


def _initialised(module: nn.Module, key: jax.Array, *inputs: jax.Array) -> dict[str, Any]:
    return {"network": module.init(key, *inputs)["params"]}


def _applied(module: nn.Module, params: Any, *inputs: jax.Array) -> Any:
    return module.apply({"params": params["network"]}, *inputs)
