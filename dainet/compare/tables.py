"""The tables of a plan beside its questions: parts, spread of trainings, and scores of networks."""

from __future__ import annotations

from functools import partial

import numpy as np
import pandas as pd
from scipy import stats

from dainet.compare.analysis import spread_of
from dainet.compare.comparisons import compare_networks, difference_text, lenders, or_none
from dainet.compare.scores import Scored, fold_scores

__all__ = ["networks_table", "parts_table", "spread_table"]

_FAR_MM = 20.0  # an HD95 beyond this is a failure


def parts_table(scored: Scored) -> pd.DataFrame:
    """Compute the judged comparisons by pathology, phase and class, with 95 % intervals and without tests."""
    lines = []
    for line in (each for each in scored.plan.comparisons if each.role != "exploratory"):
        for column, title in (("group", "Pathology"), ("phase", "Phase"), ("class", "Class")):
            for name, part in scored.scores.groupby(column):
                if name:
                    result = difference_text(or_none(partial(compare_networks, scored, line, part)))
                    row = {"Comparison": f"{line.first} - {line.second}", "By": title, "Part": name}
                    lines.append(
                        row | {"Patients": str(part["patient"].nunique()), "Difference": difference_text(result)}
                    )
    return pd.DataFrame(lines)


def spread_table(scored: Scored) -> pd.DataFrame:
    """Compute how much trainings of a network differ: standard deviation of their means, with chi-square intervals."""
    lines, primary = [], lenders(scored)
    networks = {name: fold_scores(scored.scores, name) for name in scored.plan.networks}
    spreads = {name: or_none(partial(spread_of, folds)) for name, folds in networks.items()}
    for name, spread in spreads.items():
        row = {"Network": name}
        if spread is not None:
            ends = stats.chi2.ppf((0.975, 0.025), spread.training_freedom)
            low, high = np.sqrt(spread.training * spread.training_freedom / ends)
            row |= {
                "Standard deviation (points)": f"{np.sqrt(spread.training):.2f}",
                "95 %": f"{low:.2f} to {high:.2f}",
            }
            row["Degrees of freedom"] = str(spread.training_freedom)
        lines.append(row)
    known = [spreads[name] for name in primary]
    if len(known) == 2 and all(known):
        first, second = known
        ratio = second.training / first.training
        tail = stats.f.sf(ratio, second.training_freedom, first.training_freedom)
        p = 2 * min(tail, 1 - tail)
        lines.append(
            {
                "Network": f"F test, {primary[1]} / {primary[0]}",
                "Standard deviation (points)": f"F {ratio:.2f}, p {p:.2g}",
            }
        )
    return pd.DataFrame(lines).fillna("")


def networks_table(scored: Scored) -> pd.DataFrame:
    """Describe every network: DSC (mean, standard deviation of trainings), distances in mm, failures, surface Dice."""
    lines = []
    for name in scored.plan.networks:
        own = scored.scores[scored.scores["model"] == name]
        if own.empty:
            continue
        trainings = 100 * own.groupby(["fold", "seed", "patient"])["dsc"].mean().groupby(["fold", "seed"]).mean()
        row = {"Network": name, "Trainings": str(len(trainings)), "DSC (%)": f"{trainings.mean():.2f}"}
        row |= {each: f"{100 * part['dsc'].mean():.2f}" for each, part in own.groupby("class", sort=False)}
        row["HD95 (mm), median (quartiles)"] = _quartiles(own["hd95_mm"])
        row["Surface distance (mm), median (quartiles)"] = _quartiles(own["assd_mm"])
        row["Surface Dice at 2 mm (%)"] = f"{100 * own['surface_dice_2mm'].mean():.1f}"
        failed = (own["hd95_mm"] > _FAR_MM) | (own["dsc"] == 0)
        lines.append(row | {f"Failures (HD95 > {_FAR_MM:.0f} mm, or empty)": f"{failed.sum()} of {len(own)}"})
    return pd.DataFrame(lines)


def _quartiles(values: pd.Series) -> str:
    low, middle, high = values.quantile([0.25, 0.5, 0.75])
    return "" if np.isnan(middle) else f"{middle:.1f} ({low:.1f} to {high:.1f})"
