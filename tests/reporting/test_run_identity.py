"""Which run a record is of: committed records stay those of the same run when settings are added to the kit."""

from __future__ import annotations

from pathlib import Path

import pytest

from dainet.cache.records import read_record
from dainet.reporting.run_identity import other_settings, public_settings, run_hash
from dainet.settings import Settings, load_settings
from tests.helpers import REPOSITORY


def _names_no_file(path: Path) -> bool:
    """Whether a record has the hash of a run without files: of the others the hash holds paths, and the record names.

    Those are `data.split` in acdc-baselines-smoke and `data.source` in acdc-study/head_controls.
    """
    record = read_record(path)
    return "run" in record and {record["settings"]["data"][name] for name in ("source", "split")} == {"phantom", ""}


FOLDERS = [REPOSITORY / "figures" / name for name in ("acdc-study", "placebo")]
RECORDS = [path for folder in FOLDERS for path in sorted(folder.glob("*.json")) if _names_no_file(path)]


@pytest.mark.parametrize("path", RECORDS, ids=lambda path: path.stem)
def test_a_committed_record_is_of_the_run_that_its_settings_describe(path: Path) -> None:
    record = read_record(path)
    settings = Settings.model_validate(record["settings"])
    assert run_hash(settings) == record["run"], "a setting that came later belongs into _LATER"
    assert other_settings(record, settings) == ""


def test_a_folder_called_phantom_is_no_run_on_phantoms(tmp_path: Path) -> None:
    phantoms, folder = load_settings("tour"), load_settings("tour", {"data.source": str(tmp_path / "phantom")})
    shipped = {"settings": public_settings(phantoms)}  # a record without the hash of paths
    assert "data.source" in other_settings(shipped, folder)
    assert str(tmp_path) not in str(public_settings(folder))
