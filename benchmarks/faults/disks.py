"""Faults of disks and folders."""

import contextlib
import os
import resource
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

from benchmarks.faults.command import REFUSED, STEPS
from benchmarks.faults.spoils import CannotTryError, Place, Spoil

_FULL = "space|room|too large|full"

# A checkpoint takes more than the one, and all that a run leaves less than the other.
_SMALL, _LARGE = "size=256k", "size=500m"


def spoils() -> list[Spoil]:
    """All of them."""
    return [
        Spoil("disk full from the beginning", full_from_the_beginning),
        Spoil("disk full in the middle", full_in_the_middle),
        Spoil("no file may grow beyond 100 kB", small_files),
        Spoil("work folder read-only", read_only),
        Spoil("work folder becomes read-only in the middle", read_only_in_the_middle),
        Spoil("a file in the work folder's place", file_for_workdir),
        Spoil("a file in the checkpoints' place", file_for_checkpoints),
        Spoil("work folder vanishes in the middle", workdir_vanishes),
        Spoil("pictures gone before the start", no_data),
        Spoil("pictures vanish in the middle", data_vanishes),
        Spoil("pictures gone when it goes on", no_data_to_go_on),
        Spoil("the cache of compiled programs spoilt", spoilt_cache),
        Spoil("the cache of compiled programs read-only", read_only_cache),
    ]


def full_from_the_beginning(at: Place) -> str:
    """Not even a checkpoint has room."""
    with mounted(at.workdir, "-t", "tmpfs", "-o", _SMALL, "tmpfs"):
        words = at.refused(because=_FULL)
        _mount("-o", f"remount,{_LARGE}", str(at.workdir))
        at.goes_on()
    return words


def full_in_the_middle(at: Place) -> str:
    """Somebody else takes what is left."""
    with mounted(at.workdir, "-t", "tmpfs", "-o", _LARGE, "tmpfs"):
        filler = at.workdir / "filler"

        def fill() -> None:
            with filler.open("wb") as file, contextlib.suppress(OSError):
                while True:
                    os.write(file.fileno(), bytes(1 << 16))

        words = _in_the_middle(at, fill, _FULL)
        filler.unlink()
        at.goes_on()
    return words


def small_files(at: Place) -> str:
    """A quota."""
    environment = {"JAX_ENABLE_COMPILATION_CACHE": "false"}
    with at.bench.start(at.workdir, data=at.data, environment=environment) as running:
        resource.prlimit(running.process.pid, resource.RLIMIT_FSIZE, (100_000, 100_000))
        said = running.ended()
    words = at.says(said, f"error: .*(?:{_FULL})", REFUSED)
    at.goes_on()
    return words


def read_only(at: Place) -> str:
    """Even for root."""
    with mounted(at.workdir, "-t", "tmpfs", "-o", f"ro,{_LARGE}", "tmpfs"):
        words = at.refused(because="read-only|permission|not be written")
        _mount("-o", f"remount,rw,{_LARGE}", str(at.workdir))
        at.goes_on()
    return words


def read_only_in_the_middle(at: Place) -> str:
    """As a disk with errors becomes."""
    at.workdir.mkdir()
    with mounted(at.workdir, "--bind", str(at.workdir)):
        words = _in_the_middle(
            at, lambda: _mount("-o", "remount,ro,bind", str(at.workdir)), "read-only|permission|not be written"
        )
    at.goes_on()
    return words


def file_for_workdir(at: Place) -> str:
    """Found before anything is done."""
    return _file_in_place_of(at, at.workdir, "not a (?:folder|directory)|is a file|file exists")


def file_for_checkpoints(at: Place) -> str:
    """As above, one folder deeper."""
    at.workdir.mkdir()
    return _file_in_place_of(at, at.checkpoints, "not a (?:folder|directory)|is a file|file exists|not be written")


def workdir_vanishes(at: Place) -> str:
    """It is made again, or missed in a sentence; a new run works."""
    gone = at.folder / "gone"
    with at.bench.start(at.workdir) as running:
        running.until(lambda: at.logged() >= STEPS // 4)
        at.workdir.rename(gone)
        said = running.ended()
    words = at.says(said, None, said.code if said.code in (0, REFUSED) else 0)
    shutil.rmtree(at.workdir, ignore_errors=True)
    gone.rename(at.workdir)
    at.goes_on()
    return words


def no_data(at: Place) -> str:
    """The folder is named."""
    at.data = at.folder / "data"
    words = at.refused(because="data")
    at.own_data()
    at.goes_on()
    return words


def data_vanishes(at: Place) -> str:
    """The run may need them no more, but for the pictures that it is compared with in the end."""
    data, gone = at.own_data(), at.folder / "gone"
    words = _in_the_middle(at, lambda: data.rename(gone), "data.*(?:gone|missing|does not exist|no )|no .*data|missing")
    gone.rename(data)
    at.goes_on()
    return words


def no_data_to_go_on(at: Place) -> str:
    """The checkpoints stay."""
    at.half_of_own_data()
    gone = at.folder / "gone"
    at.data.rename(gone)
    words = at.refused(because="data")
    gone.rename(at.data)
    at.goes_on()
    return words


def spoilt_cache(at: Place) -> str:
    """A kill in the middle of writing one of them: it is compiled again."""
    cache = at.folder / "cache"
    shutil.copytree(at.bench.environment["JAX_COMPILATION_CACHE_DIR"], cache)
    programs = sorted((path for path in cache.rglob("*") if path.is_file()), key=lambda path: path.stat().st_size)
    for path in programs[-5:]:
        os.truncate(path, path.stat().st_size // 2)
    said = at.go(environment={"JAX_COMPILATION_CACHE_DIR": str(cache)})
    at.says(said, None, 0)
    at.goes_on()
    return "compiled again"


def read_only_cache(at: Place) -> str:
    """Nothing is kept, and the run is the same."""
    cache = at.folder / "cache"
    with mounted(cache, "-t", "tmpfs", "-o", "ro,size=1m", "tmpfs"):
        said = at.go(environment={"JAX_COMPILATION_CACHE_DIR": str(cache)})
    at.says(said, None, 0)
    at.goes_on()
    return "compiled, and not kept"


@contextlib.contextmanager
def mounted(folder: Path, *what: str) -> Iterator[None]:
    """Something mounted on a folder.

    Raises:
        CannotTryError: only root may.
    """
    folder.mkdir(parents=True, exist_ok=True)
    _mount(*what, str(folder))
    try:
        yield
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


def _mount(*arguments: str) -> None:
    try:
        subprocess.run(["mount", *arguments], check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError) as error:
        raise CannotTryError("mounting a file system needs root, on Linux.") from error


def _in_the_middle(at: Place, fault: Callable[[], object], because: str) -> str:
    """The sentence with which a run ends after a fault in its middle."""
    with at.bench.start(at.workdir, data=at.data) as running:
        running.until(lambda: at.logged() >= STEPS // 4)
        fault()
        said = running.ended()
    return at.says(said, rf"error: .*(?:{because})", REFUSED)


def _file_in_place_of(at: Place, folder: Path, because: str) -> str:
    """The sentence with which a run is refused that is to have a folder where a file is."""
    folder.write_text("I was here first.\n")
    words = at.refused(because=because)
    folder.unlink()
    at.goes_on()
    return words
