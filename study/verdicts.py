"""The comparisons of claims.yaml, judged by the rule that docs/claims.md fixed before the first training."""

from __future__ import annotations

from collections.abc import Hashable
from pathlib import Path
from typing import Any

import pandas as pd
import yaml

from dainet.compare import rule
from dainet.reporting.statistics import patient_means, seeded_interval
from study.plan import PATIENTS
from study.robustness import robustness

__all__ = [
    "BADLY_TRAINED",
    "cost_verdict",
    "judge",
    "load_claims",
    "regimes",
    "ten_seed_comparisons",
]

BADLY_TRAINED = (
    "dual-1111-constant",
)  # batch norm has nothing to normalize: validation DSC below 0.6 until late epochs
_COMPARED = ("dual-1111", "unet")  # at every number of training patients


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
        claims: a family of `load_claims`.

    Returns:
        What `dainet.compare.rule.judge` and, where the networks have run, `study.robustness.robustness` give.
    """
    usable = scores[scores["train_patients"] == PATIENTS]
    table = rule.judge(usable, claims)
    lines = [{} if line["verdict"] == "not run" else _robust(usable, line) for line in table.to_dict("records")]
    return table.join(pd.DataFrame(lines, index=table.index))


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


def regimes(scores: pd.DataFrame) -> pd.DataFrame:
    """Compare dual-1111 (first) with unet (second) at every number of training patients for which both have run.

    Returns:
        train_patients, seeds (of the network with fewer), first_mean, first_std, second_mean, second_std (DSC in %),
        low_seeds and high_seeds of the difference, the difference itself, and, with two seeds or more, what
        `study.robustness.robustness` gives.
    """
    lines = []
    for patients, part in scores.groupby("train_patients"):
        if {*_COMPARED} <= set(part["model"]):
            values = [patient_means(part, name) for name in _COMPARED]
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


def _robust(scores: pd.DataFrame, line: dict[Hashable, Any]) -> dict[str, Any]:
    first, second = (
        patient_means(scores, line[role], line["measure"], line["class"]).to_numpy() for role in ("better", "worse")
    )
    return robustness(first, second)
