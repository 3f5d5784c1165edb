"""Curves of numbers against steps, drawn as SVG for a page: sharp at any width, and small."""

import math
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np

from experiments.pages import Html, element

# Those of Tableau's ColorBlind 10 that stand out on white.
_COLOURS = ("#006BA4", "#C85200", "#595959", "#5F9ED1", "#FF800E", "#898989")

_WIDTH, _HEIGHT = 360, 200
_LEFT, _RIGHT, _TOP, _BOTTOM = 44, 12, 8, 22

# A curve of more points looks the same.
_POINTS = 240


class Curve(NamedTuple):
    """A line of a chart."""

    name: str
    x: Sequence[float]
    y: Sequence[float | None]  # None where there is no number


def chart(
    title: str, curves: Sequence[Curve], *, shown: Callable[[float], str] = "{:.3g}".format, is_log: bool = False
) -> Html:
    """A chart with its title above and a legend below, which tells the last values; empty where there is nothing.

    Args:
        title: plain text.
        curves: lines in it.
        shown: a value as text.
        is_log: whether the axis of values is logarithmic; values that are not positive are left out then.
    """
    known = [curve for curve in (_thinned(curve, is_log) for curve in curves) if curve.x]
    if not known:
        return Html("")
    across = _Axis.over([x for curve in known for x in curve.x], is_log=False)
    along = _Axis.over([y for curve in known for y in curve.y if y is not None], is_log=is_log)
    marks = [_row(along.share(value), shown(value)) for value in along.ticks()]
    marks += [_column(across.share(value), f"{value:,.0f}") for value in across.ticks()]
    lines = [_line(curve, across, along, colour) for curve, colour in zip(known, _cycled(len(known)), strict=True)]
    drawn = element(
        "svg",
        *marks,
        *lines,
        viewBox=f"0 0 {_WIDTH} {_HEIGHT}",
        role="img",
        **{"aria-label": f"{title}: {', '.join(f'{curve.name} {shown(_last(curve))}' for curve in known)}"},
    )
    legend = (
        element("li", f"{curve.name} ", element("b", shown(_last(curve))), style=f"--colour:{colour}")
        for curve, colour in zip(known, _cycled(len(known)), strict=True)
    )
    return element("figure", element("h3", title), drawn, element("ul", *legend), class_="chart")


class _Axis(NamedTuple):
    """Values between two ends, as shares of the way from one to the other."""

    low: float
    high: float
    is_log: bool

    @classmethod
    def over(cls, values: Sequence[float], *, is_log: bool) -> "_Axis":
        low, high = min(values), max(values)
        if is_log:
            return cls(low, max(high, 2.0 * low), True)
        room = high - low or abs(high) or 1.0
        return cls(low if low != high else low - room, high, False)

    def share(self, value: float) -> float:
        low, high, value = (math.log(x) if self.is_log else x for x in (self.low, self.high, value))
        return (value - low) / (high - low)

    def ticks(self) -> list[float]:
        """A few round values."""
        if self.is_log:
            decades = range(math.floor(math.log10(self.low)), math.ceil(math.log10(self.high)) + 1)
            factors = (1.0, 2.0, 5.0) if len(decades) <= 3 else (1.0,)
            candidates = [factor * 10.0**decade for decade in decades for factor in factors]
        else:
            step = next(
                factor * 10.0**decade
                for decade in range(math.floor(math.log10(self.high - self.low)) - 1, 400)
                for factor in (1.0, 2.0, 5.0)
                if (self.high - self.low) / (factor * 10.0**decade) <= 5.0
            )
            candidates = [step * n for n in range(math.ceil(self.low / step), math.floor(self.high / step) + 1)]
        return [value for value in candidates if self.low <= value <= self.high]


def _thinned(curve: Curve, is_log: bool) -> Curve:
    """At most so many points, each the mean of its neighbours, of those that can be drawn."""
    points = [(x, y) for x, y in zip(curve.x, curve.y, strict=True) if y is not None and (y > 0 or not is_log)]
    if not points:
        return curve._replace(x=(), y=())
    few = [part.mean(axis=0) for part in np.array_split(np.array(points, float), min(len(points), _POINTS))]
    # The last point is the one that is told.
    xs, ys = zip(*few[:-1], points[-1], strict=True)
    return curve._replace(x=[float(x) for x in xs], y=[float(y) for y in ys])


def _last(curve: Curve) -> float:
    return next(y for y in reversed(curve.y) if y is not None)


def _cycled(count: int) -> list[str]:
    return [_COLOURS[i % len(_COLOURS)] for i in range(count)]


def _place(across: float, along: float) -> tuple[float, float]:
    """Shares of the axes, in the drawing."""
    return (
        _LEFT + across * (_WIDTH - _LEFT - _RIGHT),
        _HEIGHT - _BOTTOM - along * (_HEIGHT - _TOP - _BOTTOM),
    )


def _line(curve: Curve, across: _Axis, along: _Axis, colour: str) -> Html:
    places = [_place(across.share(x), along.share(y)) for x, y in zip(curve.x, curve.y, strict=True) if y is not None]
    points = " ".join(f"{x:.1f},{y:.1f}" for x, y in places)
    if len(places) == 1:
        return element("circle", cx=f"{places[0][0]:.1f}", cy=f"{places[0][1]:.1f}", r=3, fill=colour)
    return element("polyline", points=points, class_="curve", stroke=colour)


def _row(share: float, text: str) -> Html:
    """A line for a value, and the value beside it."""
    y = _place(0.0, share)[1]
    line = element("line", x1=_LEFT, x2=_WIDTH - _RIGHT, y1=f"{y:.1f}", y2=f"{y:.1f}", class_="grid")
    return Html(line + element("text", text, x=_LEFT - 6, y=f"{y + 4:.1f}", **{"text-anchor": "end"}))


def _column(share: float, text: str) -> Html:
    """A step, under the drawing."""
    x = _place(share, 0.0)[0]
    anchor = "end" if share > 0.95 else "middle"
    return element("text", text, x=f"{x:.1f}", y=_HEIGHT - 6, **{"text-anchor": anchor})
