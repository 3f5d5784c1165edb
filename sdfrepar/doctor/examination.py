"""All checks of a data set, one after the other."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np

from sdfrepar import files
from sdfrepar.datasets import Survey
from sdfrepar.datasets.check import require_sphere_in_view
from sdfrepar.datasets.normalisation import cameras_in_frame
from sdfrepar.datasets.pictures import of_each
from sdfrepar.doctor import agreement, placement
from sdfrepar.doctor.features import Features, Pair, features_of, pairs_of
from sdfrepar.doctor.geometry import Consistency, consistency
from sdfrepar.doctor.outlines import Outline, before_even_background, of_mask
from sdfrepar.doctor.outlines import error as error_of_outlines
from sdfrepar.doctor.placement import Place
from sdfrepar.doctor.sampling import neighbours
from sdfrepar.doctor.silhouettes import Coverage, coverage, mean
from sdfrepar.records import Camera, Views

_PARTNERS = 4

# Standard deviation of the pictures' mean sRGB values from which exposures are mentioned.
_UNEVEN = 0.05

# Half a pixel's shift must leave at most so much of the outlines' error, and take so many pixels away, to be mentioned;
# pixels of the pictures that the intrinsics are for.
_CENTRED, _CLEARLY = 0.7, 0.1

# Poses that differ by less, relative to the distance from the object, are the same.
_SAME = 1e-5


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at."""

    about: str
    """What was looked at, in a word or two."""
    sentence: str
    """What was found."""
    is_fault: bool = False
    """Whether it is wrong."""


@dataclass(frozen=True)
class Examination:
    """All findings, in the order in which a fault explains the others."""

    findings: tuple[Finding, ...]
    geometry: Consistency
    agreement: float
    """How far matched points lie from their epipolar lines, pixels, see `agreement`; not a number without matches."""

    @property
    def fault(self) -> Finding | None:
        """The likely cause of what is wrong; None where nothing is."""
        return next((finding for finding in self.findings if finding.is_fault), None)


def examine(survey: Survey) -> Examination:
    """Look at the pictures, cameras and masks of a data set; a minute at most on two cores.

    Args:
        survey: all of it; cameras may look anywhere.

    Raises:
        ValueError: a picture or a mask that cannot be read.
    """
    views = survey.views
    some = [int(i) for i in neighbours(views.cameras, views.names)]
    # Every file is decoded once: it may be large, and there may be many.
    seen = of_each(lambda i: _of_picture(views, i, i in some), range(len(views)))
    outlines, brightness, features, covered = zip(*seen, strict=True)
    matched = [features[i] for i in some]
    pairs, nearest = (
        [Pair(some[pair.first], some[pair.second], pair.film) for pair in found]
        for found in (pairs_of(matched, _PARTNERS), agreement.paired_with_nearest(matched))
    )
    world = cameras_in_frame(views.cameras, np.linalg.inv(views.world_from_scene))
    geometry = consistency(world, pairs, views.names, outlines)
    figure = agreement.error(world, nearest)
    findings = [_of_geometry(geometry, figure, nearest), _of_masks(covered), *_of_surroundings(views, outlines)]
    if geometry.fault is None:
        # Outlines by brightness are not sharp enough for half a pixel.
        findings += [] if views.masks is None else _of_centres(survey, world, outlines, geometry.outlines)
        findings += _of_place(views, placement.place_of(views.cameras, pairs, outlines))
    findings += [_of_views(views), *_of_poses(views), _of_exposure(np.array(brightness))]
    return Examination(tuple(findings), geometry, figure)


class _Seen(NamedTuple):
    """What one picture tells by itself."""

    outline: Outline | None
    """Of the object, if it is known."""
    brightness: float
    """Mean, sRGB."""
    features: Features | None
    """If they were asked for."""
    covered: Coverage | None
    """By its mask, if there is one."""


def _of_picture(views: Views, index: int, is_matched: bool) -> _Seen:
    picture = views.images[index]
    mask = None if views.masks is None else np.asarray(views.masks[index])
    return _Seen(
        outline=before_even_background(picture) if mask is None else of_mask(mask),
        brightness=float(files.encode_srgb(picture).mean()),
        features=features_of(picture) if is_matched else None,
        covered=None if mask is None else coverage(mask),
    )


