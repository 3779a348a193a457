"""The pages of the book, copied into one folder from which Sphinx builds it.

They keep their places in the repository, so links between them stay as they are. They are copies because MyST looks
for a linked page where a symbolic link points to.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from urllib.parse import unquote

__all__ = ["REPOSITORY", "gather", "links_of"]

REPOSITORY = Path(__file__).parents[1]
_OWN = Path(__file__).parent  # index.md, cite.md: the root of the book
_PAGES = (".md", ".ipynb")
_COPIED = (*_PAGES, ".png", ".svg", ".jpg")
_CODE = re.compile(r"^(```+).*?^\1$|`[^`\n]*`", re.MULTILINE | re.DOTALL)
_LINK = re.compile(r"\]\(<?([^)\s>]+)>?[^)]*\)")
_TOCTREE = re.compile(r"^```\{toctree\}\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def gather(output: Path, made: Mapping[str, str]) -> list[Path]:
    """Copy the book's own pages and all pages and pictures they lead to; remove and return what is none of these.

    A file that has not changed is not written, so Sphinx reads only pages that have.

    Args:
        output: folder of the pages.
        made: text of pages made by code, by place in the book; such a page stands for a file of that place.
    """
    wanted = {page.relative_to(_OWN): page.read_bytes() for page in _OWN.glob("*.md")}
    wanted |= {Path(name): text.encode() for name, text in made.items()}
    waiting = list(wanted)
    while waiting:
        name = waiting.pop()
        for target in _linked(name, wanted[name].decode()):
            path = REPOSITORY / target
            if target not in wanted and path.suffix in _COPIED and path.is_file():
                wanted[target] = _content(path)
                waiting += [target] if path.suffix in _PAGES else []
    for name, content in wanted.items():
        _write_changed(output / name, content)
    gone = [path for path in output.rglob("*") if path.is_file() and path.relative_to(output) not in wanted]
    for path in gone:
        path.unlink()
    return gone


def links_of(name: Path, text: str) -> list[str]:
    """Return targets of links, pictures and tables of contents in a page or notebook, other sites left out."""
    if name.suffix == ".ipynb":
        cells = [cell for cell in json.loads(text)["cells"] if cell["cell_type"] == "markdown"]
        text = "\n\n".join("".join(cell["source"]) for cell in cells)
    listed = [word for block in _TOCTREE.findall(text) for word in re.split(r"[\s<>]+", block) if word.endswith(_PAGES)]
    targets = [unquote(target) for target in _LINK.findall(_CODE.sub("", text))]
    return listed + [target for target in targets if not re.match(r"[a-z]+:|#", target)]


def _linked(name: Path, text: str) -> Iterator[Path]:
    """Return what a page links to, as paths inside the repository."""
    for target in links_of(name, text):
        path = (REPOSITORY / name.parent / target.partition("#")[0]).resolve()
        if path.is_relative_to(REPOSITORY):
            yield path.relative_to(REPOSITORY)


def _content(path: Path) -> bytes:
    """Return a file as Sphinx shall read it: alternative texts of a notebook's figures where MyST-NB looks for them."""
    if path.suffix != ".ipynb":
        return path.read_bytes()
    notebook = json.loads(path.read_text(encoding="utf-8"))
    for cell in notebook["cells"]:
        for output in cell.get("outputs", []):
            if text := output.get("metadata", {}).get("image/png", {}).get("alt"):
                cell["metadata"]["mystnb"] = {"image": {"alt": text}}
    return json.dumps(notebook).encode()


def _write_changed(path: Path, content: bytes) -> None:
    if not path.is_file() or path.read_bytes() != content:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
