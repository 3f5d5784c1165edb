"""Fields that learn: SDF and radiance as pure functions of one parameter tree.

config       the settings
layers       encoding, softplus, dense layers with or without weight norm
features     grids of features at several resolutions, dense or hashed
surface      the SDF and radiance networks of [I20] and [B22]
background   radiance around the scene
voxels       the SDF as a pyramid of spline grids
decoder      the SDF of a family of shapes, by a code [P19]
published    decoders that others have trained
scene        all of them as a `rendering.Scene`

The only modules that know Flax's layers. Nothing of the pipeline imports them: a network enters as a `rendering.Scene`.
"""

from sdfrepar.networks.config import BackgroundConfig, FeatureConfig, NetworkConfig, VoxelConfig
from sdfrepar.networks.decoder import (
    DecoderConfig,
    Spread,
    coloured,
    decoder,
    from_deviations,
    in_deviations,
    initial_decoder,
    placed,
    spread_of,
)
from sdfrepar.networks.layers import encode, folded, softplus
from sdfrepar.networks.published import from_state_dict
from sdfrepar.networks.scene import initialise, prepared, scene

__all__ = [
    "BackgroundConfig",
    "DecoderConfig",
    "FeatureConfig",
    "NetworkConfig",
    "Spread",
    "VoxelConfig",
    "coloured",
    "decoder",
    "encode",
    "folded",
    "from_deviations",
    "from_state_dict",
    "in_deviations",
    "initial_decoder",
    "initialise",
    "placed",
    "prepared",
    "scene",
    "softplus",
    "spread_of",
]
