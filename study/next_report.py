"""The tables and figures of a plan in study/plans, from its committed scores or from simulated ones."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from dainet.compare.analysis import spread_of
from dainet.compare.comparisons import lenders
from dainet.compare.plan import Plan
from dainet.compare.report import early_reads, heart_figure, learning_figure, plan_notes, plan_tables, read_whole
from dainet.compare.results import Results, analyze
from dainet.compare.scores import Scored, finished_waves, fold_scores
from dainet.protocol import CLASSES, published_table
from dainet.reporting.artifacts import save_figure, save_table
from dainet.reporting.style import in_style
from dainet.reporting.tables import compare
from study.overview import Gain, Row, gains_of, overview_figure, planned_rows, rows_of

__all__ = [
    "common_figure",
    "is_ready",
    "open_questions",
    "pooled_spread",
    "read_ready",
    "study_tables",
    "write_plan_report",
]

_BY_WAVE = ("chaos",)  # no verdict, and every wave runs whatever an earlier one says (docs/claims.md, "Deviations")
_LICENSES = {
    "acdc": "Data: ACDC (Bernard et al., 2018), CC BY-NC-SA 4.0.",
    "custom": "Data: CHAOS (Kavur et al., 2021), CC BY-NC-SA 4.0, resampled by others.",
}


def is_ready(plan: Plan, folder: Path) -> bool:
    """Say whether the scores in `folder` may be read: all waves are whole, or one is and the plan is read by wave."""
    waves = finished_waves(plan, folder)
    return waves == len(plan.waves) or (waves > 0 and plan.name in _BY_WAVE)


def read_ready(plan: Plan, folder: Path) -> Scored:
    """Read the scores of a plan, or raise InputError where they may not be read yet (see `is_ready`)."""
    return read_whole(plan, folder, so_far=plan.name in _BY_WAVE)


def pooled_spread(scored: Scored) -> str:
    """Say how much trainings differ, pooled over the networks of the first comparison, and nothing else.

    This alone may be known before the last wave (docs/claims.md, "Stopping").

    Raises:
        InputError: no network was trained twice in a fold.
    """
    found = spread_of(*(fold_scores(scored.scores, name) for name in lenders(scored)))
    return (
        f"{scored.plan.name}, {scored.waves} of {len(scored.plan.waves)} waves: trainings differ by "
        f"{np.sqrt(found.training):.2f} points (standard deviation, {found.training_freedom} degrees of freedom)"
    )


def study_tables(results: Results) -> dict[str, pd.DataFrame]:
    """Return the tables of a plan by name; beside ACDC split as in the paper stands the paper's Table 2."""
    tables, scored = plan_tables(results), results.scored
    if scored.plan.dataset == "acdc" and len(scored.plan.folds) == 1:
        names = CLASSES["acdc"].names
        tables["table_published"] = compare(published_table("acdc", "table2"), scored.scores, names, "strict")
    return tables


def open_questions(plan: Plan) -> pd.DataFrame:
    """Return the questions of a plan as text, before its scores may be read."""
    rows = [
        {"Question": line.question, "Role": line.role, "Comparison": row.label}
        | {"Patients": str(row.patients), "Trainings": str(row.trainings)}
        | {"Paper": "" if line.paper is None else f"{line.paper:+.2f}", "Verdict": "not known yet"}
        for line, row in zip(plan.comparisons, planned_rows(plan), strict=True)
    ]
    return pd.DataFrame(rows)


@in_style
def common_figure(first: tuple[Sequence[Row], Sequence[Gain]], studies: Sequence[Scored | Plan]) -> Figure:
    """Draw the figure of all studies.

    Args:
        first: rows and gains of the first study.
        studies: the next ones: what their whole waves have left, or their plans before those may be read.
    """
    rows, gains = list(first[0]), list(first[1])
    for study in studies:
        rows += planned_rows(study) if isinstance(study, Plan) else rows_of(study)
        gains += [] if isinstance(study, Plan) else gains_of(study)
    return overview_figure(rows, gains)


def write_plan_report(
    plan: Plan, folder: Path, output: Path, others: tuple[Sequence[Row], Sequence[Gain]] = ((), ()), note: str = ""
) -> Scored:
    """Write tables and figures of a plan whose scores may be read (see `is_ready`).

    Args:
        plan: see `dainet.compare.plan`.
        folder: holds scores/ and histories/.
        output: folder of the tables and figures.
        others: rows and gains of other studies, for the common figure.
        note: goes into every table and above the figure, such as that scores are simulated.
    """
    scored = read_ready(plan, folder)
    early_reads(scored, folder)  # for a later page, which says so
    results = analyze(scored)
    settings = scored.trainings[0].settings({"output": str(output)})
    notes = [*([note] if note else []), *plan_notes(results), _LICENSES[plan.dataset]]
    for name, table in study_tables(results).items():
        save_table(table, name, settings, {}, notes)
    rows, gains = [*others[0], *rows_of(scored)], [*others[1], *gains_of(scored)]
    save_figure(overview_figure(rows, gains, plan.margin, note), "overview", settings, {})
    save_figure(learning_figure(scored), "learning_curves", settings, {})
    if (hearts := heart_figure(results)) is not None:
        save_figure(hearts, "ejection_fraction", settings, {})
    return scored
