"""The settings of an optimisation."""

from dataclasses import dataclass


@dataclass(frozen=True)
class FitConfig:
    """The optimisation."""

    steps: int = 2000
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
    that are far from where they belong, so these must not run dry."""
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
    eikonal_points: int = 512
    """Points in the unit ball for the eikonal term, beside as many near the surface."""
    average: float = 0.99
    """Decay of the moving average of the parameters, with which pictures and meshes are made."""

    def __post_init__(self) -> None:
        """Refuse what cannot work."""
        for name in ("steps", "pixels", "levels", "eikonal_points"):
            if getattr(self, name) < 1:
                raise ValueError(f"fit.{name} is {getattr(self, name)}; it must be at least 1.")
        if not 0 <= self.silhouettes < 1:
            raise ValueError(f"fit.silhouettes is {self.silhouettes}; it is a share of the pixels, in [0, 1).")
