"""From what a data set's files say to views of the unit sphere: sizes, lenses, masks, and the frame."""

import dataclasses

import numpy as np

from sdfrepar.datasets import posed
from sdfrepar.datasets.check import require_sound_cameras
from sdfrepar.datasets.config import DataConfig
from sdfrepar.datasets.lenses import PINHOLE
from sdfrepar.datasets.listing import Listing
from sdfrepar.datasets.normalisation import in_frame, sphere_of_cameras, sphere_of_masks, sphere_of_points
from sdfrepar.datasets.pictures import Masks, Pictures, Source, kinds_of, of_each, require_one_size
from sdfrepar.datasets.undistortion import Straight, straighten
from sdfrepar.files import PictureKind
from sdfrepar.records import Camera, Views


def views_of(listing: Listing, config: DataConfig) -> Views:
    """All views of a data set in scene space: pinhole cameras, and pictures that are decoded when asked for.

    Raises:
        FileNotFoundError: a picture or a mask is missing.
        ValueError: numbers that are no camera's, pictures or masks of several sizes or smaller than a block, a lens
            that cannot be one, or no sphere to be found.
    """
    kinds = kinds_of(listing.pictures)
    size = kinds[0].size
    require_one_size(listing.pictures, [kind.size for kind in kinds], size, f"{listing.pictures[0]} is")
    if min(size) < config.downscale:
        raise ValueError(
            f"{listing.pictures[0]} is {size[1]}x{size[0]} pixels, too small for data.downscale {config.downscale}; "
            "lower it."
        )
    cameras = _cameras(listing, config, size)
    require_sound_cameras(cameras, listing.names)
    straights = _straight(listing, cameras)
    if straights is not None:
        focal, principal = (np.stack([getattr(one, name) for one in straights]) for name in ("focal", "principal"))
        cameras = dataclasses.replace(cameras, focal=focal, principal=principal)
    deepest = max((kind.dtype for kind in kinds), key=lambda dtype: dtype.itemsize)
    views = Views(
        images=Pictures(_sources(listing.pictures, straights, config), config.backdrop, deepest),
        cameras=posed.downscaled(cameras, config.downscale),
        names=listing.names,
        world_from_scene=np.eye(4),
        masks=_masks(listing, kinds, straights, config),
    )
    return in_frame(views, _world_from_scene(listing, views, config))


def first_centre_of(listing: Listing, config: DataConfig) -> float:
    """Where the intrinsics are taken to have the centre of the first pixel, pixels of their own."""
    return listing.first_centre if config.pixel_offset is None else config.pixel_offset


def pixel_of(listing: Listing, views: Views, config: DataConfig) -> np.ndarray:
    """Width and height (N, 2) of a pixel of the intrinsics, pixels of the views, but for what fills no block."""
    if listing.sizes is None:
        return np.full((len(views), 2), 1.0 / config.downscale)
    return (np.array(views.cameras.resolution) / listing.sizes)[:, ::-1]


def _cameras(listing: Listing, config: DataConfig, size: tuple[int, int]) -> Camera:
    """The cameras of pictures of `size`, world frame, float64; lenses are still in front of them."""
    focal, principal = listing.focal, listing.principal + (0.5 - first_centre_of(listing, config))
    if listing.sizes is not None:
        shrink = _shrinkage(listing, size)
        focal, principal = focal * shrink, principal * shrink
    return posed.cameras_of(
        focal=focal, principal=principal, rotation=listing.rotation, position=listing.position, resolution=size
    )


def _shrinkage(listing: Listing, size: tuple[int, int]) -> np.ndarray:
    """(N, 2) what pictures of the stated sizes were shrunk by, along x and y."""
    stated = np.asarray(listing.sizes, np.float64)
    height, width = stated.T
    # A row or a column may have been rounded away.
    odd = np.abs(size[1] * height / width - size[0]) > 1 + 1e-6 * size[0]
    if odd.any():
        i = int(np.argmax(odd))
        raise ValueError(
            f"The camera of {listing.names[i]} was made for pictures of {width[i]:g}x{height[i]:g} pixels, but "
            f"{listing.pictures[i]} has {size[1]}x{size[0]}; expected the same shape, so shrink the originals without "
            "cropping or turning them."
        )
    return np.stack([size[1] / width, size[0] / height], axis=1)


