"""What the site's pages need beside Markdown: the reference's pages, mathematics, and links to works and to code."""

import ast
import re
from pathlib import Path
from typing import Any

from latex2mathml.converter import convert
from mkdocs.structure.files import File, Files

ROOT = Path(__file__).parents[2]

_LINK_TO_CODE = re.compile(r"\[`([\w.]+)`\]\(\.\./((?:sdfrepar|experiments)/[\w/]+)\.py\)")
_CITATION = re.compile(r"\[(?P<text>(?P<key>[A-Z]\d\d|[A-ZÀ-Ý][^\W\d]+[^\[\]]*? (?:19|20)\d\d)\b[^\[\]]*)\]")
_MATHS = re.compile(r'<(span|div) class="arithmatex">\\[(\[](.*?)\\[)\]]</\1>', flags=re.DOTALL)
# What is no prose: code, headers' links, and what stands in a tag.
_VERBATIM = re.compile(r"(<pre.*?</pre>|<code.*?</code>|<a .*?</a>|<h\d.*?</h\d>|<[^>]+>)", flags=re.DOTALL)


def on_config(config: Any) -> Any:
    """Add the reference to the navigation, before the bibliography."""
    reference = {"Reference": [{name: f"reference/{name}.md"} for name in modules()]}
    config.nav.insert(len(config.nav) - 1, reference)
    return config


def on_files(files: Files, config: Any) -> Files:
    """One page of the reference for each module."""
    for name in modules():
        page = f"# {name}\n\n::: sdfrepar.{name}\n"
        files.append(File.generated(config, f"reference/{name}.md", content=page))
    return files


def on_page_markdown(markdown: str, page: Any, config: Any, files: Files) -> str:
    """Links to files become links into the reference, and works can be linked to."""
    if page.file.src_uri == "bibliography.md":
        return re.sub(
            r"^- \[(.+?)\]", lambda work: f'- <a id="{_anchor(work[1])}"></a>[{work[1]}]', markdown, flags=re.M
        )
    return _LINK_TO_CODE.sub(_into_reference, markdown)


def on_page_content(html: str, page: Any, config: Any, files: Files) -> str:
    """Mathematics as MathML, which browsers draw themselves, and citations as links."""
    html = _MATHS.sub(lambda found: _drawn(found[2], block=found[1] == "div"), html)
    # Pictures of README.md lie beside the pages.
    html = html.replace('src="docs/', f'src="{"../" * page.file.dest_uri.count("/")}')
    if page.file.src_uri == "bibliography.md":
        return html
    home = "../" * page.file.dest_uri.count("/") + "bibliography.html"

    def linked(work: re.Match[str]) -> str:
        return f'[<a href="{home}#{_anchor(work["key"])}">{work["text"]}</a>]'

    parts = _VERBATIM.split(html)
    return "".join(part if number % 2 else _CITATION.sub(linked, part) for number, part in enumerate(parts))


def modules() -> list[str]:
    """The public modules, as the package names them."""
    tree = ast.parse((ROOT / "sdfrepar" / "__init__.py").read_text())
    (names,) = (ast.literal_eval(node.value) for node in tree.body if _assigns(node, "__all__"))
    return names


def _assigns(node: ast.stmt, name: str) -> bool:
    return isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == name


def _into_reference(link: re.Match[str]) -> str:
    """A link into the reference where it has the name; else no link."""
    dotted = f"{link[2].replace('/', '.').removesuffix('.__init__')}.{link[1]}"
    return f'<autoref identifier="{dotted}" optional><code title="{link[2]}.py">{link[1]}</code></autoref>'


def _drawn(latex: str, *, block: bool) -> str:
    unescaped = latex.replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&").strip()
    return convert(unescaped, display="block" if block else "inline")


def _anchor(key: str) -> str:
    return re.sub(r"\W+", "-", key.lower())
