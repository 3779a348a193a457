"""Tables 1 to 3: the numbers that the paper printed, compared with those of this kit."""

from __future__ import annotations

import math
from collections.abc import Hashable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from dainet.data.arrangement import flip_note
from dainet.data.prepared import Prepared
from dainet.protocol import UNBUILT
from dainet.reporting.differences import failed_trainings
from dainet.reporting.run_identity import source_name
from dainet.reporting.statistics import summarize
from dainet.segmentation.catalog import BASELINES
from dainet.segmentation.outside import is_outside, outside_label
from dainet.settings import AttentionSettings, Settings

__all__ = ["compare", "policies", "protocol_notes", "spread"]

_CONTROLS = {
    "constant": "the same number everywhere",
    "other-patient": "those of another patient",
    "image": "the image itself, once per head",
}
_WEIGHTS = {"pretrained": "as it came, without fine-tuning", "random": "with random weights"}


def compare(
    published: pd.DataFrame, scores: pd.DataFrame, class_names: Sequence[str], policy: str, phantoms: bool = False
) -> pd.DataFrame:
    """Put our rows below the published ones that they reproduce: DSC in percent, mean ± deviation over seeds.

    Reduced forms (`-small`) stand below the row of their full form, without a difference. Networks that the paper does
    not print follow at the end.

    Args:
        published: see `dainet.protocol.published_table`; without rows, only ours are given.
        scores: see `dainet.reporting.statistics.summarize`.
        class_names: the columns, in the paper's order.
        policy: which empty-mask policy counts (see `dainet.segmentation.metrics`).
        phantoms: our scores are of synthetic images, so By names them, and no difference is computed.

    Returns:
        Columns Method, By ("paper" or "here"), DSC (%), HD95 (voxels), the classes in percent; unless our scores are of
        phantoms or nothing is published, Difference from the paper's DSC; and Failed, where a training found no voxel
        of a class in any volume, which enters the means. All are texts, empty without a number.
    """
    ours = summarize(scores)
    ours = ours[ours["policy"] == policy].set_index(["model", "class"])
    left = list(dict.fromkeys(ours.index.get_level_values("model")))
    rows = []
    for line in published.to_dict("records"):
        rows.append(_paper_row(line, class_names))
        for model in [model for model in left if _full_form(model) == line["model"]]:
            left.remove(model)
            same = model == line["model"]  # a reduced or published variant is another network
            rows.append(_our_row(model, ours, class_names, float(line["dsc"]) if same else None))
    rows += [_our_row(model, ours, class_names, None) for model in left]
    columns = ["Method", "By", "DSC (%)", "HD95 (voxels)", *class_names, "Difference"]
    table = pd.DataFrame(rows, columns=columns)
    table = _with_failures(table, table["Method"].where(table["By"] == "here"), scores)
    if published.empty or phantoms:
        table = table.drop(columns="Difference")
    return table.replace({"By": {"paper": "paper (patients)", "here": "here (phantoms)"}}) if phantoms else table


def policies(scores: pd.DataFrame) -> pd.DataFrame:
    """Compare both empty-mask policies for every network: DSC in percent, HD95 in voxels and in millimeters.

    Mean over classes, mean ± deviation over seeds; millimeters stay empty where the data store no spacing. A column
    Failed names trainings that found no voxel of a class, if there are any.
    """
    summary = summarize(scores)
    overall = summary[summary["class"] == "mean"]
    columns = {"dsc": "DSC (%)", "hd95_vox": "HD95 (voxels)", "hd95_mm": "HD95 (mm)"}
    rows = []
    for _, line in overall.iterrows():
        numbers = {title: spread(line[value], line[f"{value}_std"]) for value, title in columns.items()}
        rows.append({"Network": line["model"], "Policy": line["policy"], "Seeds": str(line["seeds"])} | numbers)
    table = pd.DataFrame(rows)
    return _with_failures(table, table["Network"], scores)


