"""Error rates of the rule for verdicts, on simulated networks that do not differ."""

from __future__ import annotations

import numpy as np
import pandas as pd

from dainet.reporting.statistics import patient_means
from study.plan import PATIENTS
from study.verdicts import judge

__all__ = ["error_rates"]

_CLAIM = {"claim": "none", "better": "first", "worse": "second", "class": "mean", "measure": "dsc"}


def error_rates(strict: pd.DataFrame, seed_std: float, rounds: int = 200) -> dict[str, float]:
    """Simulate pairs of equal networks and judge each pair.

    Both networks have the U-Net's mean per patient. Every seed shifts all patients by one draw of standard deviation
    `seed_std` (points of DSC), and each patient by a draw of the spread seen among the U-Net's seeds.

    Args:
        strict: scores per case, strict policy, of which the U-Net's are used; see `study.verdicts.judge`.
        seed_std: standard deviation between trainings, in points of DSC.
        rounds: number of pairs.

    Returns:
        Shares of pairs: "patients", whose interval over patients alone excludes zero, and "verdict", for which the rule
        says "supports" or "contradicts".
    """
    random, unet = np.random.default_rng(0), patient_means(strict[strict["train_patients"] == PATIENTS], "unet")
    residuals = unet - unet.mean()
    spread = residuals.sub(residuals.mean(axis=1), axis=0).to_numpy().std() * np.sqrt(len(unet) / (len(unet) - 1))
    lines = []
    for _ in range(rounds):
        pair = [_network(random, name, unet.mean(), seed_std, spread) for name in ("first", "second")]
        lines.append(judge(pd.concat(pair), [_CLAIM]).iloc[0])
    table = pd.DataFrame(lines)
    excluded = (table["low"] > 0) | (table["high"] < 0)
    return {"patients": excluded.mean(), "verdict": (table["verdict"] != "cannot tell").mean()}


def _network(
    random: np.random.Generator, name: str, means: pd.Series, seed_std: float, patient_std: float
) -> pd.DataFrame:
    values = means.to_numpy() + random.normal(0, seed_std, (3, 1)) + random.normal(0, patient_std, (3, len(means)))
    table = pd.DataFrame(values / 100, columns=means.index).rename_axis("seed").reset_index()
    cases = table.melt("seed", var_name="patient", value_name="dsc")
    return cases.assign(model=name, train_patients=PATIENTS, **{"class": "LV"})
