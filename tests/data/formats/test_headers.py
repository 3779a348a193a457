"""NIfTI headers that give two spacings or two orientations."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import nibabel
import numpy as np
import pytest

from dainet.data.formats.headers import header_contradictions


def written(folder: Path, pixdim: tuple[float, ...] = (1.5, 1.5, 8.0), qform: np.ndarray | None = None) -> Path:
    """A volume of 1.5 x 1.5 x 8 mm by its sform."""
    affine = np.diag([1.5, -1.5, 8, 1])
    image = nibabel.Nifti1Image(np.zeros((4, 5, 6), np.uint8), affine)
    image.header["pixdim"][1:4] = pixdim
    if qform is not None:
        image.set_qform(qform, code=1)
    image.set_sform(affine, code=1)
    image.to_filename(folder / "a.nii.gz")
    return folder / "a.nii.gz"


def test_pixdim_against_the_affine(tmp_path: Path) -> None:
    (line,) = header_contradictions(written(tmp_path, pixdim=(1.5, 1.5, 1.0)))
    assert "1.50 x 1.50 x 1.00" in line
    assert "1.50 x 1.50 x 8.00" in line


@pytest.mark.parametrize("edge", [8.0, 8.05])
def test_a_rounded_spacing_is_no_contradiction(tmp_path: Path, edge: float) -> None:
    assert header_contradictions(written(tmp_path, pixdim=(1.5, 1.5, edge))) == []


def test_qform_against_sform(tmp_path: Path) -> None:
    (line,) = header_contradictions(written(tmp_path, qform=np.diag([-1.5, -1.5, 8, 1])))
    assert "LPS" in line
    assert "RPS" in line
    turned = nibabel.eulerangles.euler2mat(z=0.1) @ np.diag([1.5, -1.5, 8])
    slightly = nibabel.affines.from_matvec(turned, [0, 0, 0])
    assert header_contradictions(written(tmp_path, qform=slightly)) == []


def test_a_qform_that_is_no_rotation_is_told(tmp_path: Path) -> None:
    path = written(tmp_path, qform=np.diag([-1.5, -1.5, 8, 1]))
    image: Any = nibabel.load(path)
    image.header["quatern_d"] = 1.0001
    image.header["quatern_b"] = image.header["quatern_c"] = 0
    nibabel.Nifti1Image(np.zeros((4, 5, 6), np.uint8), None, image.header).to_filename(path)
    (line,) = header_contradictions(path)
    assert "qform of a.nii.gz" in line


def test_other_files_have_no_such_header(tmp_path: Path) -> None:
    assert header_contradictions(tmp_path / "case0001.npy.h5") == []
