"""The explorer as a web page: notebook 06 up to its explorer, served by Voila on this machine only."""

from __future__ import annotations

import os
import socket
from collections.abc import Mapping
from typing import Any

import nbformat
from papermill.iorw import load_notebook_node
from papermill.parameterize import parameterize_notebook
from tornado.web import RequestHandler
from traitlets.config import Config
from voila.app import Voila

from dainet.explorer.bundled import open_bundle
from dainet.explorer.kernels import PageKernels, pages_in_memory
from dainet.explorer.predictor import explorable
from dainet.inference.bundle import shipped_bundles
from dainet.lessons.reproduce import find_notebooks
from dainet.places import input_path

__all__ = ["of_bundle", "serve", "without_lesson"]

_PATIENCE, _LOOK = 60, 5  # seconds that a lost page has to connect again, and between two looks


def serve(
    profile: str,
    overrides: Mapping[str, Any],
    port: int,
    open_browser: bool,
    pages: int | None = None,
    model: str | None = None,
) -> None:
    """Serve the explorer on localhost, until interrupted, to everyone who has the printed address with its token.

    Every open page has a kernel of its own, which can run any code. The token keeps out other people on the same
    machine, who can reach its localhost too.

    Args:
        profile, overrides: the settings, as for `load_settings`.
        port: port on localhost; 0 for a free one.
        open_browser: whether to open the page in a browser.
        pages: how many may be open at the same time; by default as many as the memory of this machine allows.
        model: a bundle that is explored instead of the networks in the cache, see `open_bundle`.

    Raises:
        InputError: an unknown setting, or as `open_bundle`.
    """
    path, parameters = str(find_notebooks(["06"])[0]), {"PROFILE": profile, "OVERRIDES": dict(overrides)}
    if model is None:
        explorable(profile, overrides)  # reports a mistake here instead of on the page
    else:
        model = model if model in shipped_bundles() else os.path.abspath(input_path(model))  # a page works elsewhere
        open_bundle(model, overrides)  # likewise, and computes its maps here

    def prepare(handler: RequestHandler, **_: Any) -> nbformat.NotebookNode:
        handler.xsrf_token  # noqa: B018, sets the cookie that the page sends when it is left; Voila itself does not
        notebook = without_lesson(parameterize_notebook(load_notebook_node(path), parameters))
        return notebook if model is None else of_bundle(notebook, model, overrides)

    config = Config()
    config.VoilaConfiguration.update(prelaunch_hook=prepare, multi_kernel_manager_class=PageKernels)
    config.PageKernels.update(pages=pages or pages_in_memory(), cull_idle_timeout=_PATIENCE, cull_interval=_LOOK)
    config.Voila.update(port=port or _free_port(), ip="localhost", open_browser=open_browser, auto_token=True)
    Voila.launch_instance(argv=[path], config=config)


def _free_port() -> int:
    """Find a free port; given 0, Voila would find one too, but print an address with 0."""
    with socket.socket() as probe:
        probe.bind(("localhost", 0))
        return int(probe.getsockname()[1])


def without_lesson(notebook: nbformat.NotebookNode) -> nbformat.NotebookNode:
    """Leave out the cells tagged "lesson": they train what is missing, and Voila shows nothing until all have run."""
    notebook.cells = [cell for cell in notebook.cells if "lesson" not in cell.metadata.get("tags", [])]
    return notebook


def of_bundle(notebook: nbformat.NotebookNode, model: str, overrides: Mapping[str, Any]) -> nbformat.NotebookNode:
    """Put one cell that explores a bundle in the place of all cells."""
    source = f"from dainet.explorer import explore_bundle\n\nexplore_bundle({model!r}, {dict(overrides)!r})"
    notebook.cells = [nbformat.v4.new_code_cell(source)]
    return notebook
