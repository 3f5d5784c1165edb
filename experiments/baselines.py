"""The baseline [I20] in the same pipeline, with the same networks, optimiser and rays a step."""

from dataclasses import replace

from experiments.presets import ReconstructConfig
from sdfrepar.imaging import FilmConfig


def idr(config: ReconstructConfig) -> ReconstructConfig:
    """The config with [I20]'s pixels and gradient: one ray through the centre of pixels of full size, interior alone.

    `config.fit.masks` stays, and decides whether it is IDR as published or IDR without masks.
    """
    render = replace(
        config.render,
        film=FilmConfig(filter="box", pattern="regular", samples_per_side=1, edge_samples=0),
        gradient=replace(config.render.gradient, method="interior"),
    )
    rays = config.fit.pixels * config.render.film.inside
    return replace(config, render=render, fit=replace(config.fit, pixels=rays, candidates=1, levels=1))


def as_published(config: ReconstructConfig) -> ReconstructConfig:
    """The config, but for the interior gradient with masks: that is [I20], whose pixels come with it."""
    is_idr = config.render.gradient.method == "interior" and config.fit.masks == "use"
    return idr(config) if is_idr else config
