"""NIfTI headers that contradict themselves: two voxel sizes, or two orientations."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import nibabel
import numpy as np

from dainet.data.formats.nifti import nifti_stem

__all__ = ["header_contradictions"]

_TOLERANCE = 0.01  # relative: headers are rounded


def header_contradictions(path: Path) -> list[str]:
    """Compare the geometries in a readable NIfTI header; returns one sentence per contradiction, with both values.

    The voxel edges are stored (pixdim), and they are the lengths of the columns of the affine; up to two affines are
    stored, qform and sform (https://nifti.nimh.nih.gov/nifti-1/documentation/nifti1fields/nifti1fields_pages/qsform.html).
    """
    if not nifti_stem(path):
        return []
    nifti: Any = nibabel.load(path)
    stored, lengths = nifti.header.get_zooms()[:3], nibabel.affines.voxel_sizes(nifti.affine)
    found = []
    if not np.allclose(stored, lengths, rtol=_TOLERANCE):
        found.append(
            f"the header of {path.name} gives two spacings (x, y, z): {_listed(stored)} mm as voxel edges, "
            f"{_listed(lengths)} mm by its affine; one of them is wrong"
        )
    if isinstance(nifti, nibabel.Nifti1Image) and nifti.header["qform_code"] > 0 and nifti.header["sform_code"] > 0:
        try:
            qform = nifti.get_qform()
        except ValueError as error:  # its quaternion is longer than 1
            return [*found, f"the qform of {path.name} is no rotation ({error}); the kit takes the sform"]
        ways = ["".join(nibabel.aff2axcodes(form)) for form in (qform, nifti.get_sform())]
        if ways[0] != ways[1]:
            found.append(
                f"the header of {path.name} gives two orientations: {ways[0]} by its qform, {ways[1]} by its sform; "
                "the kit takes the sform, as nibabel does"
            )
    return found


def _listed(edges: np.ndarray) -> str:
    return " x ".join(f"{edge:.2f}" for edge in edges)
