"""Pages in a browser, on a desk and on a phone: they show all that they hold, follow the hand, and ask for nothing."""

import base64
import io
import shutil

import numpy as np
import pytest
import written
from PIL import Image

from experiments import compare, run_report

SIZES = {"desk": {"width": 1280, "height": 800}, "phone": {"width": 390, "height": 844}}
SOFTWARE = ["--no-sandbox", "--use-gl=angle", "--use-angle=swiftshader", "--enable-unsafe-swiftshader"]
NASTY = "<script>document.title = 'taken'</script>"


@pytest.fixture(scope="module")
def chromium():
    """A headless browser that draws WebGL without a graphics card."""
    path = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    if path is None:
        pytest.skip("no Chromium was found; on Debian, apt-get install chromium")
    playwright = pytest.importorskip("playwright.sync_api", reason="playwright is missing: pip install -e '.[test]'")
    with playwright.sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=path, args=SOFTWARE)
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def report(tmp_path_factory):
    """The page of a finished run whose folder and data have bad names."""
    folder = tmp_path_factory.mktemp("runs") / "<script>document.title='taken'<"
    return run_report.write(written.run_folder(folder, data=NASTY), written.rig())


class Opened:
    """A page, with what it has asked for and complained about."""

    def __init__(self, chromium, path, size, *, touch=False):
        context = chromium.new_context(viewport=SIZES[size], has_touch=touch)
        self.page = context.new_page()
        self.requests, self.complaints = [], []
        self.page.on("request", lambda request: self.requests.append(request.url))
        self.page.on("console", lambda message: self.complaints.append(message.text))
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))
        self.page.goto(path.as_uri())

    def pixels(self):
        """What the 3-D view shows, (H, W, 4)."""
        address = self.page.evaluate(
            """() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(() =>
                done(document.querySelector(".scene canvas").toDataURL()))))"""
        )
        return np.asarray(Image.open(io.BytesIO(base64.b64decode(address.partition(",")[2]))))

    def middle_of(self, selector):
        box = self.page.locator(selector).first
        box.scroll_into_view_if_needed()
        found = box.bounding_box()
        return found["x"] + found["width"] / 2, found["y"] + found["height"] / 2

    def drag(self, selector, right, down):
        x, y = self.middle_of(selector)
        self.page.mouse.move(x, y)
        self.page.mouse.down()
        self.page.mouse.move(x + right / 2, y + down / 2)
        self.page.mouse.move(x + right, y + down)
        self.page.mouse.up()


@pytest.mark.parametrize("size", SIZES)
def test_a_report_shows_all_and_asks_for_nothing(chromium, report, size):
    opened = Opened(chromium, report, size)
    page = opened.page
    assert opened.complaints == []
    assert all(url.startswith(("file:", "data:")) for url in opened.requests)
    assert [url for url in opened.requests if url.startswith("file:")] == [report.as_uri()]
    widths = page.evaluate("[...document.images].map((image) => image.naturalWidth)")
    assert len(widths) == 2 * 5 + 1 and min(widths) > 0
    page.evaluate("for (const part of document.querySelectorAll('details')) part.open = true")
    assert page.evaluate("document.documentElement.scrollWidth") <= SIZES[size]["width"]
    assert page.evaluate("document.title").startswith("<script>") and page.locator("h1").inner_text() == page.title()
    assert page.evaluate("Math.min(...[...document.querySelectorAll('svg')].map((s) => s.clientHeight))") > 100


def test_the_shape_is_drawn_and_turns(chromium, report):
    opened = Opened(chromium, report, "desk")
    first = opened.pixels()
    drawn = first[..., 3] > 0
    assert 0.1 < drawn.mean() < 0.6
    # From beside the camera on +z the sphere's middle is as blue as its colours say.
    middle = first[first.shape[0] // 2, first.shape[1] // 2, :3].astype(int)
    assert middle[2] > 220 and abs(middle[1] - 128) < 25
    opened.drag(".scene canvas", 150, 0)
    turned = opened.pixels()
    assert (turned[..., 3] > 0).mean() == pytest.approx(drawn.mean(), rel=0.1)
    assert np.abs(turned.astype(int) - first).mean() > 5
    # Dragged to the right, what was at the left comes before the viewer: -x, which is dark red.
    assert turned[first.shape[0] // 2, first.shape[1] // 2, 0] < middle[0] - 50
    opened.page.mouse.wheel(0, -400)
    assert (opened.pixels()[..., 3] > 0).mean() > 1.5 * drawn.mean()
    opened.page.locator(".scene .reset").click()
    np.testing.assert_array_equal(opened.pixels(), first)
    opened.page.locator("button[data-look=normals]").click()
    assert opened.page.locator("button[aria-pressed=true]").inner_text() == "Normals"
    opened.page.locator("button[data-look=shape]").click()
    grey = opened.pixels()[first.shape[0] // 2, first.shape[1] // 2, :3]
    assert np.ptp(grey) <= 1 and grey[0] > 200
    opened.page.locator(".scene input").uncheck()
    assert (opened.pixels()[..., 3] > 0).sum() < drawn.sum()
    assert opened.complaints == []


def test_fingers_turn_and_pinch(chromium, report):
    opened = Opened(chromium, report, "phone", touch=True)
    x, y = opened.middle_of(".scene canvas")
    first, device = opened.pixels(), opened.page.context.new_cdp_session(opened.page)

    def touch(kind, *points):
        device.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": [{"x": a, "y": b} for a, b in points]})

    touch("touchStart", (x, y))
    touch("touchMove", (x + 80, y))
    touch("touchEnd")
    turned = opened.pixels()
    assert np.abs(turned.astype(int) - first).mean() > 5
    touch("touchStart", (x - 20, y), (x + 20, y))
    touch("touchMove", (x - 60, y), (x + 60, y))
    touch("touchEnd")
    assert (opened.pixels()[..., 3] > 0).mean() > 1.5 * (turned[..., 3] > 0).mean()


@pytest.mark.parametrize("size", SIZES)
def test_the_line_between_truth_and_render_follows_the_hand(chromium, report, size):
    opened = Opened(chromium, report, size)
    wipe = opened.page.locator(".wipe .over").first
    before = wipe.screenshot()
    opened.drag(".wipe .over", 60, 0)
    after = wipe.screenshot()
    assert before != after
    at = opened.page.evaluate("getComputedStyle(document.querySelector('.wipe')).getPropertyValue('--at')")
    assert 55 < float(at.rstrip("%")) < 85
    opened.page.keyboard.press("End")
    assert opened.page.evaluate("document.querySelector('.wipe input').value") == "100"


@pytest.mark.parametrize("size", SIZES)
def test_a_comparison_shows_all(chromium, tmp_path, size):
    folders = [written.run_folder(tmp_path / name, step=step) for name, step in (("a", 200), ("b", 200), ("c", 100))]
    compare.write(compare.compared(folders), tmp_path / "all.png", views=2)
    opened = Opened(chromium, tmp_path / "all.html", size)
    assert opened.complaints == []
    widths = opened.page.evaluate("[...document.images].map((image) => image.naturalWidth)")
    assert len(widths) == 2 * 2 * 4 and min(widths) > 0
    assert opened.page.evaluate("document.documentElement.scrollWidth") <= SIZES[size]["width"]
