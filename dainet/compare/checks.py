"""The checks that are printed beside every difference (docs/claims.md, "Checks")."""

from __future__ import annotations

from functools import partial

import numpy as np
import pandas as pd
from scipy import stats

from dainet.compare.analysis import Difference
from dainet.compare.comparisons import (
    MOVERS,
    compare_networks,
    comparisons_of,
    difference_text,
    or_none,
    patient_differences,
    without_movers,
)
from dainet.compare.plan import Comparison
from dainet.compare.scores import Scored

__all__ = ["checks_table", "validation_difference"]


def checks_table(scored: Scored) -> pd.DataFrame:
    """Compute what is always printed beside a difference (docs/claims.md, "Checks"), in points of DSC."""
    lines = []
    for line in comparisons_of(scored):
        result, deltas = compare_networks(scored, line), patient_differences(scored, line)
        fresh = scored.scores[scored.scores["fold"] != 1]
        row = {"Comparison": line.title, "Difference": f"{result.estimate:+.2f}"}
        row["Folds after the first"] = difference_text(or_none(partial(compare_networks, scored, line, fresh)))
        row |= {"Median": f"{deltas.median():+.2f}", "Trimmed mean (20 %)": f"{stats.trim_mean(deltas, 0.2):+.2f}"}
        row[f"Without {MOVERS} patients"] = difference_text(or_none(partial(without_movers, scored, line)))
        row["Validation patients"] = f"{validation_difference(scored, line):+.2f}"
        row["Last epoch"] = difference_text(compare_networks(scored, line, column="dsc_last_epoch"))
        signs = np.sign(deltas) == np.sign(result.estimate)
        row["Patients of this sign"] = f"{signs.sum()} of {len(signs)}"
        lines.append(row | {"Trainings of this sign": _training_signs(scored, line, result)})
    return pd.DataFrame(lines)


def validation_difference(scored: Scored, line: Comparison) -> float:
    """Compute the difference of a comparison on validation patients, from the means of trainings, in points."""
    return _validation(scored, line.first) - _validation(scored, line.second)


def _validation(scored: Scored, name: str) -> float:
    """Return the mean validation DSC of a network's trainings at their chosen epochs, in points."""
    own = scored.histories[scored.histories["model"] == name]
    return 100 * own.groupby(["fold", "seed"])["dsc"].max().groupby("fold").mean().mean()


def _training_signs(scored: Scored, line: Comparison, result: Difference) -> str:
    means = scored.scores.groupby(["model", "fold", "seed"])["dsc"].mean()
    pairs = (means[line.first] - means[line.second]).dropna()
    return f"{(np.sign(pairs) == np.sign(result.estimate)).sum()} of {len(pairs)} pairs"
