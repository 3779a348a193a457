"""The questions of a plan and their verdicts."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

import pandas as pd

from dainet.compare.analysis import Difference, verdict
from dainet.compare.comparisons import MOVERS, compare_networks, comparisons_of, interval_text, or_none, without_movers
from dainet.compare.mixed_model import mixed_model_error
from dainet.compare.plan import Comparison
from dainet.compare.scores import Scored, fold_scores

__all__ = ["Answer", "answers", "joint_verdict", "questions_table"]


@dataclass(frozen=True)
class Answer:
    """The difference of a comparison, and the words of its verdict; "not judged" where it has none."""

    comparison: Comparison
    result: Difference
    verdict: str

    @property
    def title(self) -> str:
        """What is compared, as tables call it."""
        return f"{self.comparison.first} - {self.comparison.second}"


def answers(scored: Scored) -> list[Answer]:
    """Judge the comparisons of a plan in their order.

    A secondary question is judged only where the one before it has a verdict other than "inconclusive". One training
    of each network in one fold is not judged at all.
    """
    found, asked, enough = [], True, len(scored.scores[["fold", "seed"]].drop_duplicates()) > 1
    for line in comparisons_of(scored):
        result = compare_networks(scored, line)
        judged = enough and (line.role == "primary" or (line.role == "secondary" and asked))
        word = _verdict(scored, line, result) if judged else "not judged"
        if judged:
            asked = not word.startswith("inconclusive")
        found.append(Answer(line, result, word))
    return found


def questions_table(scored: Scored) -> pd.DataFrame:
    """Write the answers as text: differences with 95 and 90 % intervals, errors and verdicts."""
    lines = []
    for answer in answers(scored):
        line, result = answer.comparison, answer.result
        low, high = result.interval(0.95)
        row = {"Question": line.question, "Role": line.role, "Comparison": answer.title}
        row |= {"Difference": f"{result.estimate:+.2f}", "95 %": interval_text(low, high)}
        row |= {"90 %": interval_text(*result.interval(0.90)), "Error": f"{result.error:.3f}"}
        row |= {"Error (mixed model)": _mixed(scored, line), "Degrees of freedom": f"{result.freedom:.0f}"}
        row |= {"Trainings": _trainings(scored, line), "Paper": "" if line.paper is None else f"{line.paper:+.2f}"}
        row["Interval contains the paper's"] = "" if line.paper is None else _yes(low <= line.paper <= high)
        lines.append(row | {"Verdict": answer.verdict})
    return pd.DataFrame(lines)


def joint_verdict(questions: pd.DataFrame) -> str:
    """Judge a claim that needs every primary question of `questions_table`; empty where one is not judged.

    "supported" if all are, "contradicted" if one is, else "inconclusive"; since all must hold, no correction is needed.
    """
    words = list(questions.loc[questions["Role"] == "primary", "Verdict"])
    if not words or "not judged" in words:
        return ""
    if any(word.startswith("contradicted") for word in words):
        return "contradicted"
    return "supported" if all(word.startswith("supported") for word in words) else "inconclusive"


def _verdict(scored: Scored, line: Comparison, result: Difference) -> str:
    """Judge, and say where few patients carry the verdict."""
    word = verdict(result, scored.plan.margin)
    rest = or_none(partial(without_movers, scored, line))
    without = word if rest is None else verdict(rest, scored.plan.margin)
    return word if without == word else f"{word}; carried by few patients (without {MOVERS} of them: {without})"


def _trainings(scored: Scored, line: Comparison) -> str:
    counts = scored.scores.groupby("model")[["fold", "seed"]].apply(lambda part: len(part.drop_duplicates()))
    return f"{counts[line.first]} and {counts[line.second]}"


def _mixed(scored: Scored, line: Comparison) -> str:
    folds = [fold_scores(scored.scores, name) for name in (line.first, line.second)]
    if min(len(fold) for network in folds for fold in network) == 1:
        return "not fitted: one seed"
    return f"{mixed_model_error(*folds)[1]:.3f}"


def _yes(value: bool) -> str:
    return "yes" if value else "no"
