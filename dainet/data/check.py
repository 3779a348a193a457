"""Check every case before hours are spent: what is there, what is missing, what would spoil a run, what is odd."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from scipy import ndimage

from dainet.data.arrangement import class_centers
from dainet.data.duplicates import find_twins
from dainet.data.preprocessing import normalization_mode, normalize, resize_slices
from dainet.data.sources import Source, open_source
from dainet.data.splits import concerns, resolve_split
from dainet.data.suspicions import find_suspicions
from dainet.data.volume import Case, DataError, Volume, fullest_slice
from dainet.errors import some
from dainet.protocol import Classes
from dainet.settings import DataSettings

__all__ = ["Picture", "Report", "check_source", "report_text"]

_PICTURE_PX = 128
_JUDGED_BY = ["patient", "phase", "sha256", "swapped", "edges_mm", "class_centers", "center_unit", "view"]


@dataclass(frozen=True)
class Picture:
    """The slice of a case with most classes, as a network sees it."""

    case_id: str
    image: np.ndarray  # [128, 128], normalized
    label: np.ndarray  # [128, 128]


@dataclass(frozen=True)
class Report:
    """The findings of a check.

    `cases` has one row per readable case: case_id, split, slices, height, width, spacing_mm, orientation,
    sliced_along, lowest, highest, and the voxels of every class under its name. `missing` lists the absent patients of
    each part of the split.
    """

    format: str
    normalization: str  # the one used: "auto" resolved
    split: str
    label_evidence: tuple[str, ...]
    cases: pd.DataFrame
    missing: dict[str, list[str]]
    problems: tuple[str, ...]  # would spoil a run
    suspicions: tuple[str, ...]  # may be correct, or about patients outside the split; look at them
    pictures: tuple[Picture, ...]
    classes: Classes


def check_source(settings: DataSettings) -> Report:
    """Read every case of a source once, including those outside the split; a part of a data set is enough.

    Raises:
        DataError: no case is recognized at all; everything else is in the report.
    """
    source = open_source(settings)
    split_name, split = resolve_split(settings, source)
    mode = normalization_mode(settings, source)
    found, lines, pictures = list(source.problems), list[dict[str, Any]](), list[Picture]()
    evidence, readable = _label_evidence(source, found)
    for case, volume in source.read_all(readable, "checking", found):
        lines.append(_line(case, volume, split.get(case.patient, "none"), source.classes.names))
        pictures.append(_picture(case, volume, mode, settings.window_hu))
    cases = pd.DataFrame(lines)
    problems, left_out = [str(problem) for problem in found if concerns(problem, split)], dict[str, str]()
    outside = [f"not in the split: {problem}" for problem in found if not concerns(problem, split)]
    if lines:
        leaks, left_out = find_twins(cases)
        problems += leaks
        problems += _swapped(cases, settings.dataset)
    return Report(
        format=source.format.name,
        normalization=mode,
        split=split_name,
        label_evidence=evidence,
        cases=cases.drop(columns=_JUDGED_BY, errors="ignore"),
        missing=_missing(split, {case.patient for case in source.cases}),
        problems=tuple(problems),
        suspicions=(*outside, *left_out.values(), *(find_suspicions(cases, source) if lines else ())),
        pictures=tuple(pictures),
        classes=source.classes,
    )


def report_text(report: Report) -> str:
    """Format the report as text for a terminal."""
    blocks = [f"format: {report.format}"]
    if report.label_evidence:
        blocks.append("labels: " + "; ".join(report.label_evidence[:3]))
    if len(report.cases):
        blocks.append(report.cases.to_string(index=False))
    counts = report.cases["split"].value_counts().to_dict() if len(report.cases) else {}
    summary = [f"split {report.split}: {sum(counts.values())} volumes readable"]
    for name, absent in report.missing.items():
        more = f", absent patients: {some(absent)}" if absent else ", no patient absent"
        summary.append(f"  {name}: {counts.get(name, 0)} volumes{more}")
    if counts.get("none"):
        summary.append(f"  in no split: {counts['none']} volumes")
    blocks.append("\n".join(summary))
    for title, lines in (("suspicious", report.suspicions), ("PROBLEM", report.problems)):
        blocks += [f"{title}: {line}" for line in lines]
    blocks.append(f"{len(report.problems)} problem(s) that would spoil a run, {len(report.suspicions)} suspicion(s)")
    return "\n".join(blocks)


def _label_evidence(source: Source, problems: list[DataError]) -> tuple[tuple[str, ...], tuple[Case, ...]]:
    """Return the evidence for the label order and the cases to read: none if the order, so every label, is unclear."""
    try:
        return tuple(source.label_evidence[1]), source.cases
    except DataError as error:
        problems.append(error)
        return (), ()


def _missing(split: Mapping[str, str], found: set[str]) -> dict[str, list[str]]:
    kinds = ("train", "valid", "test")
    return {kind: sorted(p for p in split if split[p] == kind and p not in found) for kind in kinds}


def _line(case: Case, volume: Volume, split: str, names: Sequence[str]) -> dict[str, Any]:
    slices, height, width = volume.image.shape
    voxels = np.bincount(volume.label.ravel(), minlength=len(names) + 1)
    spacing = " x ".join(f"{edge:.2f}" for edge in volume.spacing_mm) if volume.spacing_mm else "unknown"
    facts: dict[str, Any] = {
        "case_id": case.case_id,
        "patient": case.patient,
        "phase": case.phase,
        "split": split,
        "slices": slices,
        "height": height,
        "width": width,
    }
    facts |= {"spacing_mm": spacing, "orientation": volume.orientation or "unknown"}
    facts |= {"sliced_along": volume.sliced_along or "as stored"}
    facts |= {"lowest": round(float(volume.image.min()), 2), "highest": round(float(volume.image.max()), 2)}
    facts |= {name: int(voxels[value]) for value, name in enumerate(names, start=1)}
    facts |= {"edges_mm": volume.spacing_mm or (np.nan,) * 3, "center_unit": "mm" if volume.spacing_mm else "voxels"}
    facts |= {"class_centers": class_centers(volume.label, len(names), volume.spacing_mm or (1, 1, 1))}
    facts |= {"view": volume.view}
    return facts | {"sha256": volume.sha256, "swapped": _ring_around(volume.label, 1) > _ring_around(volume.label, 3)}


def _picture(case: Case, volume: Volume, mode: str, window_hu: tuple[float, float]) -> Picture:
    fullest = fullest_slice(volume.label)
    chosen, shape = slice(fullest, fullest + 1), (_PICTURE_PX, _PICTURE_PX)
    image = resize_slices(normalize(volume.image, mode, window_hu)[chosen], shape, order=1)[0]
    return Picture(case.case_id, image, resize_slices(volume.label[chosen], shape, order=0)[0])


def _ring_around(label: np.ndarray, value: int) -> float:
    """Share of class 2 among the voxels that touch a class in the slice plane."""
    inside = label == value
    cross = ndimage.generate_binary_structure(2, 1)[None]
    around = ndimage.binary_dilation(inside, cross) & ~inside
    return float((label[around] == 2).mean()) if around.any() else 0.0


def _swapped(cases: pd.DataFrame, dataset: str) -> list[str]:
    """Report swapped labels: ACDC's LV lies within the myocardium; M&Ms and others count LV as 1 and RV as 3.

    See docs/protocol.md#2.3.
    """
    share = cases["swapped"].mean()
    if dataset != "acdc" or share <= 0.5:
        return []
    return [
        f"label 1 (RV) lies within label 2 (Myo) in {share:.0%} of the volumes, as LV should; "
        "RV and LV are swapped, expected 1 = RV, 2 = Myo, 3 = LV"
    ]
