"""The trainings of the study with their settings, as plan.yaml lists them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import yaml

from dainet.settings import Settings, load_settings

__all__ = ["PATIENTS", "Training", "first_trainings", "load_more_seeds", "load_plan"]

PATIENTS = 40  # training patients of every training that a claim compares


@dataclass(frozen=True)
class Training:
    """One network with one seed.

    `model` is its name in tables, `network` what `dainet.segmentation.catalog.build` calls it, `patients` the number
    of training patients, `overrides` its settings by dotted name on top of `profile`.
    """

    model: str
    network: str
    patients: int
    seed: int
    profile: str
    overrides: Mapping[str, Any]

    @property
    def name(self) -> str:
        """File name of its scores, without ending."""
        return f"{self.model}_{self.patients}patients_seed{self.seed}"

    @property
    def labels(self) -> dict[str, Any]:
        """Return the columns by which its scores are told from others."""
        return {"model": self.model, "train_patients": self.patients}

    def settings(self, where: Mapping[str, Any]) -> Settings:
        """Return its settings; `where` says which data, weights and device, by dotted name."""
        return load_settings(self.profile, {**self.overrides, **where})


def load_plan(text: str | None = None) -> list[Training]:
    """Read the trainings of plan.yaml, or of a plan in the same form, in the order in which they are to run."""
    plan = _read(text)
    return [
        Training(row["model"], row["network"], patients, seed, plan["profile"], _overrides(plan, row, patients))
        for row in plan["trainings"]
        for patients in row["patients"]
        for seed in plan["seeds"]
    ]


def first_trainings() -> dict[str, Training]:
    """Return, by model, each network's training with `PATIENTS` training patients and its first seed."""
    return {training.model: training for training in reversed(load_plan()) if training.patients == PATIENTS}


def load_more_seeds() -> list[Training]:
    """Read the later trainings of plan.yaml: some of its networks with fresh seeds, seed by seed."""
    later, first = _read()["more_seeds"], first_trainings()
    return [replace(first[model], seed=seed) for seed in later["seeds"] for model in later["models"]]


def _read(text: str | None = None) -> dict[str, Any]:
    return yaml.safe_load(text or Path(__file__).with_name("plan.yaml").read_text(encoding="utf-8"))


def _overrides(plan: Mapping[str, Any], row: Mapping[str, Any], patients: int) -> dict[str, Any]:
    size = {"data.train_patients": patients, "segmentation.epochs": plan["epochs"][patients]}
    return {**plan["common"], "segmentation.seeds": plan["seeds"], **size, **row.get("settings", {})}
