"""The networks of a plan: their scores, and how much their trainings differ."""

from __future__ import annotations

from functools import partial

import numpy as np
import pandas as pd
from scipy import stats

from dainet.compare.analysis import Spread, spread_of
from dainet.compare.comparisons import (
    lenders,
    networks_of,
    or_none,
)
from dainet.compare.failures import FAR_MM, failed
from dainet.compare.scores import Scored, fold_scores

__all__ = ["networks_table", "spread_table", "volumes_table"]

_DEVIATION = "Standard deviation (points)"


def spread_table(scored: Scored) -> pd.DataFrame:
    """Compute how much trainings of a network differ: standard deviation of their means, with chi-square intervals."""
    lines, spreads = [], {}
    for name in networks_of(scored):
        row, spread = {"Network": name}, or_none(partial(spread_of, fold_scores(scored.scores, name)))
        if spread is not None:
            spreads[name] = spread
            ends = stats.chi2.ppf((0.975, 0.025), spread.training_freedom)
            low, high = np.sqrt(spread.training * spread.training_freedom / ends)
            row |= {_DEVIATION: f"{np.sqrt(spread.training):.2f}", "95 % (chi-square)": f"{low:.2f} to {high:.2f}"}
            row["Degrees of freedom"] = str(spread.training_freedom)
        lines.append(row)
    first, second = lenders(scored)
    if {first, second} <= set(spreads) and spreads[first].training > 0:
        found = _f_test(spreads[second], spreads[first])
        lines.append({"Network": f"F test, {second} / {first}", _DEVIATION: found})
    return pd.DataFrame(lines).fillna("")


def _f_test(above: Spread, below: Spread) -> str:
    ratio = above.training / below.training
    tail = stats.f.sf(ratio, above.training_freedom, below.training_freedom)
    return f"F {ratio:.2f}, p {2 * min(tail, 1 - tail):.2g}"


def networks_table(scored: Scored) -> pd.DataFrame:
    """Describe every network: DSC as the mean of trainings, distances in mm, failures, surface Dice."""
    lines = []
    for name in networks_of(scored):
        own = scored.scores[scored.scores["model"] == name]
        trainings = 100 * own.groupby(["fold", "seed", "patient"])["dsc"].mean().groupby(["fold", "seed"]).mean()
        row = {"Network": name, "Trainings": str(len(trainings)), "DSC (%)": f"{trainings.mean():.2f}"}
        row |= {each: f"{100 * part['dsc'].mean():.2f}" for each, part in own.groupby("class", sort=False)}
        row["HD95 (mm), median (quartiles)"] = _quartiles(own["hd95_mm"])
        row["Surface distance (mm), median (quartiles)"] = _quartiles(own["assd_mm"])
        dice = 100 * own["surface_dice_2mm"].mean()
        row["Surface Dice at 2 mm (%)"] = "" if np.isnan(dice) else f"{dice:.1f}"
        failures = f"{failed(own).sum()} of {len(own)}"
        lines.append(row | {f"Failures (HD95 > {FAR_MM:.0f} mm, or empty)": failures})
    return pd.DataFrame(lines)


def volumes_table(scored: Scored) -> pd.DataFrame:
    """Describe by how many percent of the labeled volume every network is off, per class: median (quartiles).

    A missed organ counts as -100 %; cases whose label does not show the class have no such number. Without rows where
    scores hold no voxel counts.
    """
    if "predicted_voxels" not in scored.scores:
        return pd.DataFrame()
    scores = scored.scores[scored.scores["labeled_voxels"] > 0]
    errors = scores.assign(off=100 * (scores["predicted_voxels"] / scores["labeled_voxels"] - 1))
    lines = []
    for name in networks_of(scored):
        classes = errors[errors["model"] == name].groupby("class", sort=False)["off"]
        row = {f"{each}, volume (%), median (quartiles)": _quartiles(off, "+.1f") for each, off in classes}
        lines.append({"Network": name} | row)
    return pd.DataFrame(lines)


def _quartiles(values: pd.Series, form: str = ".1f") -> str:
    low, middle, high = values.quantile([0.25, 0.5, 0.75])
    return "" if np.isnan(middle) else f"{middle:{form}} ({low:{form}} to {high:{form}})"