def _of_geometry(geometry: Consistency, figure: float, nearest: list[Pair]) -> Finding:
    about = "cameras and pictures"
    if geometry.fault is not None:
        return Finding(about, geometry.fault, is_fault=True)
    known = [
        f"SIFT matches lie {figure:.2f} pixels from their epipolar lines (median of Sampson's distance; "
        f"{sum(len(pair.film[0]) for pair in nearest)} matches in {len(nearest)} pairs of pictures, none rejected), "
        f"those that agree with one another {geometry.error:.2f} ({geometry.matches} in {geometry.pairs} pairs)"
        if geometry.pairs
        else "the pictures share too little texture to be matched",
        "too few whole outlines are known"
        if np.isnan(geometry.outlines)
        else f"outlines are {geometry.outlines:.2f} pixels (median) from touching the same planes",
    ]
    return Finding(about, "; ".join(known))


def _of_centres(survey: Survey, world: Camera, found: Sequence[Outline | None], here: float) -> list[Finding]:
    """Where outlines have the centres of pixels, if clearly not where the intrinsics were read to have them.

    Args:
        survey: knows where that was, and how large a pixel of the intrinsics is in the views.
        world: cameras, leading axis N.
        found: the N outlines of the object.
        here: their error, pixels, as it is; not a number with too few outlines.
    """
    offset, way = (0.5, "half a pixel from the corner") if survey.first_centre < 0.25 else (0.0, "at whole numbers")
    shift = (survey.first_centre - offset) * survey.pixel
    moved, _ = error_of_outlines(replace(world, principal=np.asarray(world.principal) + shift), found)
    if not (moved < _CENTRED * here and here - moved > _CLEARLY * survey.pixel.mean()):
        return []
    sentence = (
        f"outlines fit better where pixels have their centres {way} ({moved:.2f} pixels in place of {here:.2f}); the "
        f"intrinsics may count so: try --data.pixel_offset={offset:g}"
    )
    return [Finding("pixel centres", sentence)]


def _of_masks(covered: Sequence[Coverage | None]) -> Finding:
    """Of the N masks' coverages."""
    known = [one for one in covered if one is not None]
    if not known:
        return Finding("masks", "there are none")
    found = mean(known)
    if found.is_inverted:
        sentence = (
            f"the masks seem to be inverted: they cover {found.at_borders:.0%} of the borders and "
            f"{found.in_the_middle:.0%} of the middle of the pictures; use --data.inverted_masks"
        )
        return Finding("masks", sentence, is_fault=True)
    return Finding("masks", f"they cover {found.everywhere:.0%} of the pictures, {found.at_borders:.0%} of borders")


def _of_surroundings(views: Views, found: Sequence[Outline | None]) -> list[Finding]:
    """Whether there is more around the object than one colour; masks hide what their outlines are before."""
    if views.masks is not None or 2 * sum(outline is not None for outline in found) >= len(found):
        return []
    return [Finding("surroundings", "the borders of the pictures have many colours; --background=sphere fits them")]


def _of_place(views: Views, place: Place | None) -> list[Finding]:
    if place is None:
        return []
    fault, advice = (say(views.world_from_scene) for say in (place.fault, place.advice))
    sentence = fault or advice
    return [] if sentence is None else [Finding("place of the object", sentence, is_fault=fault is not None)]


def _of_views(views: Views) -> Finding:
    """Where the cameras stand, and whether they see the sphere."""
    try:
        require_sphere_in_view(views)
    except ValueError as error:
        return Finding("unit sphere", str(error), is_fault=True)
    distance = np.linalg.norm(np.asarray(views.cameras.position, float), axis=1)
    return Finding(
        "unit sphere",
        f"it is in view of all cameras, which stand {distance.min():.2f} to {distance.max():.2f} radii from its centre",
    )


def _of_poses(views: Views) -> list[Finding]:
    """Poses that occur twice."""
    position, rotation = (np.asarray(leaf, float) for leaf in (views.cameras.position, views.cameras.rotation))
    poses = np.concatenate([position / np.linalg.norm(position, axis=1).mean(), rotation.reshape(-1, 9)], axis=1)
    gaps = np.abs(poses[:, None] - poses[None]).max(axis=-1) + np.eye(len(poses))
    first, second = np.unravel_index(int(np.argmin(gaps)), gaps.shape)
    if gaps[first, second] > _SAME:
        return []
    doubled = int(np.sum(gaps.min(axis=1) <= _SAME))
    sentence = (
        f"{doubled} of {len(poses)} views share their pose with another, {views.names[first]} with "
        f"{views.names[second]} to begin with; expected a camera for each picture"
    )
    return [Finding("poses", sentence, is_fault=doubled > len(poses) // 4)]


def _of_exposure(means: np.ndarray) -> Finding:
    """Of the pictures' mean brightnesses (N,), sRGB."""
    sentence = f"mean brightness is {means.mean():.2f} (sRGB), from {means.min():.2f} to {means.max():.2f}"
    uneven = means.std() > _UNEVEN
    return Finding("exposure", sentence + ("; if exposures differ, --fit.exposure helps" if uneven else ""))
