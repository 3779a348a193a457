"""What is computed once from the scores of a plan, for all tables, figures and sentences about it."""

from __future__ import annotations

from dataclasses import dataclass

import pandas as pd

from dainet.compare.hearts import heart_numbers
from dainet.compare.parts import Part, parts
from dainet.compare.questions import Answer, answers
from dainet.compare.scores import Scored

__all__ = ["Results", "analyze"]


@dataclass(frozen=True)
class Results:
    """The scores of a plan, the answers to its questions, its parts, and its hearts, without rows if it has none."""

    scored: Scored
    answers: tuple[Answer, ...]
    parts: tuple[Part, ...]
    hearts: pd.DataFrame


def analyze(scored: Scored) -> Results:
    """Compute everything that more than one table, figure or sentence of a plan shows."""
    return Results(scored, tuple(answers(scored)), tuple(parts(scored)), _hearts(scored.scores))


def _hearts(scores: pd.DataFrame) -> pd.DataFrame:
    """Return the hearts of the scores; without rows where voxels have no size."""
    if not {"predicted_voxels", "spacing_z_mm"} <= set(scores):
        return pd.DataFrame()
    hearts = heart_numbers(scores)
    return hearts if hearts["lv_ef"].notna().any() else hearts.iloc[:0]
