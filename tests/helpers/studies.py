"""Simulated studies, analyzed: coverage and power of the analysis."""

from __future__ import annotations

import numpy as np

from dainet.compare.analysis import difference, spread_of
from dainet.compare.simulation import Design, Truth, simulate


def error_rates(design: Design, truth: Truth, margin: float, rounds: int = 4000) -> dict[str, float]:
    """Simulate and analyze; return shares of the rounds and the mean standard error.

    A network with one seed borrows the spread of a simulated pair with three seeds, as the study does.

    Args:
        design, truth: what is simulated.
        margin: of equivalence, in points.
        rounds: simulated studies.

    Returns:
        coverage (95 % interval holds the true effect), excludes_zero (power, or error where there is no effect),
        equivalent, error (mean standard error, points).
    """
    first, second = simulate(design, truth, rounds)
    borrowed = None
    if min(design.seeds) == 1:
        borrowed = spread_of(*simulate(Design(design.folds, (3, 3)), truth, rounds, seed=1))
    result = difference(first, second, borrowed)
    low, high = result.interval(0.95)
    inner_low, inner_high = result.interval(0.90)
    return {
        "coverage": float(np.mean((low <= truth.effect) & (truth.effect <= high))),
        "excludes_zero": float(np.mean((low > 0) | (high < 0))),
        "equivalent": float(np.mean((-margin <= inner_low) & (inner_high <= margin))),
        "error": float(np.mean(result.error)),
    }
