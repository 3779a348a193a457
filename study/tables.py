"""The tables of the study as they are printed: rows of text."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from torch import nn

from dainet.csv_files import read_csv
from dainet.places import repository_root
from dainet.protocol import NETWORKS, published_table
from dainet.reporting.tables import compare, spread
from dainet.segmentation.catalog import build
from dainet.segmentation.networks import parameter_count
from study.plan import PATIENTS, first_trainings
from study.verdicts import BADLY_TRAINED, cost_verdict

__all__ = [
    "HEADS",
    "calibration_table",
    "claims_table",
    "heads_table",
    "models_table",
    "regimes_table",
    "robustness_table",
]

_NETWORK, _HYBRID = "dual-1111 (width 64)", "transunet"  # rows of benchmarks/results/networks-counts.csv
_COSTS = ("Parameters (M)", "GFLOP per image")  # columns of numbers there
HEADS = ("head", "auroc", "iou", "slices")  # columns of numbers in the scores of the heads
_CLASSES = ("RV", "Myo", "LV")
_BOOTSTRAP, _T = "95 % (patients and seeds)", "95 % (patients and trainings, t)"


def claims_table(family: pd.DataFrame, with_costs: bool = False) -> pd.DataFrame:
    """Format a family of claims with verdicts as text; rows that have not run keep their claim.

    Args:
        family: lines of `study.verdicts.judge`.
        with_costs: whether the claim about computation costs follows at the end.
    """
    rows = [_claim_row(line) for line in family.to_dict("records")] + ([_cost_row()] if with_costs else [])
    table = pd.DataFrame(rows).fillna("")
    return table[[name for name in table if name != "Verdict"] + ["Verdict"]]


def robustness_table(lines: pd.DataFrame) -> pd.DataFrame:
    """Format the comparisons that have run: their differences in other ways than by the mean and its bootstrap.

    Args:
        lines: of `study.verdicts.judge`, with the column validation (points; missing where nothing was validated).
    """
    rows = [
        {"Comparison": _comparison(line), "Seeds": f"{line['seeds']:.0f}"}
        | {"Difference": _signed(line["difference"]), "95 % (patients)": _interval(line["low"], line["high"])}
        | _robust_cells(line)
        | {
            "As claimed in": f"{line['agreeing']:.0f} of {line['patients']:.0f}",
            "d of one training": _signed(line["d"]),
        }
        for line in lines[lines["verdict"] != "not run"].to_dict("records")
    ]
    return pd.DataFrame(rows)


def regimes_table(table: pd.DataFrame) -> pd.DataFrame:
    """Format the regimes: number of training patients, both networks, and their difference.

    Args:
        table: see `study.verdicts.regimes`, with the column validation (points).
    """
    rows = [
        {"Training patients": str(line["train_patients"]), "Seeds": str(line["seeds"])}
        | {"unet DSC (%)": spread(line["second_mean"], line["second_std"])}
        | {"dual-1111 DSC (%)": spread(line["first_mean"], line["first_std"])}
        | {"Difference": _signed(line["difference"]), _BOOTSTRAP: _interval(line["low_seeds"], line["high_seeds"])}
        | _robust_cells(line)
        for line in table.to_dict("records")
    ]
    return pd.DataFrame(rows)


def models_table(scores: pd.DataFrame) -> pd.DataFrame:
    """Compare every network with 40 training patients with the paper's row: DSC (%), HD95 (voxels), parameters."""
    published = pd.concat([published_table("acdc", "table2"), published_table("acdc", "table3")])
    published = published[published["model"].isin(NETWORKS["ablation"])].drop_duplicates("model")
    table = compare(published, scores[scores["train_patients"] == PATIENTS], _CLASSES, "strict")
    return table.drop(columns="Difference").assign(
        **{"Parameters (M)": [_parameters(name) for name in table["Method"]]}
    )


def heads_table(heads: pd.DataFrame) -> pd.DataFrame:
    """Format AUROC and IoU of the best head and the mean AUROC of all heads, for all classes together and for each."""
    groups = heads.groupby(["weights", "class"], sort=False)
    table = groups.agg(best=("auroc", "max"), mean=("auroc", "mean"), iou=("iou", "max"), slices=("slices", "first"))
    titles = {"weights": "Weights", "class": "Class", "best": "AUROC, best head", "mean": "AUROC, mean of heads"}
    titles |= {"iou": "IoU, best head", "slices": "Slices"}
    return table.round(3).reset_index().rename(columns=titles).astype(str)


