"""What went wrong in a plan, by name: cases that networks missed, trainings that were repeated or are not there."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from dainet.compare.scores import Scored

__all__ = ["FAR_MM", "failed", "failed_cases", "missing_trainings", "repeated_trainings"]

FAR_MM = 20.0  # an HD95 beyond this is a failure


def failed(scores: pd.DataFrame) -> pd.Series:
    """Say for every case and class whether a training failed there: no overlap with the label, or a far-off HD95."""
    return (scores["hd95_mm"] > FAR_MM) | (scores["dsc"] == 0)


def failed_cases(scored: Scored) -> pd.DataFrame:
    """List every case and class in which trainings of a network failed, the most frequent failures first, as text.

    Returns:
        Columns Case, Class, Network, Failed ("2 of 3 trainings"), What, Lowest DSC (%), Largest HD95 (mm).
    """
    lines = []
    scores = scored.scores.assign(failed=failed(scored.scores))
    trainings = scores.groupby(["case_id", "class", "model"]).size()
    for key, part in scores[scores["failed"]].groupby(["case_id", "class", "model"]):
        case, name, model = (str(each) for each in key)
        row = {"Case": case, "Class": name, "Network": model}
        row |= {"Failed": f"{len(part)} of {trainings[key]} trainings", "What": _kinds(part)}
        row["Lowest DSC (%)"] = f"{100 * part['dsc'].min():.1f}"
        far = part["hd95_mm"].max()
        lines.append(row | {"Largest HD95 (mm)": "" if pd.isna(far) else f"{far:.0f}", "count": len(part)})
    if not lines:
        return pd.DataFrame()
    return pd.DataFrame(lines).sort_values("count", ascending=False, kind="stable").drop(columns="count")


def repeated_trainings(records: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """Describe the trainings that were repeated with another seed, from their records."""
    return [
        f"{name}: {record['repeated']['because']}; repeated with seed {record['repeated']['with_seed']}"
        for name, record in records.items()
        if record.get("repeated")
    ]


def missing_trainings(scored: Scored) -> list[str]:
    """Name the trainings of a plan that are not part of the whole waves, and so are not analyzed."""
    done = {training.name for training in scored.trainings}
    return [training.name for training in scored.plan.trainings() if training.name not in done]


def _kinds(part: pd.DataFrame) -> str:
    kinds: Sequence[tuple[str, pd.Series]] = [
        ("nothing found", (part["dsc"] == 0) & (part["predicted_voxels"] == 0)),
        ("found where no label is", (part["dsc"] == 0) & (part["labeled_voxels"] == 0)),
        ("no overlap", (part["dsc"] == 0) & (part["predicted_voxels"] > 0) & (part["labeled_voxels"] > 0)),
        (f"more than {FAR_MM:.0f} mm off", (part["dsc"] > 0) & (part["hd95_mm"] > FAR_MM)),
    ]
    return ", ".join(kind for kind, found in kinds if found.any())
