"""What is documented of every public name, read from the syntax trees: shapes, units, errors, gradients, fields."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

ROOT = Path(__file__).parents[1]
SOURCES = sorted((ROOT / "sdfrepar").rglob("*.py"))

# (), (3,), (N, 3), (..., 3), (2 S, 3), (H / 2^l, W / 2^l, 3), (per_side²,): what stands in parentheses after an array.
_SHAPE = re.compile(r"\((?:|\.\.\.|(?:[\w.²*/^+ -]+,)(?:(?:[\w.²*/^+ -]|\([^()]*\))+,?)*)\)")
_ARRAY = re.compile(r"\b(?:jax\.Array|np\.ndarray|ArrayLike)\b")
# An array may also be shaped as another that is named, or be of whatever shape.
_ALIKE = re.compile(r"same shape|any shape|of one shape|elementwise|likewise|like `|\b[Aa]s `", re.IGNORECASE)
# Names of what has a unit, and units.
_LENGTHS = {
    *(
        "position",
        "target",
        "origin",
        "x",
        "t",
        "near",
        "far",
        "depth",
        "point",
        "points",
        "film",
        "u",
        "centre",
        "width",
    ),
    *("focal", "principal", "distance", "lift", "displacement", "motion", "lights", "vertices", "radius", "step"),
}
_UNIT = re.compile(r"scene unit|pixel|radian|degree|world|millimetre|\bunit\b|\bunits\b|\bshare|linear|dimensionless")
# What stops or replaces a derivative.
_NOT_CALCULUS = {"stop_gradient", "custom_jvp", "custom_vjp", "tangent_of", "with_tangent_of"}
_SECTIONS = ("Args", "Returns", "Raises", "Gradient", "Attributes", "Examples")


class Public(NamedTuple):
    """A public function, method or class, with the dotted name by which it is known in its file."""

    name: str
    node: ast.FunctionDef | ast.ClassDef
    doc: str


class Field(NamedTuple):
    """A field of a record, and what is told of it."""

    name: str
    annotation: ast.expr
    text: str


def public_names(source: str) -> list[Public]:
    def of(node: ast.AST, prefix: str) -> Iterator[Public]:
        for child in ast.iter_child_nodes(node):
            if isinstance(child, ast.FunctionDef | ast.ClassDef) and not child.name.startswith("_"):
                yield Public(prefix + child.name, child, ast.get_docstring(child) or "")
                if isinstance(child, ast.ClassDef):
                    yield from of(child, f"{child.name}.")

    return list(of(ast.parse(source), ""))


def sections(doc: str) -> dict[str, str]:
    """The text of each section of a docstring; what comes before the first is under ''."""
    found, name = {"": ""}, ""
    for line in doc.splitlines():
        match = re.match(r"(\w+): ?(.*)", line)
        if match and match[1] in _SECTIONS:
            name, line = match[1], match[2]
            found[name] = ""
        found[name] += line + "\n"
    return found


def entries(section: str) -> dict[str, str]:
    """The entries `name: text` of an Args or Raises section; `a, b: text` is one for each."""
    found: dict[str, str] = {}
    names: list[str] = []
    for line in section.splitlines():
        match = re.match(r"    ([\w*]+(?:, \w+)*): (.*)", line)
        if match:
            names, line = [name.strip("* ") for name in match[1].split(",")], match[2]
        for name in names:
            found[name] = f"{found.get(name, '')} {line.strip()}"
    return found


def arrays_of(node: ast.FunctionDef) -> list[str]:
    """The parameters that are arrays; a random key has no shape worth telling."""
    every = [*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs]
    is_array = {a.arg: a.annotation is not None and _is_array(a.annotation) for a in every}
    return [name for name, array in is_array.items() if array and name != "key" and not name.endswith("_key")]


def _is_array(annotation: ast.expr) -> bool:
    text = ast.unparse(annotation)
    return bool(_ARRAY.search(text)) and "Callable" not in text


def untold_shapes(source: str) -> list[str]:
    """Array parameters and results of public functions without their shape, in Args or in the sentences before."""
    faults = []
    for name, node, doc in public_names(source):
        if not isinstance(node, ast.FunctionDef):
            continue
        parts = sections(doc)
        told = entries(parts.get("Args", ""))
        for parameter in arrays_of(node):
            where = told.get(parameter, parts[""])
            if not (_SHAPE.search(where) or _ALIKE.search(where)):
                faults.append(f"{name}: {parameter}")
        result = node.returns is not None and ast.unparse(node.returns) in ("jax.Array", "np.ndarray")
        if result and not (_SHAPE.search(told := parts.get("Returns", parts[""])) or _ALIKE.search(told)):
            faults.append(f"{name}: what it returns")
    return faults


def untold_errors(source: str) -> list[str]:
    """Errors that the body of a public function raises, and its docstring does not name."""
    faults = []
    for name, node, doc in public_names(source):
        if isinstance(node, ast.FunctionDef):
            raised = {_error(found.exc) for found in ast.walk(node) if isinstance(found, ast.Raise) and found.exc}
            where = sections(doc).get("Raises", "") + " ".join(re.findall(r"Raises as `\w+`|raises `?\w+`?", doc))
            told = re.search(r"as `", where) is not None
            faults += [f"{name}: {error}" for error in sorted(raised - {""}) if error not in where and not told]
    return faults


def _error(raised: ast.expr) -> str:
    function = raised.func if isinstance(raised, ast.Call) else raised
    name = ast.unparse(function).split(".")[-1]
    return name if name[0].isupper() else ""


def untold_gradients(source: str) -> list[str]:
    """Public functions whose derivative is not that of their values, and which do not say so."""
    faults = []
    for name, node, doc in public_names(source):
        if isinstance(node, ast.FunctionDef):
            used = {found.attr for found in ast.walk(node) if isinstance(found, ast.Attribute)}
            used |= {found.id for found in ast.walk(node) if isinstance(found, ast.Name)}
            if used & _NOT_CALCULUS and not re.search(r"Gradient:|[Dd]etached|zero in value", doc):
                faults.append(name)
    return faults


def fields_of(node: ast.ClassDef, source: str) -> list[Field]:
    """The public fields of a record or config, with what stands beside, above or below them, or in the class's doc."""
    lines, attributes = source.splitlines(), entries(sections(ast.get_docstring(node) or "").get("Attributes", ""))
    found = []
    for field, after in zip(node.body, [*node.body[1:], None], strict=True):
        if not isinstance(field, ast.AnnAssign) or not isinstance(field.target, ast.Name):
            continue
        name, above = field.target.id, lines[field.lineno - 2].strip()
        beside = " ".join(lines[field.lineno - 1 : field.end_lineno]).partition("  # ")[2]
        below = after.value.value if isinstance(after, ast.Expr) and isinstance(after.value, ast.Constant) else ""
        text = beside or (above[2:] if above.startswith("# ") else "") or str(below) or attributes.get(name, "")
        if not name.startswith("_"):
            found.append(Field(name, field.annotation, text))
    return found


