"""Paths of the environment, of settings and of the command line mean the same wherever a program runs."""

from __future__ import annotations

import json
import logging
import subprocess
import sys
from pathlib import Path

import pytest

from dainet.cache.folders import figures_folder, runs_folder
from dainet.cache.store import run_stage
from dainet.data.sources import source_folder
from dainet.data.volume import DataError
from dainet.errors import InputError
from dainet.options import overrides
from dainet.places import input_path, output_path, repository_root
from dainet.protocol import load_split
from dainet.reporting.artifacts import output_folder
from dainet.segmentation.pretrained import pretrained_hash
from dainet.settings import DataSettings, load_settings
from dainet.vit.checkpoints import weights_file
from tests.helpers import REPOSITORY


@pytest.fixture
def copy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Make a folder that looks like the repository, next to a home."""
    for name in ("copy/notebooks", "home", "elsewhere"):
        (tmp_path / name).mkdir(parents=True)
    (tmp_path / "copy" / "pyproject.toml").touch()
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.delenv("DAINET_RUNS")
    return tmp_path / "copy"


PLACES = ("copy", "copy/notebooks", "elsewhere")


@pytest.mark.parametrize(
    ("told", "expected"),
    [
        ("myruns", ("copy/myruns", "copy/myruns", "elsewhere/myruns")),
        ("../beside", ("beside", "beside", "beside")),
        ("~/my runs", 3 * ("home/my runs",)),
        ("~", 3 * ("home",)),
        ("", ("copy/runs", "copy/runs", "elsewhere/runs")),
    ],
)
def test_results_lie_in_one_place(
    told: str, expected: tuple[str, ...], copy: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for place, wanted in zip(PLACES, expected, strict=True):
        monkeypatch.chdir(copy.parent / place)
        monkeypatch.setenv("DAINET_RUNS", told)
        assert runs_folder().resolve() == copy.parent / wanted
        assert runs_folder().is_absolute()
        if told:
            monkeypatch.setenv("DAINET_FIGURES", told)
            assert figures_folder().resolve() == copy.parent / wanted
            assert output_folder(load_settings("tour", {"output": told})).resolve() == copy.parent / wanted


def test_an_absolute_path_stays(copy: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(copy)
    monkeypatch.setenv("DAINET_RUNS", str(copy.parent / "far"))
    assert runs_folder() == copy.parent / "far"


def test_the_home_of_nobody_is_not_made_a_folder(copy: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(copy)
    monkeypatch.setenv("DAINET_RUNS", "~nobody-of-this-name/runs")
    with pytest.raises(InputError, match="~nobody-of-this-name"):
        run_stage("stage", 1, {}, {}, lambda folder: None)
    assert sorted(path.name for path in copy.iterdir()) == ["notebooks", "pyproject.toml"]


@pytest.mark.parametrize("told", ["data/mine", "~/mine", "./data/mine"])
@pytest.mark.parametrize("place", ["copy", "copy/notebooks"])
def test_what_is_read_is_found_from_the_repository_and_its_notebooks(
    told: str, place: str, copy: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    base = copy.parent / "home" if told.startswith("~") else copy / "data"
    (base / "mine").mkdir(parents=True)
    (base / "mine.csv").write_text("patient,split\na,train\n")
    for ending in ("safetensors", "pth"):
        (base / f"mine.{ending}").write_bytes(b"content")
    monkeypatch.chdir(copy.parent / place)
    assert source_folder(DataSettings(source=told)).resolve() == base / "mine"
    assert load_split("custom", f"{told}.csv") == {"a": "train"}
    found = weights_file(f"{told}.safetensors")
    assert found is not None
    assert found.resolve() == base / "mine.safetensors"
    assert len(pretrained_hash(f"{told}.pth")) == 64


def test_the_working_directory_comes_first(copy: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (copy / "scans").mkdir()
    (copy / "notebooks" / "scans").mkdir()
    monkeypatch.chdir(copy / "notebooks")
    assert input_path("scans").resolve() == copy / "notebooks" / "scans"
    assert input_path("../scans").resolve() == copy / "scans"


def test_a_missing_folder_names_the_places_that_were_looked_at(copy: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(copy / "notebooks")
    with pytest.raises(DataError) as caught:
        source_folder(DataSettings(source="nowhere"))
    assert [str(place) in str(caught.value) for place in ("nowhere", copy, copy / "notebooks")] == [True] * 3


def test_the_command_line_makes_every_path_absolute(copy: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(copy)
    (copy / "w.pth").touch()
    (copy.parent / "home" / "scans").mkdir()
    given = overrides(source="~/scans", weights="w.pth", items=["segmentation.pretrained=w.pth"])
    assert given == {
        "data.source": str(copy.parent / "home" / "scans"),
        "vit.weights": str(copy / "w.pth"),
        "segmentation.pretrained": str(copy / "w.pth"),
    }
    assert overrides(items=["segmentation.pretrained=hub"]) == {"segmentation.pretrained": "hub"}


def test_a_cache_that_begins_elsewhere_says_where_once(
    copy: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    for place in ("elsewhere", "copy/notebooks"):
        monkeypatch.chdir(copy.parent / place)
        for case in (1, 2):
            run_stage("stage", 1, {"case": case}, {}, lambda folder: None)
    assert caplog.text.count("are kept in") == 1
    assert str(copy.parent / "elsewhere" / "runs") in caplog.text


def test_a_notebook_and_a_command_share_a_relative_cache(copy: Path) -> None:
    """Two processes of their own, since a working directory belongs to a process."""
    script = "import json; from dainet.cache.folders import runs_folder; print(json.dumps(str(runs_folder())))"
    environment = {"DAINET_RUNS": "shared", "PYTHONPATH": str(REPOSITORY), "HOME": str(copy.parent)}
    said = [
        json.loads(
            subprocess.run([sys.executable, "-c", script], cwd=place, env=environment, capture_output=True).stdout
        )
        for place in (copy, copy / "notebooks")
    ]
    assert said == 2 * [str(copy / "shared")]


def test_the_root_is_the_repository(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(REPOSITORY / "notebooks")
    assert repository_root() == REPOSITORY
    assert output_path("x") == REPOSITORY / "x"
