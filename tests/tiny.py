"""Networks so small that a run compiles and trains in seconds."""

from sdfrepar.networks import NetworkConfig

NETWORK = NetworkConfig(
    sdf_width=16,
    sdf_depth=2,
    sdf_skip=1,
    sdf_octaves=1,
    features=4,
    radiance_width=16,
    radiance_depth=1,
    point_octaves=1,
)
