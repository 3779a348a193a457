"""The test of tests: one function under two names is compared many times, with simulated scores."""

from __future__ import annotations

import zlib
from dataclasses import dataclass, replace

import numpy as np
from scipy import stats

from dainet.compare.analysis import Difference, difference, fold_difference, spread_of
from dainet.compare.power import equivalence_power, power, published_spreads, smallest_gain
from dainet.compare.simulation import Design, Truth, simulate

__all__ = ["CASES", "GAINS", "PROMISED", "Case", "rates", "sequence_rates", "share"]

GAINS = (0.33, 1.0)  # planted, in points of DSC; the first is the paper's difference
PROMISED = 0.8  # chance with which the smallest gain of a design is found
_ALL, _TWENTY, _ONE_FOLD = (20, 20, 20, 20, 19), (4,) * 5, (20,)  # patients of every fold
_LENT = 3  # trainings of the networks from which one with a single training borrows
_NEAR, _SMALL = published_spreads()["near-paper"], published_spreads()["small"]
_SAME = replace(_NEAR, patients=0.0)
_MARGIN = 0.3  # points of DSC


@dataclass(frozen=True)
class Case:
    """One design with the spreads of a published study; `margin` is in points of DSC.

    `collapsed` is the share of trainings that lose 20 points, `lost` that of cases that lose 50, in both networks.
    """

    design: Design
    truth: Truth = _NEAR
    remark: str = ""
    margin: float = _MARGIN
    collapsed: float = 0.0
    lost: float = 0.0

    @property
    def title(self) -> str:
        """What is simulated, in words."""
        folds, (first, second) = len(self.design.folds), self.design.seeds
        seeds = f"{first} seed{'s' * (first > 1)}" if first == second else f"{first} and {second} seeds"
        rest = f"; {self.remark}" if self.remark else ""
        return f"{sum(self.design.folds)} patients, {folds} fold{'s' * (folds > 1)}, {seeds}{rest}"


def _small(folds: tuple[int, ...], seeds: int) -> Case:
    return Case(Design(folds, (seeds, seeds)), _SMALL, "small networks", margin=1.0)


CASES = (
    Case(Design(_ALL, (3, 3))),
    Case(Design(_ALL, (3, 2))),
    Case(Design(_ALL, (3, 1))),
    Case(Design(_ALL, (1, 1))),
    Case(Design(_TWENTY, (2, 2))),
    Case(Design(_ONE_FOLD, (3, 3))),
    _small(_ALL, 3),
    _small(_TWENTY, 2),
    _small(_ONE_FOLD, 3),
    _small(_ONE_FOLD, 10),
    Case(Design(_ALL, (3, 3)), replace(_NEAR, heavy=True), "heavy tails"),
    Case(Design(_ALL, (3, 3)), replace(_NEAR, trainings=2.0), "trainings differ by 2 points"),
    Case(Design(_ALL, (3, 3)), remark="1 training in 20 collapses", collapsed=0.05),
    Case(Design(_ALL, (3, 3)), remark="1 case in 100 is lost", lost=0.01),
)


def rates(case: Case, rounds: int) -> dict[str, float]:
    """Simulate a case and analyze it; return shares of the rounds, and what the power promised.

    Returns:
        same: share with a verdict of a difference for one function under two names; average: likewise for two
        networks that differ in patients, but not on average; equivalent: share of "equivalent" for one function;
        found_0.33, found_1: of "supported" for these gains; planted: likewise for the smallest gain that is found with
        `PROMISED`, named smallest. What was promised for the last four stands beside them as promised_equivalent, ...
    """
    same = replace(case.truth, patients=0.0)
    null, other = _analyzed(case, same, rounds), _analyzed(case, case.truth, rounds)
    low, high = null.interval(0.9)
    smallest, above = smallest_gain(case.design, case.truth, PROMISED), other.interval()[0]
    found = {
        "same": float(_excludes_zero(null).mean()),
        "average": float(_excludes_zero(other).mean()),
        "equivalent": float(np.mean((low >= -case.margin) & (high <= case.margin))),
        "promised_equivalent": equivalence_power(case.design, same, case.margin),
        "smallest": smallest,
    }
    for name, gain in [*((f"found_{gain:g}", gain) for gain in GAINS), ("planted", smallest)]:
        found |= {name: float(np.mean(above + gain > 0)), f"promised_{name}": power(case.design, case.truth, gain)}
    return found


def sequence_rates(rounds: int) -> dict[str, float]:
    """Judge four names of one function as the questions of docs/claims.md: one after another, 3, 3, 2 and 1 seeds.

    Returns:
        Share of rounds in which each of the three questions is judged, has a verdict of a difference, and in which any
        of them up to this one has: judged_1, differs_1, any_1, ...
    """
    first, rest = simulate(Design(_ALL, (3, 6)), _SAME, rounds)
    rivals = [[fold[:, part] for fold in rest] for part in (slice(0, 3), slice(3, 5), slice(5, 6))]
    asked, wrong = np.ones(rounds, dtype=bool), np.zeros(rounds, dtype=bool)
    found: dict[str, float] = {}
    for number, rival in enumerate(rivals, start=1):
        result = difference(first, rival, spread_of(first, rivals[0]))
        differs = asked & _excludes_zero(result)
        wrong = wrong | differs
        found |= {f"judged_{number}": asked.mean(), f"differs_{number}": differs.mean(), f"any_{number}": wrong.mean()}
        low, high = result.interval(0.9)
        asked = asked & (_excludes_zero(result) | ((low >= -_MARGIN) & (high <= _MARGIN)))
    return {name: float(value) for name, value in found.items()}


def share(rate: float, rounds: int) -> tuple[float, float]:
    """Return the exact binomial 95 % interval of a share of rounds."""
    interval = stats.binomtest(round(rate * rounds), rounds).proportion_ci()
    return float(interval.low), float(interval.high)


def _analyzed(case: Case, truth: Truth, rounds: int) -> Difference:
    seed = zlib.crc32(f"{case.title} {truth.patients}".encode())
    networks, random = simulate(case.design, truth, rounds, seed), np.random.default_rng(seed + 1)
    first, second = ([_spoiled(fold, case, random) for fold in network] for network in networks)
    if max(case.design.seeds) == 1:
        return fold_difference(first, second)
    borrowed = None
    if min(case.design.seeds) == 1:
        borrowed = spread_of(*simulate(Design(case.design.folds, (_LENT, _LENT)), truth, rounds, seed + 2))
    return difference(first, second, borrowed)


def _spoiled(fold: np.ndarray, case: Case, random: np.random.Generator) -> np.ndarray:
    collapsed = random.random((*fold.shape[:-1], 1)) < case.collapsed
    return fold - 20.0 * collapsed - 50.0 * (random.random(fold.shape) < case.lost)


def _excludes_zero(result: Difference) -> np.ndarray:
    low, high = result.interval()
    return (low > 0) | (high < 0)
