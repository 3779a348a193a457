"""`dainet compare plan`: everything is checked, a few steps are measured, and what was decided is written down."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pandas as pd

from dainet import pipeline
from dainet.compare.cost import Cost, cost_table, fold_slices, measure_cost
from dainet.compare.files import found_from
from dainet.compare.folds import deal, person_names, without_twins, write_folds
from dainet.compare.new_plan import check_networks, check_new, named_networks, split_overrides, write_plan
from dainet.compare.outlook import described, not_counted_text, power_text, size_text, spreads_of, table_text
from dainet.compare.plan import Network, Plan, check_enough
from dainet.data.sources import open_source
from dainet.data.splits import resolve_split
from dainet.errors import InputError
from dainet.segmentation.outside import is_outside
from dainet.segmentation.outside_check import check_batches
from dainet.settings import DataSettings, load_settings

__all__ = ["Request", "plan_comparison"]

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Request:
    """What a user asks to be planned: networks as `named_networks` takes them, and the numbers of the plan."""

    networks: Sequence[str]
    profile: str
    given: Mapping[str, Any]  # settings by dotted name
    folds: int  # 1: the data set's own split
    seeds: int
    margin: float  # points of DSC
    gain: float | None  # hoped for, points of DSC
    spread: str  # see `spreads_of`


def plan_comparison(asked: Request, path: Path) -> tuple[Plan, str]:
    """Check everything, deal folds, measure, and write a plan; return it, and the text that describes it.

    Raises:
        InputError: something would stop a training later, there are too few patients, or a file would be overwritten.
    """
    check_new(path)
    _check_gain(asked)
    spreads = spreads_of(asked.spread)
    # A split of the user's is what a single fold is made of.
    given = {name: value for name, value in asked.given.items() if asked.folds > 1 or name != "data.split"}
    shared, where = split_overrides(given, path.parent)
    rows = named_networks(asked.networks, shared, path.parent)
    check_networks(rows, asked.profile, asked.given, path.parent)
    folds = _dealt(load_settings(asked.profile, asked.given).data, asked.folds)
    check_enough([patient for fold in folds for patient, part in fold.items() if part == "test"], asked.folds)
    costs = _costs(asked, rows, folds, path.parent)
    name, truth = next(iter(spreads.items()))
    fields = {"profile": asked.profile, "settings": shared, "margin": asked.margin, "where": where}
    plan = write_plan(path, fields | {"spread": described(name, truth)}, rows, asked.seeds, folds)
    following = f"{path} and the folds next to it are written. Next: dainet compare run {path}"
    blocks = [size_text(plan), costs, not_counted_text(plan), power_text(plan, spreads, asked.gain), following]
    return plan, "\n\n".join(blocks)


def _check_gain(asked: Request) -> None:
    if not 0 < asked.margin < 100:
        raise InputError(f"--margin {asked.margin:g}: expected points of DSC, more than 0, such as 0.3")
    if asked.gain is not None and asked.gain <= asked.margin:
        raise InputError(
            f"--gain {asked.gain:g} is not more than --margin {asked.margin:g}, within which a difference counts as "
            "none; give a smaller margin if such a gain is worth having"
        )


def _dealt(settings: DataSettings, count: int) -> list[dict[str, str]]:
    """Deal the patients that are there, or take the data set's own split as the only fold."""
    source = open_source(settings)
    patients = without_twins({case.patient for case in source.cases})
    if count > 1:
        return deal(patients, {case.patient: case.group for case in source.cases}, count)
    _, split = resolve_split(settings, source)
    return [{patient: split[patient] for patient in patients if patient in split}]


def _costs(asked: Request, rows: Mapping[str, Network], folds: Sequence[Mapping[str, str]], folder: Path) -> str:
    """Read all data, in the first fold, and return the table of what all trainings cost."""
    with TemporaryDirectory() as place:
        split = {"data.split": str(write_folds(Path(place), folds)[0])}
        own = {
            name: {key: found_from(folder, key, value) for key, value in row.settings.items()}
            for name, row in rows.items()
        }
        settings = {name: load_settings(asked.profile, {**asked.given, **own[name], **split}) for name in rows}
        everybody = {**asked.given, **split, "data.train_patients": None}
        cases = pipeline.prepare(load_settings(asked.profile, everybody)).cases
        _check_images(cases)
        counts = cases.groupby("patient").size().to_dict()
        slices = {name: fold_slices(folds, own.data, counts) for name, own in settings.items()}
        costs = dict[str, Cost]()
        for name, row in rows.items():
            log.info("measuring %s ...", name)
            network = found_from(folder, "network", row.network)
            for fold in slices[name] if is_outside(network) else ():
                check_batches(settings[name], network, fold["train"])
            costs[name] = measure_cost(settings[name], network)
    return table_text(cost_table(costs, settings, slices, asked.seeds))


def _check_images(cases: pd.DataFrame) -> None:
    """Refuse one image under the names of two persons: some fold would train on what it tests."""
    person = person_names(cases["patient"].unique())
    for _, same in cases.groupby("sha256"):
        names = sorted(same["patient"].unique())
        if len({person[name] for name in names}) > 1:
            raise InputError(f"{' and '.join(names)} have the same image; move one of them out of the data")
