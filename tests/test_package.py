"""The package as a whole: what it refuses, what importing it costs, and that all of it is reachable."""

import ast
import configparser
import importlib
import json
import re
import subprocess
import sys
from pathlib import Path

import jax
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


HEAVY = [
    "skimage",
    "trimesh",
    "imageio",
    "orbax",
    "matplotlib",
    "rich",
    "tensorstore",
    "scipy",
    "PIL",
    "png",
    "pycolmap",
    "igl",
]
CORE = [name for name in sdfrepar.__all__ if name != "checkpoints"]


@pytest.fixture(scope="module")
def imported() -> dict[str, list[str]]:
    """Which of the heavy libraries are there, in one fresh interpreter, after one import after another."""
    code = f"""
import json, sys
heavy = {HEAVY}
seen = {{}}
def look(name): seen[name] = [library for library in heavy if library in sys.modules]
import jax; look("jax")
import sdfrepar; look("package")
seen["modules"] = [name for name in sys.modules if name.startswith("sdfrepar.")]
import flax, optax; look("libraries")
for name in {CORE}: getattr(sdfrepar, name)
look("core")
print(json.dumps(seen))
"""
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    return json.loads(done.stdout)


def test_importing_the_package_imports_none_of_its_modules(imported):
    assert imported["modules"] == []
    assert imported["package"] == imported["jax"]


def test_modules_import_nothing_heavy_before_it_is_used(imported):
    assert imported["core"] == imported["libraries"]


def test_every_module_is_reachable():
    folder = ROOT / "sdfrepar"
    modules = sorted(
        path.stem for path in folder.iterdir() if not path.name.startswith("_") and path.name != "py.typed"
    )
    assert modules == sorted(sdfrepar.__all__)
    assert set(modules) <= set(dir(sdfrepar))
    assert sdfrepar.cameras.look_at is importlib.import_module("sdfrepar.cameras").look_at
    with pytest.raises(AttributeError, match="no module 'camera'; expected one of cameras"):
        _ = sdfrepar.camera


def test_type_checkers_are_told_of_every_module():
    (told,) = (
        [alias.name for alias in inner.names]
        for node in ast.parse((ROOT / "sdfrepar" / "__init__.py").read_text()).body
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test)
        for inner in node.body
        if isinstance(inner, ast.ImportFrom)
    )
    assert told == sdfrepar.__all__
    metadata = configparser.ConfigParser()
    metadata.read(ROOT / "setup.cfg")
    assert metadata["options.package_data"]["sdfrepar"] == "py.typed" and (ROOT / "sdfrepar" / "py.typed").is_file()
