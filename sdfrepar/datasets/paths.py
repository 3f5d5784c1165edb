"""Paths in a data set: what its files name must lie in its folder, links followed.

A data set may come from anybody. One that names files elsewhere could show what is none of its business, or read a
device for ever; so an absolute path, one with too many `..`, and a link that leads out of the folder are refused, and a
data set whose pictures lie beside its folder is to be given by the folder that holds both.
"""

from collections.abc import Iterable
from pathlib import Path

# Bytes of a path; systems take 255 for each of its names.
_LONGEST = 1000
_LONGEST_NAME = 200


def path_below(folder: Path, stated: str) -> Path:
    """The file that a camera file states by its path from the folder, with slashes of either kind.

    Raises:
        ValueError: a path that leads out of the folder, or that no file can have.
    """
    path = folder / stated.replace("\\", "/")
    if not _is_sound(stated) or path.name in ("", ".."):
        raise ValueError(
            f"{folder}: no file can have the path {stated[:100]!r}; expected names that can be printed, so mend the "
            "camera file."
        )
    require_below(folder, [path])
    return path


def require_below(folder: Path, paths: Iterable[Path]) -> None:
    """Refuse paths of which one leads out of the folder, by itself or by a link.

    Raises:
        ValueError: there is one.
    """
    home = folder.resolve()
    for path in paths:
        if not _resolved(path).is_relative_to(home):
            stated = path.relative_to(folder) if path.is_relative_to(folder) else path
            raise ValueError(
                f"{folder}: the path {str(stated)!r} leads out of the folder; expected one below it, so copy the file "
                "there, or point to the folder that holds both."
            )


def _is_sound(stated: str) -> bool:
    """Whether a path can be printed on one line, and opened."""
    sizes = [len(name.encode("utf-8", "replace")) for name in Path(stated).parts]
    return stated.isprintable() and max(sizes, default=0) <= _LONGEST_NAME and 0 < sum(sizes) <= _LONGEST


def _resolved(path: Path) -> Path:
    try:
        return path.resolve()
    except (OSError, RuntimeError) as error:
        raise ValueError(f"{path} is a link that leads to itself; expected a file, so copy it there.") from error
