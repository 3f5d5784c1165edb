"""The command that is tried, started and ended, and what its runs are compared with."""

import contextlib
import hashlib
import os
import re
import shutil
import signal
import subprocess
import sys
import threading
import time
import weakref
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import jax
import numpy as np

from experiments import runs
from sdfrepar import files

ROOT = Path(__file__).parents[2]

STEPS = 40

SIZES = {
    "fit.steps": STEPS,
    "fit.pixels": 32,
    "fit.eikonal_points": 32,
    "fit.levels": 2,
    "network.radiance_width": 16,
    "network.radiance_depth": 1,
    "network.voxels.coarsest": 4,
    "network.voxels.levels": 2,
    "network.grid.coarsest": 4,
    "network.grid.finest": 16,
    "log_every": 1,
    "checkpoint_every": 0,
    "pictures": 2,
    "picture_samples": 1,
    "mesh_resolution": 16,
}
"""The quick preset, shrunk."""

# Pictures of the demo.
_SCENE = ("--views=6", "--test_views=2", "--resolution=24", "--supersampling=2", "--occupancy_resolution=24")

LONGEST = 600.0
"""Seconds after which a command hangs."""

DONE, REFUSED, MISUSED, STOPPED = 0, 1, 2, 75
"""Exit codes."""

_GOES_ON = re.compile(r"goes on at step (\d+)")
# What compiled libraries log.
_LIBRARY = re.compile(r"[IWEF]\d{4} [\d:.]+ ")
_TRACEBACK = "Traceback (most recent call last)"

# Orbax cannot be asked by two threads at a time.
_READING = threading.Lock()


class Said(NamedTuple):
    """What a command that has ended said."""

    code: int | None
    """Exit code, negative for a signal; None where it hung."""
    out: str
    err: str

    @property
    def went_on_at(self) -> int | None:
        """The step at which it went on, where it said so."""
        found = _GOES_ON.search(self.out)
        return None if found is None else int(found.group(1))

    @property
    def last_words(self) -> str:
        """Its error, or else the last line that it wrote."""
        said = (self.out + self.err).splitlines()
        lines = [line for line in said if line.strip() and not _LIBRARY.match(line)]
        errors = [line for line in lines if line.startswith("error: ")]
        return (errors or lines or ["nothing"])[-1].strip()

    @property
    def trouble(self) -> str | None:
        """What no command may do, whatever its exit code: hang, or show a traceback."""
        if self.code is None:
            return f"it hung for {LONGEST:.0f} s"
        return f"a traceback that ends with {self.last_words!r}" if _TRACEBACK in self.err + self.out else None


_RUNNING: weakref.WeakSet["Running"] = weakref.WeakSet()


