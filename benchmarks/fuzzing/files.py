"""A set of files in memory, which can be broken before it is written down."""

from dataclasses import dataclass, field
from pathlib import Path


@dataclass(frozen=True)
class FileSet:
    """Files by their path in the folder, and what is to stand in the place of some."""

    content: dict[str, bytes]
    links: dict[str, str] = field(default_factory=dict)
    """Symbolic links, by path, and where they lead."""
    folders: tuple[str, ...] = ()
    """Folders where files are expected."""

    def write(self, folder: Path) -> None:
        """Lay the files down in a folder, which is made."""
        folder.mkdir(parents=True)
        for name, data in self.content.items():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_bytes(data)
        for name in self.folders:
            (folder / name).mkdir(parents=True, exist_ok=True)
        for name, target in self.links.items():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).symlink_to(target)


def taken_from(folder: Path) -> FileSet:
    """The files that lie in a folder."""
    found = sorted(path for path in folder.rglob("*") if path.is_file())
    return FileSet({str(path.relative_to(folder)): path.read_bytes() for path in found})
