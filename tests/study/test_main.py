"""`python -m study` reads and writes results where the rest of the kit does."""

from __future__ import annotations

from pathlib import Path

import pytest
from typer.testing import CliRunner

from dainet.compare.plan import Plan
from study.__main__ import _first_study, app
from study.dino_course import course_settings
from tests.helpers import REPOSITORY


@pytest.fixture
def figures(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("DAINET_FIGURES", str(tmp_path / "mine"))
    return tmp_path / "mine"


def test_results_are_written_into_the_folder_of_figures(figures: Path) -> None:
    done = CliRunner().invoke(app, ["placebo", "--rounds", "2", "--files", "1"], catch_exceptions=False)
    assert str(figures / "placebo") in done.output
    assert {path.stem for path in (figures / "placebo").iterdir()} == {
        *("placebo", "table_files", "table_placebo", "table_sequence")
    }
    assert course_settings({}).output == str(figures / "dino-course")


def test_scores_are_read_from_the_folder_of_figures(figures: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[Path] = []

    def not_ready(_: Plan, folder: Path) -> bool:
        asked.append(folder)
        return False

    monkeypatch.setattr("study.__main__.is_ready", not_ready)
    monkeypatch.setattr("study.__main__.write_report", lambda folder: asked.append(folder))
    CliRunner().invoke(app, ["report"], catch_exceptions=False)
    first, *others = asked
    assert first == REPOSITORY / "figures" / "acdc-study"  # committed, and shown by docs/reproduction.md
    assert figures / "near-paper" in others
    assert {folder.parent for folder in others} == {figures}


def test_the_first_study_stands_beside_others_wherever_they_are_written(figures: Path) -> None:
    rows, gains = _first_study()
    assert rows
    assert gains
