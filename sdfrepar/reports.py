"""What people look at while a fit runs: pictures side by side, and a line of progress."""

import sys
import time
from collections.abc import Callable, Mapping, Sequence
from typing import TextIO

import numpy as np


def _stops(colours: str) -> np.ndarray:
    """Colours (N, 3) in [0, 1] from hexadecimal words."""
    return np.array([list(bytes.fromhex(colour)) for colour in colours.split()], np.float32) / 255.0


# Eight evenly spaced colours of the `inferno` map: dark to bright, of even perceptual steps, safe for the colour-blind.
_INFERNO = _stops("000004 280B54 65156E 9F2A63 D44842 F57D15 FAC127 FCFFA4")

# ColorBrewer's diverging RdBu from blue over white to red, equally bright on both sides, safe for the colour-blind.
_BLUE_RED = _stops("053061 2166AC 4393C3 92C5DE D1E5F0 F7F7F7 FDDBC7 F4A582 D6604D B2182B 67001F")

_ERROR_SATURATION = 0.25
_SEPARATOR_WIDTH, _SEPARATOR_GREY = 2, 0.5

# White is kept for rays that miss.
_NEAREST_GREY, _FARTHEST_GREY = 0.9, 0.1

# Often enough to look alive, rarely enough not to hold up the steps.
_TERMINAL_INTERVAL = 0.2


def side_by_side(*panels: np.ndarray) -> np.ndarray:
    """Pictures joined from left to right, with 2 grey pixels between neighbours.

    Args:
        panels: (H, W, 3) each, in [0, 1]; one height, any widths.

    Returns:
        (H, sum of W + 2 (n - 1), 3) float32.

    Raises:
        ValueError: no panel, a panel of another shape, or of integers.
    """
    pictures = [_picture(panel, f"panel {index}") for index, panel in enumerate(panels)]
    heights = sorted({len(picture) for picture in pictures})
    if len(heights) != 1:
        raise ValueError(f"The panels have heights {heights}, expected one height; resize them to a common one.")
    separator = np.full((heights[0], _SEPARATOR_WIDTH, 3), _SEPARATOR_GREY, np.float32)
    joined = [part for picture in pictures for part in (separator, picture)]
    return np.concatenate(joined[1:], axis=1)


def panels_of(joined: np.ndarray, count: int) -> list[np.ndarray]:
    """The pictures (H, W, 3) that `side_by_side` joined, where all `count` of them had one width.

    Raises:
        ValueError: a width that cannot come from so many.
    """
    width, left = divmod(joined.shape[1] - _SEPARATOR_WIDTH * (count - 1), count)
    if left or width < 1:
        raise ValueError(f"A picture {joined.shape[1]} pixels wide is not {count} panels of one width; count them.")
    return [joined[:, start : start + width] for start in range(0, joined.shape[1], width + _SEPARATOR_WIDTH)]


