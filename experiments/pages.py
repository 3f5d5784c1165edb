"""Pages that open from disk: one file with all that it shows, which asks nothing of any network.

Their looks and scripts lie in `assets/`. What is put into a page is escaped, unless it is `Html` already.
"""

import base64
import html
import io
from collections.abc import Iterable, Sequence
from importlib import resources
from string import Template
from typing import Any, Literal

import numpy as np

from sdfrepar import files

# Pixels: pictures that are narrower are shown with the edges of their pixels, and kept exactly.
_SMALL = 256

# Bytes of a page that pictures may take: with a mesh and the rest it stays below eight million.
_PICTURES = 3_500_000

# Elements that hold nothing and are not closed.
_EMPTY = ("img",)


class Html(str):
    """Text that is markup already."""


def asset(name: str) -> str:
    """What a file in `assets/` holds."""
    return resources.files("experiments").joinpath("assets", name).read_text(encoding="utf-8")


def fill(name: str, **parts: Any) -> Html:
    """A template of `assets/` with its `$parts` put in."""
    return Html(Template(asset(name)).substitute({part: escaped(value) for part, value in parts.items()}))


def escaped(value: Any) -> Html:
    """A value as markup that shows it; markup as it is."""
    return value if isinstance(value, Html) else Html(html.escape(str(value)))


def joined(parts: Iterable[Html]) -> Html:
    """Pieces of markup, one under another."""
    return Html("\n".join(parts))


def page(title: str, eyebrow: str, *body: Html, scripts: Sequence[str] = ()) -> bytes:
    """A whole page, ready to be written.

    Args:
        title: heading, plain text.
        eyebrow: what kind of page it is, plain text, above the heading.
        body: what follows.
        scripts: names of assets.
    """
    style, code = Html(asset("page.css")), Html("\n".join(asset(name) for name in scripts))
    filled = fill("page.html", title=title, eyebrow=eyebrow, body=joined(body), style=style, scripts=code)
    # JSON may hold half a character, which no page can.
    return filled.encode(errors="replace")


def element(tag: str, *children: Any, **attributes: Any) -> Html:
    """An element; attributes that are None are left out, and `class_` stands for `class`."""
    given = {name.rstrip("_"): value for name, value in attributes.items() if value is not None}
    words = "".join(f' {name}="{html.escape(str(value))}"' for name, value in given.items())
    start = f"<{tag}{words}>"
    return Html(start if tag in _EMPTY else f"{start}{''.join(escaped(child) for child in children)}</{tag}>")


def verdict(sentence: str, mood: Literal["good", "bad", "plain"]) -> Html:
    """What is to be said first."""
    return element("p", sentence, class_=f"verdict {mood}")


def facts(rows: Iterable[tuple[str, Any]]) -> Html:
    """Names and what they stand for, a line each; one under the other on a phone."""
    lines = (element("tr", element("th", name, scope="row"), element("td", value)) for name, value in rows)
    return element("table", *lines, class_="facts")


def table(header: Sequence[Any], rows: Iterable[Sequence[Any]]) -> Html:
    """Rows of cells under a header; it scrolls sideways where it is too wide."""
    top = element("tr", *(element("th", cell, scope="col") for cell in header))
    lines = (element("tr", *(element("td", cell) for cell in row)) for row in rows)
    return element("div", element("table", top, *lines), class_="scroll")


def numbers(rows: Iterable[tuple[str, str]]) -> Html:
    """The few numbers that matter most, large."""
    return element(
        "dl", *(element("div", element("dt", name), element("dd", value)) for name, value in rows), class_="numbers"
    )


def section(title: str, words: str, *body: Html) -> Html:
    """A part of a page: its heading, a sentence, and the rest."""
    return element("section", element("h2", title), element("p", words, class_="quiet"), *body)


def as_many_as_fit(pieces: Iterable[Html]) -> list[Html]:
    """The first pieces, at least one, whose pictures leave a page small enough to be sent around."""
    kept: list[Html] = []
    room = _PICTURES
    for piece in pieces:
        room -= len(piece)
        if kept and room < 0:
            break
        kept.append(piece)
    return kept


def folded(title: str, *body: Html) -> Html:
    """What is shown once its title is clicked."""
    return element("details", element("summary", title), *body)


def picture(pixels: np.ndarray, what: str, *, widest: int = 480) -> Html:
    """A picture (H, W, 3), sRGB in [0, 1], made smaller where it is more than `widest` pixels wide or high."""
    from PIL import Image

    image = Image.fromarray(files.as_bytes(pixels))
    is_small = image.width <= _SMALL
    image.thumbnail((widest, widest))
    memory = io.BytesIO()
    image.save(memory, format="WEBP", lossless=is_small, quality=90)
    return element(
        "img",
        src=data_uri(memory.getvalue(), "image/webp"),
        alt=what,
        width=image.width,
        height=image.height,
        class_="small" if is_small else None,
    )


def figure(image: Html, caption: Any) -> Html:
    """A picture over its caption."""
    return element("figure", image, element("figcaption", caption))


def wipe(left: np.ndarray, right: np.ndarray, names: tuple[str, str], *, widest: int = 480) -> Html:
    """Two pictures of one size over each other, with a line between them that moves; needs the script `wipe.js`."""
    over, under = picture(right, names[1], widest=widest), picture(left, names[0], widest=widest)
    return fill("wipe.html", left=under, right=over, left_name=names[0], right_name=names[1])


def data_uri(content: bytes, kind: str) -> str:
    """A file within an address."""
    return f"data:{kind};base64,{base64.b64encode(content).decode()}"
