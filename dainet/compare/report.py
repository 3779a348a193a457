"""The tables of a plan: its questions with verdicts, the checks beside them, parts, spread and scores of networks."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import pandas as pd
from scipy import stats

from dainet.compare.analysis import (
    Difference,
    difference,
    fold_difference,
    patient_difference,
    spread_of,
    verdict,
)
from dainet.compare.mixed_model import mixed_model_error
from dainet.compare.plan import Comparison
from dainet.compare.scores import Scored, fold_scores
from dainet.errors import InputError

__all__ = [
    "checks_table",
    "compare_networks",
    "joint_verdict",
    "networks_table",
    "parts_table",
    "questions_table",
    "spread_table",
]

_MOVERS = 3  # patients that move a difference most
_FAR_MM = 20.0  # an HD95 beyond this is a failure


def compare_networks(
    scored: Scored, line: Comparison, scores: pd.DataFrame | None = None, column: str = "dsc"
) -> Difference:
    """Compute the difference of a comparison by `dainet.compare.analysis`, also from a part of the scores.

    A network with a single seed borrows the spread of the networks of the first comparison; after a first wave of
    one seed each, folds are the sample, or in a single fold its patients.
    """
    scores = scored.scores if scores is None else scores
    first, second = (fold_scores(scores, name, column) for name in (line.first, line.second))
    seeds = [min(len(fold) for fold in network) for network in (first, second)]
    if min(seeds) > 1:
        return difference(first, second)
    lenders = [fold_scores(scores, name, column) for name in _lenders(scored)]
    if all(len(fold) == 1 for network in lenders for fold in network):
        return fold_difference(first, second) if len(first) > 1 else patient_difference(first[0], second[0])
    return difference(first, second, spread_of(*lenders))


def questions_table(scored: Scored) -> pd.DataFrame:
    """Judge the comparisons in their order: differences with 95 and 90 % intervals, errors and verdicts.

    A secondary question is judged only where the one before it has a verdict other than "inconclusive". One training
    of each network in one fold is not judged at all.
    """
    lines, asked, enough = [], True, len(scored.scores[["fold", "seed"]].drop_duplicates()) > 1
    for line in scored.plan.comparisons:
        result = compare_networks(scored, line)
        judged = enough and (line.role == "primary" or (line.role == "secondary" and asked))
        word = _verdict(scored, line, result) if judged else "not judged"
        if judged:
            asked = not word.startswith("inconclusive")
        low, high = result.interval(0.95)
        row = {"Question": line.question, "Role": line.role, "Comparison": f"{line.first} - {line.second}"}
        row |= {"Difference": f"{result.estimate:+.2f}", "95 %": _between(low, high)}
        row |= {"90 %": _between(*result.interval(0.90)), "Error": f"{result.error:.3f}"}
        row |= {"Error (mixed model)": _mixed(scored, line), "Degrees of freedom": f"{result.freedom:.0f}"}
        row |= {"Trainings": _trainings(scored, line), "Paper": "" if line.paper is None else f"{line.paper:+.2f}"}
        row["Interval contains the paper's"] = "" if line.paper is None else _yes(low <= line.paper <= high)
        lines.append(row | {"Verdict": word})
    return pd.DataFrame(lines)


def joint_verdict(questions: pd.DataFrame) -> str:
    """Judge a claim that needs every primary question of `questions_table`; empty where one is not judged.

    "supported" if all are, "contradicted" if one is, else "inconclusive"; since all must hold, no correction is needed.
    """
    words = list(questions.loc[questions["Role"] == "primary", "Verdict"])
    if not words or "not judged" in words:
        return ""
    if any(word.startswith("contradicted") for word in words):
        return "contradicted"
    return "supported" if all(word.startswith("supported") for word in words) else "inconclusive"


def checks_table(scored: Scored) -> pd.DataFrame:
    """Compute what is always printed beside a difference (docs/claims.md, "Checks"), in points of DSC."""
    lines = []
    for line in scored.plan.comparisons:
        result, deltas = compare_networks(scored, line), _patient_deltas(scored, line)
        fresh = scored.scores[scored.scores["fold"] != 1]
        row = {"Comparison": f"{line.first} - {line.second}", "Difference": f"{result.estimate:+.2f}"}
        row["Folds after the first"] = _short(_or_none(partial(compare_networks, scored, line, fresh)))
        row |= {"Median": f"{deltas.median():+.2f}", "Trimmed mean (20 %)": f"{stats.trim_mean(deltas, 0.2):+.2f}"}
        row[f"Without {_MOVERS} patients"] = _short(_or_none(partial(_without_movers, scored, line)))
        row["Validation patients"] = f"{_validation(scored, line.first) - _validation(scored, line.second):+.2f}"
        row["Last epoch"] = _short(compare_networks(scored, line, column="dsc_last_epoch"))
        signs = np.sign(deltas) == np.sign(result.estimate)
        row["Patients of this sign"] = f"{signs.sum()} of {len(signs)}"
        lines.append(row | {"Trainings of this sign": _training_signs(scored, line, result)})
    return pd.DataFrame(lines)


def parts_table(scored: Scored) -> pd.DataFrame:
    """Compute the judged comparisons by pathology, phase and class, with 95 % intervals and without tests."""
    lines = []
    for line in (each for each in scored.plan.comparisons if each.role != "exploratory"):
        for column, title in (("group", "Pathology"), ("phase", "Phase"), ("class", "Class")):
            for name, part in scored.scores.groupby(column):
                if name:
                    result = _or_none(partial(compare_networks, scored, line, part))
                    row = {"Comparison": f"{line.first} - {line.second}", "By": title, "Part": name}
                    lines.append(row | {"Patients": str(part["patient"].nunique()), "Difference": _short(result)})
    return pd.DataFrame(lines)


def spread_table(scored: Scored) -> pd.DataFrame:
    """Compute how much trainings of a network differ: standard deviation of their means, with chi-square intervals."""
    lines, primary = [], _lenders(scored)
    networks = {name: fold_scores(scored.scores, name) for name in scored.plan.networks}
    spreads = {name: _or_none(partial(spread_of, folds)) for name, folds in networks.items()}
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


def _lenders(scored: Scored) -> list[str]:
    line = scored.plan.comparisons[0]
    return [line.first, line.second]


def _verdict(scored: Scored, line: Comparison, result: Difference) -> str:
    """Judge, and say where few patients carry the verdict."""
    word = verdict(result, scored.plan.margin)
    rest = _or_none(partial(_without_movers, scored, line))
    without = word if rest is None else verdict(rest, scored.plan.margin)
    return word if without == word else f"{word}; carried by few patients (without {_MOVERS} of them: {without})"


def _patient_deltas(scored: Scored, line: Comparison) -> pd.Series:
    """Return the difference of every patient, of means over seeds, in points."""
    means = 100 * scored.scores.groupby(["model", "patient", "seed"])["dsc"].mean().groupby(["model", "patient"]).mean()
    return (means[line.first] - means[line.second]).dropna()


def _without_movers(scored: Scored, line: Comparison) -> Difference:
    deltas = _patient_deltas(scored, line)
    movers = (deltas - deltas.mean()).abs().nlargest(_MOVERS).index
    return compare_networks(scored, line, scored.scores[~scored.scores["patient"].isin(movers)])


def _validation(scored: Scored, name: str) -> float:
    """Return the mean validation DSC of a network's trainings at their chosen epochs, in points."""
    own = scored.histories[scored.histories["model"] == name]
    return 100 * own.groupby(["fold", "seed"])["dsc"].max().groupby("fold").mean().mean()


