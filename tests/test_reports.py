"""Pictures have the colours they promise; progress stays readable in a log and on a terminal."""

import io

import numpy as np
import pytest
from skimage.color import rgb2lab

from sdfrepar import reports
from sdfrepar.evaluation import luminance


class Clock:
    """Seconds that pass when told to."""

    now = 100.0

    def __call__(self):
        return self.now


def flat(value, height=4, width=5):
    return np.full((height, width, 3), value, np.float32)


def test_side_by_side_separates_with_two_pixels():
    joined = reports.side_by_side(flat(0.0), flat(1.0, width=3), flat(0.25, width=1))
    assert joined.shape == (4, 5 + 2 + 3 + 2 + 1, 3) and joined.dtype == np.float32
    np.testing.assert_allclose(joined[0, :, 0], [0] * 5 + [0.5] * 2 + [1] * 3 + [0.5] * 2 + [0.25])
    assert reports.side_by_side(flat(0.5)).shape == (4, 5, 3)


def test_side_by_side_refuses_unlike_panels():
    with pytest.raises(ValueError, match=r"heights \[4, 6\]"):
        reports.side_by_side(flat(0.0), flat(0.0, height=6))
    with pytest.raises(ValueError, match="panel 1 is float32"):
        reports.side_by_side(flat(0.0), flat(0.0)[..., 0])
    with pytest.raises(ValueError, match="divide bytes"):
        reports.side_by_side(flat(0.0).astype(np.uint8))
    with pytest.raises(ValueError, match="expected one height"):
        reports.side_by_side()


def test_error_map_brightens_to_saturation():
    errors = np.linspace(0.0, 0.3, 61, dtype=np.float32)[None, :, None]
    truth = np.zeros((1, 61, 3), np.float32)
    colours = reports.error_map(truth, truth + errors)
    brightness = luminance(colours)[0]
    assert np.all(np.diff(brightness[:51]) > 0.0)
    np.testing.assert_allclose(colours[0, 0], [0, 0, 4 / 255], atol=1e-6)
    np.testing.assert_allclose(colours[0, 51:], np.tile(np.array([252, 255, 164]) / 255, (10, 1)), atol=1e-6)
    with pytest.raises(ValueError, match="expected the same"):
        reports.error_map(flat(0.0), flat(0.0, width=2))


def test_signed_values_diverge_from_white():
    values = np.linspace(-3.0, 3.0, 13)[None]
    colours = reports.signed_picture(values, 2.0)
    assert colours.shape == (1, 13, 3) and colours.dtype == np.float32
    np.testing.assert_allclose(colours[0, 6], 247 / 255, rtol=1e-6)
    np.testing.assert_array_equal(colours[0, :2], colours[0, [2, 2]])  # saturated beyond the scale
    np.testing.assert_array_equal(colours[0, -2:], colours[0, [-3, -3]])
    red_less_blue = colours[0, :, 0] - colours[0, :, 2]
    assert np.all(red_less_blue[:6] < -0.1) and np.all(red_less_blue[7:] > 0.1)
    # Lightness L*, of 100, tells of the magnitude alone.
    lightness = rgb2lab(colours)[0, :, 0]
    assert np.all(np.diff(lightness[2:7]) > 2.0) and np.all(np.diff(lightness[6:11]) < -2.0)
    np.testing.assert_allclose(lightness, lightness[::-1], atol=6.0)


def test_signed_picture_shows_what_is_not_a_number():
    colours = reports.signed_picture(np.array([[np.nan, np.inf, 1.0]]), 1.0)
    np.testing.assert_array_equal(colours[0, 0], 0.0)
    np.testing.assert_array_equal(colours[0, 1], colours[0, 2])


def test_signed_picture_refuses_what_it_cannot_show():
    with pytest.raises(ValueError, match="average over the colours"):
        reports.signed_picture(flat(0.0), 1.0)
    with pytest.raises(ValueError, match="scale is 0"):
        reports.signed_picture(np.zeros((2, 2)), 0)


def test_normals_over_white():
    normal = np.array([[[0.0, 0.0, 2.0], [0.0, 0.0, 0.0], [-1.0, 0.0, 0.0]]])
    picture = reports.normal_picture(normal, np.array([[1.0, 0.0, 0.5]]))
    np.testing.assert_allclose(picture[0], [[0.5, 0.5, 1.0], [1.0, 1.0, 1.0], [0.5, 0.75, 0.75]])
    with pytest.raises(ValueError, match="that of the picture"):
        reports.normal_picture(normal, np.ones((3, 1)))


