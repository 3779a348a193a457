"""Figures look the same whatever a user's matplotlibrc says."""

import ast
import json
import os
import re
import subprocess
import sys
from collections.abc import Callable
from io import BytesIO
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure

from dainet.lessons.pictures import described_png
from dainet.reporting.architecture import architecture_figure
from dainet.reporting.artifacts import save_figure
from dainet.reporting.charts import new_figure, score_distribution, training_curves
from dainet.reporting.figures import attention_figure, qualitative_figure, slice_montage
from dainet.reporting.style import style_hash
from dainet.segmentation.catalog import build
from dainet.settings import load_settings
from tests.helpers import REPOSITORY
from tests.helpers.samples import scores

LIGHT = ("text.color", "axes.labelcolor", "axes.edgecolor", "xtick.color", "ytick.color", "grid.color")
DARK = ("axes.facecolor", "figure.facecolor", "savefig.facecolor")
HOSTILE: dict[str, dict[Any, Any]] = {
    "dark": dict.fromkeys(LIGHT, "white") | dict.fromkeys(DARK, "black"),
    "lower": {"image.origin": "lower"},
    "transparent": {"savefig.transparent": True},
    "smooth": {"image.interpolation": "bilinear", "image.cmap": "hot"},
    "large": {"font.size": 20, "font.family": ["serif"], "lines.linewidth": 7, "figure.dpi": 30, "savefig.dpi": 30},
}
IMAGE = np.random.default_rng(0).random((2, 32, 32))
LABEL = np.zeros((2, 32, 32), int)
LABEL[:, 4:12, 10:20] = 1  # near the top
MAPS = np.random.default_rng(1).random((2, 6, 4, 4))
HISTORY = pd.DataFrame({"epoch": [1, 2], "loss": [0.5, 0.4], "dsc": [0.1, 0.2]})
FIGURES: dict[str, Callable[[], Figure]] = {
    "montage": lambda: slice_montage(IMAGE, LABEL, ["organ"], ["#ff0000"], ["one", "two"]),
    "attention": lambda: attention_figure(IMAGE, LABEL, MAPS, ["organ"], ["#ff0000"], ["one", "two"]),
    "qualitative": lambda: qualitative_figure(
        list(IMAGE), list(LABEL), {"unet": list(LABEL)}, ["organ"], ["#ff0000"], ["one", "two"]
    ),
    "architecture": lambda: architecture_figure(build("dual-0111", width=4)),
    "curves": lambda: training_curves({("unet", 0): HISTORY}),
    "distribution": lambda: score_distribution(scores()),
}


def saved(figure: Figure, folder: Path) -> bytes:
    """Content of the file that `save_figure` writes."""
    return save_figure(figure, "figure", load_settings("tour", {"output": str(folder)}), {}).read_bytes()


@pytest.mark.parametrize("draw", FIGURES.values(), ids=FIGURES)
def test_drawn_saved_and_shown_alike(draw: Callable[[], Figure], tmp_path: Path) -> None:
    lines = {name: value for file in HOSTILE.values() for name, value in file.items()}
    expected, shown = saved(draw(), tmp_path), described_png(draw())[0]
    with mpl.rc_context(lines):
        assert saved(draw(), tmp_path) == expected
        assert described_png(draw())[0] == shown
        assert {name: mpl.rcParams[name] for name in lines} == lines, "the user's parameters stay"


@pytest.mark.parametrize("name", ["montage", "curves"])
@pytest.mark.parametrize("ending", ["png", "svg"])
def test_saved_alike_by_whom_ever(name: str, ending: str) -> None:
    """Command lines, benchmarks and readers save with matplotlib's own method."""

    def content(figure: Figure) -> bytes:
        buffer = BytesIO()
        figure.savefig(buffer, format=ending, metadata={"Date": None} if ending == "svg" else {"Software": None})
        return re.sub(rb'(id="|#)[a-z]+[0-9a-f]{10}', b"", buffer.getvalue())  # random names of clips in an SVG

    expected = content(FIGURES[name]())
    for lines in HOSTILE.values():
        with mpl.rc_context(lines):
            assert content(FIGURES[name]()) == expected


def test_a_hostile_file_changes_what_has_no_style() -> None:
    """Were this equal, the test above could not fail."""

    def plain() -> bytes:
        figure, buffer = Figure(), BytesIO()
        figure.subplots().imshow(IMAGE[0])
        figure.savefig(buffer)
        return buffer.getvalue()

    expected = plain()
    for lines in HOSTILE.values():
        with mpl.rc_context(lines):
            assert plain() != expected


def test_the_record_names_the_style(tmp_path: Path) -> None:
    saved(new_figure(2, 2, "nothing"), tmp_path)
    assert json.loads((tmp_path / "figure.json").read_text())["style"] == style_hash()


CELL = """
import sys
from hashlib import sha256
from dainet.lessons.exercises import start
from dainet.lessons.pictures import described_png
from dainet.reporting.charts import new_figure
from dainet.reporting.style import style_hash
start("tour", {})
figure = new_figure(3, 3)
axis = figure.subplots()
axis.imshow([[0, 1], [2, 3]])
axis.set_title("drawn by a cell")
print(sha256(described_png(figure)[0].encode()).hexdigest(), style_hash())
"""


def test_cells_of_a_lesson_draw_alike(tmp_path: Path) -> None:
    said = set()
    for file in ("", "image.origin: lower\nfont.size: 20\naxes.facecolor: black\nfigure.facecolor: black\n"):
        (tmp_path / "matplotlibrc").write_text(file)
        environment = os.environ | {"MATPLOTLIBRC": str(tmp_path)}
        run = [sys.executable, "-c", CELL]
        said.add(subprocess.run(run, env=environment, capture_output=True, text=True, check=True).stdout)
    assert len(said) == 1


def test_whatever_draws_is_in_style() -> None:
    """Every public function that makes a figure or returns one."""
    for path in [*(REPOSITORY / "dainet").rglob("*.py"), *(REPOSITORY / "study").glob("*.py")]:
        for function in ast.parse(path.read_text(encoding="utf-8")).body:
            if not isinstance(function, ast.FunctionDef) or function.name.startswith("_"):
                continue
            makes = any(isinstance(node, ast.Name) and node.id == "new_figure" for node in ast.walk(function))
            returns = ast.unparse(function.returns) == "Figure" if function.returns else False
            if makes or returns:
                decorators = {ast.unparse(decorator) for decorator in function.decorator_list}
                assert "in_style" in decorators, f"{path.name}: {function.name}"
