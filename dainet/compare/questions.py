"""The questions of a plan and their verdicts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
import pandas as pd

from dainet.compare.analysis import Difference, verdict
from dainet.compare.comparisons import (
    MOVERS,
    compare_networks,
    comparisons_of,
    difference_text,
    interval_text,
    network_means,
    or_none,
    paired_folds,
    sample_of,
    without_movers,
)
from dainet.compare.mixed_model import mixed_model_error
from dainet.compare.plan import Comparison
from dainet.compare.scores import Scored
from dainet.errors import DainetError, InputError
from dainet.reporting.statistics import folds_interval

__all__ = ["HINT", "Answer", "answers", "comparisons_table", "joint_word", "questions_table"]

HINT = "a hint, because a question before it ended equivalent"


@dataclass(frozen=True)
class Answer:
    """The difference of a comparison, and the words of its verdict; "not judged" where it has none."""

    comparison: Comparison
    result: Difference
    verdict: str

    @property
    def title(self) -> str:
        """What is compared, as tables call it."""
        return self.comparison.title

    @property
    def word(self) -> str:
        """The verdict without what follows it, such as "carried by few patients"."""
        return self.verdict.split(";")[0]


def answers(scored: Scored) -> list[Answer]:
    """Judge the comparisons of a plan in their order.

    A secondary question is judged only where the one before it has a verdict other than "inconclusive"; after one that
    ended "equivalent", a difference is a hint, because the sequence does not keep its error then (docs/claims.md). One
    training of each network in one fold is not judged at all.
    """
    found, asked, weak = [], True, False
    for line in comparisons_of(scored):
        result = compare_networks(scored, line)
        judged = line.role == "primary" or (line.role == "secondary" and asked)
        word = _verdict(scored, line, result) if judged else "not judged"
        if judged:
            asked = not word.startswith(("inconclusive", "not judged"))
            if weak and line.role == "secondary" and word.startswith(("supported", "contradicted")):
                word += f"; {HINT}"
            weak = weak or word.split("; ")[0] == "equivalent"
        found.append(Answer(line, result, word))
    return found


def questions_table(scored: Scored, found: Sequence[Answer]) -> pd.DataFrame:
    """Write the answers to a plan's questions as text: differences with 95 and 90 % intervals, errors and verdicts."""
    lines = []
    for answer in found:
        line, result = answer.comparison, answer.result
        low, high = result.interval(0.95)
        row = {"Question": line.question, "Role": line.role, "Comparison": answer.title}
        row |= {"Difference": f"{result.estimate:+.2f}", "95 %": interval_text(low, high)}
        row |= {"90 %": interval_text(*result.interval(0.90)), "95 % (bootstrap)": _bootstrap(scored, line)}
        row["Error"] = f"{result.error:.3f}"
        row |= {"Error (mixed model)": _mixed(scored, line), "Degrees of freedom": _count(result.freedom)}
        row |= {"Trainings": _trainings(scored, line), "Paper": "" if line.paper is None else f"{line.paper:+.2f}"}
        known = line.paper is not None and not np.isnan(low)
        row["Interval contains the paper's"] = _yes(low <= line.paper <= high) if known else ""
        lines.append(row | {"Verdict": answer.verdict})
    return pd.DataFrame(lines)


def comparisons_table(scored: Scored, found: Sequence[Answer]) -> pd.DataFrame:
    """Write the comparisons as a paper prints them: both networks' DSC, the difference with its interval, the verdict.

    A network's DSC is the mean over patients or folds, as in the difference (`network_means`).
    """
    lines = []
    for answer in found:
        first, second = network_means(scored, answer.comparison)
        row = {"Comparison": answer.title, "First (%)": f"{first:.2f}", "Second (%)": f"{second:.2f}"}
        lines.append(row | {"Difference (95 %)": difference_text(answer.result), "Verdict": answer.verdict})
    return pd.DataFrame(lines)


def joint_word(words: Sequence[str]) -> str:
    """Judge a claim that needs all of several verdicts; empty where one is not judged.

    "supported" if all are, "contradicted" if one is, else "inconclusive"; since all must hold, no correction is needed.
    """
    if not words or "not judged" in words:
        return ""
    if any(word.startswith("contradicted") for word in words):
        return "contradicted"
    return "supported" if all(word.startswith("supported") for word in words) else "inconclusive"


def _verdict(scored: Scored, line: Comparison, result: Difference) -> str:
    """Judge, and say where few patients carry the verdict."""
    if sample_of(scored, line) == "patients" or not result.error > 0:  # the same scores in every patient and training
        return "not judged"
    word = verdict(result, scored.plan.margin)
    rest = or_none(partial(without_movers, scored, line))
    without = word if rest is None else verdict(rest, scored.plan.margin)
    rider = f"carried by few patients (without the {MOVERS} that move the difference most: {without})"
    return word if without == word else f"{word}; {rider}"


def _trainings(scored: Scored, line: Comparison) -> str:
    counts = scored.scores.groupby("model")[["fold", "seed"]].apply(lambda part: len(part.drop_duplicates()))
    return f"{counts[line.first]} and {counts[line.second]}"


def _bootstrap(scored: Scored, line: Comparison) -> str:
    """Return the interval of the first study, for continuity; of one seed each it counts patients alone."""
    return interval_text(*folds_interval(*paired_folds(scored.scores, line)))


def _mixed(scored: Scored, line: Comparison) -> str:
    folds = paired_folds(scored.scores, line)
    if min(len(fold) for network in folds for fold in network) == 1:
        return "not fitted: one seed"
    try:
        return f"{mixed_model_error(*folds)[1]:.3f}"
    except (DainetError, np.linalg.LinAlgError) as error:
        return "not fitted: no statsmodels" if isinstance(error, InputError) else "not fitted: no convergence"


def _count(freedom: float) -> str:
    return "-" if np.isnan(freedom) else f"{freedom:.0f}"


def _yes(value: bool) -> str:
    return "yes" if value else "no"
