"""The architecture, read from the syntax trees: one-way imports, third parties in their place, sizes, docstrings."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

ROOT = Path(__file__).parents[1]
PACKAGE = "sdfrepar"
ORDER = [
    "records",
    "numerics",
    "memory",
    "fields",
    "precision",
    "grids",
    "cameras",
    "raygen",
    "tracing",
    "warping",
    "shading",
    "imaging",
    "rendering",
    "observing",
    "networks",
    "triangulation",
    "losses",
    "fitting",
    "gradcheck",
    "evaluation",
    "meshing",
    "files",
    "films",
    "datasets",
    "doctor",
    "reports",
    "checkpoints",
    "viewer",
]
STAGES = {"raygen", "tracing", "warping", "shading", "imaging"}
WITH_CAMERAS = {"raygen", "imaging"}
THIRD_PARTIES = {
    "flax.linen": {"networks"},
    "flax.struct": {"records", "fitting"},
    "optax": {"fitting"},
    "absl": set(),
    "imageio": {"files", "films"},
    "orbax": {"checkpoints"},
    "png": {"files"},
    "pycolmap": {"datasets"},
    "safetensors": {"files"},
    "trimesh": {"files", "grids", "meshing", "evaluation"},
    "igl": {"grids"},
    "viser": {"viewer"},
    "mitsuba": set(),
    "drjit": set(),
    "jax.config": set(),
}
SLOW_TO_IMPORT = {"trimesh", "igl", "pycolmap", "safetensors", "viser"}
LONGEST = 350

SOURCES = sorted((ROOT / PACKAGE).rglob("*.py"))
EXPERIMENTS = sorted((ROOT / "experiments").rglob("*.py"))


class Import(NamedTuple):
    """One imported name, dotted and absolute."""

    name: str
    line: int
    deferred: bool  # inside a function, or seen by type checkers only


def module_of(path: Path) -> str:
    """The place of a file in `ORDER`; '' for the package's own `__init__`."""
    parts = path.relative_to(ROOT / PACKAGE).with_suffix("").parts
    return "" if parts == ("__init__",) else parts[0]


def imports_of(source: str, package: str = PACKAGE) -> list[Import]:
    """All imports of a module that lies in `package`, wherever they hide."""

    def walk(node: ast.AST, deferred: bool) -> Iterator[Import]:
        if isinstance(node, ast.Import):
            yield from (Import(alias.name, node.lineno, deferred) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = ".".join(package.split(".")[: len(package.split(".")) - node.level + 1]) if node.level else ""
            stem = ".".join(part for part in (base, node.module) if part)
            yield from (Import(f"{stem}.{alias.name}", node.lineno, deferred) for alias in node.names)
        elif isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            for child in node.body:
                yield from walk(child, True)
            for child in node.orelse:
                yield from walk(child, deferred)
        else:
            inner = deferred or isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
            for child in ast.iter_child_nodes(node):
                yield from walk(child, inner)

    return list(walk(ast.parse(source), False))


def wrong_directions(module: str, source: str, package: str = PACKAGE) -> list[str]:
    """Imports that climb the order, and those that join stages."""
    faults = []
    for name, line, deferred in imports_of(source, package):
        parts = name.split(".")
        if parts[0] != PACKAGE or len(parts) == 1 or parts[1].startswith("__") or parts[1] == module:
            continue
        # The package itself tells type checkers of all its modules, and imports none of them.
        if not module and deferred:
            continue
        other = parts[1]
        if other not in ORDER:
            faults.append(f"{module}:{line} imports {other}, which has no place in the order")
        elif not module or ORDER.index(other) > ORDER.index(module):
            faults.append(f"{module}:{line} imports {other}, which stands below it")
        elif module in STAGES and (other in STAGES or (other == "cameras" and module not in WITH_CAMERAS)):
            faults.append(f"{module}:{line} imports {other}, another stage")
    return faults


def misplaced_third_parties(module: str, source: str) -> list[str]:
    """Imports of libraries that are another module's business, too early, or changes of jax's settings."""
    faults = []
    for name, line, deferred in imports_of(source):
        for library, homes in THIRD_PARTIES.items():
            # `import flax` gives its linen to whoever has it; `import jax` is everyone's.
            whole = name != "jax" and library.startswith(f"{name}.")
            if not (name == library or name.startswith(f"{library}.") or whole):
                continue
            if module not in homes:
                faults.append(f"{module}:{line} imports {name}")
            elif library in SLOW_TO_IMPORT and not deferred:
                faults.append(f"{module}:{line} imports {name} outside functions")
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Attribute) and re.fullmatch(r"_?jax\.config\.update", ast.unparse(node)):
            faults.append(f"{module}:{node.lineno} changes jax.config")
    return faults


def undocumented(module: str, source: str) -> list[str]:
    """The public module, classes, functions and methods without a docstring."""
    tree = ast.parse(source)

    def public(node: ast.AST) -> Iterator[tuple[str, ast.AST]]:
        for child in ast.iter_child_nodes(node):
            if not isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
                continue
            if not child.name.startswith("_"):
                yield child.name, child
                if isinstance(child, ast.ClassDef):
                    yield from ((f"{child.name}.{name}", inner) for name, inner in public(child))

    return [f"{module}: {name}" for name, node in [("module", tree), *public(tree)] if not ast.get_docstring(node)]


def launches(source: str) -> bool:
    """Whether the file is a program."""
    return any(isinstance(node, ast.If) and "__main__" in ast.unparse(node.test) for node in ast.parse(source).body)


def of_absl(source: str) -> list[Import]:
    return [found for found in imports_of(source, "experiments") if found.name.split(".")[0] == "absl"]


