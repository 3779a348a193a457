"""Markdown, pictures and templates turned into pages of one file, without a link to anything outside."""

from __future__ import annotations

import mimetypes
from base64 import b64encode
from io import BytesIO
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup
from matplotlib.figure import Figure
from nbconvert.filters.markdown_mistune import IPythonRenderer, MarkdownWithMath

from dainet.errors import InputError
from teaching.formulas import formula_image

__all__ = ["figure_html", "markdown_html", "picture_html", "render"]


class _Renderer(IPythonRenderer):
    """Jupyter's Markdown with drawn formulas, embedded pictures, and links as plain words."""

    def block_math(self, body: str) -> str:
        return f'<p class="display">{formula_image(body, display=True)}</p>'

    def inline_math(self, body: str) -> str:
        return formula_image(body)

    def link(self, text: str, url: str, title: str | None = None) -> str:
        return f"<span>{text}</span>"

    def image(self, text: str, url: str, title: str | None = None) -> str:
        path = Path(self.path, url)
        if not path.is_file():
            raise InputError(f"{self.path}: the picture {url} is not a file of the repository")
        kind = mimetypes.guess_type(path.name)[0]
        return picture_html(path.read_bytes(), f"{kind}", text)


def markdown_html(text: str, folder: Path) -> Markup:
    """Return HTML of Markdown with formulas; pictures are embedded, with paths relative to `folder`."""
    renderer = _Renderer(escape=False, exclude_anchor_links=True, path=str(folder))
    return Markup(MarkdownWithMath(renderer=renderer)(text))


def picture_html(content: bytes, kind: str, alt: str) -> Markup:
    """Return an `<img>` that holds a picture of a MIME type such as "image/png"."""
    return Markup('<img alt="{}" src="data:{};base64,{}">').format(alt, kind, b64encode(content).decode())


def figure_html(figure: Figure) -> Markup:
    """Return a figure as an embedded SVG; its label is the alternative text."""
    picture = BytesIO()
    figure.savefig(picture, format="svg")
    return picture_html(picture.getvalue(), "image/svg+xml", str(figure.get_label()))


def render(template: str, **values: Any) -> str:
    """Fill one of the templates of this folder; every value must be given."""
    loader = PackageLoader("teaching")
    pages = Environment(loader=loader, autoescape=True, undefined=StrictUndefined, trim_blocks=True)
    return pages.get_template(template).render(**values)
