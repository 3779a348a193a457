"""The same scan under two names: if a split separates them, a network is tested on a scan that it was trained on."""

from __future__ import annotations

import pandas as pd

__all__ = ["KNOWN_TWINS", "find_twins"]

KNOWN_TWINS = (frozenset({"patient074", "patient076"}),)  # one scan of ACDC, annotated twice (docs/protocol.md#5.35)


def find_twins(volumes: pd.DataFrame) -> tuple[list[str], dict[str, str]]:
    """Find equal images in different parts of a split.

    Args:
        volumes: one row per volume with case_id, patient, split ("none" for a patient of no part) and sha256, the
            hash of the image's voxels.

    Returns:
        Problems, one sentence per pair; and the patients to leave out of training with the reason for each. The latter
        are the scans that the data set's authors included twice; for any other pair the user must decide.
    """
    problems, left_out = list[str](), dict[str, str]()
    for _, group in volumes[volumes["split"] != "none"].groupby("sha256", sort=False):
        if group["split"].nunique() == 1:
            continue
        trained = group[group["split"] == "train"]
        others = group.drop(trained.index)
        if frozenset(group["patient"]) in KNOWN_TWINS and len(trained) == len(others) == 1:
            patient, other, split = trained["patient"].iloc[0], others["patient"].iloc[0], others["split"].iloc[0]
            left_out[patient] = f"{patient} is left out of training: it is the same scan as {other} ({split})"
        else:
            names = [f"{line.case_id} ({line.split})" for line in group.itertuples()]
            problems.append(f"{' and '.join(names)} are the same image; leave one out of the split")
    return problems, left_out
