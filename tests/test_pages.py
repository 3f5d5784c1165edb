"""Pages hold all that they show, escape what is not theirs, and stay small."""

import base64
import io
import json
import re

import numpy as np
import pytest
import trimesh
import written
from PIL import Image

from experiments import charts, pages, scene_view
from experiments.charts import Curve
from experiments.pages import Html
from sdfrepar import files


def test_text_is_escaped_and_markup_is_not():
    page = pages.page("<b>", "a & b", pages.facts([('"x"', Html("<i>y</i>"))]), scripts=["wipe.js"]).decode()
    assert "<title>&lt;b&gt;</title>" in page and "<b>" not in page and "a &amp; b" in page
    assert "&quot;x&quot;" in page and "<i>y</i>" in page
    assert pages.element("a", "<", href='">') == '<a href="&quot;&gt;">&lt;</a>'


def test_pictures_lie_within_the_page():
    def decoded(image):
        return Image.open(io.BytesIO(base64.b64decode(re.search(r"base64,([^\"]+)", image)[1])))

    rng = np.random.default_rng(0)
    small, large = rng.random((20, 30, 3)), rng.random((300, 600, 3))
    exact = pages.picture(small, "<small>")
    np.testing.assert_array_equal(np.asarray(decoded(exact).convert("RGB")), files.as_bytes(small))
    assert 'alt="&lt;small&gt;"' in exact and 'class="small"' in exact
    assert decoded(pages.picture(large, "large")).size == (480, 240)


def test_pieces_are_taken_while_there_is_room():
    pieces = [Html("x" * 1_500_000)] * 5
    assert len(pages.as_many_as_fit(pieces)) == 2
    assert len(pages.as_many_as_fit([Html("x" * 9_000_000)])) == 1


def points_of(chart):
    lines = re.findall(r'points="([^"]+)"', chart)
    return [np.array([point.split(",") for point in line.split()], float) for line in lines]


def test_a_chart_goes_from_corner_to_corner_and_tells_the_last_values():
    chart = charts.chart("a < b", [Curve("x & y", [0, 10, 20], [1.0, 3.0, 2.0])], shown="{:.2f}".format)
    (line,) = points_of(chart)
    assert line[0, 0] == line[:, 0].min() and line[-1, 0] == line[:, 0].max()
    # Down the page is up in value.
    assert line[1, 1] < line[2, 1] < line[0, 1] and line[2, 1] == pytest.approx((line[0, 1] + line[1, 1]) / 2, abs=0.1)
    assert "<h3>a &lt; b</h3>" in chart and "x &amp; y <b>2.00</b>" in chart


def test_a_chart_leaves_out_what_has_no_place_on_it():
    chart = charts.chart("t", [Curve("a", [0, 1, 2, 3], [None, 0.0, 1.0, 100.0]), Curve("b", [0], [None])], is_log=True)
    (line,) = points_of(chart)
    assert len(line) == 2 and "b " not in re.sub("<[^>]*>", "", chart)
    assert charts.chart("t", [Curve("a", [], [])]) == ""
    assert "<circle" in charts.chart("t", [Curve("a", [5], [7.0])])


def test_long_curves_are_thinned_by_means():
    (line,) = points_of(charts.chart("t", [Curve("a", range(5000), [float(k % 2) for k in range(5000)])]))
    assert len(line) <= 240
    # The mean of noise, but for the last point, which is told.
    assert np.ptp(line[:-1, 1]) < 0.1 * abs(line[-1, 1] - line[0, 1])


@pytest.mark.parametrize(("low", "high"), [(0.0, 5000.0), (18.6, 27.6), (-1e-4, 3e-4), (1e6, 1e6 + 1)])
def test_ticks_are_few_and_round(low, high):
    ticks = charts._Axis.over([low, high], is_log=False).ticks()
    assert 2 <= len(ticks) <= 6 and all(low <= tick <= high for tick in ticks)


def payload_of(view):
    return json.loads(re.search(r'application/json">(.*?)</script>', view, flags=re.DOTALL)[1])


def numbers(text, kind):
    return np.frombuffer(base64.b64decode(text), kind).reshape(-1, 3)


def test_a_mesh_is_packed_with_its_place_among_the_cameras(tmp_path):
    """In the unit sphere around the mesh; the cameras' way up; outward normals and colours of the vertices."""
    ball = trimesh.creation.icosphere(subdivisions=2)
    files.write_mesh(tmp_path / "a.ply", 2.0 * ball.vertices + 5.0, ball.faces, 0.5 + 0.5 * ball.vertices)
    rig = [camera._replace(corners=2.0 * camera.corners + 5.0) for camera in written.rig()]
    payload = payload_of(scene_view.scene_view(tmp_path / "a.ply", rig))
    mesh = payload["mesh"]
    vertices = np.array(mesh["low"]) + np.array(mesh["size"]) * numbers(mesh["positions"], "<u2") / 65535
    np.testing.assert_allclose(vertices, ball.vertices, atol=1e-3)
    np.testing.assert_array_equal(numbers(mesh["faces"], "<u4"), ball.faces)
    np.testing.assert_allclose(numbers(mesh["normals"], "i1") / 127, ball.vertices, atol=0.02)
    np.testing.assert_allclose(numbers(mesh["colours"], "u1") / 255, 0.5 + 0.5 * ball.vertices, atol=0.01)
    np.testing.assert_allclose(payload["cameras"][0]["corners"], written.rig()[0].corners, atol=1e-3)
    assert [camera["held_out"] for camera in payload["cameras"]] == [False, True]
    np.testing.assert_allclose(payload["up"], [0, 1, 0], atol=1e-6)
    np.testing.assert_allclose(payload["from"], [0, 0, 1], atol=1e-6)


def test_a_large_mesh_is_made_coarser_and_stays_whole():
    ball = trimesh.creation.icosphere(subdivisions=5)
    colours = files.as_bytes(0.5 + 0.5 * ball.vertices)
    fine = scene_view._Surface(np.asarray(ball.vertices), np.asarray(ball.faces), np.asarray(ball.vertices), colours)
    coarse = scene_view.coarser(fine, 2000)
    assert 500 < len(coarse.vertices) <= 2000 and coarse.faces.max() == len(coarse.vertices) - 1
    assert trimesh.Trimesh(coarse.vertices, coarse.faces).volume == pytest.approx(ball.volume, rel=0.03)
    np.testing.assert_allclose(np.linalg.norm(coarse.normals, axis=1), 1.0, atol=1e-6)
    np.testing.assert_allclose(coarse.colours / 255, 0.5 + 0.5 * coarse.vertices, atol=0.05)


def test_a_view_of_nothing_is_refused_and_of_cameras_alone_is_not():
    payload = payload_of(scene_view.scene_view(None, written.rig()))
    assert payload["mesh"] is None and len(payload["cameras"]) == 2
    with pytest.raises(ValueError, match="neither a mesh nor cameras"):
        scene_view.scene_view(None, [])
