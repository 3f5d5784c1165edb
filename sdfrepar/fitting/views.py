"""What is fitted of each picture besides the scene: where it was taken from, and how brightly it was exposed."""

from typing import Any

import jax
import jax.numpy as jnp

from sdfrepar import cameras
from sdfrepar.fitting.config import FitConfig
from sdfrepar.records import Camera


def of_views(config: FitConfig, count: int) -> dict[str, jax.Array]:
    """Parameters that leave `count` pictures as they are, to be joined to those of the scene.

    "poses" (N, 6), with `config.refine_poses`: motions of the cameras, as `cameras.moved` takes them.
    "exposure" (N, 3), with `config.exposure`: logarithms of the gains of red, green and blue; their mean is ignored.
    """
    wanted = {"poses": (config.refine_poses, 6), "exposure": (config.exposure, 3)}
    return {name: jnp.zeros((count, size)) for name, (is_wanted, size) in wanted.items() if is_wanted}


def count_of_views(params: Any) -> int:
    """How many pictures these parameters are of; 0 where nothing is fitted of each."""
    return max((len(params[name]) for name in ("poses", "exposure") if _has(params, name)), default=0)


def seen_from(params: Any, camera: Camera, view: jax.Array) -> Camera:
    """P cameras where the parameters move them; `view` (P,) says whose pictures they took.

    Gradient: in the poses; naive.
    """
    if not _has(params, "poses"):
        return camera
    return jax.vmap(cameras.moved)(camera, params["poses"][view])


def exposed(params: Any, radiance: jax.Array, view: jax.Array) -> jax.Array:
    """Radiance (P, 3) as the pictures `view` (P,) would show it, linear.

    Gradient: naive. The mean of all pictures' exposures is taken out: the scene alone could not tell it from its own.
    """
    if not _has(params, "exposure"):
        return radiance
    gains = params["exposure"] - jnp.mean(params["exposure"], axis=0, keepdims=True)
    return radiance * jnp.exp(gains[view])


def _has(params: Any, name: str) -> bool:
    return isinstance(params, dict) and name in params
