"""Reconstructions as the cells of a table: done once, kept, and shown where they fail."""

from pathlib import Path
from typing import Any

from experiments import runs
from experiments.flags import RunError
from experiments.presets import ReconstructConfig
from experiments.reconstruct import reconstruct
from experiments.runs import FAILURE
from sdfrepar import files


def cell(config: ReconstructConfig, data: Path, workdir: Path) -> dict[str, Any]:
    """The metrics of a reconstruction, or {"failure": why} of one that went wrong; both stay in `workdir`.

    One that was interrupted goes on, one that is there already is not done again.

    Raises:
        OtherRunError: `workdir` holds another run.
    """
    print(f"\n== {workdir}", flush=True)
    done = runs.finished(config, data, workdir)
    if done is not None:
        return done
    try:
        return reconstruct(config, data, workdir)
    except runs.OtherRunError:
        raise
    except RunError as error:
        print(f"failed: {error}", flush=True)
        files.write_json(workdir / runs.METRICS, {FAILURE: str(error)})
        return {FAILURE: str(error)}


def shown(metrics: dict[str, Any], name: str, digits: int) -> str:
    """A score for a table; a dash where the run failed or the data do not tell."""
    value = metrics.get(name)
    return "failed" if FAILURE in metrics else "-" if value is None else f"{value:.{digits}f}"
