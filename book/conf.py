"""Settings of Sphinx for the book; `python -m book` gathers the pages and calls it."""

from __future__ import annotations

project = "dainet"
html_title = "dainet"
extensions = ["myst_nb", "sphinx.ext.autodoc", "sphinx.ext.napoleon", "sphinx_copybutton"]
nb_execution_mode = "off"
myst_enable_extensions = ["dollarmath", "amsmath", "html_image", "attrs_inline"]
myst_heading_anchors = 4

html_theme = "sphinx_book_theme"
html_show_sphinx = False
html_copy_source = False
