"""The page of a plan: its verdict in a sentence, figures, tables, failures, methods, limits, and the plan itself."""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from dainet.compare.detectable import detectable
from dainet.compare.facts import fold_table, machine_table, plan_networks, read_records
from dainet.compare.failures import FAR_MM, missing_trainings, repeated_trainings
from dainet.compare.limitations import limitations
from dainet.compare.looks import Look, edited, plans_tested
from dainet.compare.methods import methods
from dainet.compare.plan import Plan, plan_hash
from dainet.compare.questions import Answer
from dainet.compare.scores import Scored
from dainet.compare.sentences import headline, points, verdict_sentence
from dainet.reporting.artifacts import output_folder, save_page
from dainet.reporting.pages import render_page
from dainet.reporting.run_identity import public_settings
from dainet.settings import Settings

__all__ = ["Findings", "write_page"]

_SIDE_BY_SIDE = 6  # rows of a wide table that can stand next to each other
# On their side, unless they are long.
_WIDE = ("table_questions", "table_checks", "table_networks", "table_hearts", "table_volumes")
_ROWS = 40  # of a table on the page; its CSV file has all
_TITLES = {
    "comparisons": ("Every comparison", "Thin: 95 % interval; thick: 90 %; gray band: the margin of equivalence."),
    "patients": (
        "Every patient",
        "Differences of means over seeds, sorted. All comparisons are in patient_differences.csv.",
    ),
    "parts": ("Parts of the cases", "The same difference by class, phase and group, without tests."),
    "trainings": ("Every training", "A dot is the mean test DSC of a training, the line the mean of a network."),
    "learning_curves": (
        "Learning curves",
        "Means over trainings, band from lowest to highest; gray: {0}.",
    ),
    "ejection_fraction": ("Ejection fraction", "Predicted and labeled, of means over seeds; a dot is a patient."),
    "table_comparisons": ("Comparisons, for a paper", "Differences in points of DSC with 95 % intervals."),
    "table_questions": ("Comparisons in full", "Errors count patients and trainings; the mixed model is a check."),
    "table_checks": ("Checks", "What should not change the answer. If it does, the text has to say so."),
    "table_convergence": (
        "When the difference was there",
        "DSC of monitored patients after parts of the training; in brackets, the share of the difference at its end.",
    ),
    "table_networks": ("Networks", "Means over trainings on the test patients."),
    "table_parts": ("Parts of the cases in numbers", "Intervals without tests."),
    "table_spread": ("Spread of trainings", "How much the means of trainings differ within folds."),
    "table_hearts": (
        "For a reader who treats hearts",
        "Bias with limits of agreement, computed for each seed and averaged.",
    ),
    "table_ejection_fraction": ("Ejection fraction in numbers", "Absolute errors of the left ventricle, compared."),
    "table_volumes": (
        "Volumes",
        "Errors in percent of the labeled volume, median (quartiles).",
    ),
    "table_failures": ("Cases that networks missed", "The most frequent ones first."),
    "plan_networks": ("Networks of the plan", "Everything else is the same for all."),
    "plan_folds": ("Folds", "Numbers of patients."),
    "plan_machines": ("Machines and versions", "As the records of the trainings say."),
}


@dataclass(frozen=True)
class Findings:
    """What a page tells: scores and answers of a plan, the folder of its results, and earlier readings of it.

    `early` holds after how many waves the test scores were read before later waves ran.
    """

    scored: Scored
    answers: tuple[Answer, ...]
    folder: Path
    early: Sequence[int]


