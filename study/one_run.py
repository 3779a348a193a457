"""What one training of each network can show on twenty patients, as in the paper's Tables 2 and 3."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
from scipy import stats

from dainet.compare.power import published_spreads, seeds_needed
from dainet.compare.simulation import Design, Truth
from study.verdicts import load_claims

__all__ = ["chance_of_gap", "falsely_significant", "found", "one_run_error", "power_table", "smallest_gap"]

PATIENTS = 20  # test patients of the paper's split
NEAR_PAPER = published_spreads()["near-paper"]  # its 0.2 points between trainings are a guess
_TRAININGS = (0.1, 0.2, 0.3)  # points, around that guess


def one_run_error(truth: Truth) -> float:
    """Compute the standard error of the difference of one training of each network, in points of DSC."""
    luck = 2 * (truth.luck**2 / PATIENTS + truth.trainings**2)
    return float(np.sqrt(truth.patients**2 / PATIENTS + luck))


def chance_of_gap(gap: float, truth: Truth) -> float:
    """Compute how often two networks without a mean difference differ by `gap` points or more, either way."""
    return float(2 * stats.norm.sf(gap / one_run_error(truth)))


def found(gap: float, truth: Truth, level: float = 0.05) -> float:
    """Compute how often a true difference is found by the best two-sided test, which knows the standard error.

    One training of each network has no spread of trainings, so no test made from the table alone is as good.
    """
    limit, shift = stats.norm.isf(level / 2), gap / one_run_error(truth)
    return float(stats.norm.sf(limit - shift) + stats.norm.cdf(-limit - shift))


def smallest_gap(truth: Truth, power: float = 0.8, level: float = 0.05) -> float:
    """Compute the true difference in points that the test of `found` finds with this probability."""
    return float((stats.norm.isf(level / 2) + stats.norm.ppf(power)) * one_run_error(truth))


def falsely_significant(truth: Truth, patients: int = PATIENTS, level: float = 0.05) -> float:
    """Compute how often a paired t-test over patients calls one training of each of two equal networks different.

    The test takes the two trained networks as given, so that its error lacks the spread between trainings.
    """
    over_patients = truth.patients**2 + 2 * truth.luck**2
    wider = np.sqrt(1 + 2 * truth.trainings**2 * patients / over_patients)
    return float(2 * stats.t.sf(stats.t.isf(level / 2, patients - 1) / wider, patients - 1))


def power_table(small: Truth) -> pd.DataFrame:
    """Format, for each claim of the paper, how often chance gives its difference and how often a test would find it.

    Args:
        small: how scores scatter in the first study; see `dainet.compare.power.observed_truth`.
    """
    near = [replace(NEAR_PAPER, trainings=trainings) for trainings in _TRAININGS]
    rows = [
        {"Claim": claim, "Comparison": comparison, "Paper": f"{gap:+.2f}"}
        | {"By chance, near the paper's scale": _range([chance_of_gap(gap, truth) for truth in near])}
        | {"Found, near the paper's scale": _range([found(gap, truth) for truth in near])}
        | {"Seeds for 80 %, near the paper's scale": _seeds(gap, near)}
        | {
            "By chance, small scale": _percent(chance_of_gap(gap, small)),
            "Found, small scale": _percent(found(gap, small)),
        }
        for claim, comparison, gap in _claims()
    ]
    return pd.DataFrame(rows)


def _claims() -> list[tuple[str, str, float]]:
    """Return the claims about mean DSC: their words, comparisons and printed differences."""
    claims = [claim for claim in load_claims()["paper"] if (claim["class"], claim["measure"]) == ("mean", "dsc")]
    return [(claim["claim"], f"{claim['better']} - {claim['worse']}", claim["paper"]) for claim in claims]


def _range(shares: list[float]) -> str:
    """Format the share for the guess in the middle, and those for the spreads around it."""
    low, middle, high = map(_percent, sorted(shares))
    return middle if low == high else f"{middle} ({low.removesuffix(' %')} to {high.removesuffix(' %')})"


def _seeds(gap: float, truths: list[Truth]) -> str:
    """Format how many trainings of each network find a gap with 80 %, judged by their own scatter."""
    low, middle, high = (seeds_needed(Design((PATIENTS,), (1, 1)), truth, gap) for truth in truths)
    return f"{middle} ({low} to {high})"


def _percent(share: float) -> str:
    return "< 1 %" if share < 0.005 else f"{100 * share:.0f} %"