def test_depth_is_bright_when_near_and_white_when_missed():
    depth, opacity = np.array([[2.0, 3.0, 4.0, 0.0]]), np.array([[1.0, 1.0, 1.0, 0.0]])
    np.testing.assert_allclose(reports.depth_picture(depth, opacity)[0, :, 1], [0.9, 0.5, 0.1, 1.0], rtol=1e-6)
    np.testing.assert_allclose(reports.depth_picture(depth, 0.0 * opacity), 1.0)
    np.testing.assert_allclose(reports.depth_picture(0.0 * depth + 3.0, 0.0 * opacity + 1.0), 0.9)
    limited = reports.depth_picture(depth, opacity, (3.0, 5.0))
    np.testing.assert_allclose(limited[0, :, 1], [0.9, 0.9, 0.5, 1.0], rtol=1e-6)
    with pytest.raises(ValueError, match=r"expected \(H, W\)"):
        reports.depth_picture(depth, opacity[0])


def test_plain_progress_prints_at_most_every_interval():
    stream, clock = io.StringIO(), Clock()
    with reports.Progress(100, interval=5.0, stream=stream, clock=clock) as progress:
        progress.note("compiled in 12.3 s")
        for step in range(1, 13):
            progress.update(step, {"rgb": 0.012345, "psnr": 23.456, "hit_rate": 0.4, "band": 0.083}, 12345.0)
            clock.now += 1.0
    lines = stream.getvalue().splitlines()
    assert lines[0] == "compiled in 12.3 s"
    assert lines[1] == "step 1/100  1%  rgb 0.01235  psnr 23.46 dB  hit_rate 40.0%  band 8.3%  12.3k rays/s"
    assert [line.split("  ")[0] for line in lines[2:]] == ["step 6/100", "step 11/100", "step 12/100"]


def test_time_left_starts_at_the_first_update():
    stream, clock = io.StringIO(), Clock()
    with reports.Progress(1000, start=400, interval=0.0, stream=stream, clock=clock) as progress:
        clock.now += 1000.0
        progress.update(401, {}, 1.0)
        clock.now += 10.0
        progress.update(501, {}, 2.5e6)
        progress.update(1000, {}, 1.0)
    first, second, last = stream.getvalue().splitlines()
    assert "left" not in first and "left" not in last
    assert second == "step 501/1000  50%  0:00:50 left  2.5M rays/s"


def test_metrics_are_read_only_when_shown():
    class Unread:
        def __float__(self):
            raise AssertionError("read although not shown")

    stream, clock = io.StringIO(), Clock()
    with reports.Progress(10, stream=stream, clock=clock) as progress:
        progress.update(1, {"loss": 1.0}, 1.0)
        progress.update(2, {"loss": Unread()}, 1.0)
        progress.update(3, {"loss": 3.0}, 1.0)
    assert [line.split("  ")[-2] for line in stream.getvalue().splitlines()] == ["loss 1", "loss 3"]


def test_live_progress_draws_one_line(monkeypatch):
    monkeypatch.setenv("COLUMNS", "120")
    monkeypatch.setenv("TERM", "xterm")
    stream, clock = io.StringIO(), Clock()
    with reports.Progress(10, stream=stream, terminal=True, clock=clock) as progress:
        progress.update(5, {"loss [rgb]": 0.5}, 10.0)
        progress.note("saved [step 5]")
    assert "step 5/10  50%  loss [rgb] 0.5  10 rays/s" in stream.getvalue()
    assert "saved [step 5]" in stream.getvalue()


def test_progress_refuses_to_run_backwards():
    with pytest.raises(ValueError, match="ask for more steps"):
        reports.Progress(10, start=11)


def test_panels_of_takes_apart_what_side_by_side_joined():
    panels = [flat(value) for value in (0.0, 0.25, 1.0)]
    for panel, again in zip(panels, reports.panels_of(reports.side_by_side(*panels), 3), strict=True):
        np.testing.assert_array_equal(panel, again)
    with pytest.raises(ValueError, match="is not 2 panels of one width"):
        reports.panels_of(reports.side_by_side(*panels), 2)


def test_table_is_markdown():
    assert reports.table(("a", "b"), [("1", "2")]) == "| a | b |\n| --- | --- |\n| 1 | 2 |"
