"""Tables, figures and the page of a plan, written into a folder."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from dainet.cache.records import hash_file, read_record, write_record
from dainet.compare.charts import comparisons_figure, parts_figure, patients_figure, trainings_figure
from dainet.compare.checks import checks_table, convergence_table, monitored
from dainet.compare.comparisons import comparisons_of, networks_of, patient_differences, sample_of
from dainet.compare.curves import learning_curves
from dainet.compare.failures import failed_cases
from dainet.compare.hearts import agreement_figure, agreement_table, ef_table
from dainet.compare.page import Findings, write_page
from dainet.compare.parts import parts_table
from dainet.compare.plan import Plan
from dainet.compare.questions import comparisons_table, joint_word, questions_table
from dainet.compare.results import Results, analyze
from dainet.compare.scores import Scored, finished_waves, first_missing, read_scored
from dainet.compare.tables import networks_table, spread_table, volumes_table
from dainet.data.arrangement import flip_note
from dainet.errors import InputError
from dainet.reporting.artifacts import save_csv, save_figure, save_table
from dainet.reporting.style import in_style

__all__ = ["early_reads", "heart_figure", "learning_figure", "plan_notes", "plan_tables", "read_whole", "write_report"]

_COUNTED = {
    "patients and trainings": "patients and trainings",
    "folds": "folds, as there is one training of each network in each",
    "patients": "patients alone, as there is one training of each network",
}
_EARLY = "early_reads.json"  # in the folder of results: after how many waves test scores were read


def write_report(plan: Plan, folder: Path, output: Path, so_far: bool = False) -> Path:
    """Write the page of a plan with its tables and figures; return the path of the page.

    Args:
        plan: see `dainet.compare.plan`.
        folder: holds scores/, histories/ and records/ of its trainings.
        output: folder for the page, which is complete in itself, and for each table and figure as files for a paper.
        so_far: see `read_whole`.

    Raises:
        InputError: see `read_whole`.
    """
    scored = read_whole(plan, folder, so_far)
    early = early_reads(scored, folder)
    results = analyze(scored)
    settings = scored.trainings[0].settings({"output": str(output)})
    notes = plan_notes(results)
    tables = {"table_comparisons": comparisons_table(scored, results.answers), **plan_tables(results)}
    if len(failures := failed_cases(scored)):
        tables["table_failures"] = failures
    for name, table in tables.items():
        save_table(table, name, settings, {}, notes)
    save_csv(_patients(scored), "patient_differences", settings, {})  # not "patients": a figure has that record
    alts = dict[str, str]()
    for name, figure in _figures(results):
        save_figure(figure, name, settings, {})
        alts[name] = str(figure.get_label())
    return write_page(Findings(scored, results.answers, folder, early), tables, alts, settings)


def read_whole(plan: Plan, folder: Path, so_far: bool = False) -> Scored:
    """Read the scores of a plan of which every wave is whole.

    Whoever reads test scores and then decides whether to train more, decides by a result (docs/claims.md, "Stopping").

    Args:
        plan: see `dainet.compare.plan`.
        folder: holds scores/ and histories/.
        so_far: read the whole waves that there are, because no more will be run.

    Raises:
        InputError: waves are missing, and the message counts what is there; those that are whole do not train a
            network of a primary or of the first comparison; or the plan compares nothing.
    """
    if not plan.comparisons:
        raise InputError(f"plan {plan.name} compares nothing, so there is nothing to report; give it comparisons")
    waves, planned = finished_waves(plan, folder), len(plan.waves)
    if 0 < waves < planned and not so_far:
        raise InputError(
            f"plan {plan.name}: {waves} of {planned} waves are whole; {first_missing(plan, folder)} is the first "
            "training without scores; test scores are read after the last wave, so that no result decides when to "
            "stop; run the others, or, if none will be run, or one fails again and again, add --waves-so-far"
        )
    scored = read_scored(plan, folder)
    needed = [line for line in plan.comparisons if line.role == "primary" or line is plan.comparisons[0]]
    lacking = {each for line in needed for each in (line.first, line.second)} - set(networks_of(scored))
    if lacking:
        raise InputError(
            f"plan {plan.name}: {waves} of {planned} waves are whole, and none of them trains {min(lacking)}, without "
            "which the claim cannot be judged; run its wave"
        )
    return scored


def plan_tables(results: Results) -> dict[str, pd.DataFrame]:
    """Return the tables of a plan as text, by name: questions, checks, networks, parts, spread; hearts, or volumes."""
    scored = results.scored
    tables = {
        "table_questions": questions_table(scored, results.answers),
        "table_checks": checks_table(scored),
        "table_convergence": convergence_table(scored),
        "table_networks": networks_table(scored),
        "table_parts": parts_table(results.parts),
        "table_spread": spread_table(scored),
    }
    if len(results.hearts):
        tables["table_hearts"] = agreement_table(results.hearts)
        tables["table_ejection_fraction"] = ef_table(scored, results.hearts)
    else:
        tables["table_volumes"] = volumes_table(scored)
    return {name: table for name, table in tables.items() if len(table) and len(table.columns) > 1}  # names alone


def plan_notes(results: Results) -> list[str]:
    """Return what stands below every table of a plan: what was counted, and what the intervals count."""
    scored = results.scored
    plan, folds = scored.plan, len(scored.plan.folds)
    counted = f"{scored.waves} of {len(plan.waves)} waves, {len(scored.trainings)} trainings"
    tested = f"every patient is tested in one of {folds} folds" if folds > 1 else "one split"
    sample = _COUNTED[sample_of(scored, comparisons_of(scored)[0])]
    notes = [
        f"{plan.title}: {counted}; {tested}; strict policy for empty masks.",
        f"Intervals count {sample} (docs/claims.md, Analysis); margin of equivalence: {plan.margin}.",
    ]
    primary = [each.verdict for each in results.answers if each.comparison.role == "primary"]
    if len(primary) > 1 and (word := joint_word(primary)):
        notes.append(f"All primary questions together, each of which the claim needs: {word}.")
    if any(each.settings({}).segmentation.augment for each in scored.trainings):
        notes += flip_note(list(scored.scores["class"].unique()))
    return notes


def heart_figure(results: Results) -> Figure | None:
    """Draw the ejection fractions of the first comparison; None where the scores are not of hearts at ED and ES."""
    hearts, first = results.hearts, comparisons_of(results.scored)[0]
    return agreement_figure(hearts, (first.second, first.first)) if len(hearts) else None


@in_style
def learning_figure(scored: Scored) -> Figure:
    """Draw the learning curves of every network; the second of the first comparison comes first."""
    baseline = comparisons_of(scored)[0].second
    names = sorted(networks_of(scored), key=lambda name: name != baseline)
    own = {name: scored.histories[scored.histories["model"] == name] for name in names}
    parts = {name: [part for _, part in table.groupby(["fold", "seed"])] for name, table in own.items()}
    return learning_curves(parts, monitored(scored).removesuffix(" patients"))


def _figures(results: Results) -> Iterator[tuple[str, Figure]]:
    scored, margin = results.scored, results.scored.plan.margin
    yield "comparisons", comparisons_figure(results.answers, margin)
    yield "patients", patients_figure(scored)
    if any(part.result is not None for part in results.parts):
        yield "parts", parts_figure(results.parts, margin)
    yield "trainings", trainings_figure(scored)
    yield "learning_curves", learning_figure(scored)
    if (hearts := heart_figure(results)) is not None:
        yield "ejection_fraction", hearts


def _patients(scored: Scored) -> pd.DataFrame:
    """Return one line per patient: fold, group, and its difference in every comparison, in points."""
    about = scored.scores.drop_duplicates("patient").set_index("patient")[["fold", "group"]]
    deltas = {line.title: patient_differences(scored, line).round(3) for line in comparisons_of(scored)}
    return about.assign(**deltas).reset_index().replace({np.nan: ""})


def early_reads(scored: Scored, folder: Path) -> list[int]:
    """Return after how many waves scores were read before, and note this reading if waves are still missing."""
    path = folder / _EARLY
    known = list(read_record(path)["waves"]) if path.is_file() else []
    if scored.waves < len(scored.plan.waves) and scored.waves not in known:
        names = [f"scores/{training.name}.csv" for training in scored.trainings]
        hashes = {name: hash_file(folder / name) for name in names}  # of what was read
        write_record(path, {"waves": [*known, scored.waves], "files": hashes})
    return [waves for waves in known if waves < scored.waves]
