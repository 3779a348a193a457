"""The explorer in a notebook: what is displayed, what is seen where no kernel runs, and what is closed."""

from __future__ import annotations

from collections.abc import Iterator
from importlib.resources import files

import ipywidgets
from IPython.display import display

__all__ = ["close_tree", "display_screen"]

_WITHOUT_KERNEL = "(the explorer: run this cell to see it)"


def display_screen(screen: ipywidgets.Widget) -> None:
    """Display a widget after a sentence that is seen in its place where no kernel runs, as in a stored notebook.

    The widget has no text of its own: it would be the source code of all widgets.
    """
    notice = files(__package__).joinpath("notice.html").read_text(encoding="utf-8")
    display({"text/html": notice, "text/plain": _WITHOUT_KERNEL}, raw=True)
    display({**screen._repr_mimebundle_(), "text/plain": ""}, raw=True)


def close_tree(widget: ipywidgets.Widget) -> None:
    """Close a widget with everything in it, layouts and styles too, which ipywidgets would keep."""
    for part in _parts(widget):
        close_tree(part)
    widget.close()


def _parts(widget: ipywidgets.Widget) -> Iterator[ipywidgets.Widget]:
    for name in widget.keys:
        value = getattr(widget, name)
        for part in value if isinstance(value, tuple) else (value,):
            if isinstance(part, ipywidgets.Widget):
                yield part
