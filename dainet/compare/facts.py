"""The plan itself, as its page tells it: networks, folds, and the machines and versions of its trainings."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from dainet.cache.records import read_record
from dainet.compare.comparisons import networks_of
from dainet.compare.plan import Plan, Training
from dainet.compare.scores import Scored
from dainet.segmentation.outside import outside_label

__all__ = ["counts", "fold_table", "machine_table", "plan_networks", "read_records", "seeds_per_fold", "tuned_networks"]


def read_records(folder: Path, trainings: Iterable[Training]) -> dict[str, dict[str, Any]]:
    """Read the records of trainings by name; simulated scores have none."""
    paths = {training.name: folder / "records" / f"{training.name}.json" for training in trainings}
    return {name: read_record(path) for name, path in paths.items() if path.is_file()}


def tuned_networks(plan: Plan) -> list[str]:
    """Return the networks that are trained by settings of their own, other than their width."""
    return [
        name
        for name, row in plan.networks.items()
        if any(key.startswith("segmentation.") and key != "segmentation.width" for key in row.settings)
    ]


def plan_networks(scored: Scored, records: Mapping[str, Mapping[str, Any]]) -> pd.DataFrame:
    """List the networks of a plan: what each is, what differs in its settings, its trainings and parameters."""
    plan, lines = scored.plan, []
    parameters = {record["model"]: record.get("parameters") for record in records.values()}
    for name in networks_of(scored):
        row = plan.networks[name]
        own = [f"{key}={_public(value)}" for key, value in row.settings.items()]
        own += [f"{key}: the training's seed" for key in row.seeded]
        seeds = sorted({training.seed for training in scored.trainings if training.model == name})
        line = {"Network": name, "Is": outside_label(row.network), "Own settings": "; ".join(own)}
        line["Seeds"] = ", ".join(map(str, seeds))
        if count := parameters.get(name):
            line["Parameters (M)"] = f"{count / 1e6:.2f}"
        lines.append(line)
    return pd.DataFrame(lines).fillna("")


def fold_table(scored: Scored) -> pd.DataFrame:
    """Count the patients of every fold: in training, in validation, and those tested."""
    lines = []
    for number, fold in enumerate(scored.plan.splits(), start=1):
        split = Counter(fold.values())
        tested = scored.scores.loc[scored.scores["fold"] == number, "patient"].nunique()
        row = {"Fold": str(number), "Training": str(split["train"]), "Validation": str(split["valid"])}
        lines.append(row | {"Tested": str(tested)})
    return pd.DataFrame(lines)


def machine_table(records: Mapping[str, Mapping[str, Any]]) -> pd.DataFrame:
    """Count the trainings by hardware and versions that made them, with their hours; without rows if nothing tells."""
    lines = [
        {
            "Accelerator": record.get("accelerator", "unknown"),
            "Processor": record.get("processor", "unknown"),
            "dainet": f"{record.get('dainet', '')} ({record.get('git', 'unknown')})",
            "Python": record.get("python", "unknown"),
            "torch": record.get("packages", {}).get("torch", "unknown"),
            "hours": record.get("seconds", 0) / 3600,
        }
        for record in records.values()
    ]
    if not lines:
        return pd.DataFrame()
    table = pd.DataFrame(lines)
    grouped = table.groupby([name for name in table if name != "hours"], sort=False)["hours"].agg(["size", "sum"])
    grouped = grouped.rename(columns={"size": "Trainings", "sum": "Hours"}).reset_index()
    return grouped.assign(Hours=grouped["Hours"].map("{:.2f}".format)).astype(str)


def counts(scored: Scored) -> dict[str, Any]:
    """Count patients, folds, trainings and seeds of the first comparison's networks, for sentences."""
    first, seeds = scored.plan.comparisons[0], seeds_per_fold(scored)
    return {
        "patients": scored.scores["patient"].nunique(),
        "folds": scored.scores["fold"].nunique(),
        "trainings": len(scored.trainings),
        "seeds": (seeds.get(first.first, 0), seeds.get(first.second, 0)),
    }


def seeds_per_fold(scored: Scored) -> dict[str, int]:
    """Count the trainings of each network that has scores in a fold; if folds differ, the fewest."""
    seeds = scored.scores.groupby(["model", "fold"])["seed"].nunique().groupby("model").min()
    return {str(name): int(count) for name, count in seeds.items()}


def _public(value: Any) -> str:
    """Return a value without the folder of a file that it names."""
    text = str(value)
    return text.replace("\\", "/").rpartition("/")[2] if "/" in text or "\\" in text else text
