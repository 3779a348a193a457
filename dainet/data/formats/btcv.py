"""Synapse as BTCV distributes it: img/imgXXXX.nii.gz in Hounsfield units and label/labelXXXX.nii.gz with 13 organs."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from pathlib import Path

from dainet.data.formats.nifti import nifti_stem
from dainet.data.volume import Case, DataError

__all__ = ["find_btcv_cases"]

_NAME = re.compile(r"(img|label)(\d{4})$")


def find_btcv_cases(files: Sequence[Path]) -> Iterator[Case | DataError]:
    """Find the annotated volumes; patients are named case0001 and so on, as in the published splits.

    Yields:
        Cases; errors for an image without a label and a label without an image. BTCV's own test images (0061 to 0080)
        were published without labels and are ignored.
    """
    found: dict[str, dict[str, Path]] = {"img": {}, "label": {}}
    for path in files:
        match = _NAME.match(nifti_stem(path))
        if match and match[2] in found[match[1]]:
            other = found[match[1]][match[2]]
            where = f"{other.parent.name}/{other.name} and {path.parent.name}/{path.name}"
            yield DataError(f"case{match[2]}: found twice, {where}; keep one", f"case{match[2]}")
        elif match:
            found[match[1]][match[2]] = path
    for number in sorted(found["img"] | found["label"]):
        image, label = found["img"].get(number), found["label"].get(number)
        if image and label:
            yield Case(f"case{number}", "", (image, label))
        elif label or not "0061" <= number <= "0080":
            missing, there = ("img", "label") if label else ("label", "img")
            message = f"case{number}: {missing}{number}.nii.gz is missing next to {there}{number}; fetch it again"
            yield DataError(message, f"case{number}")
