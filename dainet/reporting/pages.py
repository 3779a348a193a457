"""HTML pages in the kit's style, from templates of its rooms."""

from __future__ import annotations

from jinja2 import ChoiceLoader, Environment, PackageLoader

__all__ = ["render_page"]


def render_page(package: str, template: str, **values: object) -> str:
    """Fill a template of a package with values, which are escaped; it may include page.css, the style of all pages."""
    loader = ChoiceLoader([PackageLoader(package, ""), PackageLoader("dainet.reporting", "")])
    return Environment(loader=loader, autoescape=True).get_template(template).render(values)
