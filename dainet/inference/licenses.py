"""Licenses of data, and so of networks trained on it: what each obliges to, and whom to cite."""

from __future__ import annotations

from dainet.errors import InputError, unknown

__all__ = ["CITATIONS", "choose_license", "obligation"]

# SPDX identifier -> what it obliges to, in one sentence.
_LICENSES = {
    "Apache-2.0": "Use it for any purpose; pass on the license and the notices, and say what you have changed.",
    "MIT": "Use it for any purpose; pass on the license and the copyright notice.",
    "CC0-1.0": "Use it for any purpose, without any condition.",
    "CC-BY-4.0": "Use it for any purpose; name the authors of the data and say what you have changed.",
    "CC-BY-SA-4.0": "Name the authors of the data, and share what you make of it under the same license.",
    "CC-BY-NC-4.0": "Use it for non-commercial purposes only, and name the authors of the data.",
    "CC-BY-NC-SA-4.0": "Use it for non-commercial purposes only, name the authors of the data, and share what you make "
    "of it under the same license.",
}
_OWN = "LicenseRef-"  # SPDX's prefix for a license that is not on its list
_OF_ITS_OWN = "The terms of use of the data apply; read them before you use or share this network."

# Data set -> whom a network trained on it has to cite.
CITATIONS = {
    "acdc": "O. Bernard, A. Lalande, C. Zotti, F. Cervenansky, et al. Deep Learning Techniques for Automatic MRI "
    "Cardiac Multi-structures Segmentation and Diagnosis: Is the Problem Solved? IEEE Transactions on Medical Imaging "
    "37 (11), 2514-2525, 2018. doi: 10.1109/TMI.2018.2837502",
    "synapse": "B. Landman, Z. Xu, J. E. Iglesias, M. Styner, T. R. Langerak, A. Klein. Multi-Atlas Labeling Beyond "
    "the Cranial Vault: Workshop and Challenge, MICCAI 2015. doi: 10.7303/syn3193805",
}


def choose_license(given: str | None, phantoms: bool) -> str:
    """Return the license of a network: the given SPDX identifier, and for phantoms Apache-2.0 by default.

    Raises:
        InputError: none is given for scans of persons, or an unknown one.
    """
    expected = (*_LICENSES, f"{_OWN}NAME")
    if given is None and not phantoms:
        raise InputError(
            "this network was trained on scans of persons, whose license binds it too: name that with --license, such "
            f"as CC-BY-NC-SA-4.0 for ACDC; expected one of {', '.join(expected)}"
        )
    if given is not None and given not in _LICENSES and not given.startswith(_OWN):
        raise unknown("license", given, expected)
    return given or "Apache-2.0"


def obligation(license_: str) -> str:
    """Say in one sentence what a license obliges to."""
    return _LICENSES.get(license_, _OF_ITS_OWN)
