"""All tables and charts of the study, from its committed scores and histories, and the tables in its report."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from dainet.cache.records import read_record
from dainet.compare.curves import learning_curves
from dainet.compare.forest import forest_plot
from dainet.compare.plan import Plan, read_plan
from dainet.compare.power import observed_truth
from dainet.compare.questions import answers, questions_table
from dainet.compare.scores import Scored, read_scored
from dainet.csv_files import read_csv
from dainet.errors import InputError
from dainet.places import repository_root
from dainet.reporting.artifacts import save_figure, save_table
from dainet.reporting.statistics import patient_means
from dainet.segmentation.evaluation import SCORES
from dainet.settings import Settings
from study.calibration import calibrate
from study.charts import regime_plot
from study.folds import PLANS
from study.next_report import common_figure, is_ready, open_questions
from study.notes import notes
from study.one_run import power_table
from study.overview import first_study_gains, first_study_rows
from study.plan import PATIENTS, Training, load_more_seeds, load_plan
from study.tables import (
    HEADS,
    calibration_table,
    claims_table,
    heads_table,
    models_table,
    regimes_table,
    robustness_table,
)
from study.verdicts import BADLY_TRAINED, judge, load_claims, regimes, ten_seed_comparisons

__all__ = [
    "calibration",
    "fill_tables",
    "next_tables",
    "read_scores",
    "read_validation",
    "study_tables",
    "write_report",
]

_NEXT = ("near-paper", "chaos")  # plans of study/plans whose questions stand in the report from their beginning
_PRINTED = ("Question", "Role", "Comparison", "Difference", "95 %", "90 %", "Trainings", "Paper", "Verdict")
_TITLES = {"paper": "The paper's claims", "controls": "Controls", "more_seeds": "Fresh seeds, judged by themselves"}


def write_report(folder: Path) -> Path:
    """Write every table and chart that the scores in `folder` allow, and the tables into the report.

    Raises:
        InputError: there are no scores, or the report has no place for a table.
    """
    report = repository_root() / "docs" / "reproduction.md"
    families = _judged(folder)
    tables = _tables(families, folder)
    if min(map(len, _scattered(folder))) > 1:
        tables["table_calibration"] = calibration(folder)
    settings = load_plan()[0].settings({"output": str(folder)})
    finished = _finished(folder, load_plan() + load_more_seeds())
    stages = {training.name: _record(folder, training)["stage"]["segmentation"] for training in finished}
    for name, table in tables.items():
        save_table(table, name, settings, stages, notes(name))
    _draw(families, folder, settings, stages)
    filled = fill_tables(report.read_text(encoding="utf-8"), tables | next_tables(folder))
    report.write_text(filled, encoding="utf-8")
    return report


def study_tables(folder: Path) -> dict[str, pd.DataFrame]:
    """Return the study's tables as text, by name, except for the simulated one, which takes half a minute.

    They are one per family of claims, robustness, ten seeds, models, regimes, and heads if scored.
    """
    return _tables(_judged(folder), folder)


def _tables(families: Mapping[str, pd.DataFrame], folder: Path) -> dict[str, pd.DataFrame]:
    scores, validation = read_scores(folder, load_plan()), read_validation(folder, load_plan())
    sizes = regimes(scores.query("policy == 'strict'"))
    if len(sizes):
        sizes["validation"] = [_gain(validation, "dual-1111", "unet", size) for size in sizes["train_patients"]]
    tables = {f"table_{name}": claims_table(families[name], name == "paper") for name in _TITLES}
    tables["table_robustness"] = robustness_table(pd.concat([families[name] for name in _TITLES]))
    tables |= {"table_ten_seeds": robustness_table(families["ten_seeds"])}
    tables |= {"table_models": models_table(scores), "table_regimes": regimes_table(sizes)}
    scattered = _scattered(folder)
    if min(map(len, scattered)) > 1:
        tables["table_power"] = power_table(observed_truth(*([network] for network in scattered)))
    if (folder / "heads.csv").is_file():
        tables["table_heads"] = heads_table(read_csv(folder / "heads.csv", numbers=HEADS))
    return tables


def next_tables(folder: Path) -> dict[str, pd.DataFrame]:
    """Return the questions of the next studies as text, by name, with answers where scores may be read."""
    return {
        f"table_{name}": open_questions(study) if isinstance(study, Plan) else _printed(study)
        for name, study in _next_studies(folder).items()
    }


def _printed(study: Scored) -> pd.DataFrame:
    """Return the answers of a study as the report prints them; the study's own table has every column."""
    table = questions_table(study, answers(study))[list(_PRINTED)]
    return table.loc[:, (table != "").any()]


def _next_studies(folder: Path) -> dict[str, Scored | Plan]:
    """Read the next studies, which lie beside the first one; those not to be read yet stay plans."""
    plans = {name: read_plan(PLANS / f"{name}.yaml") for name in _NEXT}
    places = {name: folder.parent / name for name in _NEXT}
    return {
        name: read_scored(plan, places[name]) if is_ready(plan, places[name]) else plan for name, plan in plans.items()
    }


