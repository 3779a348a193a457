"""The prepared store: every slice at one size in memory-mapped arrays, and test labels on their native grid."""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from dainet.cache.atomic import growing_array
from dainet.cache.records import hash_files
from dainet.cache.store import StageResult, run_stage
from dainet.csv_files import read_csv
from dainet.data.duplicates import find_twins
from dainet.data.preprocessing import normalization_mode, normalize, resize_slices
from dainet.data.sources import Source, evenly_spaced, open_source
from dainet.data.spacing import row_of
from dainet.data.splits import choose_patients, concerns, resolve_split
from dainet.data.volume import Case, DataError, Volume, fullest_slice
from dainet.protocol import Classes
from dainet.settings import DataSettings

__all__ = ["Prepared", "run_prepared"]

log = logging.getLogger(__name__)
_VERSION = 5
_COLUMNS = (
    *("case_id", "patient", "phase", "group", "slice", "split"),
    *("spacing_z_mm", "spacing_y_mm", "spacing_x_mm", "file", "sha256"),
)
_NUMBERS = ("slice", "spacing_z_mm", "spacing_y_mm", "spacing_x_mm")


@dataclass(frozen=True)
class Prepared:
    """An opened prepared store; row i of each array is one slice.

    `images` is float16 [N, H, W], `labels` uint8 [N, H, W], both mapped from disk; changes to them stay in memory
    and never reach the files. `cases` has one row per slice with case_id, patient, phase, group, slice, split
    ("left out": see `find_twins`), spacing in mm (empty where unknown), source file and the SHA-256 of the voxels.
    `about` describes what was read: data set, format, label order and its evidence, and name and size of the split;
    the last two are those of this call, because a split may get another name, or name absent patients, at any time.
    """

    result: StageResult
    images: np.ndarray
    labels: np.ndarray
    cases: pd.DataFrame
    classes: Classes
    about: dict[str, Any]

    def rows(self, split: str) -> np.ndarray:
        """Row numbers of a split, in order."""
        return np.flatnonzero(self.cases["split"] == split)

    def volumes(self, split: str) -> dict[str, np.ndarray]:
        """Case id -> its row numbers, in the order of the slices."""
        chosen = self.cases[self.cases["split"] == split]
        return {str(case_id): rows.index.to_numpy(copy=True) for case_id, rows in chosen.groupby("case_id", sort=True)}

    def example_rows(self, split: str, count: int) -> np.ndarray:
        """Rows for a figure, chosen by a rule and not by eye: the fullest slice of `count` evenly spaced volumes."""
        volumes = list(self.volumes(split).values())
        chosen = evenly_spaced(volumes, min(count, len(volumes)))
        return np.array([rows[fullest_slice(self.labels[rows])] for rows in chosen])

    def native_label(self, case_id: str) -> tuple[np.ndarray, tuple[float, float, float] | None]:
        """Label [D, H, W] of a test volume on its native grid, with the kit's class numbers; its spacing if known."""
        return self.result.read(f"native/{case_id}.npz", _read_native)


def run_prepared(settings: DataSettings, image_size: int, keep_native: bool = True) -> Prepared:
    """Prepare every patient of the split at `image_size` px, or open the store of an earlier call.

    Volumes are read one after the other, so memory does not grow with their number. If a volume fails its
    checks, the others are still checked; all problems are then reported together and nothing is stored.

    Args:
        settings: which data, split and normalization (paper section 4.1).
        image_size: side of the square slices in px (paper: 224 for the networks, 256 for the ViT).
        keep_native: also keep the labels of test volumes on their native grid, on which they are scored.

    Raises:
        DataError: the source is not recognized, volumes fail their checks, or a part of the split has no patients.
        StageError: the disk is full.
    """
    source = open_source(settings)
    split_name, listed = resolve_split(settings, source)
    _raise_or_log(source.problems, listed)
    split = choose_patients(listed, {case.patient for case in source.cases}, settings.train_patients)
    source = replace(source, cases=tuple(case for case in source.cases if case.patient in split))
    about = _about(settings, source) | {"image_size": image_size, "native": keep_native}
    files = {f"{case.case_id} {i}": path for case in source.cases for i, path in enumerate(case.files)}
    result = run_stage(
        "prepared",
        _VERSION,
        about
        | {"label_orders": source.label_orders, "patients": split, "cases": _described(source.cases)}
        | _given_spacing(source),
        {"data": hash_files({name: path for name, path in files.items() if _can_be_opened(path)})},
        lambda target: _build(target, source, split, about),
    )
    counts = {name: list(listed.values()).count(name) for name in ("train", "valid", "test")}
    return _open(result, {"split": split_name, "listed": counts})


def _about(settings: DataSettings, source: Source) -> dict[str, Any]:
    """Return what settings and format decide; a setting without effect on this source is left empty."""
    mode, turns = normalization_mode(settings, source), source.unusual_turns
    about = {
        "dataset": settings.dataset,
        "format": source.format.name,
        "classes": asdict(source.classes),
        "normalization": mode,
        "window_hu": list(settings.window_hu) if mode == "window" else [],
        "label_order": settings.label_order if source.label_orders else "",
    }
    return about | ({"turns": turns} if turns else {})


