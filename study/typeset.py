"""docs/reproduction.md as a typeset PDF: Markdown to Typst, with the vector figures beside the pictures of the page."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

from markdown_it import MarkdownIt
from markdown_it.tree import SyntaxTreeNode

from dainet.errors import InputError
from dainet.places import repository_root

__all__ = ["last_change", "to_typst", "typeset"]

_NUMERIC = re.compile(r"[<+-]?\s?\d[\d.,]*( ?%)?( to .*| of .*| ?[±(].*)?$")
_WHOLE = 25  # rows of a table that stay together on one page
_ID = re.compile(r'<a id="([^"]+)">')
_STYLE = """#set document(title: TITLE, date: DATE)
#set page(paper: "a4", margin: (x: 18mm, top: 16mm, bottom: 18mm), footer: context {
  set text(size: 8pt, fill: luma(90))
  [#TITLE #h(1fr) #DAY #h(1fr) #counter(page).display("1 / 1", both: true)]
})
#set text(size: 9.5pt, lang: "en")
#set par(justify: true)
#set list(spacing: 0.75em)
#show heading.where(level: 1): set text(size: 17pt)
#show heading: set block(above: 1.3em, below: 0.7em, sticky: true)
#show raw.where(block: true): set text(size: 0.85em)
#show link: set text(fill: rgb("#0b4a8f"))
#show table: set text(size: 7pt)
#show table: set par(justify: false)
#show table.cell.where(y: 0): set text(weight: "bold")
#let picture(path, alt) = layout(size => {
  let natural = measure(image(path)).width
  align(center, image(path, alt: alt, width: calc.min(size.width, 0.65 * natural)))
})
#set table(stroke: none, inset: (x: 3pt, y: 2.6pt), fill: (_, y) => if calc.even(y) and y > 0 { luma(243) })
"""


def typeset(page: Path, output: Path) -> Path:
    """Write a page as the PDF `output`, with the same bytes for the same page, figures and commit; return its path.

    Args:
        page: Markdown whose pictures have a PDF of the same name beside them.
        output: where the PDF goes.
    """
    import typst

    output.parent.mkdir(parents=True, exist_ok=True)
    source = to_typst(page, last_change(page)).encode()
    # Its types want one type for source, output and root, which it does not need.
    typst.compile(source, output, root=repository_root(), ignore_system_fonts=True)  # type: ignore[type-var]
    return output


def last_change(page: Path) -> str:
    """Return the date (YYYY-MM-DD) of the last commit of a page or of figures; empty outside a clone of git."""
    command = ["git", "log", "-1", "--format=%cs", "--", str(page), "figures"]
    try:
        done = subprocess.run(command, cwd=repository_root(), capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return ""
    return done.stdout.strip()


def to_typst(page: Path, day: str = "") -> str:
    """Return the Typst source of a Markdown page, whose first section gets a page of its own.

    Args:
        page: see `typeset`.
        day: as YYYY-MM-DD, for the foot of every page and for the PDF's date; empty where it is not known.

    Raises:
        InputError: the page has something that no rule here typesets.
    """
    tree = SyntaxTreeNode(MarkdownIt("commonmark").enable("table").parse(page.read_text(encoding="utf-8")))
    title = tree.children[0].children[0].content
    date = "datetime(year: {}, month: {}, day: {})".format(*map(int, day.split("-"))) if day else "none"
    style = _STYLE.replace("TITLE", _string(title)).replace("DATE", date).replace("DAY", _string(day))
    blocks = [_block(node, page.parent) for node in tree.children]
    second = [index for index, node in enumerate(tree.children) if node.tag == "h2"][1]
    return style + "\n".join([*blocks[:second], "#pagebreak()", *blocks[second:]])


def _block(node: SyntaxTreeNode, folder: Path) -> str:
    inside = node.children
    if node.type == "heading":
        return _heading(node, folder)
    if node.type in ("paragraph", "inline"):
        return (
            "".join(_inline(child, folder) for child in (inside if node.type == "inline" else inside[0].children))
            + "\n"
        )
    if node.type == "bullet_list":
        return (
            "\n".join(f"- {''.join(_block(part, folder) for part in item.children).strip()}" for item in inside) + "\n"
        )
    if node.type == "table":
        return _table(node, folder)
    if node.type == "code_block":
        return f"#raw({_string(node.content.rstrip())}, block: true)\n"
    if node.type == "html_block":  # marks of tables
        return ""
    raise InputError(f"the report has a {node.type}, which nothing typesets; expected what study/typeset.py knows")


def _heading(node: SyntaxTreeNode, folder: Path) -> str:
    """Write a heading with its ids: the one that stands in it, and the one that GitHub makes of its words."""
    [line] = node.children
    words = "".join(part.content for part in line.children if part.type in ("text", "code_inline"))
    slug = re.sub(r"[^\w\- ]", "", words.strip().lower()).replace(" ", "-")
    labels = "".join(f"#metadata(none) <{name}>\n" for name in sorted({slug, *_ID.findall(line.content)}))
    text = "".join(_inline(part, folder) for part in line.children).strip()
    return f"#heading(level: {node.tag[1]})[{text}]\n{labels}"


def _table(node: SyntaxTreeNode, folder: Path) -> str:
    """Write a table, a long one with its head repeated on every page; columns of numbers are set right."""
    rows = [row.children for part in node.children for row in part.children]
    cells = [[_block(cell.children[0], folder).strip() if cell.children else "" for cell in row] for row in rows]
    texts = [[cell.children[0].content if cell.children else "" for cell in row] for row in rows[1:]]
    sides = ", ".join("right" if _is_numeric(column) else "left" for column in zip(*texts, strict=True))
    head, *body = ["".join(f"[{cell}], " for cell in row) for row in cells]
    lines = [f"columns: {len(rows[0])}, align: ({sides})", f"table.header({head})", *body]
    body_lines = [line.removesuffix(", ") for line in lines]
    breaks = str(len(rows) > _WHOLE).lower()
    return f"#block(breakable: {breaks}, table(\n  " + ",\n  ".join(body_lines) + ",\n))\n"


def _is_numeric(column: tuple[str, ...]) -> bool:
    filled = [cell for cell in column if cell]
    return bool(filled) and all(_NUMERIC.match(cell) for cell in filled)


def _inline(node: SyntaxTreeNode, folder: Path) -> str:
    inside = "".join(_inline(child, folder) for child in node.children)
    if node.type == "image":
        picture = (folder / str(node.attrs["src"])).resolve().with_suffix(".pdf").relative_to(repository_root())
        return f"#picture({_string(f'/{picture.as_posix()}')}, {_string(node.content)})"
    if node.type == "link":
        target = str(node.attrs["href"])
        return f"#link(label({_string(target[1:])}))[{inside}]" if target.startswith("#") else inside
    if node.type in ("text", "code_inline"):
        kind = "raw" if node.type == "code_inline" else "text"
        return f"#{kind}({_string(_minus(node.content) if kind == 'text' else node.content)})"
    marks = {"strong": f"#strong[{inside}]", "em": f"#emph[{inside}]", "softbreak": " ", "html_inline": ""}
    if node.type not in marks:
        raise InputError(f"the report has a {node.type}, which nothing typesets; expected what study/typeset.py knows")
    return marks[node.type]


def _minus(text: str) -> str:
    """Replace the hyphens of negative numbers and of differences with minus signs."""
    return re.sub(r"(?<![\w-])-(?=\d)|(?<= )-(?= )", "\N{MINUS SIGN}", text)


def _string(text: str) -> str:
    """Write a text as a string of Typst, in which nothing else has a meaning."""
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'
