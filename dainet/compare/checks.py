"""The checks that are printed beside every difference (docs/claims.md, "Checks"), and how early it was there."""

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
    signed,
    without_movers,
)
from dainet.compare.plan import Comparison
from dainet.compare.scores import Scored

__all__ = ["checks_table", "convergence_table", "monitored", "validation_difference"]

_MONITORED = dict.fromkeys(("validation", "last"), "Validation patients") | {"peer-on-test": "Monitored test patients"}
_SHARES = (0.10, 0.25, 0.50, 1.00)  # of a training


def checks_table(scored: Scored) -> pd.DataFrame:
    """Compute what is always printed beside a difference (docs/claims.md, "Checks"), in points of DSC."""
    lines = []
    for line in comparisons_of(scored):
        result, deltas = compare_networks(scored, line), patient_differences(scored, line)
        fresh = scored.scores[scored.scores["fold"] != 1]
        row = {"Comparison": line.title, "Difference": f"{result.estimate:+.2f}"}
        row["Folds after the first"] = difference_text(or_none(partial(compare_networks, scored, line, fresh)))
        row |= {"Median": signed(deltas.median()), "Trimmed mean (20 %)": signed(stats.trim_mean(deltas, 0.2))}
        row[f"Without {MOVERS} patients"] = difference_text(or_none(partial(without_movers, scored, line)))
        row[monitored(scored)] = signed(validation_difference(scored, line))
        row["Last epoch"] = difference_text(or_none(partial(compare_networks, scored, line, column="dsc_last_epoch")))
        signs = np.sign(deltas) == np.sign(result.estimate)
        row["Patients of this sign"] = f"{signs.sum()} of {len(signs)}"
        lines.append(row | {"Trainings of this sign": _training_signs(scored, line, result)})
    return pd.DataFrame(lines)


def convergence_table(scored: Scored) -> pd.DataFrame:
    """Compute how much of a difference is there after 10, 25, 50 and 100 % of the steps, on monitored patients.

    In points of DSC, as the rule of selection would have kept an epoch so far; in brackets the share of the difference
    at the end, unless that is 0.00. Without rows where no patients were monitored.
    """
    lines = []
    if scored.histories["dsc"].isna().all():
        return pd.DataFrame()
    for line in comparisons_of(scored):
        gaps = [validation_difference(scored, line, share) for share in _SHARES]
        texts = [signed(gap) + (f" ({100 * gap / gaps[-1]:.0f} %)" if abs(gaps[-1]) >= 0.005 else "") for gap in gaps]
        titles = (f"After {100 * share:.0f} % of the steps" for share in _SHARES)
        lines.append({"Comparison": line.title} | dict(zip(titles, texts, strict=True)))
    return pd.DataFrame(lines)


def monitored(scored: Scored) -> str:
    """Name the patients on whom the trainings of a plan were monitored."""
    return _MONITORED[_selection(scored, scored.plan.comparisons[0].first)]


def validation_difference(scored: Scored, line: Comparison, share: float = 1.0) -> float:
    """Compute the difference of a comparison on the monitored patients, from the means of trainings, in points.

    They are the validation patients, except under `segmentation.selection=peer-on-test`; NaN without any.

    Args:
        scored: see `dainet.compare.scores`.
        line: the comparison.
        share: of every training, from its first epoch on; its best epoch counts, or the last one by that rule.
    """
    return _validation(scored, line.first, share) - _validation(scored, line.second, share)


def _validation(scored: Scored, name: str, share: float) -> float:
    """Return the mean monitored DSC of a network's trainings, each at the epoch kept until then, in points."""
    own = scored.histories[scored.histories["model"] == name]
    ends = own.groupby(["fold", "seed"])["epoch"].transform("max")
    own = own[own["epoch"] <= (share * ends).clip(lower=1)]
    trainings = own.groupby(["fold", "seed"])["dsc"]
    kept = trainings.last() if _selection(scored, name) == "last" else trainings.max()
    return 100 * kept.groupby("fold").mean().mean()


def _selection(scored: Scored, name: str) -> str:
    """Return the rule by which a network's trainings kept an epoch; those made by hand for tests have the usual one."""
    own = (each.settings({}).segmentation.selection for each in scored.trainings if each.model == name)
    return next(own, "validation")


def _training_signs(scored: Scored, line: Comparison, result: Difference) -> str:
    patients = scored.scores.groupby(["model", "fold", "seed", "patient"])["dsc"].mean()
    means = patients.groupby(["model", "fold", "seed"]).mean()
    pairs = (means[line.first] - means[line.second]).dropna()
    return f"{(np.sign(pairs) == np.sign(result.estimate)).sum()} of {len(pairs)} pairs"
