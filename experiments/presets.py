"""Sizes of a reconstruction: `quick` and `network` for a desk, `standard` for a GPU, `paper` for figures of [B22]."""

from dataclasses import dataclass, field, replace

from experiments.hosts import HostsConfig
from sdfrepar.datasets import DataConfig
from sdfrepar.fitting import FitConfig
from sdfrepar.imaging import FilmConfig
from sdfrepar.networks import NetworkConfig
from sdfrepar.rendering import GradientConfig, RenderConfig
from sdfrepar.tracing import TraceConfig
from sdfrepar.warping import GrazingConfig, VelocityConfig


@dataclass(frozen=True)
class ReconstructConfig:
    """Everything that decides a reconstruction, besides the pictures."""

    seed: int = 0
    """Seed of the initial networks and of every batch."""
    rollbacks: int = 1
    """How often a run that has gone wrong (its surface lost, a number not finite, the field exploded) goes back to the
    last checkpoint at which all was well, each time with half the learning rate of the field and twice the warm-up."""
    mesh_resolution: int = 192
    """Grid points a side for marching cubes."""
    log_every: int = 25
    """Steps between two lines of metrics.jsonl."""
    checkpoint_every: float = 60.0
    """Seconds between two checkpoints, 0 for one after every step; the last step leaves one in any case."""
    checkpoints_kept: int = 2
    """How many of the last checkpoints stay, beside the one before which the loss was least."""
    pictures: int = 5
    """Pictures of a held-out view written on the way."""
    tensorboard: bool = False
    """Whether scalars, held-out pictures and the mesh are written for TensorBoard as well, into tensorboard/."""
    picture_samples: int = 2
    """Samples along each side of a pixel in the pictures that are written and scored."""
    pose_noise: float = 0.0
    """Degrees by which every training camera is turned, and hundredths of its distance by which it is shifted, before
    the run begins: to see whether --refine_poses finds it again."""
    memory_gb: float | None = None
    """Temporary memory a device may give to a step or a picture, 1e9 bytes; what needs more is done in parts, with the
    same result. None for three quarters of what the device has."""
    data: DataConfig = field(default_factory=DataConfig)
    network: NetworkConfig = field(default_factory=NetworkConfig)
    render: RenderConfig = field(default_factory=RenderConfig)
    fit: FitConfig = field(default_factory=FitConfig)
    hosts: HostsConfig = field(default_factory=HostsConfig)

    def __post_init__(self) -> None:
        """Refuse what cannot work."""
        if self.checkpoint_every < 0:
            raise ValueError(f"checkpoint_every is {self.checkpoint_every}; it is a time in seconds, from 0 up.")
        if self.checkpoints_kept < 1:
            raise ValueError(f"checkpoints_kept is {self.checkpoints_kept}; the last one must stay.")
        if self.rollbacks < 0:
            raise ValueError(f"rollbacks is {self.rollbacks}; it is a number of times, from 0 up.")
        if self.memory_gb is not None and self.memory_gb <= 0:
            raise ValueError(f"memory_gb is {self.memory_gb}; it must be positive, or none for what the device has.")


_SMALL = NetworkConfig(sdf_width=64, sdf_depth=4, sdf_skip=2, features=32, radiance_width=64, radiance_depth=2)
_SHORT = RenderConfig(
    first_steps=5,
    trace=TraceConfig(max_steps=16),
    gradient=GradientConfig(velocity=VelocityConfig(top_k=6), grazing=GrazingConfig(iterations=4)),
)

PRESETS = {
    # Minutes on two CPU cores. A query of a spline grid costs a twelfth of the network's, which buys more pixels and
    # more samples in each. It bends where it is told to and nowhere else, so curvature is penalised.
    "quick": ReconstructConfig(
        network=replace(_SMALL, field="voxels", initial_radius=0.8),
        render=replace(_SHORT, film=FilmConfig(samples_per_side=3)),
        fit=FitConfig(
            steps=5000,
            pixels=1024,
            silhouettes=0.5,
            descent=0.25,
            spread=0.4,
            shape_rate=1e-2,
            colour_rate=1e-2,
            final_rate=0.02,
            clip=0.1,
            smoothness_weight=0.1,
            smoothness_fade=1.0,
            average=0.998,
        ),
    ),
    # An SDF network like that of [I20], as small as a desk wants it.
    "network": ReconstructConfig(network=_SMALL, render=_SHORT, fit=FitConfig(steps=6000, pixels=512)),
    # Larger networks and batches, for one GPU.
    "standard": ReconstructConfig(
        network=NetworkConfig(
            sdf_width=128, sdf_depth=6, sdf_skip=3, features=64, radiance_width=128, radiance_depth=3, point_octaves=6
        ),
        render=RenderConfig(first_steps=6, trace=TraceConfig(max_steps=24)),
        fit=FitConfig(steps=15_000, pixels=2048, shape_rate=3e-4, colour_rate=1e-3, warm_up=500, eikonal_points=1024),
        mesh_resolution=256,
        log_every=50,
    ),
    # The networks of [B22 §3.5] and its 25,000 updates of 4,096 pixels: a GPU's work.
    "paper": ReconstructConfig(
        network=NetworkConfig(
            sdf_width=256,
            sdf_depth=8,
            sdf_skip=4,
            features=256,
            radiance_width=256,
            radiance_depth=4,
            view_dependent=True,
            view_octaves=4,
            weight_norm=True,
        ),
        render=RenderConfig(trace=TraceConfig(max_steps=48)),
        fit=FitConfig(
            steps=25_000,
            pixels=4096,
            shape_rate=1e-4,
            colour_rate=5e-4,
            warm_up=1000,
            eikonal_points=2048,
            average=0.999,
        ),
        mesh_resolution=384,
        log_every=100,
    ),
}
# The networks of `paper` on an eighth of the pixels: for a small GPU, or to see on a CPU what a step of them costs.
PRESETS["paper-small"] = replace(
    PRESETS["paper"], fit=replace(PRESETS["paper"].fit, pixels=512, eikonal_points=256), mesh_resolution=256
)