def protocol_notes(settings: Settings, prepared: Prepared, policy: str, scores: pd.DataFrame) -> list[str]:
    """Describe the protocol behind a table in sentences: data, settings, checkpoint rule, policy, and what failed."""
    about, segmentation = prepared.about, settings.segmentation
    patients = prepared.cases.groupby("split")["patient"].nunique()
    counts = (f"{patients.get(name, 0)} of {total} {name}" for name, total in about["listed"].items())
    phantoms = settings.data.source == "phantom"
    kind = "phantoms in the format " if phantoms else f"{source_name(settings)}, "
    labels = f", labels in the order of {about['label_order']}" if about["label_order"] else ""
    phases = " (ED and ES are separate volumes)" if prepared.cases["phase"].any() else ""
    printed = "" if settings.data.dataset == "custom" else "Paper: as printed, single runs. "
    notes = [
        f"Here: mean over the test volumes{phases}, then over classes, ± standard deviation over seeds. "
        f"{printed}HD95 is in voxels, as the peers compute it.",
        f"Data: {kind}{about['format']}{labels}; {', '.join(counts)} patients of the split {about['split']}.",
        f"Settings: profile {settings.profile}, width {segmentation.width}, {segmentation.image_size} px, at most "
        f"{segmentation.epochs} epochs, seeds {', '.join(map(str, segmentation.seeds))}.",
        f"Checkpoint rule: {segmentation.selection}. Policy for empty masks: {policy}.",
    ]
    if shipped := sorted(set(scores["seed"]) - set(segmentation.seeds)):
        seeds = ", ".join(map(str, shipped))
        notes.append(f"Seeds {seeds} were trained before with the same settings; their scores come with the kit.")
    if trained := sorted(set(scores["model"]) & set(BASELINES)):
        notes.append(f"Competitors, trained here {_start(segmentation.pretrained)}: {', '.join(trained)}.")
    if segmentation.loss:
        notes.append(f"Loss: {outside_label(segmentation.loss)}, in place of the paper's.")
    notes += _about_maps(settings.attention)
    if outside := sorted(filter(is_outside, set(scores["model"]))):
        notes.append(f"From outside the kit, by file and name: {', '.join(outside)}.")
    if settings.data.spacing:
        notes.append("Voxel edges come from the table of data.spacing.")
    if settings.data.dataset in UNBUILT:
        notes.append(UNBUILT[settings.data.dataset])
    if phantoms:
        notes.append("The paper scored patients, this run scored phantoms: the difference would mean nothing.")
    if segmentation.augment:
        notes += flip_note(prepared.classes.names)
    if segmentation.selection == "peer-on-test":
        notes.append("The checkpoints were chosen ON THE TEST CASES, as some peers do, so the scores are too high.")
    left_out = prepared.cases.loc[prepared.cases["split"] == "left out", "patient"].unique()
    notes += [f"{name} is left out of training because validation or test hold the same scan." for name in left_out]
    return notes + _never_found(scores)


def _start(pretrained: str) -> str:
    """Say from which weights the encoders of the competitors start."""
    if not pretrained:
        return "from scratch"
    return "with encoders from ImageNet" if pretrained == "hub" else f"with encoders from {Path(pretrained).name}"


def _about_maps(settings: AttentionSettings) -> list[str]:
    """Say what networks get in place of the maps of a fine-tuned ViT."""
    notes = []
    if settings.control != "none":
        notes.append(f"Control: in place of its maps, each slice has {_CONTROLS[settings.control]}.")
    if settings.control in ("constant", "image"):  # no map is left
        return notes
    if settings.maps:
        notes.append(f"Maps: those of the folder {Path(settings.maps).name}, in place of a ViT's.")
    elif settings.backbone != "finetuned":
        notes.append(f"Maps: those of a ViT {_WEIGHTS[settings.backbone]}.")
    return notes


def _with_failures(table: pd.DataFrame, models: pd.Series, scores: pd.DataFrame) -> pd.DataFrame:
    """Name failed trainings in a column beside the rows of their models; a table without any stays as it is."""
    failed = failed_trainings(scores)
    if failed.empty:
        return table
    named = {
        model: "; ".join(f"seed {seed}: no {names}" for (_, seed), names in group.items())
        for model, group in failed.groupby(level="model")
    }
    return table.assign(Failed=[named.get(model, "") for model in models])


def _never_found(scores: pd.DataFrame) -> list[str]:
    return [
        f"{model}, seed {seed}: this training failed; it finds no voxel of {names} in any test volume."
        for (model, seed), names in failed_trainings(scores).items()
    ]


def _full_form(model: str) -> str:
    return model.removesuffix("-small").removesuffix("-published")


def _paper_row(line: Mapping[Hashable, Any], class_names: Sequence[str]) -> dict[str, str]:
    distance = line.get("hd95", math.nan)  # Table 1 alone has it, and not in every row
    row = {"Method": line["method"] + line["marker"], "By": "paper", "DSC (%)": f"{float(line['dsc']):.2f}"}
    row |= {"HD95 (voxels)": spread(distance, math.nan), "Difference": ""}
    return row | {name: f"{float(line[name.lower()]):.2f}" for name in class_names}


def _our_row(model: str, ours: pd.DataFrame, class_names: Sequence[str], paper: float | None) -> dict[str, str]:
    mean = ours.loc[(model, "mean")]
    row = {"Method": model, "By": "here", "DSC (%)": spread(mean["dsc"], mean["dsc_std"])}
    row["HD95 (voxels)"] = spread(mean["hd95_vox"], mean["hd95_vox_std"])
    row["Difference"] = "" if paper is None else f"{mean['dsc'] - paper:+.2f}"
    cells = {name: ours.loc[(model, name)] for name in class_names}
    return row | {name: spread(cell["dsc"], cell["dsc_std"]) for name, cell in cells.items()}


def spread(mean: float, deviation: float) -> str:
    """Format mean ± deviation; without a deviation (one seed) the mean alone, without a mean an empty text."""
    if pd.isna(mean):
        return ""
    return f"{mean:.2f}" if pd.isna(deviation) else f"{mean:.2f} ± {deviation:.2f}"
