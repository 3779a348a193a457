"""`python -m study` reads and writes results where the rest of the kit does."""

from __future__ import annotations

from pathlib import Path

import pytest
from typer.testing import CliRunner

from dainet.errors import InputError
from study.__main__ import app
from study.dino_course import course_settings


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


def test_scores_are_read_from_the_folder_of_figures(figures: Path) -> None:
    with pytest.raises(InputError, match=str(figures / "acdc-study" / "scores")):
        CliRunner().invoke(app, ["pictures", "--source", "not/there"], catch_exceptions=False)