def read_scores(folder: Path, plan: Sequence[Training]) -> pd.DataFrame:
    """Read the per-case scores of the plan's finished trainings, in the plan's order (see `dainet.compare.queue`)."""
    parts = [folder / "scores" / f"{training.name}.csv" for training in _finished(folder, plan)]
    tables = [read_csv(path, numbers=[*SCORES, "dsc_last_epoch", "train_patients", "seed"]) for path in parts]
    if not tables:
        raise InputError(f"{folder / 'scores'} has no scores of the plan; train it with dainet compare run")
    return pd.concat(tables, ignore_index=True)


def read_validation(folder: Path, plan: Sequence[Training]) -> pd.DataFrame:
    """Read how the plan's finished trainings scored on the validation patients at their chosen epoch.

    Returns:
        Columns model, train_patients, seed and dsc (percent).
    """
    rows = [
        (training.model, training.patients, training.seed, 100 * _history(folder, training)["dsc"].max())
        for training in _finished(folder, plan)
    ]
    return pd.DataFrame(rows, columns=["model", "train_patients", "seed", "dsc"])


def _judged(folder: Path) -> dict[str, pd.DataFrame]:
    """Judge every family of claims, and compare all ten seeds, each with its difference on the validation patients."""
    first, later = load_plan(), load_more_seeds()
    families = {name: (family, first) for name, family in load_claims().items()}
    families["more_seeds"] = (families["more_seeds"][0], later)
    families["ten_seeds"] = (ten_seed_comparisons(), first + later)
    scores = read_scores(folder, first + later).query("policy == 'strict'")
    validation = read_validation(folder, first + later)
    judged = {}
    for name, (claims, plan) in families.items():
        seeds = {training.seed for training in plan}
        used = validation[validation["seed"].isin(seeds)]
        table = judge(scores[scores["seed"].isin(seeds)], claims)
        gains = pd.Series([_gain(used, claim["better"], claim["worse"]) for claim in claims])
        validated = (table["measure"] == "dsc") & (table["class"] == "mean")  # histories hold the mean DSC alone
        judged[name] = table.assign(validation=gains.where(validated))
    return judged


def _gain(validation: pd.DataFrame, better: str, worse: str, patients: int = PATIENTS) -> float:
    means = validation[validation["train_patients"] == patients].groupby("model")["dsc"].mean()
    return means.get(better, np.nan) - means.get(worse, np.nan)


def calibration(folder: Path) -> pd.DataFrame:
    """Return the table of how often the rule is wrong where scores scatter as those of dual-1111 and unet do."""
    return calibration_table(calibrate(*_scattered(folder)))


def _scattered(folder: Path) -> list[np.ndarray]:
    """Read the scores [seeds, patients] of all trainings of dual-1111 and of unet with `PATIENTS` patients."""
    scores = read_scores(folder, load_plan() + load_more_seeds())
    scores = scores[(scores["policy"] == "strict") & (scores["train_patients"] == PATIENTS)]
    return [patient_means(scores, name).to_numpy() for name in ("dual-1111", "unet")]


def fill_tables(text: str, tables: Mapping[str, pd.DataFrame]) -> str:
    """Put each table between its marks `<!-- NAME -->` and `<!-- /NAME -->` in a Markdown text.

    Raises:
        InputError: a table has no such place.
    """
    for name, table in tables.items():
        place = re.compile(rf"(<!-- {name} -->\n).*?(<!-- /{name} -->)", re.DOTALL)
        if not place.search(text):
            raise InputError(
                f"the report has no place for {name}; expected the lines <!-- {name} --> and <!-- /{name} -->"
            )
        body = table.to_markdown(index=False, disable_numparse=True)
        text = place.sub(lambda match, body=body: f"{match[1]}{body}\n{match[2]}", text)  # type: ignore[misc]
    return text


def _draw(families: Mapping[str, pd.DataFrame], folder: Path, settings: Settings, stages: Mapping[str, str]) -> None:
    plan, titles = load_plan(), {title: families[name] for name, title in _TITLES.items()}
    curves: dict[str, list[pd.DataFrame]] = {}
    for training in _finished(folder, plan):
        if training.patients == PATIENTS:
            curves.setdefault(training.model, []).append(_history(folder, training))
    strict = read_scores(folder, plan).query("policy == 'strict'")
    save_figure(learning_curves(curves), "learning_curves", settings, stages)
    save_figure(regime_plot(strict), "regimes", settings, stages)
    seen = read_scores(folder, plan + load_more_seeds()).query("policy == 'strict'")
    figure = common_figure((first_study_rows(seen), first_study_gains(seen)), list(_next_studies(folder).values()))
    save_figure(figure, "overview", settings, stages)
    if any((family["verdict"] != "not run").any() for family in titles.values()):
        save_figure(forest_plot(titles, BADLY_TRAINED), "forest", settings, stages)


def _finished(folder: Path, plan: Sequence[Training]) -> list[Training]:
    return [training for training in plan if (folder / "scores" / f"{training.name}.csv").is_file()]


def _record(folder: Path, training: Training) -> dict[str, Any]:
    return read_record(folder / "records" / f"{training.name}.json")


def _history(folder: Path, training: Training) -> pd.DataFrame:
    return read_csv(folder / "histories" / f"{training.name}.csv", numbers="all")
