"""The rule of the first study (docs/claims.md, "When a claim counts as supported"): two networks, one verdict."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from dainet.reporting.statistics import paired_differences, patient_means, seeded_interval

__all__ = ["LEVEL", "VERDICTS", "judge"]

VERDICTS = ("supported", "contradicted", "inconclusive")
LEVEL = 0.05
_SEEDS = 3
_SIDE = {"dsc": 1, "hd95_vox": -1}  # which sign of better - worse is as claimed: distances are better where smaller


def judge(scores: pd.DataFrame, claims: Sequence[Mapping[str, Any]]) -> pd.DataFrame:
    """Judge a family of claims by one rule: one row per claim, with a verdict.

    Args:
        scores: per case, strict policy, of trainings with the same number of training patients; columns model, seed,
            patient, class, dsc (0..1) and hd95_vox.
        claims: each with better and worse (names of networks), class ("mean" for all) and measure ("dsc" or
            "hd95_vox"). p is Holm-corrected over those that could be compared.

    Returns:
        The claim's own columns, and of its comparison: better_mean, better_std, worse_mean, worse_std (over seeds),
        difference = better - worse (points of DSC, or voxels), low and high (95 %, patients), low_seeds and high_seeds
        (patients and seeds), p, agreeing (patients whose sign is as claimed), patients, seeds (of the network with
        fewer), and verdict: one of `VERDICTS`. Without three seeds of both networks, the verdict is "not run" and the
        rest is missing.
    """
    table = pd.DataFrame([dict(claim) | _compared(scores, claim) for claim in claims])
    if "p" in table:
        table["p"] = _holm(table["p"])
    return table.assign(verdict=[_verdict(line) for line in table.to_dict("records")])


def _compared(scores: pd.DataFrame, claim: Mapping[str, Any]) -> dict[str, Any]:
    names, measure = (claim["better"], claim["worse"]), claim["measure"]
    values = [patient_means(scores, name, measure, claim["class"]) for name in names]
    if any(len(value) < _SEEDS for value in values):
        return {}
    pair = paired_differences(scores, *names, measure, claim["class"])
    low, high = seeded_interval(*(value.to_numpy() for value in values))
    difference = values[0].mean() - values[1].mean()
    line: dict[str, Any] = {"difference": pair["difference"], "low": pair["low"], "high": pair["high"]}
    line |= {"low_seeds": low, "high_seeds": high, "p": pair["p (Wilcoxon)"]}
    line |= {"agreeing": int((difference * _SIDE[measure] > 0).sum()), "patients": pair["patients"]}
    line["seeds"] = min(map(len, values))
    for role, value in zip(("better", "worse"), values, strict=True):
        seeds = value.mean(axis=1)
        line |= {f"{role}_mean": seeds.mean(), f"{role}_std": seeds.std()}
    return line


def _holm(p: pd.Series) -> pd.Series:
    """Correct p-values for their number by Holm's method, as statsmodels does; missing ones are not counted."""
    known = p.dropna().sort_values()
    return (known * np.arange(len(known), 0, -1)).cummax().clip(upper=1).reindex(p.index)


def _verdict(line: Mapping[Any, Any]) -> str:
    if np.isnan(line.get("p", np.nan)):
        return "not run"
    ends = np.array([line["low_seeds"], line["high_seeds"]]) * _SIDE[line["measure"]]
    if line["p"] < LEVEL and (ends > 0).all():
        return "supported"
    return "contradicted" if line["p"] < LEVEL and (ends < 0).all() else "inconclusive"
