"""Where the stages meet, and the only place where they are mapped over many rays.

    rays → hits → warps → radiance → pixels

    config       the scene as functions, and every setting
    rays         tracing many rays in buffers of a fixed size
    cones        the free space that the samples of a pixel share
    silhouettes  the chosen gradient method, for the samples near silhouettes
    samples      light at many film positions: read this one first
    pixels       pixels on their own, from any cameras, with derivatives
    film         a whole picture with derivatives
    picture      a whole picture of every channel, without
    differences  finite differences as a method like the others

Everything above this package is written for one ray.
"""

from sdfrepar.rendering.cones import clear_starts
from sdfrepar.rendering.config import GradientConfig, RenderConfig, Scene
from sdfrepar.rendering.film import render_film
from sdfrepar.rendering.picture import render_image
from sdfrepar.rendering.pixels import render_pixels
from sdfrepar.rendering.rays import rays_through, trace_rays
from sdfrepar.rendering.samples import sample_film

__all__ = [
    "GradientConfig",
    "RenderConfig",
    "Scene",
    "clear_starts",
    "rays_through",
    "render_film",
    "render_image",
    "render_pixels",
    "sample_film",
    "trace_rays",
]