def short(path: Path) -> str:
    return str(path.relative_to(ROOT))


@pytest.mark.parametrize("path", SOURCES, ids=short)
def test_sources_keep_to_the_architecture(path):
    module, source = module_of(path), path.read_text()
    package = ".".join(path.relative_to(ROOT).parts[:-1])
    assert not module or module in ORDER, f"{module} has no place in the order yet; give it one here"
    assert wrong_directions(module, source, package) == []
    assert misplaced_third_parties(module, source) == []
    assert undocumented(module, source) == []


@pytest.mark.parametrize("path", [*SOURCES, *EXPERIMENTS], ids=short)
def test_files_stay_readable_in_one_sitting(path):
    assert len(path.read_text().splitlines()) <= LONGEST


@pytest.mark.parametrize("path", EXPERIMENTS, ids=short)
def test_only_launchers_know_of_command_lines(path):
    source = path.read_text()
    assert path.name in ("flags.py", "flag_files.py") or launches(source) or of_absl(source) == []


def test_the_walk_saw_the_files():
    modules = {module_of(path) for path in SOURCES}
    assert {"", "records", "rendering", "datasets"} | STAGES <= modules
    assert any(launches(path.read_text()) for path in EXPERIMENTS)


@pytest.mark.parametrize(
    ("module", "source"),
    [
        ("fields", "from sdfrepar.rendering import Scene"),  # upward
        ("fields", "import sdfrepar.rendering as r"),
        ("fields", "from sdfrepar import rendering"),
        ("fields", "from . import rendering"),
        ("fields", "from .rendering import Scene"),
        ("tracing", "from sdfrepar.raygen import ray_through"),  # sideways
        ("shading", "from sdfrepar import numerics, warping"),
        ("tracing", "from sdfrepar import cameras"),
        ("raygen", "from sdfrepar import networks"),
        ("losses", "def f():\n    from sdfrepar import fitting"),  # hidden
        ("losses", "class A:\n    def f(self):\n        if True:\n            import sdfrepar.fitting"),
        ("losses", "if TYPE_CHECKING:\n    from sdfrepar.fitting import FitState"),
        ("losses", "try:\n    from sdfrepar import viewer\nexcept ImportError:\n    pass"),
        ("viewer", "from sdfrepar import novelty"),  # unknown
        ("", "from sdfrepar import records"),
    ],
)
def test_planted_imports_are_caught(module, source):
    assert len(wrong_directions(module, source)) == 1


def test_planted_imports_are_caught_in_a_subpackage():
    assert wrong_directions("datasets", "from ..reports import Progress", "sdfrepar.datasets")
    assert wrong_directions("datasets", "from .. import reports", "sdfrepar.datasets")
    assert (
        wrong_directions("datasets", "from .posed import camera\nfrom ..files import read_image", "sdfrepar.datasets")
        == []
    )


@pytest.mark.parametrize(
    ("module", "source"),
    [
        ("raygen", "from sdfrepar import cameras"),
        ("imaging", "def f():\n    from sdfrepar.cameras import project"),
        ("networks", "from sdfrepar.rendering import Scene"),
        ("datasets", "from sdfrepar import files\nfrom sdfrepar.datasets.posed import camera"),
        ("reports", "import sdfrepar\nfrom sdfrepar import __version__"),
        ("files", "import numpy\nfrom sdfrepar_extras import rendering"),
    ],
)
def test_sound_imports_pass(module, source):
    assert wrong_directions(module, source) == []


@pytest.mark.parametrize(
    ("module", "source"),
    [
        ("rendering", "import flax.linen as nn"),
        ("rendering", "from flax import linen"),
        ("rendering", "from flax.linen import Dense"),
        ("networks", "from flax import struct"),
        ("networks", "import flax"),
        ("losses", "def f():\n    import optax.losses"),
        ("files", "from absl import flags"),
        ("reports", "import imageio.v3 as imageio"),
        ("meshing", "import trimesh"),
        ("evaluation", "try:\n    import trimesh.sample\nexcept ImportError:\n    pass"),
        ("reports", "def f():\n    import trimesh"),
        ("files", "jax.config.update('jax_enable_x64', True)"),
        ("files", "import jax as _jax\n_jax.config.update('jax_enable_x64', True)"),
        ("files", "from jax import config"),
    ],
)
def test_planted_third_parties_are_caught(module, source):
    assert len(misplaced_third_parties(module, source)) == 1


@pytest.mark.parametrize(
    ("module", "source"),
    [
        ("networks", "import flax.linen as nn"),
        ("records", "import jax\nfrom flax import struct"),
        ("fitting", "import optax\nfrom flax.struct import dataclass"),
        ("meshing", "if TYPE_CHECKING:\n    import trimesh\ndef f():\n    import trimesh"),
        ("files", "def f():\n    import imageio.v3 as imageio"),
        ("files", "settings.update(a=1)\nimport jax.numpy as jnp"),
    ],
)
def test_sound_third_parties_pass(module, source):
    assert misplaced_third_parties(module, source) == []


def test_planted_silence_is_caught():
    silent = "def f():\n    pass\nclass A:\n    def g(self):\n        pass\n    def __len__(self):\n        return 0\n"
    assert undocumented("m", silent) == ["m: module", "m: f", "m: A", "m: A.g"]
    spoken = '"""M."""\ndef f():\n    """F."""\n    def inner():\n        pass\ndef _g():\n    pass\n'
    assert undocumented("m", spoken) == []


def test_planted_command_lines_are_caught():
    assert of_absl("def f():\n    from absl import app")
    assert launches("if __name__ == '__main__':\n    pass")
    assert not launches("if name == 'x':\n    pass")
