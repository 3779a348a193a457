"""Settings of Sphinx for the book; `python -m book` gathers the pages and calls it."""

from __future__ import annotations

from book.launch import launch_options
from book.quoted import bibtex, section
from book.sources import REPOSITORY
from dainet.lessons.first_cell import public_address

project = "dainet"
html_title = "dainet"
author = "the dainet developers"
extensions = [
    "myst_nb",
    "sphinx.ext.autodoc",
    "sphinx.ext.napoleon",
    "sphinx_copybutton",
    "book.docstrings",
    "book.links",
]
nb_execution_mode = "off"
myst_enable_extensions = ["dollarmath", "amsmath", "html_image", "attrs_inline", "substitution"]
myst_heading_anchors = 4
myst_substitutions = {
    "findings": section(REPOSITORY / "README.md", "What was found"),
    "citation": f"```bibtex\n{bibtex(REPOSITORY / 'CITATION.cff')}```",
}

html_theme = "sphinx_book_theme"
html_theme_options = {
    "use_download_button": False,  # a notebook's copy would lack the pictures next to it
    "show_toc_level": 2,
    "navbar_persistent": [],  # the sidebar has the search
    "footer_content_items": [],
    **launch_options(public_address(REPOSITORY)),
}
html_context = {"default_mode": "auto"}  # light or dark as the system, until a reader chooses
templates_path = ["templates"]
html_static_path = ["static"]
html_css_files = ["book.css"]
html_js_files = ["book.js"]
html_search_scorer = str(REPOSITORY / "book/scorer.js")
html_show_sphinx = False
html_copy_source = False
# Hundreds of pages show code; the table of contents on each would take most of the time.
html_sidebars = {"source/**": ["navbar-logo.html", "icon-links.html", "search-button-field.html"]}
suppress_warnings = [
    "toc.not_included",  # tables and notices are reached from the pages that speak of them
    "ref.python",  # two classes have one name: a type in a signature is then no link
]

# The reference. Docstrings write code in single backticks, as Markdown does.
default_role = "code"
smartquotes = False
add_module_names = False
autodoc_default_options = {"undoc-members": True, "show-inheritance": True}
autodoc_inherit_docstrings = False
autodoc_member_order = "bysource"
autodoc_preserve_defaults = True
autodoc_typehints_format = "short"
python_maximum_signature_line_length = 88
python_use_unqualified_type_names = True
toc_object_entries = False  # two thousand entries in every page's navigation would take a quarter of the time

mathjax_path = "mathjax/tex-svg.js"
mathjax3_config = {"options": {"enableMenu": False}}  # its entries would load more files
