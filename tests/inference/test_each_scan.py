"""Many scans, one after the other: what happens to one of them concerns no other."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from dainet.data.scans import read_scan
from dainet.inference.each_scan import each_scan
from tests.helpers.scans import oblique_affine, save_nifti_scan


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
