"""The scores of real patients that lessons 2, 3, 5, 7 and 9 read: those of the first study (README.md)."""

from __future__ import annotations

from importlib.resources import files

import pandas as pd

from dainet.csv_files import read_csv

__all__ = ["CASE", "CLASSES", "MEASURES", "read_claims", "read_heads", "read_scores"]

CASE = ["model", "train_patients", "seed", "patient", "phase"]  # one line of scores.csv for each
CLASSES = ("RV", "Myo", "LV")
MEASURES = ("dsc", "hd95_vox")


def read_scores(train_patients: int = 40) -> pd.DataFrame:
    """Read how networks that were trained on so many patients scored on the 20 test patients, strict policy.

    Returns:
        One row per case and class: model, train_patients, seed, patient, phase, class, dsc (0..1), hd95_vox (voxels).
    """
    numbers = ["train_patients", "seed", *(f"{measure}_{name}" for measure in MEASURES for name in CLASSES)]
    table = read_csv(files(__package__) / "scores.csv", numbers)
    table = table[table["train_patients"] == train_patients]
    long = pd.wide_to_long(table, list(MEASURES), CASE, "class", sep="_", suffix=r"\w+")
    return long.reset_index()


def read_claims() -> dict[str, pd.DataFrame]:
    """Read the comparisons that docs/claims.md lists, by family: paper, controls, more_seeds.

    Returns:
        family -> columns claim, better, worse, class, measure and, in the family paper, paper (points of DSC).
    """
    table = read_csv(files(__package__) / "claims.csv", numbers=["paper"])
    families = table.groupby("family", sort=False)
    return {str(name): part.drop(columns="family").dropna(axis=1).reset_index(drop=True) for name, part in families}


def read_heads() -> pd.DataFrame:
    """Read how well the heads of three ViTs, and two maps that no network made, find organs on the 20 test patients.

    Returns:
        Columns head (from 0), class, auroc, iou, slices and weights: "random weights", "pre-trained", "fine-tuned",
        "center of the slice" or "brightness of the slice"; see `dainet.attention.head_scores`.
    """
    return read_csv(files(__package__) / "heads.csv", numbers=["head", "auroc", "iou", "slices"])
