"""The slices of the live page: chosen by a rule, stored as numbers of the prepared store, with what the page names."""

from __future__ import annotations

from base64 import b64encode
from typing import Any

import numpy as np

from book.live.trained import Finished
from dainet.data.colors import class_colors
from dainet.data.prepared import Prepared

__all__ = ["COUNT", "organ_facts", "shown_rows"]

COUNT = 6  # slices of each data set
_PHASES = {"ED": "end-diastole", "ES": "end-systole"}


def shown_rows(prepared: Prepared) -> np.ndarray:
    """Return the rows of the slices: test patients only, so that no training has seen them."""
    return prepared.example_rows("test", COUNT)


def organ_facts(title: str, finished: Finished) -> dict[str, Any]:
    """Describe a data set for `slices.json`: classes, colors, sizes and slices, all but its networks."""
    prepared, settings = finished.data.prepared, finished.settings
    return {
        "title": title,
        "classes": list(prepared.classes.names),
        "colors": [color.lower() for color in prepared.classes.colors],
        "safe_colors": list(class_colors(len(prepared.classes.names))),
        "vit_size": settings.vit.image_size,
        "size": settings.segmentation.image_size,
        "slices": [_slice(prepared, finished.vit_images, row) for row in shown_rows(prepared)],
    }


def _slice(prepared: Prepared, vit_images: Prepared, row: int) -> dict[str, str]:
    return {
        "name": _name(prepared, row),
        "image": _base64(prepared.images[row]),
        "vit_image": _base64(vit_images.images[row]),
        "label": _base64(prepared.labels[row]),
    }


def _name(prepared: Prepared, row: int) -> str:
    """Name a slice for readers, who count from 1."""
    case = prepared.cases.loc[row]
    count = (prepared.cases["case_id"] == case["case_id"]).sum()
    words = [case["patient"], *([_PHASES.get(case["phase"], case["phase"])] if case["phase"] else [])]
    return ", ".join([*words, f"slice {case['slice'] + 1} of {count}"])


def _base64(array: np.ndarray) -> str:
    return b64encode(np.ascontiguousarray(array).tobytes()).decode()
