"""The plan of lesson 9 and the scores of its trainings, shipped with the package (README.md)."""

from __future__ import annotations

from pathlib import Path

from dainet.compare.plan import read_plan
from dainet.compare.scores import Scored
from dainet.csv_files import read_csv

__all__ = ["COLUMNS", "PLAN", "read_gain"]

PLAN = Path(__file__).with_name("plan.yaml")
COLUMNS = {  # file -> what it keeps, texts and numbers
    "scores.csv": (
        ("model", "case_id", "patient", "group", "phase", "class"),
        ("fold", "seed", "dsc", "dsc_last_epoch", "hd95_mm", "assd_mm", "surface_dice_2mm", "labeled_voxels"),
    ),
    "histories.csv": (("model",), ("fold", "seed", "epoch", "loss", "dsc")),
}


def read_gain() -> Scored:
    """Read the plan and what its trainings have left, as `dainet.compare.scores.read_scored` does, less some columns.

    Raises:
        InputError: a file cannot be read.
    """
    plan = read_plan(PLAN)
    scores, histories = (read_csv(PLAN.with_name(name), numbers) for name, (_, numbers) in COLUMNS.items())
    return Scored(plan, len(plan.waves), tuple(plan.trainings()), scores, histories)
