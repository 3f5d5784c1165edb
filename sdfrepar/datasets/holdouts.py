"""Which views are kept for testing."""

import re
from collections.abc import Sequence
from pathlib import Path

from sdfrepar import files

_EVERY = re.compile(r"every (\d+)")


def chosen(holdout: str, names: Sequence[str], folder: Path) -> tuple[int, ...]:
    """The views that `data.holdout` names, as indices.

    Args:
        holdout: "every 8" for views 0, 8, 16 ...; "0,8" for these; or a text file, in the data set's folder or given
            with its own, that lists names, one a line.
        names: of all views, in order.
        folder: of the data set.

    Raises:
        ValueError: another text, a step of 0, or a name that no view has.
        FileNotFoundError: no such file.
    """
    text = holdout.strip()
    if rule := _EVERY.fullmatch(text):
        if step := int(rule[1]):
            return tuple(range(0, len(names), step))
        raise ValueError("data.holdout is 'every 0'; expected every first view or rarer, such as 'every 8'.")
    parts = [part.strip() for part in text.split(",")]
    if all(part.isdecimal() for part in parts):
        return tuple(int(part) for part in parts)
    if text.endswith(".txt"):
        return _listed(folder, text, names)
    raise ValueError(
        f"data.holdout is {holdout!r}; expected 'every 8', indices such as '0,8', or a .txt file that lists names."
    )


def _listed(folder: Path, file: str, names: Sequence[str]) -> tuple[int, ...]:
    path = next((place for place in (folder / file, Path(file)) if place.is_file()), None)
    if path is None:
        raise FileNotFoundError(f"There is no {folder / file}, which data.holdout names; expected a list of names.")
    places = {name: index for index, name in enumerate(names)}
    wanted = [line.strip() for line in files.read_text(path).splitlines() if line.strip()]
    if not wanted:
        raise ValueError(f"{path} lists no names; expected those of the views that are kept for testing, one a line.")
    # With or without the suffix of the picture's file.
    found = [places.get(name, places.get(Path(name).stem)) for name in wanted]
    for name, index in zip(wanted, found, strict=True):
        if index is None:
            raise ValueError(
                f"{path} lists {files.shown(name)}, which no view is called; expected names such as {names[0]}."
            )
    return tuple(index for index in found if index is not None)
