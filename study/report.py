"""All tables and charts of the study, from its committed scores and histories, and the tables in its report."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd
from torch import nn

from dainet.cache.folders import repository_root
from dainet.errors import InputError
from dainet.protocol import published_table
from dainet.reporting.artifacts import save_figure, save_table
from dainet.reporting.tables import compare, spread
from dainet.segmentation.networks import build, parameter_count
from dainet.settings import Settings
from study.calibration import error_rates
from study.charts import forest_plot, learning_curves, regime_plot
from study.plan import PATIENTS, Training, first_trainings, load_more_seeds, load_plan
from study.verdicts import cost_verdict, judge, load_claims, regimes

__all__ = ["fill_tables", "read_scores", "study_tables", "write_report"]

NETWORK, HYBRID = "dual-1111 (width 64)", "R50 + ViT-B hybrid"  # rows of benchmarks/results/networks.csv
_INTERVAL = "95 % (patients and seeds)"
_CLASSES = ("RV", "Myo", "LV")
_TITLES = {"paper": "The paper's claims", "controls": "Controls", "more_seeds": "Fresh seeds, judged by themselves"}


def write_report(folder: Path) -> Path:
    """Write every table and chart that the scores in `folder` allow, and the tables into the report.

    Raises:
        InputError: there are no scores, or the report has no place for a table.
    """
    scores, report = read_scores(folder, load_plan()), repository_root() / "docs" / "reproduction.md"
    strict, families = scores.query("policy == 'strict'"), _judged(scores, folder)
    tables = _tables(scores, families, folder) | {"table_calibration": _calibration_table(strict)}
    settings = load_plan()[0].settings({"output": folder.relative_to(repository_root()).as_posix()})
    finished = _finished(folder, load_plan() + load_more_seeds())
    stages = {training.name: _record(folder, training)["stage"]["segmentation"] for training in finished}
    for name, table in tables.items():
        save_table(table, name, settings, stages, _notes(name))
    _draw(strict, families, folder, settings, stages)
    report.write_text(fill_tables(report.read_text(encoding="utf-8"), tables), encoding="utf-8")
    return report


def study_tables(folder: Path) -> dict[str, pd.DataFrame]:
    """Return the study's tables as text, by name: one per family of claims, models, regimes, and heads if scored."""
    scores = read_scores(folder, load_plan())
    return _tables(scores, _judged(scores, folder), folder)


def _tables(scores: pd.DataFrame, families: Mapping[str, pd.DataFrame], folder: Path) -> dict[str, pd.DataFrame]:
    tables = {f"table_{name}": _claims_table(family) for name, family in families.items()}
    tables["table_paper"] = pd.concat([tables["table_paper"], _cost_row()]).fillna("")
    regimes_table = _regimes_table(scores.query("policy == 'strict'"))
    tables |= {"table_models": _models_table(scores), "table_regimes": regimes_table}
    if (folder / "heads.csv").is_file():
        tables["table_heads"] = _heads_table(pd.read_csv(folder / "heads.csv"))
    return tables


def read_scores(folder: Path, plan: Sequence[Training]) -> pd.DataFrame:
    """Read the per-case scores of the plan's finished trainings, in the plan's order (see `dainet.compare.queue`)."""
    parts = [folder / "scores" / f"{training.name}.csv" for training in _finished(folder, plan)]
    tables = [pd.read_csv(path, dtype={"patient": str, "case_id": str}) for path in parts]
    if not tables:
        raise InputError(f"{folder / 'scores'} has no scores of the plan; run `python -m study run` first")
    return pd.concat(tables, ignore_index=True)


def _judged(scores: pd.DataFrame, folder: Path) -> dict[str, pd.DataFrame]:
    """Judge every family of claims: `scores` are those of the plan, and more_seeds has its own."""
    later = load_more_seeds()
    own = {"more_seeds": read_scores(folder, later) if _finished(folder, later) else scores[:0]}
    parts = {name: own.get(name, scores).query("policy == 'strict'") for name in load_claims()}
    return {name: judge(parts[name], family) for name, family in load_claims().items()}


