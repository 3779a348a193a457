"""Buttons that open a notebook of the book on Binder and Colab, once the kit has a public address."""

from __future__ import annotations

from typing import Any

__all__ = ["launch_options"]

_GITHUB, _GITLAB = "https://github.com/", "https://gitlab.com/"


def launch_options(address: str | None) -> dict[str, Any]:
    """Return the options of sphinx-book-theme for launch buttons; none without an address.

    Args:
        address: as `dainet.lessons.first_cell.public_address` gives it. The theme knows GitHub and GitLab; Colab opens
            notebooks of GitHub only.
    """
    if not address or not address.startswith((_GITHUB, _GITLAB)):
        return {}
    services = {"binderhub_url": "https://mybinder.org", "notebook_interface": "jupyterlab"}
    if address.startswith(_GITHUB):
        services["colab_url"] = "https://colab.research.google.com"
    return {"repository_url": address, "repository_branch": "main", "launch_buttons": services}