class Running:
    """A command that runs; its words go into files beside the work directory."""

    def __init__(self, command: list[str], log: Path, environment: Mapping[str, str], **how: Any):
        """Start it, in a session of its own so that no signal of a terminal reaches it; `how` is for Popen."""
        log.parent.mkdir(parents=True, exist_ok=True)
        self._out, self._err = log.with_suffix(".out"), log.with_suffix(".err")
        with self._out.open("wb") as out, self._err.open("wb") as err:
            self.process = subprocess.Popen(
                command, cwd=ROOT, env=dict(environment), stdout=out, stderr=err, start_new_session=True, **how
            )
        _RUNNING.add(self)

    def __enter__(self) -> "Running":
        return self

    def __exit__(self, *exception: object) -> None:
        """Leave nothing behind."""
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()

    @property
    def runs(self) -> bool:
        """Whether it has not ended."""
        return self.process.poll() is None

    @property
    def worked(self) -> float:
        """Seconds of the processors that it has had; the moments of a life are told in these, which do not depend on
        what else the machine does.
        """
        try:
            fields = Path(f"/proc/{self.process.pid}/stat").read_text().rpartition(")")[2].split()
        except FileNotFoundError:
            return 0.0
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def signal(self, which: signal.Signals) -> bool:
        """Send a signal; whether there was still somebody to send it to."""
        if self.runs:
            self.process.send_signal(which)
            return True
        return False

    def sleep(self, seconds: float) -> None:
        """Wait so long, or until it has ended."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.process.wait(seconds)

    def until(self, come: Callable[[], bool], poll: float = 0.02) -> bool:
        """Wait until something has come, or it has ended; whether it has come."""
        deadline = time.monotonic() + LONGEST
        while self.runs and time.monotonic() < deadline:
            if come():
                return True
            time.sleep(poll)
        return False

    def ended(self) -> Said:
        """What it has said, in the end."""
        try:
            code = self.process.wait(LONGEST)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            code = None
        return Said(code, self._out.read_text(errors="replace"), self._err.read_text(errors="replace"))


def end_all() -> None:
    """Kill every command that runs: whoever stops the harness wants none of them to write on."""
    for running in list(_RUNNING):
        running.signal(signal.SIGKILL)


class Bench:
    """A folder with the pictures, the run that nothing has happened to, and one that was killed half way."""

    def __init__(self, folder: Path):
        """Nothing is made before it is asked for."""
        self.folder = folder.absolute()
        self.data, self.reference, self.half, self._life = (
            self.folder / name for name in ("data", "reference", "half", "life.json")
        )
        self._expected: dict[str, str] = {}
        # Seconds of the processors.
        self.life = 0.0

    @property
    def environment(self) -> dict[str, str]:
        """Of every command: what is compiled is kept, so that a start takes seconds."""
        cache = os.environ.get("JAX_COMPILATION_CACHE_DIR", str(self.folder / "cache"))
        return os.environ | {
            "JAX_COMPILATION_CACHE_DIR": cache,
            "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0",
            "JAX_PLATFORMS": "cpu",
        }

    def start(
        self,
        workdir: Path,
        *flags: str,
        data: Path | None = None,
        environment: Mapping[str, str] | None = None,
        **how: Any,
    ) -> Running:
        """The command of this work directory; `flags` win over the sizes."""
        sizes = [f"--{name}={value}" for name, value in SIZES.items()]
        where = [f"--data={data or self.data}", f"--workdir={workdir}"]
        command = [sys.executable, "-m", "experiments.reconstruct", "--preset=quick", *where, *sizes, *flags]
        log = workdir.with_name(f"{workdir.name}.said")
        return Running(command, log, self.environment | dict(environment or {}), **how)

    def go(self, workdir: Path, *flags: str, **how: Any) -> Said:
        """The whole command."""
        with self.start(workdir, *flags, **how) as running:
            return running.ended()

    def prepare(self) -> None:
        """Make what is missing of the folder.

        Raises:
            RuntimeError: a sound command fails.
        """
        if not (self.data / "truth.npz").is_file():
            made = [sys.executable, "-m", "experiments.make_scene", "--scene=demo", f"--output={self.data}", *_SCENE]
            with Running(made, self.folder / "data.said", self.environment) as running:
                _require_done(running.ended())
        if not self._life.is_file():
            shutil.rmtree(self.reference, ignore_errors=True)
            _require_done(self.go(self.reference))
            # Once more: the first has compiled what the others find.
            shutil.rmtree(self.reference)
            with self.start(self.reference) as running:
                readings: list[float] = []
                running.until(lambda: readings.append(running.worked) or False)
                _require_done(running.ended())
            files.write_json(self._life, max(readings))
        self.life, self._expected = files.read_json(self._life), fingerprint(self.reference)
        if not self.half.is_dir():
            making = self.folder / "half.making"
            shutil.rmtree(making, ignore_errors=True)
            self.kill_at(making, STEPS // 2)
            making.rename(self.half)

    def kill_at(self, workdir: Path, step: int, *flags: str, data: Path | None = None) -> None:
        """A run that is killed when it has logged this step and has two checkpoints.

        Raises:
            RuntimeError: it ended before.
        """
        with self.start(workdir, *flags, data=data) as running:
            if not running.until(lambda: logged(workdir) >= step and len(kept(workdir)) > 1):
                raise RuntimeError(f"The run ended before step {step}: {running.ended().last_words}")
            running.signal(signal.SIGKILL)

    def difference(self, workdir: Path) -> str | None:
        """In what a finished run differs from the uninterrupted one, bit by bit; None if in nothing."""
        found = fingerprint(workdir)
        names = [
            name for name in sorted(found.keys() | self._expected.keys()) if found.get(name) != self._expected.get(name)
        ]
        return (
            f"{len(names)} of {len(self._expected)} arrays and files differ: {', '.join(names[:3])}" if names else None
        )


def snapshot(workdir: Path) -> runs.Snapshot:
    """What the last checkpoint of a run holds."""
    with _READING:
        return runs.load(workdir).snapshot


def fingerprint(workdir: Path) -> dict[str, str]:
    """Digests of all arrays of a run's last checkpoint (parameters, moving average, optimiser, step), its mesh and its
    pictures.
    """
    state = snapshot(workdir).state
    leaves = {
        jax.tree_util.keystr(path, simple=True, separator="/"): np.ascontiguousarray(np.asarray(leaf)).tobytes()
        for path, leaf in jax.tree_util.tree_leaves_with_path(state)
    }
    made = [workdir / "mesh.ply", *sorted((workdir / "images").glob("*.png"))]
    written = {path.name: path.read_bytes() for path in made if path.is_file()}
    return {name: hashlib.sha256(content).hexdigest() for name, content in (leaves | written).items()}


def logged(workdir: Path) -> int:
    """The last step in metrics.jsonl."""
    path = workdir / runs.LOG
    lines = files.read_json_lines(path) if path.is_file() else []
    return max((line["step"] for line in lines), default=0)


def kept(workdir: Path) -> list[int]:
    """Steps of the checkpoints that have got their names, in order."""
    return sorted(int(name) for name in _names(workdir) if name.isdecimal())


def unfinished(workdir: Path) -> set[str]:
    """Names of what a save has begun."""
    return {name for name in _names(workdir) if "tmp" in name}


def _names(workdir: Path) -> list[str]:
    try:
        return os.listdir(workdir / runs.CHECKPOINTS)
    except (FileNotFoundError, NotADirectoryError):
        return []


def _require_done(said: Said) -> None:
    if said.code != DONE:
        raise RuntimeError(f"A sound command ended with {said.code}, expected 0: {said.last_words}")
