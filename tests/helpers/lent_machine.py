"""A Python that lacks what machines lack that are lent for minutes: they have PyTorch, and no notebooks."""

from __future__ import annotations

from pathlib import Path

__all__ = ["LACKING", "lack"]

LACKING = (
    "IPython",
    "SimpleITK",
    "ipywidgets",
    "jupyterlab",
    "nbclient",
    "nbformat",
    "papermill",
    "snakemake",
    "sphinx",
)
_CODE = """
import sys


class Lacking:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {names}:
            raise ModuleNotFoundError("No module named " + repr(name), name=name)


sys.meta_path.insert(0, Lacking())
"""


def lack(folder: Path) -> None:
    """Put a `sitecustomize` into a folder, for PYTHONPATH, by which Python cannot import `LACKING`."""
    (folder / "sitecustomize.py").write_text(_CODE.format(names=set(LACKING)))
