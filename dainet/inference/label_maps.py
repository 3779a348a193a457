"""Label maps of many scans as files, each with the names of its classes and a sheet to look at."""

from __future__ import annotations

import json
import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

import dainet
from dainet.data.scans import Scan, label_ending, read_scan, write_labels
from dainet.data.sources import evenly_spaced
from dainet.device import Device
from dainet.inference.as_trained import file_axis
from dainet.inference.bundle import Bundle
from dainet.inference.each_scan import each_scan, new_files
from dainet.inference.predict import Prediction, predict_scan, predictor
from dainet.reporting.figures import slice_montage
from dainet.reporting.style import in_style

__all__ = ["predict_files"]

log = logging.getLogger(__name__)
_PICTURES = 12  # slices on a sheet


def predict_files(
    paths: Sequence[Path],
    bundle: Bundle,
    bundle_name: str,
    device: Device,
    folder: Path,
    slice_axis: str = "auto",
    anyway: bool = False,
) -> list[str]:
    """Predict one scan after the other; memory does not grow with their number.

    Each leaves a label map (`NAME_labels` and the ending of the scan's kind), the names, colors and volumes of its
    classes (`NAME_labels.json`) and a sheet of its slices (`NAME_sheet.png`); all three or none. Existing files stay.

    Args:
        paths: see `dainet.data.scans.read_scan`.
        bundle: see `dainet.inference.bundle.read_bundle`.
        bundle_name: its name, for the record.
        device: the one to which the bundle was read.
        folder: for the files; created if it is not there.
        slice_axis: see `dainet.data.formats.orientation.slice_axis`.
        anyway: predict also what differs far from the training, with a warning.

    Returns:
        One line for each scan that could not be predicted.
    """
    folder.mkdir(parents=True, exist_ok=True)
    if not bundle.card.orientation:
        log.warning("how the training slices of this bundle lay is unknown; those of scans keep the order of the file")
    predict = predictor(bundle, device)

    def work(path: Path, name: str) -> str:
        scan = read_scan(path)
        with new_files(_files(scan, folder, name)) as files:
            prediction = predict_scan(scan, bundle, predict, slice_axis, anyway)
            about = _about(path, prediction, bundle, bundle_name)
            _write(prediction, about, bundle, files)
        return "; ".join((f"{name}_labels: {_sizes(about)}", *prediction.warnings))

    return each_scan(paths, "predicting", work)


def _files(scan: Scan, folder: Path, name: str) -> tuple[Path, Path, Path]:
    """Return the label map, what is said about it, and the sheet."""
    made = (f"{name}_labels{label_ending(scan)}", f"{name}_labels.json", f"{name}_sheet.png")
    return folder / made[0], folder / made[1], folder / made[2]


def _about(path: Path, prediction: Prediction, bundle: Bundle, bundle_name: str) -> dict[str, Any]:
    """Return what a label map means and how it was made: classes with their volumes, the bundle, and the slices."""
    names, affine = bundle.classes.names, prediction.scan.affine
    voxels = np.bincount(prediction.slices.ravel(), minlength=len(names) + 1).tolist()
    labels = {"0": {"name": "background"}}
    for number, (name, color) in enumerate(zip(names, bundle.classes.colors, strict=True), start=1):
        labels[str(number)] = {"name": name, "color": color, "voxels": voxels[number]}
        if affine is not None:
            labels[str(number)]["ml"] = round(voxels[number] * abs(np.linalg.det(affine[:3, :3])) / 1000, 2)
    return {
        "scan": path.name,
        "labels": labels,
        "bundle": {"name": bundle_name, "network": bundle.card.network, "sha256": bundle.card.network_sha256},
        "slices_along": file_axis(prediction.turn)[0],
        "orientation": bundle.card.orientation or "as in the file: that of the training is unknown",
        "warnings": prediction.warnings,
        "dainet": dainet.__version__,
    }


def _sizes(about: dict[str, Any]) -> str:
    foreground = [label for number, label in about["labels"].items() if number != "0"]
    return ", ".join(
        f"{label['name']} {label['ml']:.3g} ml" if "ml" in label else f"{label['name']} {label['voxels']} pixels"
        for label in foreground
    )


def _write(prediction: Prediction, about: dict[str, Any], bundle: Bundle, files: Sequence[Path]) -> None:
    labels, text, sheet = files
    write_labels(prediction.scan, prediction.labels, labels, bundle.classes.colors)
    text.write_text(json.dumps(about, indent=1), encoding="utf-8")
    _draw_sheet(prediction, bundle, sheet)


@in_style
def _draw_sheet(prediction: Prediction, bundle: Bundle, path: Path) -> None:
    """Draw evenly spaced slices with the outlines of their labels, turned as the network has seen them."""
    axis, reversed_order = file_axis(prediction.turn)
    count = len(prediction.slices)
    chosen = evenly_spaced(range(count), min(_PICTURES, count))
    titles = [f"{axis} = {count - 1 - i if reversed_order else i}" for i in chosen]
    if prediction.scan.kind == "picture":
        titles = [prediction.scan.name]
    classes, images, labels = bundle.classes, prediction.volume[chosen], prediction.slices[chosen]
    figure = slice_montage(images, labels, classes.names, classes.colors, titles, columns=4)
    figure.savefig(path, dpi=120, metadata={"Software": None})
