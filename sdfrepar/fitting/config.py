"""The settings of an optimisation."""

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class FitConfig:
    """The optimisation."""

    steps: int = 2000
    """Steps of the optimiser."""
    pixels: int = 512
    """Pixels a step, from all views and levels."""
    candidates: int = 4
    """Of this many pixels, drawn evenly, one is kept; silhouettes are preferred. 1 keeps all."""
    preference: float = 8.0
    """How many times likelier, at most, a pixel near a silhouette is kept than another; its loss weighs less."""
    silhouettes: float = 0.25
    """Share of the kept pixels that are to be near silhouettes, as far as the preference reaches."""
    levels: int = 8
    """Levels of the image pyramid at most; the coarsest keeps 8 pixels a side."""
    descent: float = 0.4
    """Share of the steps over which the favoured level moves from the coarsest to the finest."""
    spread: float = 1.3
    """How many levels from the favoured one a pixel is drawn e times less often. The coarse levels move the silhouettes
    that are far from where they belong; a small spread leaves the last steps to the finest, which alone is sharp."""
    shape_rate: float = 4e-4
    """Learning rate of the field; a fast one loses the surface before the colours are learnt."""
    colour_rate: float = 2e-3
    """Learning rate of everything else."""
    warm_up: int = 200
    """Steps over which the field's learning rate rises from zero."""
    final_rate: float = 0.05
    """Learning rates at the end, as a share of those at the start; the decay is a cosine."""
    clip: float = 1.0
    """Largest norm of the gradient."""
    eikonal_weight: float = 0.1
    """Weight of `losses.eikonal`."""
    eikonal_points: int = 512
    """Points in the unit ball for the eikonal term, beside as many near the surface."""
    smoothness_weight: float = 0.0
    """Weight of the change of normals over a short way along the surface, at the beginning."""
    smoothness_fade: float = 0.5
    """Share of the steps over which that weight falls to zero."""
    masks: Literal["ignore", "use"] = "ignore"
    """use: the baseline [I20]. Colours count where mask and surface overlap, and the mask draws the silhouette."""
    mask_weight: float = 100.0
    """Weight of `losses.mask`, over α as in [I20]."""
    mask_sharpness: float = 50.0
    """α of [I20 eq. 7] at first; it is doubled five times."""
    refine_poses: bool = False
    """Whether the cameras are moved together with the shape."""
    pose_rate: float = 5e-4
    """Learning rate of the cameras, radians and scene units."""
    pose_warm_up: float = 0.1
    """Share of the steps over which that rate rises from zero, while the shape takes form."""
    pose_turning: float = 0.4
    """Share of the steps before the cameras turn about the scene and move along their views. Rolling and shifts across
    the view come before; the rest would be driven anywhere by a shape that is not there yet."""
    match_weight: float = 0.0
    """Weight of the distances, pixels, of points that pictures share from where other pictures put them, by which
    cameras are refined too, before the fit and in it. Colours alone are misled by shadows and highlights that move
    with the camera."""
    exposure: bool = False
    """Whether each picture has gains of red, green and blue of its own."""
    average: float = 0.99
    """Decay of the moving average of the parameters, with which pictures and meshes are made."""

    def __post_init__(self) -> None:
        """Refuse what cannot work."""
        for name in ("steps", "pixels", "levels", "eikonal_points"):
            if getattr(self, name) < 1:
                raise ValueError(f"fit.{name} is {getattr(self, name)}; it must be at least 1.")
        if not 0 < self.smoothness_fade <= 1:
            raise ValueError(f"fit.smoothness_fade is {self.smoothness_fade}; it is a share of the steps, in (0, 1].")
        if not (0 <= self.pose_warm_up < 1 and 0 <= self.pose_turning < 1):
            raise ValueError(
                f"fit.pose_warm_up is {self.pose_warm_up} and fit.pose_turning {self.pose_turning}; they are shares of "
                "the steps, in [0, 1)."
            )
        if not 0 <= self.silhouettes < 1:
            raise ValueError(f"fit.silhouettes is {self.silhouettes}; it is a share of the pixels, in [0, 1).")
