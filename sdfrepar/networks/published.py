"""Decoders that others have trained: arrays named as DeepSDF's PyTorch code names them, as a decoder of ours [P19]."""

import re
from collections.abc import Mapping
from typing import Any

import jax.numpy as jnp
import numpy as np

from sdfrepar.networks.decoder import DecoderConfig, inputs_of
from sdfrepar.networks.layers import folded

_LAYER = re.compile(r"(?:^|\.)lin(\d+)\.(weight|weight_g|weight_v|bias)$")


def from_state_dict(arrays: Mapping[str, np.ndarray], *, octaves: int = 0) -> tuple[DecoderConfig, dict[str, Any]]:
    """The config and the params of a published decoder, its weight norms kept, its code zero.

    Args:
        arrays: as `files.read_state_dict` gives them; layers are named lin0, lin1, ..., with weight or weight_g and
            weight_v, and bias, after any prefix. Other arrays are left out.
        octaves: of Fourier features that stand in the point's place, which the arrays do not tell; 0 for none.

    Returns:
        The config, of ReLU layers and a hyperbolic tangent at the end, and params of `decoder(config)`.

    Raises:
        ValueError: the arrays are not a decoder of this layout.
    """
    layers = _layers(arrays)
    inputs = inputs_of(octaves)
    sizes = [_shape(layer) for layer in layers]
    width, depth, latent = sizes[1][1], len(layers) - 1, sizes[0][1] - inputs
    skips = [n for n in range(1, depth) if sizes[n][1] != sizes[n - 1][0]]
    if latent < 0 or len(skips) > 1 or sizes[-1][0] != 1:
        raise ValueError(
            f"The decoder's layers have (outputs, inputs) {sizes}, expected a code and a point of {inputs} numbers, at "
            "most one layer that sees them again, and one output; say how many octaves encode the point, or convert it."
        )
    config = DecoderConfig(
        latent=latent,
        width=width,
        depth=depth,
        skip=skips[0] if skips else 0,
        octaves=octaves,
        weight_norm="weight_g" in layers[0],
    )
    wrong = [n for n in range(depth) if sizes[n][0] != config.hidden(n)]
    if wrong:
        raise ValueError(
            f"Layer lin{wrong[0]} of the decoder has {sizes[wrong[0]][0]} outputs, expected "
            f"{config.hidden(wrong[0])}; its layout is not that of DeepSDF."
        )
    network = {f"hidden_{n}": _dense(layer) for n, layer in enumerate(layers[:-1])}
    return config, {"code": jnp.zeros(latent), "network": {**network, "distance": folded(_dense(layers[-1]))}}


def _layers(arrays: Mapping[str, np.ndarray]) -> list[dict[str, np.ndarray]]:
    """The arrays of each layer."""
    found: dict[int, dict[str, np.ndarray]] = {}
    for name, array in arrays.items():
        if match := _LAYER.search(name):
            found.setdefault(int(match[1]), {})[match[2]] = array
    whole = all(
        "bias" in layer and ("weight" in layer or {"weight_g", "weight_v"} <= set(layer)) for layer in found.values()
    )
    if len(found) < 3 or sorted(found) != list(range(len(found))) or not whole:
        raise ValueError(
            f"The arrays {', '.join(list(arrays)[:4])}, ... are no decoder: expected lin0, lin1, ... each with bias "
            "and weight, or weight_g and weight_v, as DeepSDF names them."
        )
    return [found[number] for number in range(len(found))]


def _shape(layer: Mapping[str, np.ndarray]) -> tuple[int, int]:
    """Outputs and inputs."""
    weight = layer.get("weight", layer.get("weight_v", np.zeros((0, 0))))
    if weight.ndim != 2:
        raise ValueError(f"A layer has weights of shape {weight.shape}; expected outputs x inputs.")
    return weight.shape


def _dense(layer: Mapping[str, np.ndarray]) -> dict[str, Any]:
    """Params of a `Dense` layer."""
    bias = jnp.asarray(layer["bias"])
    if "weight" in layer:
        return {"kernel": jnp.asarray(layer["weight"].T), "bias": bias}
    return {
        "direction": jnp.asarray(layer["weight_v"].T),
        "scale": jnp.asarray(layer["weight_g"]).ravel(),
        "bias": bias,
    }
