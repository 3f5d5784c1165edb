"""Points that pictures share, by which cameras are refined."""

from collections.abc import Sequence

import numpy as np

from sdfrepar import reports
from sdfrepar.doctor.features import Pair, features_of, pairs_of
from sdfrepar.records import Camera, Tracks, Views

# Each picture is compared with those that were taken in the most similar directions, and paired with the best of them.
_COMPARED, _PARTNERS = 12, 8

# Many points, some of them false: what they do not agree on is found out when the cameras are bundled.
_CONTRAST, _RATIO = 0.003, 0.8

# Two pictures alone hardly tell turning about the object from its depth.
_FEWEST = 3


def tracks_of(views: Views) -> Tracks:
    """All points that three pictures and more share; leading axis T, NumPy leaves.

    Raises:
        ValueError: they share none, so that they cannot say where the cameras are.
    """
    found = []
    with reports.Progress(len(views), unit="picture") as progress:
        for view in range(len(views)):
            found.append(features_of(views.images[view], contrast=_CONTRAST))
            progress.update(view + 1, {"points": len(found[-1].film)})
    pairs = pairs_of(found, _PARTNERS, _neighbours(views.cameras), ratio=_RATIO)
    groups = _same_points(pairs) if pairs else []
    if not groups:
        raise ValueError(
            "The pictures share no points that could be matched, so these cannot refine the cameras; expected some "
            "texture, so set --fit.match_weight=0."
        )
    print(f"{len(groups)} points that are seen {sum(map(len, groups))} times in {len(pairs)} pairs refine the cameras")
    return _padded(groups)


def _same_points(pairs: Sequence[Pair]) -> list[np.ndarray]:
    """For each point its pictures and film positions (V, 3); those that a picture shows twice are false."""
    from scipy.sparse import coo_matrix
    from scipy.sparse.csgraph import connected_components

    ends = [
        np.column_stack([np.full(len(film), view), film])
        for pair in pairs
        for view, film in zip((pair.first, pair.second), pair.film, strict=True)
    ]
    first, second = (np.concatenate(ends[k::2]) for k in (0, 1))
    places, index = np.unique(np.concatenate([first, second]), axis=0, return_inverse=True)
    one, other = index.reshape(2, -1)
    links = coo_matrix((np.ones(len(one)), (one, other)), shape=(len(places), len(places)))
    _, group = connected_components(links, directed=False)
    order = np.argsort(group, kind="stable")
    groups = np.split(places[order], np.flatnonzero(np.diff(group[order])) + 1)
    return [seen for seen in groups if len(seen) >= _FEWEST and len(np.unique(seen[:, 0])) == len(seen)]


def _padded(groups: Sequence[np.ndarray]) -> Tracks:
    lengths = np.array([len(seen) for seen in groups])
    places = np.arange(lengths.max())
    seen = places < lengths[:, None]
    rows = np.cumsum(lengths)[:, None] - lengths[:, None] + np.where(seen, places, 0)
    each = np.concatenate(groups)[rows]
    return Tracks(
        views=each[..., 0].astype(np.int32),  # pyright: ignore[reportArgumentType]
        film=each[..., 1:].astype(np.float32),  # pyright: ignore[reportArgumentType]
        seen=seen,  # pyright: ignore[reportArgumentType]
    )


def _neighbours(cameras: Camera) -> np.ndarray:
    """Which cameras (N, N) look in similar directions."""
    ahead = np.asarray(cameras.rotation)[:, :, 2]
    order = np.argsort(-ahead @ ahead.T, axis=1)[:, 1 : _COMPARED + 1]
    near = np.zeros((len(ahead), len(ahead)), bool)
    np.put_along_axis(near, order, True, axis=1)
    return near | near.T
