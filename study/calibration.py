"""How often the registered rule is wrong, and what it can find, on simulated pairs of networks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pandas as pd
from scipy import stats

from dainet.compare.analysis import difference
from dainet.compare.power import observed_truth
from dainet.compare.rule import LEVEL
from dainet.compare.simulation import Design, Truth, simulate
from dainet.reporting.statistics import seeded_interval

__all__ = ["calibrate", "rule_rates"]

_EFFECTS = (0.33, 1.0, 2.0)  # points of DSC: the paper's difference, and what it takes to see one here
_RESAMPLES = 10_000  # of each simulated pair; the noise of its ends is 0.03 standard errors


def calibrate(first: np.ndarray, second: np.ndarray) -> pd.DataFrame:
    """Simulate pairs of networks that scatter as these two do, with other spreads between trainings.

    Args:
        first, second: scores [seeds, patients] in points.

    Returns:
        One row for each design: differ and trainings (standard deviations between patients, of the difference, and
        between trainings, in points), seeds, and what `rule_rates` gives.
    """
    seen, patients = observed_truth([first], [second]), first.shape[1]
    lines = []
    for differ, seeds in ((0.0, 3), (seen.patients, 3), (seen.patients, 7), (seen.patients, 10)):
        for trainings in (0.25, 0.5, 1.0):
            truth = replace(seen, patients=differ, trainings=trainings)
            line = {"differ": differ, "trainings": trainings, "seeds": seeds}
            lines.append(line | rule_rates(seeds, patients, truth, _EFFECTS))
    return pd.DataFrame(lines)


def rule_rates(
    seeds: int, patients: int, truth: Truth, effects: Sequence[float], rounds: int = 1000
) -> dict[str, float]:
    """Simulate pairs of networks that do not differ on average and judge each, without Holm's correction.

    Args:
        seeds: trainings of each network.
        patients: test patients.
        truth: how the scores scatter, without an effect; see `dainet.compare.power.observed_truth`.
        effects: true differences in points that are to be found.
        rounds: number of pairs.

    Returns:
        Shares of pairs: "patients", whose interval over patients alone excludes zero; "rule", for which the rule gives
        a verdict; "t", whose interval over patients and trainings excludes zero; and for each effect, as "0.33", those
        for which the rule says "supported" if that is the true difference.
    """
    [first], [second] = simulate(Design((patients,), (seeds, seeds)), truth, rounds)
    means = [network.mean(axis=1, keepdims=True) for network in (first, second)]
    alone, seeded = _intervals(*means), _intervals(first, second)
    pairs = (means[0] - means[1])[:, 0]
    shares = {
        "patients": _excludes_zero(*alone),
        "rule": _excludes_zero(*seeded) & (_p(pairs) < LEVEL),
        "t": _excludes_zero(*difference([first], [second]).interval()),
    }
    for effect in effects:  # moves every interval by itself, so one simulation serves all
        shares[str(effect)] = (seeded[0] + effect > 0) & (_p(pairs + effect) < LEVEL)
    return {name: float(share.mean()) for name, share in shares.items()}


def _intervals(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    return np.array([seeded_interval(*pair, _RESAMPLES) for pair in zip(first, second, strict=True)]).T


def _excludes_zero(low: np.ndarray, high: np.ndarray) -> np.ndarray:
    return (low > 0) | (high < 0)


def _p(pairs: np.ndarray) -> np.ndarray:
    return stats.wilcoxon(pairs, axis=1).pvalue