def _claims_table(family: pd.DataFrame) -> pd.DataFrame:
    """Format a family of claims with verdicts as text; rows that have not run keep their claim."""
    table = pd.DataFrame([_claim_row(line) for line in family.to_dict("records")]).fillna("")
    return table[[name for name in table if name != "Verdict"] + ["Verdict"]]


def _models_table(scores: pd.DataFrame) -> pd.DataFrame:
    """Compare every network with 40 training patients with the paper's row: DSC (%), HD95 (voxels), parameters."""
    published = pd.concat([published_table("acdc", "table2"), published_table("acdc", "table3")])
    published = published[published["model"] != ""].drop_duplicates("model")
    table = compare(published, scores[scores["train_patients"] == PATIENTS], _CLASSES, "strict")
    return table.drop(columns="Difference").assign(
        **{"Parameters (M)": [_parameters(name) for name in table["Method"]]}
    )


def _regimes_table(strict: pd.DataFrame) -> pd.DataFrame:
    """Format the regimes: number of training patients, both networks, and their difference with its interval."""
    table = regimes(strict)
    rows = [
        {
            "Training patients": str(line["train_patients"]),
            "Seeds": str(line["seeds"]),
            "unet DSC (%)": spread(line["second_mean"], line["second_std"]),
            "dual-1111 DSC (%)": spread(line["first_mean"], line["first_std"]),
            "Difference": f"{line['difference']:+.2f}",
            "95 % interval (patients and seeds)": _interval(line["low_seeds"], line["high_seeds"]),
        }
        for line in table.to_dict("records")
    ]
    return pd.DataFrame(rows)


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


def _draw(
    strict: pd.DataFrame,
    families: Mapping[str, pd.DataFrame],
    folder: Path,
    settings: Settings,
    stages: Mapping[str, str],
) -> None:
    titles = {title: families[name] for name, title in _TITLES.items()}
    curves: dict[str, list[pd.DataFrame]] = {}
    for training in _finished(folder, load_plan()):
        if training.patients == PATIENTS:
            path = folder / "histories" / f"{training.name}.csv"
            curves.setdefault(training.model, []).append(pd.read_csv(path))
    save_figure(learning_curves(curves), "learning_curves", settings, stages)
    save_figure(regime_plot(strict), "regimes", settings, stages)
    if any((family["verdict"] != "not run").any() for family in titles.values()):
        save_figure(forest_plot(titles), "forest", settings, stages)


def _finished(folder: Path, plan: Sequence[Training]) -> list[Training]:
    return [training for training in plan if (folder / "scores" / f"{training.name}.csv").is_file()]


def _record(folder: Path, training: Training) -> dict[str, Any]:
    return json.loads((folder / "records" / f"{training.name}.json").read_text(encoding="utf-8"))


def _notes(name: str) -> list[str]:
    if name == "table_heads":
        return ["ACDC, all test slices that show the class; the best head is picked on the same slices."]
    if name == "table_calibration":
        return ["Simulated pairs of networks that differ in nothing but their seeds; see docs/reproduction.md."]
    patients = "5 to 70" if name == "table_regimes" else PATIENTS
    fresh = f"{len({training.seed for training in load_more_seeds()})} fresh"
    common = (
        f"ACDC, {patients} training, 10 validation and all 20 test patients of the split mtunet; width 16, 128 px; "
        "checkpoint by validation DSC; strict policy for empty masks; mean ± standard deviation over "
        f"{fresh if name == 'table_more_seeds' else 'three'} seeds."
    )
    if name == "table_regimes":
        return [common]
    if name == "table_models":
        return [common, "HD95 in voxels. paper: as printed, one run each, 70 training patients, width 64, 224 px."]
    rule = (
        "Verdict, intervals and p: see docs/claims.md, written before these trainings. p: Wilcoxon over patients, "
        "Holm-corrected within the table. Difference: first network of the comparison minus second."
    )
    return [common, rule]


