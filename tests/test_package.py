"""The package as a whole: what it refuses, and that its front page is true."""

import configparser
import importlib
import re
from pathlib import Path

import jax
import numpy as np
import pytest

import sdfrepar

ROOT = Path(__file__).parents[1]


@pytest.mark.parametrize("version", ["0.10.1", "0.10.2"])
def test_jax_that_miscompiles_is_refused(monkeypatch, version):
    monkeypatch.setattr(jax, "__version__", version)
    with pytest.raises(ImportError, match=rf"jax {version} miscompiles.*0\.10\.0"):
        importlib.reload(sdfrepar)


def test_version_is_stated_once_and_the_same():
    metadata = configparser.ConfigParser()
    metadata.read(ROOT / "setup.cfg")
    assert metadata["metadata"]["version"] == sdfrepar.__version__


def test_constraints_name_no_refused_jax():
    pinned = re.findall(r"^jax(?:lib)?==(\S+)", (ROOT / "constraints.txt").read_text(), flags=re.MULTILINE)
    assert pinned and not {"0.10.1", "0.10.2"} & set(pinned)


def test_readme_example_runs():
    (example,) = re.findall(r"```python\n(.*?)```", (ROOT / "README.md").read_text(), flags=re.DOTALL)
    names: dict = {}
    exec(example.replace("(128, 128)", "(16, 16)"), names)
    opacity = np.asarray(names["image"].opacity)
    assert opacity.shape == (16, 16) and 0.1 < opacity.mean() < 0.6