def untold_fields(source: str) -> list[str]:
    """Fields of public records and configs of which nothing is told; of an array, its shape.

    A field whose name is in its class's docstring is told of there; one of a public class of ours, in that.
    """
    faults = []
    for name, node, doc in public_names(source):
        for field in fields_of(node, source) if isinstance(node, ast.ClassDef) else ():
            if _is_array(field.annotation):
                told = _SHAPE.search(field.text)
            else:
                told = field.text or _is_of_ours(field.annotation) or re.search(rf"\b{field.name}s?\b", _words(doc))
            if not told:
                faults.append(f"{name}.{field.name}")
    return faults


def _is_of_ours(annotation: ast.expr) -> bool:
    """Whether the type is a public class of the package, which tells of itself."""
    return ast.unparse(annotation).split(" | ")[0] in _CLASSES


def _words(doc: str) -> str:
    return f"{doc} {doc.replace(' ', '_')}"


_CLASSES = {
    name for path in SOURCES for name, node, _ in public_names(path.read_text()) if isinstance(node, ast.ClassDef)
}


def untold_units(source: str) -> list[str]:
    """Lengths and places, in Args and in fields, without a unit."""
    faults = []
    for name, node, doc in public_names(source):
        if isinstance(node, ast.FunctionDef):
            told = entries(sections(doc).get("Args", ""))
            described = {parameter: told[parameter] for parameter in arrays_of(node) if parameter in told}
        else:
            described = {field.name: field.text for field in fields_of(node, source) if _is_array(field.annotation)}
        faults += [
            f"{name}: {own}"
            for own, text in described.items()
            if own in _LENGTHS
            and not re.search(r"\bbool|\bint", text)
            and not (_UNIT.search(text) or _ALIKE.search(text))
        ]
    return faults