def _straight(listing: Listing, cameras: Camera) -> list[Straight] | None:
    """How each picture is undistorted; pictures of one lens share the work. None where all are pinholes."""
    if listing.lenses is None or all(lens == PINHOLE for lens in listing.lenses):
        return None
    focal, principal = np.asarray(cameras.focal), np.asarray(cameras.principal)
    keys = [(lens, tuple(focal[i]), tuple(principal[i]), listing.names[i]) for i, lens in enumerate(listing.lenses)]
    first = {key[:3]: key for key in reversed(keys)}

    def one(key: tuple) -> Straight:
        lens, focal, principal, name = key
        return straighten(lens, np.array(focal), np.array(principal), cameras.resolution, name)

    found = dict(zip(first, of_each(one, list(first.values())), strict=True))
    return [found[key[:3]] for key in keys]


def _sources(paths: tuple, straights: list[Straight] | None, config: DataConfig) -> tuple[Source, ...]:
    ways = straights if straights is not None else [None] * len(paths)
    return tuple(
        Source(path=path, downscale=config.downscale, straight=way) for path, way in zip(paths, ways, strict=True)
    )


def _masks(
    listing: Listing, kinds: list[PictureKind], straights: list[Straight] | None, config: DataConfig
) -> Masks | None:
    """Those of the format, or the alpha that every picture has; None where they say nothing."""
    if listing.masks is not None:
        sizes = [kind.size for kind in kinds_of(listing.masks)]
        require_one_size(listing.masks, sizes, kinds[0].size, "its pictures are")
        masks = Masks(_sources(listing.masks, straights, config), config.inverted_masks, of_alpha=False)
    elif all(kind.has_alpha for kind in kinds):
        masks = Masks(_sources(listing.pictures, straights, config), config.inverted_masks, of_alpha=True)
    else:
        return None
    return masks if masks.say_something() else None


def _world_from_scene(listing: Listing, views: Views, config: DataConfig) -> np.ndarray:
    """The similarity (4, 4) whose unit sphere holds the object; the config's centre and radius go first."""
    turn = np.eye(3)
    if config.centre is not None and config.radius is not None and listing.world_from_scene is None:
        centre, radius = np.array(config.centre), config.radius
    else:
        turn, centre, radius = _sphere(listing, views, config)
    centre = centre if config.centre is None else np.array(config.centre)
    radius = radius if config.radius is None else config.radius
    if not (np.isfinite(centre).all() and 0 < radius < np.inf):
        raise ValueError(
            f"Cannot make a unit sphere of centre {centre.tolist()} and radius {radius}; "
            "expected three finite coordinates and a positive length: set --data.centre and --data.radius."
        )
    similarity = np.eye(4)
    similarity[:3, :3], similarity[:3, 3] = radius * turn, centre
    return similarity


def _sphere(listing: Listing, views: Views, config: DataConfig) -> tuple[np.ndarray, np.ndarray, float]:
    """A rotation (3, 3), the centre (3,) and the radius, world units, from what `config.sphere` says."""
    found = {
        "format": listing.world_from_scene is not None,
        "masks": views.masks is not None,
        "points": listing.points is not None,
        "cameras": True,
    }
    source = config.sphere if config.sphere != "auto" else next(name for name, there in found.items() if there)
    if not found[source]:
        raise ValueError(
            f"data.sphere is {source}, but this data set has none; expected one of "
            f"{', '.join(name for name, there in found.items() if there)}, or auto."
        )
    if source == "format":
        similarity = np.asarray(listing.world_from_scene)
        radius = float(np.cbrt(np.linalg.det(similarity[:3, :3])))
        return similarity[:3, :3] / radius, similarity[:3, 3], radius
    centre, radius = sphere_of_cameras(views.cameras, config.centre)
    if source == "masks" and views.masks is not None:
        centre, radius = sphere_of_masks(views.cameras, views.masks, centre, radius)
    if source == "points" and listing.points is not None:
        centre, radius = sphere_of_points(listing.points, centre, radius)
    return np.eye(3), centre, radius