def _described(cases: Sequence[Case]) -> dict[str, list[str]]:
    """Return what the format says about each case besides its voxels: ACDC's Info.cfg gives frames and pathology."""
    return {case.case_id: [case.group, case.files[0].name] for case in cases}


def _given_spacing(source: Source) -> dict[str, Any]:
    """Return what the table of data.spacing says about each case; nothing without a table."""
    return {"spacing": {case.case_id: row_of(case, source.spacing) for case in source.cases}} if source.spacing else {}


def _can_be_opened(path: Path) -> bool:
    """Whether a file can be hashed; the checks report one that cannot, together with all other problems."""
    try:
        path.open("rb").close()
    except OSError:
        return False
    return True


def _build(target: Path, source: Source, split: Mapping[str, str], about: Mapping[str, Any]) -> None:
    log.info("%s: %d patients of the split", source.format.name, len(split))
    order, evidence = source.label_evidence
    facts = dict(about) | {"label_order": order, "label_evidence": evidence}
    (target / "about.json").write_text(json.dumps(facts, indent=1), encoding="utf-8")
    _write_volumes(target, source, split, about)


def _raise_or_log(problems: Sequence[DataError], listed: Mapping[str, str]) -> None:
    """Raise the problems that concern patients of the split; only log those of other patients."""
    for problem in problems:
        if not concerns(problem, listed):
            log.warning("not in the split: %s", problem)
    if concerned := [str(problem) for problem in problems if concerns(problem, listed)]:
        raise DataError("\n".join(concerned))


def _write_volumes(target: Path, source: Source, split: Mapping[str, str], about: Mapping[str, Any]) -> None:
    size, problems, lines = about["image_size"], list[DataError](), list[dict[str, object]]()
    (target / "native").mkdir(exist_ok=True)
    with (
        growing_array(target / "images.npy", (size, size), np.float16) as append_images,
        growing_array(target / "labels.npy", (size, size), np.uint8) as append_labels,
    ):
        for case, volume in source.read_all(source.cases, "preparing", problems):
            scaled = normalize(volume.image, about["normalization"], about["window_hu"])
            append_images(resize_slices(scaled, (size, size), order=3))
            append_labels(resize_slices(volume.label, (size, size), order=0))
            lines += _case_lines(case, volume, split[case.patient])
            if about["native"] and split[case.patient] == "test":
                spacing = np.array(volume.spacing_mm or (), dtype=np.float64)
                np.savez_compressed(target / "native" / f"{case.case_id}.npz", label=volume.label, spacing_mm=spacing)
    table = pd.DataFrame(lines, columns=_COLUMNS)
    leaks, left_out = find_twins(table.drop_duplicates("case_id"))
    if problems or leaks:
        raise DataError("\n".join([*map(str, problems), *leaks]))
    for sentence in left_out.values():
        log.warning("%s", sentence)
    table.loc[table["patient"].isin(left_out), "split"] = "left out"
    table.to_csv(target / "cases.csv", index=False)


def _case_lines(case: Case, volume: Volume, split: str) -> list[dict[str, object]]:
    z, y, x = volume.spacing_mm or ("", "", "")
    common = {"case_id": case.case_id, "patient": case.patient, "phase": case.phase, "group": case.group}
    spacing = {"spacing_z_mm": z, "spacing_y_mm": y, "spacing_x_mm": x}
    source = {"file": case.files[0].name, "sha256": volume.sha256}
    return [common | {"slice": i, "split": split} | spacing | source for i in range(len(volume.image))]


def _open(result: StageResult, split: Mapping[str, Any]) -> Prepared:
    about, classes, size = result.read("about.json", _read_about)
    cases = result.read("cases.csv", _read_cases)
    open_slices = partial(_open_slices, shape=(len(cases), size, size))
    images, labels = (result.read(f"{name}.npy", open_slices) for name in ("images", "labels"))
    return Prepared(result, images, labels, cases, classes, {**about, **split})


def _read_about(path: Path) -> tuple[dict[str, Any], Classes, int]:
    about = json.loads(path.read_text(encoding="utf-8"))
    return about, Classes(tuple(about["classes"]["names"]), tuple(about["classes"]["colors"])), about["image_size"]


def _read_cases(path: Path) -> pd.DataFrame:
    return read_csv(path, numbers=_NUMBERS)[list(_COLUMNS)]


def _open_slices(path: Path, shape: tuple[int, int, int]) -> np.ndarray:
    array = np.load(path, mmap_mode="c")
    if array.shape != shape:
        raise ValueError(f"found the shape {array.shape}, expected {shape}")
    return array


def _read_native(path: Path) -> tuple[np.ndarray, tuple[float, float, float] | None]:
    with np.load(path, allow_pickle=False) as file:
        spacing = file["spacing_mm"]
        known = (float(spacing[0]), float(spacing[1]), float(spacing[2])) if spacing.size else None
        return file["label"], known
