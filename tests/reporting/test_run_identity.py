"""Which run a record is of: committed records stay those of the same run when settings are added to the kit."""

from __future__ import annotations

from pathlib import Path

import pytest

from dainet.cache.records import read_record
from dainet.reporting.run_identity import other_settings, run_hash
from dainet.settings import Settings
from tests.helpers import REPOSITORY

# The test of tests reads no file, so the hash of its run holds no path and can be computed anywhere.
RECORDS = sorted((REPOSITORY / "figures" / "placebo").glob("*.json"))


@pytest.mark.parametrize("path", RECORDS, ids=lambda path: path.stem)
def test_a_committed_record_is_of_the_run_that_its_settings_describe(path: Path) -> None:
    record = read_record(path)
    settings = Settings.model_validate(record["settings"])
    assert run_hash(settings) == record["run"], "a setting that came later belongs into _LATER"
    assert other_settings(record, settings) == ""
