"""How docstrings and comments of this package are read by the reference: for griffe, which reads the code."""

import re
import textwrap
from typing import Any

from griffe import Attribute, Docstring, Extension, Object

_SECTION = re.compile(r"^(Gradient|Protocol): (.*(?:\n    .*)*)", flags=re.MULTILINE)


class Comments(Extension):
    """The comment beside a field is its docstring; sections and tables in plain text become Markdown."""

    def on_attribute(self, *, attr: Attribute, **kwargs: Any) -> None:
        """Take the comment at the end of a field's line, or above it."""
        if attr.docstring is None and attr.lineno and attr.parent and attr.parent.is_class:
            lines = attr.lines_collection[attr.filepath][: attr.endlineno]
            own = " ".join(lines[attr.lineno - 1 :]).partition("  # ")[2]
            above = lines[attr.lineno - 2].strip()
            text = own or (above[2:] if above.startswith("# ") else "")
            if text:
                attr.docstring = Docstring(text, parent=attr, lineno=attr.lineno)

    def on_object(self, *, obj: Object, **kwargs: Any) -> None:
        """Once all of an object is known."""
        if obj.docstring is not None:
            obj.docstring.value = _markdown(obj.docstring.value)


def _markdown(text: str) -> str:
    """Plain text with columns as a block of code, and what follows `Gradient:` as its block."""
    text = _SECTION.sub(_block, text)
    return "\n\n".join(
        textwrap.indent(paragraph, "    ") if _has_columns(paragraph) else paragraph for paragraph in text.split("\n\n")
    )


def _block(section: re.Match[str]) -> str:
    body = textwrap.dedent("    " + section[2])
    lines = [line.strip() for line in body.splitlines()]
    # A paragraph of its own for each way that is named.
    return f"{section[1]}:\n    " + "\n    ".join(
        ("\n    " + line) if re.match(r"\w+: ", line) else line for line in lines
    )


def _has_columns(paragraph: str) -> bool:
    return bool(re.search(r"^\w\S*(?: \S+)?(?: {2,})\S", paragraph, flags=re.MULTILINE)) and not paragraph.startswith(
        " "
    )
