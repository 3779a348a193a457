"""The main comparisons of a plan by part of the test cases: by group, by phase, by class."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial

import pandas as pd

from dainet.compare.analysis import Difference
from dainet.compare.comparisons import compare_networks, difference_text, main_comparisons, or_none
from dainet.compare.plan import Comparison
from dainet.compare.scores import Scored, with_values

__all__ = ["Part", "parts", "parts_table"]

_COLUMNS = {"group": "Pathology", "phase": "Phase", "class": "Class"}


@dataclass(frozen=True)
class Part:
    """The difference of a comparison in one part of the cases; None where it has too few patients."""

    comparison: Comparison
    by: str
    name: str
    patients: int
    result: Difference | None


def parts(scored: Scored) -> Iterator[Part]:
    """Compute the main comparisons in every group, phase and class that the scores name."""
    for line in main_comparisons(scored):
        for column, title in _COLUMNS.items():
            for name, part in scored.scores.groupby(column):
                if name:
                    result = or_none(partial(compare_networks, scored, line, part))
                    patients = with_values(part, (line.first, line.second))["patient"].nunique()
                    yield Part(line, title, str(name), patients, result)


def parts_table(found: Sequence[Part]) -> pd.DataFrame:
    """Write parts of the main comparisons as text, with 95 % intervals and without tests."""
    lines = [
        {
            "Comparison": part.comparison.title,
            "By": part.by,
            "Part": part.name,
            "Patients": str(part.patients),
            "Difference": difference_text(part.result),
        }
        for part in found
    ]
    return pd.DataFrame(lines)
