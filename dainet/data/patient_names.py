"""Names that look like several scans of one patient, such as P01_visit1 and P01_visit2."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Collection, Mapping

__all__ = ["look_like_one_patient", "patients_on_two_sides"]

# What stands behind a patient's number in names of scans: a numbered visit or frame, a phase, a side, a letter.
_NUMBERED = "visit|ses|session|scan|time|timepoint|tp|frame|phase|day|week|month|year|run|rep|exam|study|series"
_WORDS = "ed|es|diastole|systole|pre|post|baseline|followup|fu|left|right|l|r|rest|stress|inspiration|expiration"
_SCAN = re.compile(rf"(?:[-_. ]?(?<![a-z])(?:{_NUMBERED})[-_. ]?\d+|[-_. ](?:{_WORDS})\d*|(?<=\d)[-_. ]?[a-z])$")
_SECOND_NUMBER = re.compile(r"[-_. ][vtsf]?\d+$")
_MOST_SCANS = 3  # of a patient on average; more, and the first of two numbers is that of a hospital


def look_like_one_patient(names: Collection[str]) -> dict[str, list[str]]:
    """Group names of scans that look like one patient; a name that stands alone is in no group.

    Returns:
        The names under the part that they share, written in lower case and without leading zeros.
    """
    shared = _grouped({name: _without_scan(name.lower()) for name in names})
    if not any(len(group) > 1 for group in shared.values()):
        numbered = _grouped({name: _SECOND_NUMBER.sub("", name.lower()) for name in names})
        if len(names) <= _MOST_SCANS * len(numbered):
            shared = numbered
    return {stem: group for stem, group in shared.items() if len(group) > 1}


def patients_on_two_sides(split: Mapping[str, str]) -> dict[str, list[str]]:
    """Return those groups of `look_like_one_patient` whose names are in different parts of a split.

    Args:
        split: "train", "valid" or "test" for each name.
    """
    groups = look_like_one_patient(split)
    return {stem: names for stem, names in groups.items() if len({split[name] for name in names}) > 1}


def _grouped(stems: Mapping[str, str]) -> dict[str, list[str]]:
    """Group names by their stem; a stem without a digit names no patient, so that its name stays whole."""
    groups: dict[str, list[str]] = defaultdict(list)
    for name, stem in stems.items():
        whole = stem if re.search(r"\d", stem) else name.lower()
        groups[re.sub(r"[-_. ]+", "_", re.sub(r"(?<!\d)0+(?=\d)", "", whole))].append(name)
    return groups


def _without_scan(name: str) -> str:
    """Cut endings that name a scan of a patient, one after the other: "p01_visit1_ed" becomes "p01"."""
    while (shorter := _SCAN.sub("", name)) != name and re.search(r"\d", shorter):
        name = shorter
    return name
