"""The comparisons of claims.yaml, judged by the rule that docs/claims.md fixed before the first training."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import yaml
from statsmodels.stats.multitest import multipletests

from dainet.reporting.statistics import paired_differences, patient_means, seeded_interval
from study.plan import PATIENTS
from study.robustness import robustness

__all__ = [
    "BADLY_TRAINED",
    "LEVEL",
    "VERDICTS",
    "cost_verdict",
    "judge",
    "load_claims",
    "regimes",
    "ten_seed_comparisons",
]

VERDICTS = ("supported", "contradicted", "inconclusive")  # in docs/claims.md: supports, contradicts, cannot tell
BADLY_TRAINED = (
    "dual-1111-constant",
)  # batch norm has nothing to normalize: validation DSC below 0.6 until late epochs
LEVEL = 0.05
_SEEDS = 3
_SIDE = {"dsc": 1, "hd95_vox": -1}  # which sign of better - worse is as claimed: distances are better where smaller


def load_claims() -> dict[str, list[dict[str, Any]]]:
    """Read the families paper, controls and more_seeds of claims.yaml: lists of comparisons, all with `measure`."""
    text = Path(__file__).with_name("claims.yaml").read_text(encoding="utf-8")
    return {name: [{"measure": "dsc"} | claim for claim in family] for name, family in yaml.safe_load(text).items()}


def ten_seed_comparisons() -> list[dict[str, Any]]:
    """Return what all seeds together are compared for: the claims of more_seeds, and each of their networks - unet.

    These comparisons were not registered.
    """
    family = load_claims()["more_seeds"]
    return family + [
        claim | {"claim": f"{claim['worse']} above the U-Net", "better": claim["worse"], "worse": "unet"}
        for claim in family
        if claim["worse"] != "unet"
    ]


def judge(scores: pd.DataFrame, claims: list[dict[str, Any]]) -> pd.DataFrame:
    """Judge the claims of a family: one row per claim, with a verdict.

    Args:
        scores: per case, strict policy, with the column train_patients; see `dainet.compare.queue`.
        claims: a family of `load_claims`; p is Holm-corrected over those that could be compared.

    Returns:
        The claim's own columns, and of its comparison: better_mean, better_std, worse_mean, worse_std (over seeds),
        difference = better - worse (points of DSC, or voxels), low and high (95 %, patients), low_seeds and high_seeds
        (patients and seeds), p, agreeing (patients whose sign is as claimed), patients, seeds (of the network with
        fewer), what `study.robustness.robustness` gives, and verdict: one of `VERDICTS`. Without three seeds of both
        networks, the verdict is "not run" and the rest is missing.
    """
    usable = scores[scores["train_patients"] == PATIENTS]
    table = pd.DataFrame([claim | _compared(usable, claim) for claim in claims])
    if "p" in table:
        done = table["p"].notna()
        if done.sum() > 1:  # statsmodels collects garbage each time, which takes half a second
            table.loc[done, "p"] = multipletests(table.loc[done, "p"], method="holm")[1]
    return table.assign(verdict=[_verdict(line) for line in table.to_dict("records")])


def cost_verdict(costs: pd.DataFrame, network: str, hybrid: str) -> str:
    """Judge claim 6, "much fewer computation costs": fewer parameters and operations support it, more contradict it.

    Args:
        costs: benchmarks/results/networks.csv, indexed by network.
        network: its row for DAINet.
        hybrid: its row for the transformer hybrid.
    """
    table = costs[["Parameters (M)", "GFLOP per image"]]
    fewer = table.loc[network] < table.loc[hybrid]
    return "supported" if fewer.all() else "inconclusive" if fewer.any() else "contradicted"


def regimes(scores: pd.DataFrame, first: str = "dual-1111", second: str = "unet") -> pd.DataFrame:
    """Compare two networks at every number of training patients for which both have run.

    Returns:
        train_patients, seeds (of the network with fewer), first_mean, first_std, second_mean, second_std (DSC in %),
        low_seeds and high_seeds of the difference, the difference itself, and, with two seeds or more, what
        `study.robustness.robustness` gives.
    """
    lines = []
    for patients, part in scores.groupby("train_patients"):
        if {first, second} <= set(part["model"]):
            values = [patient_means(part, name) for name in (first, second)]
            arrays = [value.to_numpy() for value in values]
            low, high = seeded_interval(*arrays)
            means = [value.mean(axis=1) for value in values]
            spread = {"first_std": means[0].std(), "second_std": means[1].std()}
            line = {"train_patients": patients, "seeds": min(map(len, values))}
            line |= {"first_mean": means[0].mean(), "second_mean": means[1].mean()}
            several = robustness(*arrays) if line["seeds"] > 1 else {}
            lines.append(line | spread | {"low_seeds": low, "high_seeds": high} | several)
    table = pd.DataFrame(lines)
    return table.assign(difference=table["first_mean"] - table["second_mean"]) if lines else table


def _compared(scores: pd.DataFrame, claim: dict[str, Any]) -> dict[str, Any]:
    names, measure = (claim["better"], claim["worse"]), claim["measure"]
    values = [patient_means(scores, name, measure, claim["class"]) for name in names]
    if any(len(value) < _SEEDS for value in values):
        return {}
    pair = paired_differences(scores, *names, measure, claim["class"])
    arrays = [value.to_numpy() for value in values]
    low, high = seeded_interval(*arrays)
    difference = values[0].mean() - values[1].mean()
    line: dict[str, Any] = {"difference": pair["difference"], "low": pair["low"], "high": pair["high"]}
    line |= {"low_seeds": low, "high_seeds": high, "p": pair["p (Wilcoxon)"]} | robustness(*arrays)
    line |= {"agreeing": int((difference * _SIDE[measure] > 0).sum()), "patients": pair["patients"]}
    line["seeds"] = min(map(len, values))
    for role, value in zip(("better", "worse"), values, strict=True):
        seeds = value.mean(axis=1)
        line |= {f"{role}_mean": seeds.mean(), f"{role}_std": seeds.std()}
    return line


def _verdict(line: dict[str, Any]) -> str:
    if np.isnan(line.get("p", np.nan)):
        return "not run"
    ends = np.array([line["low_seeds"], line["high_seeds"]]) * _SIDE[line["measure"]]
    if line["p"] < LEVEL and (ends > 0).all():
        return "supported"
    return "contradicted" if line["p"] < LEVEL and (ends < 0).all() else "inconclusive"
