"""Many scans, one after the other: what happens to one of them concerns no other."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import numpy as np
import pytest

from dainet.data.scans import read_scan
from dainet.data.volume import DataError
from dainet.inference.each_scan import each_scan
from tests.helpers.scans import oblique_affine, save_itk, save_nifti_scan


def test_a_loop_of_links_and_a_name_too_long_stop_no_other_scan(tmp_path: Path) -> None:
    loop, long, good = (tmp_path / f"{name}.nii" for name in ("loop", "x" * 300, "good"))
    loop.symlink_to(loop)
    save_nifti_scan(good, np.arange(24, dtype=np.int16).reshape(4, 3, 2), oblique_affine())
    done = list[str]()

    def work(path: Path, name: str) -> str:
        read_scan(path)
        done.append(name)
        return name

    failures = each_scan([loop, long, good], "reading", work)
    assert [line.split(": ")[0] for line in failures] == [str(loop), str(long)]
    assert all("is not a file or folder" in line for line in failures)
    assert done == ["good"]


def test_a_name_that_is_not_utf8_stops_no_other_scan(tmp_path: Path) -> None:
    strange = Path(os.fsdecode(os.fsencode(tmp_path) + b"/\xe9.nrrd"))
    voxels = np.arange(24, dtype=np.int16).reshape(4, 3, 2)
    for name in ("first", "last"):
        save_itk(tmp_path / f"{name}.nrrd", voxels, oblique_affine())
    shutil.copy(tmp_path / "first.nrrd", strange)
    with pytest.raises(DataError, match="not UTF-8"):
        read_scan(strange)
    scans = [tmp_path / "first.nrrd", strange, tmp_path / "last.nrrd"]
    (failure,) = each_scan(scans, "reading", lambda path, name: read_scan(path).name)
    assert "not UTF-8" in failure
