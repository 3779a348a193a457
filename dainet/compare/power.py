"""What a design of patients, folds and seeds can find: power, smallest gain, chance of "equivalent", what is needed.

With normal scores, the mean squares of `dainet.compare.analysis` are independent of each other and of the estimate,
and each follows a chi-square distribution. Given their values, the chance that an interval excludes zero, or lies
within a margin, is one of the normal distribution; it is averaged over evenly spread values. The noncentral t
with the expected degrees of freedom promises too much for few of them (76 % where 70 % happen, in one fold of three
seeds). `dainet.compare.simulation` simulates the same; heavy tails change little.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache

import numpy as np
from scipy import optimize, stats

from dainet.compare.analysis import combined, spread_of
from dainet.compare.scores import Scored, fold_scores
from dainet.compare.simulation import Design, Truth
from dainet.errors import InputError

__all__ = [
    "equivalence_power",
    "observed_truth",
    "patients_needed",
    "power",
    "published_spreads",
    "seeds_needed",
    "smallest_gain",
    "spread_of_plan",
]

_LENT = 3  # trainings per fold of the pair from which a network with one training borrows, as in the simulation
_MOST_SEEDS, _MOST_PATIENTS = 1000, 100_000  # more than anybody will have


def published_spreads() -> dict[str, Truth]:
    """Return how scores of `dual-1111` and `unet` on ACDC scatter in this kit's studies, by name.

    "small": 40 training patients, 128 px, width 16, ten seeds (figures/acdc-study). "near-paper": 224 px, width 32,
    five seeds at most, as assumed in docs/claims.md, "What it can find"; its spread of trainings is a guess.
    """
    return {
        "small": Truth(patients=1.63, luck=2.08, trainings=0.48),
        "near-paper": Truth(patients=0.44, luck=0.56, trainings=0.2),
    }


def spread_of_plan(scored: Scored) -> Truth:
    """Estimate how scores scatter from the first comparison of a plan that has run, as `observed_truth` does."""
    line = scored.plan.comparisons[0]
    return observed_truth(*(fold_scores(scored.scores, name) for name in (line.first, line.second)))


def observed_truth(first: Sequence[np.ndarray], second: Sequence[np.ndarray]) -> Truth:
    """Estimate how scores scatter from two networks, for networks that do not differ on average.

    Args:
        first, second: per fold the scores [seeds, patients] in points. The luck of a training in a patient is centered
            by patients and by seeds, and corrected for both; luck and trainings are means of the variances of both
            networks.

    Raises:
        InputError: a network has one training in every fold, so nothing says how its trainings scatter; or no fold has
            two patients.
    """
    patients, folds = sum(fold.shape[-1] for fold in first), len(first)
    if patients <= folds:
        raise InputError(f"{patients} patients in {folds} folds; a spread needs more patients than folds")
    spreads = [spread_of(network) for network in (first, second)]
    deltas = [a.mean(0) - b.mean(0) for a, b in zip(first, second, strict=True)]
    within = sum(((delta - delta.mean()) ** 2).sum() for delta in deltas) / (patients - folds)
    noise = [spread.residual / min(map(len, each)) for spread, each in zip(spreads, (first, second), strict=True)]
    trainings = [max(0, spread.training - spread.residual * folds / patients) for spread in spreads]
    return Truth(
        patients=float(np.sqrt(max(0, within - sum(noise)))),
        luck=float(np.sqrt(np.mean([spread.residual for spread in spreads]))),
        trainings=float(np.sqrt(np.mean(trainings))),
        heavy=True,
    )


def power(design: Design, truth: Truth, gain: float) -> float:
    """Return the chance that the 95 % interval lies above zero if the true difference is `gain` points.

    It is 0 for one training of each network in one fold, which is not judged.
    """
    drawn = _drawn(design, truth)
    if drawn is None:
        return 0.0
    true, errors, freedom = drawn
    return float(stats.norm.sf((stats.t.ppf(0.975, freedom) * errors - gain) / true).mean())


def equivalence_power(design: Design, truth: Truth, margin: float) -> float:
    """Return the chance that the 90 % interval lies within -margin to +margin if there is no difference."""
    drawn = _drawn(design, truth)
    if drawn is None:
        return 0.0
    true, errors, freedom = drawn
    room = np.maximum(margin - stats.t.ppf(0.95, freedom) * errors, 0) / true
    return float((2 * stats.norm.cdf(room) - 1).mean())


def smallest_gain(design: Design, truth: Truth, power_: float = 0.8) -> float:
    """Return the difference in points that is found with this chance; infinite where nothing is judged."""
    highest = 1.0
    if _drawn(design, truth) is None:
        return float("inf")
    while power(design, truth, highest) < power_:
        highest *= 2
    return float(optimize.brentq(lambda gain: power(design, truth, gain) - power_, 0, highest, xtol=1e-4))


def seeds_needed(design: Design, truth: Truth, gain: float, power_: float = 0.8) -> int | None:
    """Return how many trainings of each network per fold find a gain; None: not by seeds alone, patients set the limit.

    Patients and folds stay those of the design.
    """
    return _fewest(lambda n: power(Design(design.folds, (n, n)), truth, gain) >= power_, 1, _MOST_SEEDS)


def patients_needed(design: Design, truth: Truth, gain: float, power_: float = 0.8) -> int | None:
    """Return how many test patients find a gain; None: not by patients alone, trainings set the limit.

    They are spread evenly over as many folds as the design has; its seeds stay.
    """
    folds = len(design.folds)
    each = _fewest(
        lambda n: power(Design((n,) * folds, design.seeds), truth, gain) >= power_, 2, _MOST_PATIENTS // folds
    )
    return None if each is None else each * folds


def _fewest(enough: Callable[[int], bool], low: int, high: int) -> int | None:
    """Return the smallest number from `low` to `high` that is enough, given that every larger one is enough too."""
    if not enough(high):
        return None
    while low < high:
        middle = (low + high) // 2
        low, high = (low, middle) if enough(middle) else (middle + 1, high)
    return low


@lru_cache(maxsize=256)
def _drawn(design: Design, truth: Truth) -> tuple[float, np.ndarray, np.ndarray] | None:
    """Return the true error of the difference, and standard errors and degrees of freedom [draws] as they may be found.

    None where nothing is judged.
    """
    folds, alone = len(design.folds), max(design.seeds) == 1
    if alone and folds == 1:
        return None
    parts, freedoms = _one_wave(design, truth) if alone else _mean_squares(design, truth)
    drawn = [
        part * stats.chi2.ppf(points, count) / count
        for part, count, points in zip(parts, freedoms, _points(), strict=False)
    ]
    if alone:
        return float(np.sqrt(parts[0])), np.sqrt(drawn[0]), np.full(len(drawn[0]), float(freedoms[0]))
    error, freedom = combined(drawn[:3], freedoms[:3], drawn[3] + drawn[4])
    return _true_error(design, truth), error, freedom


def _mean_squares(design: Design, truth: Truth) -> tuple[list[float], list[int]]:
    """Return the expected P, T and T, E and E of docs/claims.md, "Analysis", and their degrees of freedom."""
    folds, patients = len(design.folds), sum(design.folds)
    noise = [truth.luck**2 / (patients * seeds) for seeds in design.seeds]
    training = truth.trainings**2 + truth.luck**2 * sum(1 / count for count in design.folds) / folds
    lent = [2 * (_LENT - 1) if seeds == 1 else seeds - 1 for seeds in design.seeds]  # of both networks of that pair
    parts = [truth.patients**2 / patients + sum(noise), *(training / (folds * seeds) for seeds in design.seeds), *noise]
    return parts, [patients - folds, *(folds * each for each in lent), *((patients - folds) * each for each in lent)]


def _one_wave(design: Design, truth: Truth) -> tuple[list[float], list[int]]:
    """Return the variance of the mean of fold differences, and its degrees of freedom (`fold_difference`)."""
    folds = len(design.folds)
    within = np.mean([(truth.patients**2 + 2 * truth.luck**2) / count for count in design.folds])
    return [float(within + 2 * truth.trainings**2) / folds], [folds - 1]


def _true_error(design: Design, truth: Truth) -> float:
    shares = np.array(design.folds) / sum(design.folds)
    trainings = sum(truth.trainings**2 * (shares**2).sum() / seeds for seeds in design.seeds)
    luck = sum(truth.luck**2 / seeds for seeds in design.seeds)
    return float(np.sqrt(trainings + (truth.patients**2 + luck) / sum(design.folds)))


@lru_cache(maxsize=1)
def _points() -> np.ndarray:
    """Return evenly spread points [5, 1024] between 0 and 1, always the same."""
    return stats.qmc.Sobol(5, seed=0).random_base2(10).T