def _calibration_table(strict: pd.DataFrame) -> pd.DataFrame:
    rates = {deviation: error_rates(strict, deviation) for deviation in (0.25, 0.5, 1.0)}
    rows = [
        {
            "Seeds differ by (points, standard deviation)": str(deviation),
            "95 % interval over patients excludes zero": f"{100 * rate['patients']:.0f} %",
            "The rule gives a verdict": f"{100 * rate['verdict']:.0f} %",
        }
        for deviation, rate in rates.items()
    ]
    return pd.DataFrame(rows)


def _heads_table(heads: pd.DataFrame) -> pd.DataFrame:
    """Format AUROC and IoU of the best head and the mean AUROC of all heads, for all classes together and for each."""
    groups = heads.groupby(["weights", "class"], sort=False)
    table = groups.agg(best=("auroc", "max"), mean=("auroc", "mean"), iou=("iou", "max"), slices=("slices", "first"))
    titles = {"weights": "Weights", "class": "Class", "best": "AUROC, best head", "mean": "AUROC, mean of heads"}
    titles |= {"iou": "IoU, best head", "slices": "Slices"}
    return table.round(3).reset_index().rename(columns=titles).astype(str)


def _claim_row(line: dict[str, Any]) -> dict[str, str]:
    unit = "DSC of LV" if line["class"] == "LV" else {"dsc": "DSC", "hd95_vox": "HD95"}[str(line["measure"])]
    row = {"Claim": str(line["claim"]), "Comparison": f"{line['better']} - {line['worse']} ({unit})"}
    if "paper" in line:
        row["Paper"] = f"{line['paper']:+.2f}"
    if line["verdict"] != "not run":
        row |= {"First": spread(line["better_mean"], line["better_std"])}
        row |= {"Second": spread(line["worse_mean"], line["worse_std"]), "Difference": f"{line['difference']:+.2f}"}
        row["95 % (patients)"] = _interval(line["low"], line["high"])
        row[_INTERVAL] = _interval(line["low_seeds"], line["high_seeds"])
        row |= {"p": f"{line['p']:.2g}", "Cohen's d": f"{line['d']:+.2f}"}
        row["As claimed in"] = f"{line['agreeing']:.0f} of {line['patients']:.0f}"
    return row | {"Verdict": str(line["verdict"])}


def _cost_row() -> pd.DataFrame:
    costs = pd.read_csv(repository_root() / "benchmarks" / "results" / "networks.csv").set_index("Network")
    counts = [
        f"{costs.loc[name, 'Parameters (M)']:.1f} M, {costs.loc[name, 'GFLOP per image']:.0f} GFLOP"
        for name in (NETWORK, HYBRID)
    ]
    row = {"Claim": "much fewer computation costs than a hybrid", "Comparison": f"{NETWORK} - {HYBRID}", "Paper": ""}
    row |= {"First": counts[0], "Second": counts[1]}
    return pd.DataFrame([row | {"Verdict": cost_verdict(costs, NETWORK, HYBRID)}])


def _parameters(method: str) -> str:
    """Return the parameters (M) of a network of the plan, at the width of its trainings; empty for other rows."""
    trained = first_trainings()
    if method not in trained:
        return ""
    training = trained[method]
    width = training.settings({}).segmentation.width
    network = build(training.network, width=width)
    # They still had a bias in every convolution before a batch norm: one number for each channel of the norm.
    biases = sum(layer.num_features for layer in network.modules() if isinstance(layer, nn.BatchNorm2d))
    return f"{(parameter_count(network) + biases) / 1e6:.2f}"


def _interval(low: object, high: object) -> str:
    return f"{low:+.2f} to {high:+.2f}"
