"""The supported formats: how the cases of each are found among files, and how one is read."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from dainet.data.formats import copies
from dainet.data.formats.acdc import find_acdc_cases, read_acdc_volume
from dainet.data.formats.btcv import find_btcv_cases
from dainet.data.formats.nnunet import find_nnunet_cases
from dainet.data.formats.pairs import read_pair
from dainet.data.volume import Case, DataError, Volume

__all__ = ["BTCV", "FORMATS", "SSL4MIS_SLICES", "SSL4MIS_VOLUMES", "Format"]


@dataclass(frozen=True)
class Format:
    """A supported format: how its cases are found among files, and how one is read."""

    name: str
    dataset: str
    find: Callable[[Sequence[Path]], Iterator[Case | DataError]]
    read: Callable[..., Volume]  # takes a case, and data.slice_axis if `turned`
    turned: bool = False  # by its affine
    resized: bool = False  # by the authors of a copy: pixels are not those of the scan


ACDC = Format("raw ACDC (patientXXX folders with Info.cfg)", "acdc", find_acdc_cases, read_acdc_volume)
SSL4MIS_VOLUMES = Format(
    "SSL4MIS volumes (patientXXX_frameYY.h5)", "acdc", copies.find_ssl4mis_volumes, copies.read_ssl4mis_volume
)
SSL4MIS_SLICES = Format(
    "SSL4MIS slices (patientXXX_frameYY_slice_Z.h5)", "acdc", copies.find_ssl4mis_slices, copies.read_ssl4mis_volume
)
MTUNET = Format(
    "MT-UNet's ACDC (case_XXX_sliceED_Z.npz)",
    "acdc",
    copies.find_mtunet_cases,
    copies.read_mtunet_volume,
    resized=True,
)
BTCV = Format("raw BTCV (imgXXXX.nii.gz, labelXXXX.nii.gz)", "synapse", find_btcv_cases, read_pair, turned=True)
TRANSUNET = Format(
    "TransUNet's Synapse (caseXXXX_sliceYYY.npz, caseXXXX.npy.h5)",
    "synapse",
    copies.find_transunet_cases,
    copies.read_transunet_volume,
)
NNUNET = Format("nnU-Net raw (dataset.json, imagesTr, labelsTr)", "custom", find_nnunet_cases, read_pair, turned=True)
FORMATS = (ACDC, SSL4MIS_VOLUMES, SSL4MIS_SLICES, MTUNET, BTCV, TRANSUNET, NNUNET)