def short(path: Path) -> str:
    return str(path.relative_to(ROOT))


@pytest.mark.parametrize("path", SOURCES, ids=short)
def test_public_names_are_told_of(path):
    source = path.read_text()
    assert untold_shapes(source) == []
    assert untold_units(source) == []
    assert untold_errors(source) == []
    assert untold_gradients(source) == []
    assert untold_fields(source) == []


@pytest.mark.parametrize(
    ("check", "source"),
    [
        (untold_shapes, 'def f(x: jax.Array) -> float:\n    """The length of x."""'),
        (
            untold_shapes,
            'def f(x: jax.Array) -> float:\n    """Its length (3,).\n\n    Args:\n        x: a point.\n    """',
        ),
        (untold_shapes, 'def f() -> np.ndarray:\n    """A point."""'),
        (untold_units, 'def f(t: jax.Array) -> None:\n    """F.\n\n    Args:\n        t: () where.\n    """'),
        (untold_units, 'class A:\n    """A."""\n\n    depth: jax.Array  # (...) of the surface'),
        (untold_errors, 'def f():\n    """F."""\n    raise ValueError("no")'),
        (
            untold_errors,
            'def f():\n    """F.\n\n    Raises:\n        KeyError: no.\n    """\n    raise ValueError("no")',
        ),
        (untold_gradients, 'def f(x):\n    """F."""\n    return jax.lax.stop_gradient(x)'),
        (untold_gradients, '@jax.custom_jvp\ndef f(x):\n    """F."""\n    return x'),
        (untold_fields, 'class A:\n    """A."""\n\n    size: int = 3'),
        (untold_fields, 'class A:\n    """A with an x."""\n\n    x: jax.Array  # where it is'),
    ],
)
def test_planted_silence_is_caught(check, source):
    assert len(check(source)) == 1


@pytest.mark.parametrize(
    ("check", "source"),
    [
        (untold_shapes, 'def f(x: jax.Array) -> jax.Array:\n    """The square (3,) of x (3,)."""'),
        (untold_shapes, 'def f(x: jax.Array) -> jax.Array:\n    """Elementwise."""'),
        (untold_shapes, 'def f(*, key: jax.Array) -> None:\n    """F."""'),
        (untold_units, 'def f(t: jax.Array) -> None:\n    """F.\n\n    Args:\n        t: (N,) scene units.\n    """'),
        (
            untold_errors,
            'def f():\n    """F.\n\n    Raises:\n        ValueError: no.\n    """\n    raise ValueError("no")',
        ),
        (untold_errors, 'def f():\n    """F."""\n    try:\n        g()\n    except KeyError:\n        raise'),
        (untold_gradients, 'def f(x):\n    """F.\n\n    Gradient: none.\n    """\n    return jax.lax.stop_gradient(x)'),
        (untold_fields, 'class A:\n    """A."""\n\n    size: int = 3\n    """How many."""\n    x: jax.Array  # (3,)'),
    ],
)
def test_sound_documentation_passes(check, source):
    assert check(source) == []