def table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Rows of cells in Markdown, under a header."""
    lines = [header, ("---",) * len(header), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def error_map(truth_srgb: np.ndarray, render_srgb: np.ndarray) -> np.ndarray:
    """The difference of two pictures in false colours: black for none, pale yellow for 0.25 and above.

    Args:
        truth_srgb: (H, W, 3) sRGB in [0, 1].
        render_srgb: same shape.

    Returns:
        (H, W, 3) float32 sRGB, coloured by the mean over the channels of the absolute difference.

    Raises:
        ValueError: pictures of unlike shapes, or of integers.
    """
    truth, render = _picture(truth_srgb, "truth_srgb"), _picture(render_srgb, "render_srgb")
    if truth.shape != render.shape:
        raise ValueError(f"The pictures have shapes {truth.shape} and {render.shape}, expected the same; resize one.")
    error = np.abs(truth - render).mean(axis=-1) / _ERROR_SATURATION
    return _in_colours(error, _INFERNO)


def signed_picture(values: np.ndarray, scale: float) -> np.ndarray:
    """Signed values in diverging colours: blue below zero, near white at zero, red above; black where not a number.

    Args:
        values: (H, W) any unit.
        scale: the magnitude, in that unit, from which on the colour is the deepest.

    Returns:
        (H, W, 3) float32 sRGB.

    Raises:
        ValueError: values of another shape, or a scale that is not positive.
    """
    values = np.asarray(values, np.float32)
    if values.ndim != 2:
        raise ValueError(f"values has shape {values.shape}, expected (H, W); average over the colours first.")
    if not scale > 0:
        raise ValueError(f"scale is {scale}, expected a positive magnitude; the largest of the values is a usual one.")
    return np.nan_to_num(_in_colours(0.5 + 0.5 * values / scale, _BLUE_RED))


def normal_picture(normal: np.ndarray, opacity: np.ndarray) -> np.ndarray:
    """Unit normals n shown as the colour (n + 1) / 2, over white.

    Args:
        normal: (H, W, 3) any frame, any length; 0 where nothing was hit.
        opacity: (H, W) in [0, 1].

    Returns:
        (H, W, 3) float32 in [0, 1].

    Raises:
        ValueError: shapes that do not agree.
    """
    normal = _picture(normal, "normal")
    length = np.linalg.norm(normal, axis=-1, keepdims=True)
    return _over_white(0.5 * (normal / np.maximum(length, 1e-12) + 1.0), opacity)


def depth_picture(depth: np.ndarray, opacity: np.ndarray, limits: tuple[float, float] | None = None) -> np.ndarray:
    """Depth in greys, the nearest hit brightest and the farthest darkest, over white.

    Args:
        depth: (H, W) scene units; ignored where nothing was hit.
        opacity: (H, W) in [0, 1]; 0 where nothing was hit.
        limits: the brightest and the darkest depth, scene units, so that the pictures of a film agree; those of this
            picture if not given.

    Returns:
        (H, W, 3) float32 in [0, 1].

    Raises:
        ValueError: shapes that do not agree.
    """
    depth, opacity = np.asarray(depth, np.float32), np.asarray(opacity, np.float32)
    if depth.ndim != 2 or depth.shape != opacity.shape:
        raise ValueError(f"depth and opacity have shapes {depth.shape} and {opacity.shape}, expected (H, W) for both.")
    hit = opacity > 0
    own = (depth[hit].min(), depth[hit].max()) if hit.any() else (0.0, 0.0)
    nearest, farthest = own if limits is None else limits
    share = np.clip(np.where(hit, depth - nearest, 0.0) / max(farthest - nearest, 1e-12), 0.0, 1.0)
    grey = _NEAREST_GREY + (_FARTHEST_GREY - _NEAREST_GREY) * share
    return _over_white(np.repeat(grey[..., None], 3, axis=-1), opacity)


class Progress:
    """Progress of a run: a live line on a terminal, plain lines now and then elsewhere, so that logs stay readable.

    The time left is reckoned from the first update on, which leaves out the compilation before it. Metrics are read
    only when they are shown, so that steps need not wait for them.

        with Progress(total, start=resumed_at) as progress:
            progress.note("compiled in 12.3 s")
            progress.update(step, {"loss": 0.01, "psnr": 23.4, "hit_rate": 0.4}, rays_per_second)
    """

    def __init__(
        self,
        total: int,
        start: int = 0,
        *,
        unit: str = "step",
        interval: float = 5.0,
        stream: TextIO | None = None,
        terminal: bool | None = None,
        clock: Callable[[], float] = time.monotonic,
    ):
        """Prepare; nothing is shown before the first update or note.

        Args:
            total: step at which the run ends.
            start: step at which it begins, when resumed.
            unit: what is counted.
            interval: least time between two plain lines, seconds.
            stream: where to write; standard output by default.
            terminal: whether to draw a live line; by default, whether the stream is a terminal.
            clock: seconds.

        Raises:
            ValueError: a total or a start out of range.
        """
        if not 0 <= start <= total:
            raise ValueError(
                f"Progress runs from {start} to {total}, expected 0 <= start <= total; ask for more steps."
            )
        output: TextIO = stream or sys.stdout
        live = output.isatty() if terminal is None else terminal
        self._total, self._unit, self._clock = total, unit, clock
        self._interval = _TERMINAL_INTERVAL if live else interval
        self._lines = _Live(output, total, start) if live else _Plain(output)
        self._first: tuple[int, float] | None = None
        self._shown_at = -float("inf")
        self._pending: tuple[int, Mapping[str, float], float | None, float] | None = None

    def __enter__(self) -> "Progress":
        """Begin to show progress."""
        self._lines.open()
        return self

    def __exit__(self, *exception: object) -> None:
        """Show the last update, if it was held back, and stop."""
        try:
            self._show()
        finally:
            self._lines.close()

    def update(self, step: int, metrics: Mapping[str, float], rays_per_second: float | None = None) -> None:
        """Report a finished step; shown when the last line is old enough, or the run is complete.

        Args:
            step: steps finished so far, of the total.
            metrics: scalars by name, shown in this order.
            rays_per_second: throughput, where rays are at work.
        """
        now = self._clock()
        if self._first is None:
            self._first = (step, now)
        self._pending = (step, metrics, rays_per_second, now)
        if now - self._shown_at >= self._interval or step >= self._total:
            self._show()

    def note(self, sentence: str) -> None:
        """Show a message on a line of its own, at once."""
        self._lines.note(sentence)

    def _show(self) -> None:
        if self._pending is None:
            return
        step, metrics, rays_per_second, now = self._pending
        self._pending, self._shown_at = None, now
        parts = [f"{self._unit} {step}/{self._total}", f"{step / max(self._total, 1):.0%}", self._time_left(step, now)]
        parts += [_metric(name, float(value)) for name, value in metrics.items()]
        if rays_per_second is not None:
            parts.append(f"{_count(rays_per_second)} rays/s")
        self._lines.draw(step, "  ".join(part for part in parts if part))

    def _time_left(self, step: int, now: float) -> str:
        first_step, first_time = self._first or (step, now)
        if step >= self._total or step <= first_step:
            return ""
        seconds = round((now - first_time) / (step - first_step) * (self._total - step))
        hours, minutes = seconds // 3600, seconds // 60 % 60
        return f"{hours}:{minutes:02}:{seconds % 60:02} left"


class _Plain:
    """One line for each report."""

    def __init__(self, stream: TextIO):
        self._stream = stream

    def open(self) -> None:
        pass

    def draw(self, step: int, line: str) -> None:
        self.note(line)

    def note(self, sentence: str) -> None:
        print(sentence, file=self._stream, flush=True)

    def close(self) -> None:
        pass


class _Live:
    """One line, redrawn in place and folded where the terminal is narrow; messages scroll above it."""

    def __init__(self, stream: TextIO, total: int, start: int):
        from rich.console import Console
        from rich.progress import BarColumn, TextColumn
        from rich.progress import Progress as RichProgress
        from rich.table import Column

        words = TextColumn("{task.description}", markup=False, table_column=Column(overflow="fold"))
        columns = BarColumn(bar_width=10), words
        console = Console(file=stream, force_terminal=True)
        self._bar = RichProgress(*columns, console=console, auto_refresh=False)
        self._task = self._bar.add_task("", total=total, completed=start)

    def open(self) -> None:
        self._bar.start()

    def draw(self, step: int, line: str) -> None:
        self._bar.update(self._task, completed=step, description=line, refresh=True)

    def note(self, sentence: str) -> None:
        self._bar.console.print(sentence, markup=False, highlight=False)

    def close(self) -> None:
        self._bar.stop()


def _metric(name: str, value: float) -> str:
    if name.endswith("psnr"):
        return f"{name} {value:.2f} dB"
    if name.endswith(("hit_rate", "band")):
        return f"{name} {value:.1%}"
    return f"{name} {value:.4g}"


def _count(value: float) -> str:
    """A large number in three digits or so: 12.3k, 4.56M."""
    for size, suffix in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if value >= size:
            return f"{value / size:.3g}{suffix}"
    return f"{value:.3g}"


def _picture(picture: np.ndarray, name: str) -> np.ndarray:
    """As (H, W, 3) float32."""
    picture = np.asarray(picture)
    if picture.ndim != 3 or picture.shape[-1] != 3 or picture.dtype.kind != "f":
        raise ValueError(f"{name} is {picture.dtype} {picture.shape}, expected floats (H, W, 3); divide bytes by 255.")
    return picture.astype(np.float32)


def _in_colours(share: np.ndarray, colours: np.ndarray) -> np.ndarray:
    """A map of evenly spaced colours (N, 3) at shares (H, W), held beyond [0, 1]: (H, W, 3) float32."""
    stops = np.linspace(0.0, 1.0, len(colours))
    return np.stack([np.interp(share, stops, channel) for channel in colours.T], axis=-1).astype(np.float32)


def _over_white(colour: np.ndarray, opacity: np.ndarray) -> np.ndarray:
    """(H, W, 3) colours with (H, W) opacity, laid over white."""
    opacity = np.asarray(opacity, np.float32)
    if opacity.shape != colour.shape[:2]:
        raise ValueError(f"opacity has shape {opacity.shape}, expected {colour.shape[:2]}, that of the picture.")
    return (1.0 + opacity[..., None] * (colour - 1.0)).astype(np.float32)
