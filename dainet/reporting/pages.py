"""HTML pages in the kit's style, from templates of its rooms."""

from __future__ import annotations

from jinja2 import ChoiceLoader, Environment, PackageLoader

__all__ = ["render_page"]


def render_page(package: str, template: str, **values: object) -> str:
    """Fill a template of a package with values, which are escaped.

    It may include head.html, the beginning of all pages, which shows the variable `heading` as title and ends inside
    the style.
    """
    loader = ChoiceLoader([PackageLoader(package, ""), PackageLoader("dainet.reporting", "")])
    return Environment(loader=loader, autoescape=True).get_template(template).render(values)
