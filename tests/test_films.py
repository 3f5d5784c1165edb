"""Animations hold their frames, or a sentence says why there is none."""

import imageio.v3 as imageio
import numpy as np
import pytest

from sdfrepar import films


def film(count=4):
    """A white bar that moves over black."""
    frames = np.zeros((count, 7, 9, 3))
    for index, frame in enumerate(frames):
        frame[:, index] = 1.0
    return frames


def test_a_gif_holds_every_frame(tmp_path):
    films.write(tmp_path / "new" / "a.gif", film(), 20.0)
    stored = imageio.imread((tmp_path / "new" / "a.gif").read_bytes(), plugin="pillow", index=None)
    np.testing.assert_array_equal(stored[..., :3], film() * 255)
    about = imageio.immeta((tmp_path / "new" / "a.gif").read_bytes(), plugin="pillow")
    assert about["duration"] == 50 and about["loop"] == 0


# imageio's ffmpeg plugin leaves its pipes to the garbage collector.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_an_mp4_of_an_odd_size_gains_a_row_and_a_column(tmp_path):
    pytest.importorskip("imageio_ffmpeg")
    films.write(tmp_path / "a.mp4", film(), 10.0)
    stored = imageio.imread(tmp_path / "a.mp4", plugin="FFMPEG", index=None)
    assert stored.shape == (4, 8, 10, 3)
    assert stored[0, 3, 0].mean() > 128 > stored[0, 3, 5].mean()


def test_write_film_says_what_is_wrong(tmp_path, monkeypatch):
    with pytest.raises(ValueError, match=r"a\.avi has no known film format; end the name in one of \.gif, \.mp4"):
        films.write(tmp_path / "a.avi", film(), 10.0)
    with pytest.raises(ValueError, match=r"frames of shapes \[\(7, 9\)\]; expected one shape"):
        films.write(tmp_path / "a.gif", film()[..., 0], 10.0)
    monkeypatch.setattr(films.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(
        ImportError, match=r"a\.mp4 without imageio-ffmpeg; pip install imageio-ffmpeg, or write a \.gif"
    ):
        films.require(tmp_path / "a.mp4")
