"""Custom data in nnU-Net's raw layout: dataset.json, imagesTr/NAME_0000.nii.gz and labelsTr/NAME.nii.gz."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from textwrap import shorten
from typing import Any

from matplotlib.colors import is_color_like, to_hex

from dainet.data.formats.nifti import nifti_stem, read_nifti_pair
from dainet.data.volume import Case, DataError, Volume
from dainet.errors import reason
from dainet.protocol import Classes

__all__ = ["DatasetDescription", "find_nnunet_cases", "read_description", "read_nnunet_volume"]

# For classes without a color in dataset.json: the colors of Okabe and Ito, which color-blind readers can distinguish.
_PALETTE = ("#d55e00", "#009e73", "#0072b2", "#f0e442", "#cc79a7", "#56b4e9", "#e69f00", "#999999")


@dataclass(frozen=True)
class DatasetDescription:
    """Content of dataset.json: the classes, and whether the gray values are Hounsfield units."""

    classes: Classes
    is_ct: bool


def find_nnunet_cases(files: Sequence[Path]) -> Iterator[Case | DataError]:
    """Find the annotated volumes next to a dataset.json; each case counts as a separate patient.

    Yields:
        Cases; errors for an image without a label, a label without an image, a second channel, and a second data set.
    """
    described = {path.parent for path in files if path.name == "dataset.json"}
    roots = sorted({path.parent.parent for path in files if path.parent.name in ("imagesTr", "labelsTr")} & described)
    if len(roots) > 1:
        names = ", ".join(root.name for root in roots)
        yield DataError(f"found {len(roots)} data sets ({names}); expected one; set data.source to one of them")
    if len(roots) != 1:
        return
    images = {nifti_stem(path): path for path in files if path.parent == roots[0] / "imagesTr" and nifti_stem(path)}
    labels = {nifti_stem(path): path for path in files if path.parent == roots[0] / "labelsTr" and nifti_stem(path)}
    for stem in sorted(set(images) - {f"{name}_0000" for name in labels}):
        wanted = stem[:-5] if stem[-5:-4] == "_" and stem[-4:].isdigit() else stem
        if wanted in labels:
            yield DataError(
                f"{wanted}: {images[stem].name} is a second channel; the kit takes one channel, _0000", wanted
            )
        else:
            yield DataError(
                f"{wanted}: labelsTr/{wanted}.nii.gz is missing next to {images[stem].name}; fetch it again", wanted
            )
    for name, label in sorted(labels.items()):
        if f"{name}_0000" in images:
            yield Case(name, "", (images[f"{name}_0000"], label))
        else:
            yield DataError(
                f"{name}: imagesTr/{name}_0000.nii.gz is missing next to {label.name}; fetch it again", name
            )


def read_nnunet_volume(case: Case) -> Volume:
    """Read one volume and turn it upright by its affine.

    Raises:
        DataError: see `read_nifti_pair`.
    """
    return read_nifti_pair(case, turn_upright=True)


def read_description(path: Path) -> DatasetDescription:
    """Read dataset.json, of nnU-Net v2 ("labels": {"liver": 1}) or v1 ("labels": {"1": "liver"}).

    An entry "colors" (or "colours"), such as {"liver": "#aa0000"}, sets the colors of classes; nnU-Net ignores it.

    Raises:
        DataError: the file is not a JSON object, its labels are not 0, 1, 2 ..., or it names several channels.
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        labels, channels = content["labels"], content.get("channel_names") or content.get("modality") or {}
        names = _label_names(labels)
        given = content.get("colors", content.get("colours", {}))
        colors = [given.get(name, _PALETTE[i % len(_PALETTE)]) for i, name in enumerate(names)]
        channel = " ".join(map(str, channels.values()))
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        found = shorten(f"{type(error).__name__}: {reason(error, path)}", 300)
        raise DataError(
            f"{path.name}: {found}; expected nnU-Net's dataset.json with channel_names and "
            '"labels": {"background": 0, "name": 1, ...}'
        ) from error
    if len(channels) > 1:
        raise DataError(
            f"{path.name}: the channels {shorten(channel, 200)}; the kit takes one; make a data set with one channel"
        )
    wrong = [color for color in colors if not is_color_like(color)]
    if wrong:
        raise DataError(f"{path.name}: {shorten(repr(wrong[0]), 80)} is not a color; write it as #rrggbb")
    return DatasetDescription(Classes(names, tuple(map(to_hex, colors))), channel.upper() == "CT")


def _label_names(labels: dict[str, Any]) -> tuple[str, ...]:
    """Names of the labels 1, 2, 3 ... in order."""
    old = all(key.isdigit() for key in labels)
    pairs = ((int(key), name) if old else (name, key) for key, name in labels.items())
    numbered = {number: str(name) for number, name in pairs}
    if sorted(numbered) != list(range(len(labels))) or len(numbered) < 2:
        raise ValueError(f"labels {labels}; expected the whole numbers 0, 1, 2 ... once each, without regions")
    return tuple(numbered[number] for number in range(1, len(numbered)))
