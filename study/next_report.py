"""The tables and figures of a plan in study/plans, from its committed scores or from simulated ones."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path

import pandas as pd
from matplotlib.figure import Figure

from dainet.compare.checks import checks_table
from dainet.compare.hearts import agreement_figure, agreement_table, heart_numbers
from dainet.compare.plan import Plan
from dainet.compare.questions import joint_verdict, questions_table
from dainet.compare.scores import Scored, read_scored
from dainet.compare.tables import networks_table, parts_table, spread_table
from dainet.protocol import CLASSES, published_table
from dainet.reporting.artifacts import save_figure, save_table
from dainet.reporting.tables import compare
from study.overview import Gain, Row, gains_of, overview_figure, planned_rows, rows_of

__all__ = ["common_figure", "open_questions", "plan_tables", "write_plan_report"]

log = logging.getLogger(__name__)
_LICENSES = {
    "acdc": "Data: ACDC (Bernard et al., 2018), CC BY-NC-SA 4.0.",
    "custom": "Data: CHAOS (Kavur et al., 2021), CC BY-NC-SA 4.0, resampled by others.",
}


def plan_tables(scored: Scored) -> dict[str, pd.DataFrame]:
    """Return the tables of a plan as text, by name: questions, checks, parts, networks, spread, and hearts for ACDC.

    Where ACDC is split as in the paper, the paper's Table 2 stands beside the rows of the plan.
    """
    tables = {
        "table_questions": questions_table(scored),
        "table_checks": checks_table(scored),
        "table_networks": networks_table(scored),
        "table_parts": parts_table(scored),
        "table_spread": spread_table(scored),
    }
    if _is_cardiac(scored.plan):
        tables["table_hearts"] = agreement_table(heart_numbers(scored.scores))
        if len(scored.plan.folds) == 1:
            names = CLASSES["acdc"].names
            tables["table_published"] = compare(published_table("acdc", "table2"), scored.scores, names, "strict")
    return {name: table for name, table in tables.items() if len(table)}


def open_questions(plan: Plan) -> pd.DataFrame:
    """Return the questions of a plan as text, before its first wave is whole."""
    rows = [
        {"Question": line.question, "Role": line.role, "Comparison": row.label}
        | {"Patients": str(row.patients), "Trainings": str(row.trainings)}
        | {"Paper": "" if line.paper is None else f"{line.paper:+.2f}", "Verdict": "not known yet"}
        for line, row in zip(plan.comparisons, planned_rows(plan), strict=True)
    ]
    return pd.DataFrame(rows)


def common_figure(first: tuple[Sequence[Row], Sequence[Gain]], studies: Sequence[Scored | Plan]) -> Figure:
    """Draw the figure of all studies.

    Args:
        first: rows and gains of the first study.
        studies: the next ones: what their whole waves have left, or their plans before the first wave is whole.
    """
    rows, gains = list(first[0]), list(first[1])
    for study in studies:
        rows += planned_rows(study) if isinstance(study, Plan) else rows_of(study)
        gains += [] if isinstance(study, Plan) else gains_of(study)
    return overview_figure(rows, gains)


def write_plan_report(
    plan: Plan, folder: Path, output: Path, others: tuple[Sequence[Row], Sequence[Gain]] = ((), ()), note: str = ""
) -> Scored:
    """Write tables and figures of a plan's whole waves.

    Args:
        plan: see `dainet.compare.plan`.
        folder: holds scores/ and histories/.
        output: folder of the tables and figures, relative to the repository.
        others: rows and gains of other studies, for the common figure.
        note: goes into every table and above the figure, such as that scores are simulated.
    """
    scored = read_scored(plan, folder)
    settings = scored.trainings[0].settings({"output": output.as_posix()})
    tables, notes = plan_tables(scored), [*([note] if note else []), *_notes(scored)]
    if word := joint_verdict(tables["table_questions"]):
        notes.append(f"All primary questions together, each of which the claim needs: {word}.")
    for name, table in tables.items():
        save_table(table, name, settings, {}, notes)
    rows, gains = [*others[0], *rows_of(scored)], [*others[1], *gains_of(scored)]
    save_figure(overview_figure(rows, gains, plan.margin, note), "overview", settings, {})
    if _is_cardiac(plan):
        first = plan.comparisons[0]
        hearts = agreement_figure(heart_numbers(scored.scores), (first.second, first.first))
        save_figure(hearts, "ejection_fraction", settings, {})
    return scored


def _is_cardiac(plan: Plan) -> bool:
    return plan.dataset == "acdc"


def _notes(scored: Scored) -> list[str]:
    plan, folds = scored.plan, len(scored.plan.folds)
    counted = f"{scored.waves} of {len(plan.waves)} waves, {len(scored.trainings)} trainings"
    tested = f"every patient is tested in one of {folds} folds" if folds > 1 else "one split"
    alone = len(scored.scores[["fold", "seed"]].drop_duplicates()) == 1
    sample = "patients alone, as there is one training of each network" if alone else "patients and trainings"
    return [
        f"{plan.title}: {counted}; {tested}; strict policy for empty masks.",
        f"Intervals count {sample} (docs/claims.md, Analysis); margin of equivalence: {plan.margin}.",
        _LICENSES[plan.dataset],
    ]
