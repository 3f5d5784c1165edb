"""The notebooks: each is its script, holds no outputs, and runs."""

import os
import subprocess
import sys
import time
from pathlib import Path

import jupytext
import nbclient
import nbformat
import numpy as np
import pytest

from sdfrepar import files

ROOT = Path(__file__).parents[1]
SCRIPTS = sorted((ROOT / "notebooks").glob("*.py"))

# Runs a script and draws all its figures, as Jupyter would: what is wrong with a figure is found when it is drawn.
RUN_AND_DRAW = """
import runpy, sys
import matplotlib.pyplot as plt
runpy.run_path(sys.argv[1])
for number in plt.get_fignums():
    plt.figure(number).savefig(f"figure_{number}.png", dpi=40)
"""


@pytest.fixture
def elsewhere(tmp_path, monkeypatch):
    """An empty folder to run in, where this very source is imported."""
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_every_notebook_has_its_script():
    assert SCRIPTS
    assert sorted(path.stem for path in (ROOT / "notebooks").glob("*.ipynb")) == [path.stem for path in SCRIPTS]


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.stem)
def test_a_notebook_is_its_script_without_outputs(script):
    notebook, paired = nbformat.read(script.with_suffix(".ipynb"), as_version=4), jupytext.read(script)
    nbformat.validate(notebook)
    cells, expected = ([(cell.cell_type, cell.source) for cell in one.cells] for one in (notebook, paired))
    assert cells == expected, f"{script.stem}.ipynb is not {script.name}; make notebooks."
    assert [cell.source for cell in notebook.cells if cell.get("outputs") or cell.get("execution_count")] == []
    # Without these papermill and others find no kernel.
    assert notebook.metadata.kernelspec.name == "python3" and notebook.metadata.kernelspec.language == "python"
    assert notebook.metadata.language_info.name == "python"
    assert 'setdefault("XLA_PYTHON_CLIENT_PREALLOCATE", "false")' in script.read_text().split("import jax")[0]


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.stem)
def test_a_notebook_runs_at_a_small_size(script, elsewhere):
    # Nearly all of the time goes into compiling, and little would be gained by compiling well.
    quick = "--xla_backend_optimization_level=0 --xla_llvm_disable_expensive_passes=true"
    environment = {**os.environ, "SDFREPAR_FAST": "1", "MPLBACKEND": "agg", "XLA_FLAGS": quick}
    command = [sys.executable, "-W", "error", "-c", RUN_AND_DRAW, str(script)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, f"{done.stdout[-2000:]}\n{done.stderr[-4000:]}"
    pictures = sorted(elsewhere.glob("figure_*.png"))
    assert len(pictures) >= 3
    for picture in pictures:
        assert np.std(files.read_image(picture)) > 0.02, f"{picture.name} is blank"


@pytest.mark.slow
@pytest.mark.filterwarnings("default")
@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.stem)
def test_a_notebook_runs_in_full(script, elsewhere):
    notebook = nbformat.read(script.with_suffix(".ipynb"), as_version=4)
    begun = time.monotonic()
    nbclient.NotebookClient(notebook, timeout=1800, kernel_name="python3").execute()
    print(f"{script.stem}: {time.monotonic() - begun:.0f} s")
    outputs = [output for cell in notebook.cells for output in cell.get("outputs", [])]
    assert sum("image/png" in output.get("data", {}) for output in outputs) >= 3