def calibration_table(lines: pd.DataFrame) -> pd.DataFrame:
    """Format simulated rates of errors and of findings.

    Args:
        lines: see `study.calibration.calibrate`.
    """
    named = {"patients": "Wrong: 95 % (patients)", "rule": "Wrong: the rule", "t": f"Wrong: {_T}"}
    effects = [name for name in lines if name not in {"differ", "trainings", "seeds", *named}]
    named |= {effect: f"Rule finds +{effect}" for effect in effects}
    table = pd.DataFrame({"Patients differ by": lines["differ"].map("{:.1f}".format)})
    table["Trainings differ by"], table["Seeds"] = lines["trainings"].astype(str), lines["seeds"].astype(str)
    return table.assign(**{title: (100 * lines[name]).map("{:.0f} %".format) for name, title in named.items()})


def _claim_row(line: dict[str, Any]) -> dict[str, str]:
    row = {"Claim": str(line["claim"]), "Comparison": _comparison(line)}
    if "paper" in line:
        row["Paper"] = _signed(line["paper"])
    if line["verdict"] != "not run":
        row |= {"First": spread(line["better_mean"], line["better_std"])}
        row |= {"Second": spread(line["worse_mean"], line["worse_std"]), "Difference": _signed(line["difference"])}
        row[_BOOTSTRAP] = _interval(line["low_seeds"], line["high_seeds"])
        row["p (patients only, Holm)"] = f"{line['p']:.2g}" if line["p"] >= 0.001 else "< 0.001"
    return row | {"Verdict": line["verdict"] + ("†" if line["worse"] in BADLY_TRAINED else "")}


def _cost_row() -> dict[str, str]:
    counted = repository_root() / "benchmarks" / "results" / "networks-counts.csv"
    costs = read_csv(counted, numbers=_COSTS).set_index("Network")
    counts = [
        f"{costs.loc[name, 'Parameters (M)']:.1f} M, {costs.loc[name, 'GFLOP per image']:.0f} GFLOP"
        for name in (_NETWORK, _HYBRID)
    ]
    row = {"Claim": "much fewer computation costs than a hybrid", "Comparison": f"{_NETWORK} - {_HYBRID}"}
    return row | {"First": counts[0], "Second": counts[1], "Verdict": cost_verdict(costs, _NETWORK, _HYBRID)}


def _robust_cells(line: dict[str, Any]) -> dict[str, str]:
    cells = {_T: _interval(line.get("low_t", np.nan), line.get("high_t", np.nan), 2)}
    names = {"Median": "median", "Trimmed mean": "trimmed", "Validation": "validation"}
    return cells | {title: _signed(line.get(name, np.nan)) for title, name in names.items()}


def _comparison(line: dict[str, Any]) -> str:
    unit = "DSC of LV" if line["class"] == "LV" else {"dsc": "DSC", "hd95_vox": "HD95"}[str(line["measure"])]
    return f"{line['better']} - {line['worse']} ({unit})"


def _parameters(method: str) -> str:
    """Return the parameters (M) of a network of the plan, at the width of its trainings; empty for other rows."""
    trained = first_trainings()
    if method not in trained:
        return ""
    training = trained[method]
    width = training.settings({}).segmentation.width
    network = build(training.network, width=width)
    # They still had a bias in every convolution before a batch norm: one number for each channel of the norm.
    biases = sum(layer.num_features for layer in network.modules() if isinstance(layer, nn.BatchNorm2d))
    return f"{(parameter_count(network) + biases) / 1e6:.2f}"


def _interval(low: float, high: float, decimals: int = 1) -> str:
    """Format an interval: with one decimal where it is resampled, because another draw changes the second."""
    return "" if np.isnan(low) else f"{low:+.{decimals}f} to {high:+.{decimals}f}"


def _signed(value: float) -> str:
    return "" if np.isnan(value) else f"{value:+.2f}"
