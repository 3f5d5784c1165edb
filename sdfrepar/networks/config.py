"""What the fields are made of."""

import dataclasses
from dataclasses import dataclass
from typing import Literal

Field = Literal["network", "features", "voxels"]


@dataclass(frozen=True)
class FeatureConfig:
    """Grids of features, each finer than the last, read by a small network."""

    levels: int = 4
    """Grids."""
    coarsest: int = 8
    """Cells along each axis of the cube at the first level."""
    finest: int = 64
    """Cells along each axis at the last level; those between grow geometrically."""
    channels: int = 2
    """Features of each level."""
    table: int = 1 << 19
    """Entries of a level at most. A level with more nodes is hashed into so many."""
    sdf_width: int = 32
    """Width of the one hidden layer that turns features into a distance."""

    def __post_init__(self) -> None:
        """Refuse what cannot work."""
        if not 1 <= self.coarsest <= self.finest:
            raise ValueError(
                f"network.grid.coarsest and finest are {self.coarsest} and {self.finest} cells; expected at least 1, "
                "and the finest no coarser than the coarsest."
            )
        if min(self.levels, self.channels, self.table, self.sdf_width) < 1:
            raise ValueError("network.grid.levels, channels, table and sdf_width must each be at least 1.")


@dataclass(frozen=True)
class VoxelConfig:
    """The SDF as a cubic spline on a grid [V22], written as a sum of grids, each twice as fine as the last."""

    coarsest: int = 8
    """Cells along each axis of the cube at the first level."""
    levels: int = 4
    """The last level has coarsest * 2^(levels - 1) cells along each axis."""

    def __post_init__(self) -> None:
        """Refuse what cannot work."""
        if self.coarsest < 1 or self.levels < 1:
            raise ValueError(
                f"network.voxels.coarsest and levels are {self.coarsest} and {self.levels}; each must be at least 1."
            )


@dataclass(frozen=True)
class BackgroundConfig:
    """What a ray sees that hits nothing."""

    kind: Literal["given", "learned", "sphere"] = "learned"
    """given: a constant, as it is first guessed; learned: a constant; sphere: radiance on a sphere around the scene, by
    position and direction, for photographs with surroundings."""
    radius: float = 2.0
    """Radius of that sphere, scene units; rays that miss it are given its nearest point."""
    width: int = 64
    """Width of the hidden layers of the background's network."""
    depth: int = 2
    """How many of these there are."""
    point_octaves: int = 6
    """Octaves of positional encoding of the point on the sphere."""
    direction_octaves: int = 2
    """Octaves of positional encoding of the direction."""

    def __post_init__(self) -> None:
        """Refuse what cannot work."""
        if self.radius < 1.0:
            raise ValueError(
                f"network.background.radius is {self.radius} scene units; the background must enclose the unit sphere."
            )


@dataclass(frozen=True)
class NetworkConfig:
    """Sizes of the networks."""

    field: Field = "network"
    """network: the SDF network of [I20]; features: grids of features and a small network; voxels: a spline grid."""
    sdf_width: int = 64
    """Width of the hidden layers of the SDF network."""
    sdf_depth: int = 4
    """Hidden layers of the SDF network."""
    sdf_skip: int = 2
    """Hidden layer that sees the encoded point again; 0 for none."""
    sdf_octaves: int = 6
    """Octaves of positional encoding of the point; their first weights are zero."""
    features: int = 32
    """Features that the SDF network hands to the radiance network."""
    radiance_width: int = 64
    """Width of the hidden layers of the radiance network."""
    radiance_depth: int = 2
    """Hidden layers of the radiance network."""
    point_octaves: int = 4
    """Octaves of positional encoding of the point in the radiance network."""
    view_dependent: bool = False
    """Whether radiance changes with the viewing direction. Where it need not, it should not: it can hide any shape."""
    view_octaves: int = 2
    """Octaves of positional encoding of the viewing direction."""
    darkest: float = 0.0
    """Least linear radiance of a surface. Before a black background a little, 0.002, tells dark matter from none."""
    brightest: float = 1.0
    """Most linear radiance of a surface. Before a white background a little less, 0.9, tells white matter from none."""
    weight_norm: bool = False
    """Whether the layers of the SDF and radiance networks learn direction and length of their weights apart."""
    initial_radius: float = 0.5
    """Radius of the sphere that the SDF starts as, scene units."""
    beta: float = 100.0
    """Sharpness of the softplus; the field is smooth on scales above 1 / β."""
    grid: FeatureConfig = dataclasses.field(default_factory=FeatureConfig)
    voxels: VoxelConfig = dataclasses.field(default_factory=VoxelConfig)
    background: BackgroundConfig = dataclasses.field(default_factory=BackgroundConfig)

    def __post_init__(self) -> None:
        """Refuse what cannot work."""
        if not 0 <= self.sdf_skip < self.sdf_depth:
            raise ValueError(
                f"network.sdf_skip is {self.sdf_skip}; it names one of the {self.sdf_depth} hidden layers "
                "after the first, 1 to sdf_depth - 1, or 0 for none."
            )
        if not 0 <= self.darkest < self.brightest <= 1:
            raise ValueError(
                f"network.darkest is {self.darkest} and network.brightest {self.brightest}; they are linear radiance, "
                "expected 0 <= darkest < brightest <= 1."
            )
        if not 0 < self.initial_radius < 1:
            raise ValueError(
                f"network.initial_radius is {self.initial_radius}; the first sphere must lie in the unit sphere."
            )
