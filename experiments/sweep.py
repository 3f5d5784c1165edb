"""A grid of reconstructions on the same pictures, and one table of them.

    python -m experiments.sweep --data=runs/demo/data --workdir=runs/sweep --preset=quick --fit.steps=1000
        --grid="render.gradient.method=grazing,interior;fit.shape_rate=1e-3,3e-3"

A value that holds commas itself stands in brackets: "data.centre=[0,0,0],[0,0,1]". All other flags are those of
experiments.reconstruct and go for every run; they may also follow after "--".

Each run has a folder of its own in the work directory. Those that are finished are kept, and those that were stopped go
on. After each of them table.md, table.json, table.png and table.html are written, as experiments.compare does.
"""

import itertools
import re
from collections.abc import Mapping, Sequence
from pathlib import Path

from absl import flags

from experiments import baselines, compare
from experiments import flags as experiment_flags
from experiments.cells import cell
from experiments.compare import Comparison
from experiments.flags import ConfigError
from experiments.presets import PRESETS, ReconstructConfig
from experiments.reconstruct import ALIASES
from sdfrepar import reports

# A value, with its brackets if it has some.
_VALUE = re.compile(r"\[([^\]]*)\]|([^,]+)")


def main(argv: Sequence[str]) -> None:
    """Do what is left of the grid, and print the table."""
    given = flags.FLAGS
    base = changed(experiment_flags.read(PRESETS[given.preset]), argv[1:])
    found = sweep(base, parsed(given.grid), Path(given.data), Path(given.workdir))
    print(f"\n{reports.table(*found.table())}\n{given.workdir}/table.html shows it, with pictures")


def sweep(base: ReconstructConfig, grid: Mapping[str, Sequence[str]], data: Path, workdir: Path) -> Comparison:
    """Every run of a grid, and the table of them.

    Args:
        base: config of what the grid does not say.
        grid: for each flag its values, as on the command line.
        data: folder of posed pictures.
        workdir: folder to write into, a folder for each run.

    Raises:
        ConfigError: a flag that there is not, or values that cannot be; before the first run.
        OtherRunError: a run's folder holds another one.
    """
    points = [dict(zip(grid, values, strict=True)) for values in itertools.product(*grid.values())]
    configs = {
        name_of(point): changed(base, [f"--{flag}={value}" for flag, value in point.items()]) for point in points
    }
    done: list[Path] = []
    for name, config in configs.items():
        cell(baselines.as_published(config), data, workdir / name)
        done.append(workdir / name)
        compare.write(compare.compared(done), workdir / "table.png", views=1)
    return compare.compared(done)


def parsed(grid: str) -> dict[str, list[str]]:
    """Flags with their values, from "flag=value,value;flag=value".

    Raises:
        ConfigError: another form, or a flag that comes twice.
    """
    values: dict[str, list[str]] = {}
    for part in filter(None, (part.strip() for part in grid.split(";"))):
        flag, _, text = part.partition("=")
        flag = flag.strip().removeprefix("--")
        found = [(inner or plain).strip() for inner, plain in _VALUE.findall(text)]
        if not flag or not found or flag in values:
            raise ConfigError(
                f"--grid has {part!r}, expected a flag that comes once, and its values: "
                "'fit.shape_rate=1e-3,3e-3;fit.steps=500,1000'."
            )
        values[flag] = found
    if not values:
        raise ConfigError("--grid is empty, expected flags and their values, such as 'fit.shape_rate=1e-3,3e-3'.")
    return values


def changed(config: ReconstructConfig, words: Sequence[str]) -> ReconstructConfig:
    """The config with some flags, written as on the command line.

    Raises:
        ConfigError: a word that is no flag of `ReconstructConfig`, or a value that it cannot have.
    """
    values = flags.FlagValues()
    experiment_flags.define(config, flag_values=values)
    experiment_flags.define_aliases(ALIASES, flag_values=values)
    try:
        rest = values(["sweep", *words])[1:]
    except flags.Error as error:
        raise ConfigError(f"With {' '.join(words)}: {error}") from error
    if rest:
        raise ConfigError(f"{rest[0]!r} is no flag; write --name=value.")
    return experiment_flags.read(config, values)


def name_of(point: Mapping[str, str]) -> str:
    """The folder of a run: the last parts of its flags' names, and their values."""
    words = "_".join(f"{flag.rpartition('.')[2]}={value}" for flag, value in point.items())
    return re.sub(r"[^\w=.,+-]", "-", words)


if __name__ == "__main__":
    flags.DEFINE_string("grid", None, "flag=value,value;flag=value,value: every combination is a run", required=True)
    flags.DEFINE_string("data", None, "folder of posed pictures", required=True)
    flags.DEFINE_string("workdir", None, "folder to write into", required=True)
    flags.DEFINE_enum("preset", "quick", sorted(PRESETS), "sizes of everything; other flags override it")
    experiment_flags.define(PRESETS["quick"])
    experiment_flags.define_aliases(ALIASES)
    experiment_flags.run(main)
