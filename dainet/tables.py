"""Tables 2 and 3: what the paper printed beside what came out here."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

from dainet.data.prepared import Prepared
from dainet.protocol import load_split
from dainet.settings import Settings
from dainet.statistics import summarise

__all__ = ["compare", "policies", "protocol_notes"]


def compare(published: pd.DataFrame, scores: pd.DataFrame, class_names: Sequence[str], policy: str) -> pd.DataFrame:
    """A published table with our numbers beside it, as printed: DSC in percent, mean ± deviation over seeds.

    Rows of networks that were not run here, or that only peers have, keep empty cells.

    Args:
        published: see `dainet.protocol.published_table`.
        scores: see `dainet.statistics.summarise`.
        class_names: the columns, in the paper's order.
        policy: which empty-mask policy counts (see `dainet.metrics`).
    """
    ours = summarise(scores)
    ours = ours[ours["policy"] == policy].set_index(["model", "class"])
    rows = []
    for _, line in published.iterrows():
        row = {"Method": line["method"] + line["marker"]}
        for name in (*class_names, "mean"):
            row |= _cells(name, float(line[_column(name)]), ours, str(line["model"]))
        rows.append(row)
    return pd.DataFrame(rows)


def policies(scores: pd.DataFrame) -> pd.DataFrame:
    """Every network under both empty-mask policies side by side: DSC in percent, HD95 in voxels and in millimetres.

    Mean over classes, mean ± deviation over seeds; millimetres stay empty where the data store no spacing.
    """
    summary = summarise(scores)
    overall = summary[summary["class"] == "mean"]
    columns = {"dsc": "DSC (%)", "hd95_vox": "HD95 (voxels)", "hd95_mm": "HD95 (mm)"}
    rows = []
    for _, line in overall.iterrows():
        numbers = {title: _number(line[value], line[f"{value}_std"]) for value, title in columns.items()}
        rows.append({"Network": line["model"], "Policy": line["policy"], "Seeds": str(line["seeds"])} | numbers)
    return pd.DataFrame(rows)


def protocol_notes(settings: Settings, prepared: Prepared, policy: str, scores: pd.DataFrame) -> list[str]:
    """The sentences that belong beneath every table: data, selection rule, policy, and what went wrong."""
    split = load_split(settings.data.split)
    patients = prepared.cases.groupby("split")["patient"].nunique()
    notes = [
        "paper: DSC in percent as printed; ours: mean over test volumes (ED and ES counted apart), then over classes, "
        "± standard deviation over seeds.",
        f"Data: {'phantoms' if settings.data.source == 'phantom' else settings.data.dataset}; "
        + ", ".join(f"{patients.get(name, 0)} of {_listed(split, name)} {name}" for name in ("train", "valid", "test"))
        + f" patients of the split {settings.data.split}.",
        f"Setting: profile {settings.profile}, width {settings.segmentation.width}, "
        f"{settings.segmentation.image_size} px, at most {settings.segmentation.epochs} epochs, "
        f"seeds {', '.join(map(str, settings.segmentation.seeds))}.",
        f"Checkpoint by the rule: {settings.segmentation.selection}. Empty masks: {policy} policy.",
    ]
    if settings.segmentation.selection == "peer-on-test":
        notes.append("The checkpoints were chosen ON THE TEST CASES, as some peers do: no honest estimate.")
    return notes + _never_found(scores)


def _never_found(scores: pd.DataFrame) -> list[str]:
    best = scores[scores["policy"] == "strict"].groupby(["model", "seed", "class"])["dsc"].max()
    return [
        f"{model}, seed {seed}: {name} was not found in a single test volume; this training failed."
        for model, seed, name in best[best == 0].index
    ]


def _listed(split: dict[str, str], name: str) -> int:
    return sum(value == name for value in split.values())


def _column(name: str) -> str:
    return "dsc" if name == "mean" else name.lower()


def _cells(name: str, paper: float, ours: pd.DataFrame, model: str) -> dict[str, str]:
    label = "DSC" if name == "mean" else name
    cells = {f"{label} paper": f"{paper:.2f}", f"{label} ours": ""}
    if (model, name) in ours.index:
        found = ours.loc[(model, name)]
        cells[f"{label} ours"] = _number(found["dsc"], found["dsc_std"])
    if name == "mean":
        cells["difference"] = f"{ours.loc[(model, name), 'dsc'] - paper:+.2f}" if cells["DSC ours"] else ""
    return cells


def _number(mean: float, deviation: float) -> str:
    if pd.isna(mean):
        return ""
    return f"{mean:.2f}" if pd.isna(deviation) else f"{mean:.2f} ± {deviation:.2f}"
