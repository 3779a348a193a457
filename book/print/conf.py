"""Settings of Sphinx for the lessons on paper: those of the book, with a plain theme and the lessons alone."""

from __future__ import annotations

from book.conf import (  # noqa: F401, Sphinx reads them here
    author,
    html_copy_source,
    html_show_sphinx,
    mathjax3_config,
    mathjax_path,
    myst_enable_extensions,
    myst_heading_anchors,
    myst_substitutions,
    nb_execution_mode,
    project,
    smartquotes,
)

html_title = "Transformers pay attention to convolutions: lessons"
extensions = ["myst_nb"]
include_patterns = ["index.md", "notebooks/0*.ipynb", "teaching/solutions.md"]
suppress_warnings = ["myst.xref_missing", "toc.not_included"]  # links to other pages of the book are words here
html_theme = "basic"
html_static_path = ["static"]
html_css_files = ["print.css"]
html_js_files = [("print.js", {"defer": "defer"})]
