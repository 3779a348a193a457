"""The difference of two networks with an interval that counts patients and trainings, and its verdict.

Scores are y[network, fold, seed, patient]; every patient is a test patient of one fold. Derivation and assumptions:
docs/claims.md, "Analysis".
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy import stats

from dainet.errors import InputError

__all__ = [
    "Difference",
    "Spread",
    "combined",
    "difference",
    "fold_difference",
    "patient_difference",
    "spread_of",
    "verdict",
]


@dataclass(frozen=True)
class Spread:
    """How the trainings of a network scatter, pooled over folds: mean squares with their degrees of freedom.

    `training` is the variance of a training's mean over patients, `residual` the mean square of seed x patient.
    Arrays have the leading axes of the scores, if those have any.
    """

    training: Any
    training_freedom: int
    residual: Any
    residual_freedom: int


@dataclass(frozen=True)
class Difference:
    """Mean difference of two networks over all patients, its standard error, and the degrees of freedom of that."""

    estimate: Any
    error: Any
    freedom: Any

    def interval(self, level: float = 0.95) -> tuple[Any, Any]:
        """Return the lower and the upper end of the interval of this level, from Student's t."""
        half = stats.t.ppf((1 + level) / 2, self.freedom) * self.error
        return self.estimate - half, self.estimate + half


def spread_of(*networks: Sequence[np.ndarray]) -> Spread:
    """Pool how trainings scatter over the folds of one or more networks.

    Args:
        networks: per network its folds, each an array [..., seeds, patients] with at least two seeds.

    Raises:
        InputError: no fold has two trainings of a network, or none has two patients.
    """
    folds = [fold for network in networks for fold in network if fold.shape[-2] > 1 and fold.shape[-1] > 0]
    if not folds or all(fold.shape[-1] < 2 for fold in folds):
        raise InputError("no fold has two trainings of one network and two patients, from which a spread could be had")
    means = [fold.mean(-1) for fold in folds]
    rests = [fold - fold.mean(-1, keepdims=True) - fold.mean(-2, keepdims=True) for fold in folds]
    rests = [rest + fold.mean((-2, -1), keepdims=True) for rest, fold in zip(rests, folds, strict=True)]
    freedom = sum(fold.shape[-2] - 1 for fold in folds)
    rest_freedom = sum((fold.shape[-2] - 1) * (fold.shape[-1] - 1) for fold in folds)
    training = sum(((mean - mean.mean(-1, keepdims=True)) ** 2).sum(-1) for mean in means) / freedom
    return Spread(training, freedom, sum((rest**2).sum((-2, -1)) for rest in rests) / rest_freedom, rest_freedom)


def difference(first: Sequence[np.ndarray], second: Sequence[np.ndarray], borrowed: Spread | None = None) -> Difference:
    """Compute first - second with a standard error that counts patients and trainings of both networks.

    P is the variance of the mean over patients of the differences, T that of the mean over trainings, of each
    network, and E the noise of a training in a patient, which P and T both contain: it is taken off once. The
    degrees of freedom are Satterthwaite's, from P and both T.

    Args:
        first: per fold the scores [..., seeds, patients]; leading axes, such as simulations, are kept.
        second: of the same patients in the same order; the number of seeds may differ.
        borrowed: spread for a network with a single seed per fold, from networks of the same study.

    Raises:
        InputError: patients differ or are too few, or a network has one seed and nothing to borrow.
    """
    if [fold.shape[-1] for fold in first] != [fold.shape[-1] for fold in second]:
        raise InputError("the networks were not scored on the same patients in the same folds")
    deltas = [a.mean(-2) - b.mean(-2) for a, b in zip(first, second, strict=True)]
    patients, folds = sum(delta.shape[-1] for delta in deltas), len(deltas)
    freedom = patients - folds
    if freedom < 1:
        raise InputError(f"{patients} patients in {folds} folds; a difference needs more patients than folds")
    within = sum(((delta - delta.mean(-1, keepdims=True)) ** 2).sum(-1) for delta in deltas)
    parts, freedoms, noise = [within / freedom / patients], [freedom], 0.0
    for network in (first, second):
        seeds = min(fold.shape[-2] for fold in network)
        own = borrowed if seeds == 1 else spread_of(network)
        if own is None:
            raise InputError("a network has one training per fold; give the spread that it borrows")
        parts.append(own.training / (folds * seeds))
        freedoms.append(own.training_freedom)
        noise = noise + own.residual / (patients * seeds)
    return Difference(np.concatenate(deltas, axis=-1).mean(-1), *combined(parts, freedoms, noise))


def combined(parts: Sequence[Any], freedoms: Sequence[int], noise: Any) -> tuple[Any, Any]:
    """Return the standard error of a difference and its degrees of freedom, from what `difference` calls P and both T.

    Args:
        parts: P and both T, variances in points squared.
        freedoms: degrees of freedom of each.
        noise: the sum of both E.
    """
    total = sum(parts)
    variance = np.maximum(total - noise, np.maximum(parts[0], parts[1] + parts[2]))
    with np.errstate(invalid="ignore"):  # scores that do not scatter have no degrees of freedom: NaN, not judged
        satterthwaite = total**2 / sum(part**2 / count for part, count in zip(parts, freedoms, strict=True))
    return np.sqrt(variance), satterthwaite


def fold_difference(first: Sequence[np.ndarray], second: Sequence[np.ndarray]) -> Difference:
    """Compute first - second from the means of the folds alone, as after a wave of one training per fold.

    Arguments as of `difference`; the folds are the sample (t with folds - 1 degrees of freedom).
    """
    means = np.stack([a.mean((-2, -1)) - b.mean((-2, -1)) for a, b in zip(first, second, strict=True)], axis=-1)
    folds = means.shape[-1]
    if folds < 2:
        raise InputError("differences of folds need at least two folds")
    return Difference(means.mean(-1), means.std(-1, ddof=1) / np.sqrt(folds), folds - 1)


def patient_difference(first: np.ndarray, second: np.ndarray) -> Difference:
    """Compute first - second of one training each in one fold, with patients alone as the sample.

    Another training may well reverse the sign, so this is an interval without a verdict.

    Args:
        first: scores [..., 1, patients].
        second: of the same patients in the same order.
    """
    delta = (first - second)[..., 0, :]
    patients = delta.shape[-1]
    if patients < 2:
        raise InputError("a difference needs at least two patients")
    return Difference(delta.mean(-1), delta.std(-1, ddof=1) / np.sqrt(patients), patients - 1)


def verdict(result: Difference, margin: float | None) -> str:
    """Judge the claim that the first network is better, from the intervals of one difference.

    "supported" or "contradicted": the 95 % interval excludes zero. "equivalent": the 90 % interval lies within
    -margin to +margin (two one-sided tests at 5 %). Both may hold, as "supported, equivalent": a real but negligible
    gain. "inconclusive": neither.
    """
    low, high = result.interval(0.95)
    words = ["supported"] if low > 0 else ["contradicted"] if high < 0 else []
    inner = result.interval(0.90)
    if margin is not None and -margin <= inner[0] and inner[1] <= margin:
        words.append("equivalent")
    return ", ".join(words) or "inconclusive"
