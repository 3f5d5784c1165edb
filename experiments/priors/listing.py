"""The shapes that a prior is to learn, and others of their kind, by name.

"mug 7" is the eighth member of a procedural family, whether or not it is learnt; "airplane 61" the mesh 61 of a folder
that is called airplane, and "airplane 61~2" its second variant.
"""

import hashlib
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

from experiments.priors import families, folder, samples
from experiments.priors.families import FAMILIES
from experiments.priors.samples import Shape
from experiments.priors.store import PriorConfig


def learnt(config: PriorConfig, folders: Sequence[Path]) -> dict[str, Callable[[], Shape]]:
    """All shapes that are to be learnt, by name, made when they are asked for.

    Raises:
        FileNotFoundError: no such folder.
        ValueError: no shapes, an unknown family, or a held-out mesh that is in no folder.
    """
    paths = [path for one in folders for path in folder.paths(one)]
    if missing := set(config.held_out) - {path.stem for path in paths}:
        raise ValueError(f"--held_out names {', '.join(sorted(missing))}, and no folder holds such a mesh; correct it.")
    meshes = [path for path in paths if path.stem not in config.held_out]
    found: dict[str, Callable[[], Shape]] = {
        folder.name(path) + (f"~{variant}" if variant else ""): partial(
            folder.read, path, config.radius, config.up, variant
        )
        for path in meshes
        for variant in range(1 + config.variants)
    }
    members = [f"{kind} {number}" for kind, count in _counts(config.families) for number in range(count)]
    found |= {name: partial(one, config, name) for name in members}
    if not found:
        raise ValueError("There are no shapes to learn; name --meshes=FOLDER, or --families=plane:40,mug:40.")
    return found


def one(config: PriorConfig, name: str) -> Shape:
    """The member of a family, or the mesh of a file, that is called so; turned and scaled like those that were learnt.

    Raises:
        ValueError: neither a member of a family nor a closed mesh.
    """
    if member := families.member(name):
        return samples.of_family(*member)
    if Path(name).is_file():
        return folder.read(Path(name), config.radius, config.up)
    raise ValueError(f"--shape is {name!r}, expected a mesh file, or a member of a family like 'plane 40'; correct it.")


def family_of(name: str) -> str:
    """The family, or the folder, that a shape is of; of a file, the folder in which it lies."""
    return Path(name).absolute().parent.name if Path(name).suffix else name.rpartition(" ")[0]


def content(folders: Sequence[Path]) -> str:
    """A digest of what lies in folders of meshes."""
    digest = hashlib.sha256()
    for one in folders:
        for path in (*folder.paths(one), one / folder.ROTATIONS):
            digest.update(path.read_bytes() if path.is_file() else b"")
    return digest.hexdigest()


def sampled(config: PriorConfig, folders: Sequence[Path], workdir: Path) -> samples.Samples:
    """Samples of all shapes that are to be learnt, leading axis S; they are kept in `workdir`.

    Raises:
        FileNotFoundError, ImportError, ValueError: as `learnt`, and for meshes that cannot be used.
    """
    shapes = learnt(config, folders)
    coloured = config.network.channels > 0
    about = f"{config.seed} {config.samples} {config.radius} {config.up} {coloured} {list(shapes)} {content(folders)}"

    def make() -> samples.Samples:
        return samples.sample_all(list(shapes.values()), config.samples, config.seed, coloured)

    return samples.kept(workdir / "samples.npz", about, make)


def _counts(entries: Sequence[str]) -> list[tuple[str, int]]:
    """Families and how many members of each."""
    counts = []
    for entry in entries:
        kind, _, count = entry.partition(":")
        if kind not in FAMILIES or not count.isdigit():
            raise ValueError(
                f"--families names {entry!r}, expected entries like plane:40, of {', '.join(FAMILIES)}; correct it."
            )
        counts.append((kind, int(count)))
    return counts
