"""The pages: their Python runs, links and equations lead somewhere, and what is cited is listed."""

import ast
import doctest
import importlib
import re
from pathlib import Path

import jax
import numpy as np
import pytest

import sdfrepar
from experiments import make_scene
from tests import tiny

ROOT = Path(__file__).parents[1]
GUIDES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
PAGES = [*GUIDES, ROOT / "CONTRIBUTING.md", ROOT / "CHANGELOG.md"]
SOURCES = sorted(path for folder in ("sdfrepar", "experiments", "benchmarks") for path in (ROOT / folder).rglob("*.py"))

_CITATION = re.compile(
    r"\[((?:[A-Z]\d\d)|(?:[A-ZÀ-Ý][^\W\d]+(?: (?:and|et al\.|[A-ZÀ-Ý][^\W\d]+))* (?:19|20)\d\d))\b[^\]]*\]"
)


def short(path: Path) -> str:
    return str(path.relative_to(ROOT))


def blocks(path: Path) -> list[str]:
    """The Python of a page, with what the page includes of README.md left out."""
    return re.findall(r"```python\n(.*?)```", path.read_text(), flags=re.DOTALL)


def run(code: list[str], names: dict, replaced: dict[str, str]) -> dict:
    """The names after blocks have run one after another, with other sizes, all of which must have been there."""
    text = "\n".join(code)
    for said, instead in replaced.items():
        assert said in text
        text = text.replace(said, instead)
    exec(text, names)
    return names


def test_readme_runs_without_silhouettes(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    code = [block for block in blocks(ROOT / "README.md") if "gradcheck" not in block]
    assert len(code) == 5
    interior = """RenderConfig(
        film=sr.imaging.FilmConfig(samples_per_side=1), gradient=sr.rendering.GradientConfig(method="interior")
    )"""
    sizes = {"(64, 64)": "(16, 16)", "range(100)": "range(2)", "torus, params)": "torus, params, resolution=24)"}
    names = run(code, {}, {"RenderConfig()": interior, **sizes})
    opacity = np.asarray(names["image"].opacity)
    assert opacity.shape == (16, 16) and 0.1 < opacity.mean() < 0.6
    assert all(np.isfinite(leaf) for leaf in jax.tree.leaves((names["slope"], names["guess"])))
    assert names["mesh"].euler_number == 0
    assert Path("torus.png").is_file() and Path("torus.ply").is_file()


@pytest.mark.slow
def test_readme_runs_as_it_is_printed(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    names = run(blocks(ROOT / "README.md"), {}, {"(64, 64)": "(24, 24)"})
    # A thicker ring is brighter: more of it is seen, and that its outline moves is most of it.
    assert names["slope"]["minor"] > 0.5
    assert jax.tree.all(jax.tree.map(lambda a, b: abs(float(a - b)) < 0.02, names["guess"], names["params"]))
    assert "BIASED" not in names["report"].verdict


@pytest.mark.slow
def test_guide_to_pictures_runs(tmp_path):
    make_scene.write(
        make_scene.MakeConfig(views=3, test_views=1, resolution=16, occupancy_resolution=16, surface_points=100),
        tmp_path,
    )
    (code,) = blocks(ROOT / "docs" / "guides" / "pictures.md")
    sizes = {
        '"FOLDER"': repr(str(tmp_path)),
        "networks.NetworkConfig()": "NETWORK",
        "FitConfig()": "FitConfig(steps=2, pixels=16, warm_up=1, eikonal_points=8)",
        ".distance, state.average)": ".distance, state.average, 24)",
    }
    names = run([code], {"jax": jax, "jnp": jax.numpy, "NETWORK": tiny.NETWORK}, sizes)
    assert int(names["state"].step) == 2 and len(names["mesh"].faces) > 0


@pytest.mark.parametrize("path", [path for path in SOURCES if ">>> " in path.read_text()], ids=short)
def test_examples_in_docstrings(path):
    module = importlib.import_module(".".join(path.relative_to(ROOT).with_suffix("").parts))
    failed, tried = doctest.testmod(module)
    assert tried > 0 and failed == 0


def citations(text: str) -> list[str]:
    """The works that a text cites, as [B22 eq. 5] or [Lowe 2004, section 7.1]: 'B22', 'Lowe 2004'."""
    return _CITATION.findall(text)


def test_citations_resolve():
    listed = set(citations((ROOT / "docs" / "bibliography.md").read_text()))
    cited = {(short(path), key) for path in [*SOURCES, *GUIDES] for key in citations(path.read_text())}
    assert {key for _, key in cited} >= {"B22", "D20", "Lowe 2004"}
    assert sorted((path, key) for path, key in cited if key not in listed) == []
    keys = {key for key in listed if re.fullmatch(r"[A-Z]\d\d", key)}
    assert set(re.findall(r"\[(\w+)\] ", str(sdfrepar.__doc__).split("Papers")[1])) == keys


def test_citations_are_recognised():
    assert citations("[B22 eq. 5, 11-13] and [Lowe 2004, section 7.1], [Salimans and Kingma 2016]") == [
        "B22",
        "Lowe 2004",
        "Salimans and Kingma 2016",
    ]
    assert citations("x[B22] = `a[K]`, [Markdown](link), [Levenberg 1944, Marquardt 1963]")[-1] == "Levenberg 1944"


METHOD = ROOT / "docs" / "method.md"


def broken_links_to_code(page: str, folder: Path) -> list[str]:
    """Links [`name`](../file.py) whose file is missing, or defines no such name; a method is `Class.name`."""
    faults = []
    for name, target in re.findall(r"\[`([\w.]+)`\]\((\S+?\.py)\)", page):
        path = folder / target
        if not path.is_file() or name not in defined(path.read_text()):
            faults.append(f"{name} in {target}")
    return faults


def defined(source: str) -> set[str]:
    """The functions and classes of a file, and the methods as `Class.name`."""
    found = set()
    for node in ast.parse(source).body:
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            found.add(node.name)
        if isinstance(node, ast.ClassDef):
            found |= {f"{node.name}.{inner.name}" for inner in node.body if isinstance(inner, ast.FunctionDef)}
    return found


def homeless_equations(page: str) -> list[str]:
    """Displayed equations that no link to code follows before the next one."""
    parts = page.split("$$")
    return [equation.strip() for equation, after in zip(parts[1::2], parts[2::2], strict=True) if ".py)" not in after]


def test_every_equation_leads_to_the_code_that_holds_it():
    page = METHOD.read_text()
    assert page.count("$$") > 40
    assert homeless_equations(page) == []
    assert broken_links_to_code(page, METHOD.parent) == []


def test_planted_links_and_equations_are_caught():
    page = "$$ a $$ [`moved`](../sdfrepar/cameras.py) $$ b $$ [`shaken`](../sdfrepar/cameras.py) [`f`](../f.py) $$ c $$"
    assert homeless_equations(page) == ["c"]
    assert broken_links_to_code(page, METHOD.parent) == ["shaken in ../sdfrepar/cameras.py", "f in ../f.py"]


def relative_links(page: str) -> list[str]:
    """Where the Markdown links and pictures of a page lead, those to the net left out."""
    targets = re.findall(r"\]\(([^)\s]+)\)", page)
    return [target.partition("#")[0] for target in targets if "://" not in target and not target.startswith("#")]


@pytest.mark.parametrize("path", PAGES, ids=short)
def test_links_lead_somewhere(path):
    assert [target for target in relative_links(path.read_text()) if not (path.parent / target).exists()] == []