def write_page(
    found: Findings, tables: Mapping[str, pd.DataFrame], alts: Mapping[str, str], settings: Settings
) -> Path:
    """Write index.html, in which the figures are contained, and its record; return the path of the page.

    Args:
        found: what the page tells.
        tables: text by name; their files lie in the output folder already.
        alts: alternative texts of the figures in the output folder, by name.
        settings: of one training of the plan, with the output folder.
    """
    scored, folder = found.scored, output_folder(settings)
    records = read_records(found.folder, scored.trainings)
    word, sentence = headline(found.answers, scored.plan.margin)
    about = {
        "plan_networks": plan_networks(scored, records),
        "plan_folds": fold_table(scored),
        "plan_machines": machine_table(records),
    }
    text = render_page(
        "dainet.compare",
        "report.html",
        title=scored.plan.title,
        word=word,
        color=word.lower() if word.lower() in ("supported", "contradicted", "equivalent") else "",
        sentences=_sentences(found, sentence),
        below=[detectable(scored), _looks(scored)],
        warnings=_warnings(found),
        figures=[_figure(folder, name, alt, found) for name, alt in alts.items()],
        tables=[_table(name, table) for name, table in tables.items() if name != "table_failures"],
        failures=_table("table_failures", tables["table_failures"]) if "table_failures" in tables else None,
        far=f"{FAR_MM:.0f}",
        in_mm=bool(scored.scores["hd95_mm"].notna().any()),
        repeated=repeated_trainings(records),
        missing=missing_trainings(scored),
        records=records,
        trainings=len(scored.trainings),
        methods=methods(scored),
        limitations=limitations(scored, found.answers, records),
        plan_line=_plan_line(scored.plan),
        about=[_table(name, table, files=False) for name, table in about.items() if len(table)],
        details={"Settings of the first training": public_settings(settings)},
        shown_rows=_ROWS,
    )
    return save_page(text, settings)


def _sentences(found: Findings, first: str) -> list[str]:
    primary = [each for each in found.answers if each.comparison.role == "primary"]
    margin = found.scored.plan.margin
    if len(primary) == 1:
        return [first]
    return [first, *(verdict_sentence(each, margin) for each in primary or found.answers[:1])]


def _plan_line(plan: Plan) -> str:
    spread = f" Its power was computed beforehand from: {plan.spread}." if plan.spread else ""
    return f"{plan.name}, SHA-256 {plan_hash(plan)}; margin {points(plan.margin)}.{spread}"


def _warnings(found: Findings) -> list[dict[str, str]]:
    scored, warnings = found.scored, []
    for waves in found.early:
        text = f"Test scores were read after {waves} of {len(scored.plan.waves)} waves, before the others ran."
        warnings.append({"lead": "Read before.", "text": text})
    for digest in edited(scored.plan, found.folder):
        text = f"Trainings here were made under another content of this plan, SHA-256 {digest[:12]}."
        warnings.append({"lead": "Edited after its first training.", "text": text})
    return warnings


def _looks(scored: Scored) -> str:
    """Say the how-manieth plan this is that was tested on these patients; other machines are not counted."""
    looks = plans_tested(scored)
    own = next(number for number, look in enumerate(looks) if _is_of(look, scored.plan))
    others = [f"{look.plan} ({look.shared} of the patients)" for look in looks[:own]]
    if not others:
        return "This is the first plan tested on these patients on this machine."
    return (
        f"This is plan number {own + 1} tested on these patients on this machine, after {', '.join(others)}. The more "
        "plans are tested on the same patients, the sooner one of them looks better by chance."
    )


def _is_of(look: Look, plan: Plan) -> bool:
    return (look.plan, look.sha256) == (plan.name, plan_hash(plan))


def _figure(folder: Path, name: str, alt: str, found: Findings) -> dict[str, str]:
    title, text = _TITLES[name]
    text = text.format(found.answers[0].comparison.second)
    image = base64.b64encode((folder / f"{name}.png").read_bytes()).decode()
    return {"name": name, "title": title, "text": text, "alt": alt, "image": image}


def _table(name: str, table: pd.DataFrame, files: bool = True) -> dict[str, Any]:
    """Return what the page shows of a table; a wide one lies on its side there."""
    title, text = _TITLES[name]
    if name in _WIDE and len(table) <= _SIDE_BY_SIDE:
        named = table.set_index("Comparison" if "Comparison" in table else table.columns[0])
        table = named.T.rename_axis(columns=None).reset_index(names=named.index.name)
    rows = table.astype(str).to_numpy().tolist()
    header = [str(name) for name in table.columns]
    return {"name": name, "title": title, "text": text, "header": header, "rows": rows, "files": files}
