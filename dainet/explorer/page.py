"""The explorer as a web page: notebook 06 up to its explorer, served by Voila on this machine only."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import nbformat
from papermill.iorw import load_notebook_node
from papermill.parameterize import parameterize_notebook
from traitlets.config import Config
from voila.app import Voila

from dainet.lessons.reproduce import find_notebooks
from dainet.settings import load_settings

__all__ = ["serve", "without_lesson"]


def serve(profile: str, overrides: Mapping[str, Any], port: int, open_browser: bool) -> None:
    """Serve the explorer on localhost, until interrupted, to everyone who has the printed address with its token.

    Every visitor gets a kernel of their own, which can run any code. The token keeps out other people on the same
    machine, who can reach its localhost too.

    Raises:
        InputError: an unknown setting.
    """
    load_settings(profile, overrides)  # reports a mistake here instead of on the page
    path, parameters = str(find_notebooks(["06"])[0]), {"PROFILE": profile, "OVERRIDES": dict(overrides)}

    def prepare(*_: Any, **__: Any) -> nbformat.NotebookNode:
        return without_lesson(parameterize_notebook(load_notebook_node(path), parameters))

    config = Config()
    config.VoilaConfiguration.prelaunch_hook = prepare
    config.Voila.update(port=port, ip="localhost", open_browser=open_browser, auto_token=True)
    Voila.launch_instance(argv=[path], config=config)


def without_lesson(notebook: nbformat.NotebookNode) -> nbformat.NotebookNode:
    """Leave out the cells tagged "lesson": they train what is missing, and Voila shows nothing until all have run."""
    notebook.cells = [cell for cell in notebook.cells if "lesson" not in cell.metadata.get("tags", [])]
    return notebook
