"""Points that pictures share, by which cameras are refined."""

import numpy as np

from sdfrepar import reports
from sdfrepar.doctor.features import features_of, pairs_of
from sdfrepar.records import Camera, Matches, Views

# Each picture is compared with those that were taken in the most similar directions, and paired with the best of them.
_COMPARED, _PARTNERS = 12, 8


def matches_of(views: Views) -> Matches:
    """All points that pictures share with their neighbours; leading axis M, NumPy leaves.

    Raises:
        ValueError: they share none, so that they cannot say where the cameras are.
    """
    found = []
    with reports.Progress(len(views), unit="picture") as progress:
        for view in range(len(views)):
            found.append(features_of(views.images[view]))
            progress.update(view + 1, {"points": len(found[-1].film)})
    pairs = pairs_of(found, _PARTNERS, _neighbours(views.cameras))
    if not pairs:
        raise ValueError(
            "The pictures share no points that could be matched, so these cannot refine the cameras; expected some "
            "texture, so set --fit.match_weight=0."
        )
    each = [np.stack(pair.film, axis=1) for pair in pairs]
    print(f"{sum(map(len, each))} points in {len(pairs)} pairs of pictures refine the cameras")
    views_of = [np.tile([pair.first, pair.second], (len(film), 1)) for pair, film in zip(pairs, each, strict=True)]
    return Matches(
        views=np.concatenate(views_of).astype(np.int32),  # pyright: ignore[reportArgumentType]
        film=np.concatenate(each).astype(np.float32),  # pyright: ignore[reportArgumentType]
    )


def _neighbours(cameras: Camera) -> np.ndarray:
    """Which cameras (N, N) look in similar directions."""
    ahead = np.asarray(cameras.rotation)[:, :, 2]
    order = np.argsort(-ahead @ ahead.T, axis=1)[:, 1 : _COMPARED + 1]
    near = np.zeros((len(ahead), len(ahead)), bool)
    np.put_along_axis(near, order, True, axis=1)
    return near | near.T
