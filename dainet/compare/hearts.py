"""What segmentations say to a doctor: milliliters, a heart's ejection fraction and mass, and agreement with labels."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from dainet.compare.comparisons import compare_networks, comparisons_of, difference_text, interval_text, or_none
from dainet.compare.scores import Scored
from dainet.reporting.charts import WIDTH, label_axes, new_figure
from dainet.reporting.style import in_style

__all__ = ["agreement_figure", "agreement_table", "ef_table", "heart_numbers", "milliliters"]

_NUMBERS = ("lv_edv", "lv_esv", "lv_ef", "rv_edv", "rv_esv", "rv_ef", "mass")
_WHOLE = {(name, phase) for name in ("RV", "Myo", "LV") for phase in ("ED", "ES")}
_SPACING = ["spacing_z_mm", "spacing_y_mm", "spacing_x_mm"]
_DENSITY = 1.05  # g/ml of myocardium
_WRONG_EF, _LOW_EF = 5.0, 40.0  # points of ejection fraction: a large error, and the border of a reduced one
_TITLES = {
    "lv_edv": "LV EDV (ml)",
    "lv_esv": "LV ESV (ml)",
    "lv_ef": "LV EF (points)",
    "rv_ef": "RV EF (points)",
    "mass": "Mass (g)",
}
_COUNTS: dict[str, Callable[[pd.Series, pd.Series], pd.Series]] = {  # of errors and labels
    f"EF wrong by more than {_WRONG_EF:.0f}": lambda errors, _: ~(errors.abs() <= _WRONG_EF),
    f"Changes side of EF {_LOW_EF:.0f} %": lambda errors, truth: (
        errors.notna() & ((truth < _LOW_EF) != (truth + errors < _LOW_EF))
    ),
    "No EF": lambda errors, _: errors.isna(),
}
_EF_MARGIN = 1.0  # points of ejection fraction (docs/claims.md, "For a reader who treats hearts")


def milliliters(scores: pd.DataFrame, points: float) -> pd.DataFrame:
    """Say what a few points of DSC are in milliliters: one row per class and phase, of a mean labeled volume.

    A mask that is right but for a surplus of the share e has DSC = 2 / (2 + e), so near 1, e is twice what DSC loses. A
    surplus in one place and a lack in another cost DSC too, and no volume at all.

    Args:
        scores: per case and class, as for `heart_numbers`; without spacing the volumes are NaN.
        points: 0 to 100.
    """
    labeled = scores.drop_duplicates(["case_id", "class"])
    volumes = labeled.assign(ml=labeled["labeled_voxels"] * _voxel_ml(labeled))
    means = volumes.groupby(["class", "phase"], sort=False, dropna=False)["ml"].mean().reset_index()
    return means.assign(**{f"{points} points": means["ml"] * 2 * points / 100})


def heart_numbers(scores: pd.DataFrame) -> pd.DataFrame:
    """Compute the numbers of every heart from voxel counts, predicted and labeled.

    Args:
        scores: per case and class (RV, Myo, LV) at ED and ES: model, fold (if there are several), seed, patient, phase,
            class, predicted_voxels, labeled_voxels, spacing_z_mm, spacing_y_mm, spacing_x_mm. Other organs, and
            hearts without both phases or without spacing, give a table without rows.

    Returns:
        Per model, fold, seed, patient and source ("predicted" or "labeled"): lv_edv, lv_esv, rv_edv, rv_esv (ml), lv_ef
        and rv_ef = 100 (EDV - ESV) / EDV (percent; NaN without a volume), mass (g, myocardium at ED).
    """
    names = ["model", "fold", "seed", "patient"]
    scores = scores.dropna(subset=_SPACING)
    if not set(zip(scores["class"], scores["phase"], strict=True)) >= _WHOLE:
        return pd.DataFrame(columns=[*names, *_NUMBERS, "source"])
    scores = scores if "fold" in scores else scores.assign(fold=1)
    parts = []
    for source in ("predicted", "labeled"):
        volumes = scores.assign(ml=scores[f"{source}_voxels"] * _voxel_ml(scores))
        wide = volumes.pivot_table(index=names, columns=["class", "phase"], values="ml")
        table = pd.DataFrame({"mass": _DENSITY * wide["Myo", "ED"]})
        for short, name in (("lv", "LV"), ("rv", "RV")):
            end_diastole, end_systole = wide[name, "ED"], wide[name, "ES"]
            table[f"{short}_edv"], table[f"{short}_esv"] = end_diastole, end_systole
            table[f"{short}_ef"] = 100 * (end_diastole - end_systole) / end_diastole.where(end_diastole > 0)
        parts.append(table.assign(source=source))
    return pd.concat(parts).reset_index()


def agreement_table(numbers: pd.DataFrame) -> pd.DataFrame:
    """Compare predicted with labeled hearts, per network: bias and limits of agreement (Bland and Altman), EF errors.

    All is computed for each seed and averaged, so that networks with other numbers of seeds can be compared. A heart
    whose EF a training cannot give (no volume at ED) counts as wrong, and is left out of the errors.
    """
    lines = []
    for model, own in numbers.groupby("model", sort=False):
        seeds = [_errors(part) for _, part in own.groupby("seed")]
        row: dict[str, Any] = {"Network": model}
        for name, title in _TITLES.items():
            row[title] = _limits([errors[name] for errors, _ in seeds])
        ef = [(errors["lv_ef"], labeled["lv_ef"]) for errors, labeled in seeds]
        error = np.mean([errors.abs().mean() for errors, _ in ef])
        row["Mean absolute error of LV EF"] = "-" if np.isnan(error) else f"{error:.2f}"
        row |= {name: _of(count, ef) for name, count in _COUNTS.items()}
        lines.append(row)
    return pd.DataFrame(lines)


def _of(count: Callable[[pd.Series, pd.Series], pd.Series], ef: Sequence[tuple[pd.Series, pd.Series]]) -> str:
    """Count hearts by errors and labels of their EF: "2 of 20", mean over seeds."""
    known = [(errors[labeled.notna()], labeled.dropna()) for errors, labeled in ef]
    return f"{round(np.mean([count(*each).sum() for each in known]), 1):g} of {len(known[0][1])}"


def ef_table(scored: Scored, numbers: pd.DataFrame) -> pd.DataFrame:
    """Compare by how many points networks miss the LV's ejection fraction; a negative difference is a smaller error.

    A patient's error is the mean of a network's trainings. Patients whose EF any training cannot give (no volume at ED)
    are left out; `agreement_table` counts them by network. The 90 % interval is held against the margin of
    docs/claims.md.
    """
    lines, errors = [], _ef_errors(numbers)
    for line in comparisons_of(scored):
        row = {"Comparison": line.title, "Patients": str(errors["patient"].nunique())}
        result = or_none(partial(compare_networks, scored, line, errors, "error"))
        row["Difference of mean absolute EF errors (95 %)"] = difference_text(result)
        if result is not None:
            low, high = result.interval(0.90)
            row["90 %"] = interval_text(low, high)
            row[f"Within {_EF_MARGIN:.0f} point"] = "yes" if max(-low, high) <= _EF_MARGIN else "no"
        lines.append(row)
    return pd.DataFrame(lines).fillna("")


def _ef_errors(numbers: pd.DataFrame) -> pd.DataFrame:
    names = ["model", "fold", "seed", "patient"]
    wide = numbers.set_index([*names, "source"])["lv_ef"].unstack("source")
    errors = (wide["predicted"] - wide["labeled"]).abs().rename("error").reset_index()
    return errors[~errors["patient"].isin(errors.loc[errors["error"].isna(), "patient"])]


@in_style
def agreement_figure(numbers: pd.DataFrame, models: tuple[str, ...]) -> Figure:
    """Draw Bland-Altman plots of the LV's ejection fraction, one panel per network.

    A point is a patient's mean over trainings; lines are bias and limits of a single training, as in `agreement_table`.
    """
    alt = "Bland-Altman plots of the left ventricle's ejection fraction, predicted and labeled, one panel per network"
    figure = new_figure(WIDTH, 3.6, alt)
    panels = figure.subplots(1, len(models), sharex=True, sharey=True, squeeze=False)[0]
    for panel, model in zip(panels, models, strict=True):
        own = numbers[numbers["model"] == model]
        errors, labeled = _errors(own)
        ef, truth = errors["lv_ef"].dropna(), labeled["lv_ef"]
        panel.plot(truth[ef.index] + ef / 2, ef, "o", markersize=3.5, alpha=0.6, color="#0072b2")
        seeds = [_errors(part)[0]["lv_ef"] for _, part in own.groupby("seed")]
        bias, half = _bias_and_half(seeds)
        for height, style in ((bias, "-"), (bias - half, "--"), (bias + half, "--")):
            panel.axhline(height, color="black", linewidth=0.9, linestyle=style)
        panel.set_title(f"{model}: {_limits(seeds)}", fontsize=9)
        label_axes(panel, "Mean of predicted and labeled EF (%)", "Predicted - labeled (points)")
        panel.label_outer()
    return figure


def _voxel_ml(scores: pd.DataFrame) -> pd.Series:
    return scores[_SPACING].prod(axis=1, skipna=False) / 1000


def _errors(own: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return predicted - labeled and labeled numbers per patient, of means over the seeds given."""
    means = own.groupby(["source", "patient"])[list(_NUMBERS)].mean()
    return means.loc["predicted"] - means.loc["labeled"], means.loc["labeled"]


def _limits(seeds: Sequence[pd.Series]) -> str:
    """Return bias and limits of agreement from the errors of each seed."""
    if min(errors.count() for errors in seeds) < 2:
        return "-"
    bias, half = _bias_and_half(seeds)
    return f"{bias:+.1f} ({bias - half:+.1f} to {bias + half:+.1f})"


def _bias_and_half(seeds: Sequence[pd.Series]) -> tuple[float, float]:
    """Return the mean error, and how far the limits of agreement lie from it: of each seed, then averaged."""
    bias = np.mean([errors.mean() for errors in seeds])
    half = 1.96 * np.sqrt(np.mean([errors.var() for errors in seeds]))
    return float(bias), float(half)