def _training_signs(scored: Scored, line: Comparison, result: Difference) -> str:
    means = scored.scores.groupby(["model", "fold", "seed"])["dsc"].mean()
    pairs = (means[line.first] - means[line.second]).dropna()
    return f"{(np.sign(pairs) == np.sign(result.estimate)).sum()} of {len(pairs)} pairs"


def _trainings(scored: Scored, line: Comparison) -> str:
    counts = scored.scores.groupby("model")[["fold", "seed"]].apply(lambda part: len(part.drop_duplicates()))
    return f"{counts[line.first]} and {counts[line.second]}"


def _mixed(scored: Scored, line: Comparison) -> str:
    folds = [fold_scores(scored.scores, name) for name in (line.first, line.second)]
    if min(len(fold) for network in folds for fold in network) == 1:
        return "not fitted: one seed"
    return f"{mixed_model_error(*folds)[1]:.3f}"


def _or_none(compute: Callable[[], Any]) -> Any:
    try:
        return compute()
    except InputError:
        return None


def _quartiles(values: pd.Series) -> str:
    low, middle, high = values.quantile([0.25, 0.5, 0.75])
    return "" if np.isnan(middle) else f"{middle:.1f} ({low:.1f} to {high:.1f})"


def _short(result: Difference | None) -> str:
    if result is None:
        return "too few"
    return f"{result.estimate:+.2f} ({_between(*result.interval(0.95))})"


def _between(low: float, high: float) -> str:
    return f"{low:+.2f} to {high:+.2f}"


def _yes(value: bool) -> str:
    return "yes" if value else "no"
