"""Plans: which networks are trained in which folds with which seeds, in which order, and what is compared."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from dainet.compare.files import found_from, identity
from dainet.errors import InputError, reason, unknown
from dainet.protocol import DEFAULT_SPLIT, load_split, split_names
from dainet.settings import Seed, Settings, load_settings

__all__ = ["Comparison", "Network", "Plan", "Training", "Wave", "check_enough", "plan_hash", "read_plan"]

_NOT_HASHED = {"where", "sha256", "title", "folder", "folds"}  # folds count by their content


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class Network(_Part):
    """One network of a plan: what `build` calls it, and the settings that it does not share with the others.

    Files, such as that of an outside network, are named from the plan's folder. `model` is its name in tables, where
    that is not its key; `patients` is the number of training patients, where their number is what a plan varies.
    """

    network: str
    settings: dict[str, Any] = {}
    seeded: tuple[str, ...] = ()  # settings that take the training's seed, such as attention.random_seed
    model: str = ""
    patients: int | None = Field(default=None, gt=0)


class Wave(_Part):
    """Trainings that count together or not at all: these networks with this seed, in every fold."""

    seed: Seed
    networks: tuple[str, ...] = Field(min_length=1)


class Comparison(_Part):
    """A question about `first` - `second`, in points of DSC per patient.

    The role "primary" is judged always, "secondary" only if the question before it has a verdict other than
    inconclusive, and "exploratory" has intervals and no verdict. `paper` is the paper's difference.
    """

    question: str
    role: Literal["primary", "secondary", "exploratory"]
    first: str
    second: str
    paper: float | None = None

    @property
    def title(self) -> str:
        """What is compared, as tables call it."""
        return f"{self.first} - {self.second}"


class Plan(_Part):
    """Everything that is fixed before the first training (docs/claims.md); `folder` is where its files lie.

    `where` says, by dotted name, which data, weights and device this machine has; `sha256` is the `plan_hash` of the
    plan as it was written, and `spread` says in words from which spread its power was computed.
    """

    name: str
    title: str
    profile: str
    settings: dict[str, Any]
    folds: tuple[str, ...] = Field(min_length=1)  # CSV files (patient, split), from `folder`; or a split's name
    networks: dict[str, Network]
    waves: tuple[Wave, ...] = Field(min_length=1)
    margin: float = Field(gt=0)  # of equivalence, in points of DSC
    comparisons: tuple[Comparison, ...]
    analysis: Literal["patients-and-trainings"] = "patients-and-trainings"  # dainet.compare.analysis
    spread: str = ""
    where: dict[str, Any] = {}
    sha256: str = ""
    folder: Path

    @property
    def dataset(self) -> str:
        """Name of the data set, as in the setting data.dataset."""
        return str(self.settings.get("data.dataset", "acdc"))

    def trainings(self) -> list[Training]:
        """List the trainings in their order: wave by wave and fold by fold; within folds the order rotates."""
        return [
            self._training(name, fold, wave.seed)
            for wave in self.waves
            for fold in range(1, len(self.folds) + 1)
            for name in _rotated(wave.networks, fold - 1)
        ]

    def split(self, fold: int) -> dict[str, str]:
        """Return "train", "valid" or "test" for every patient of a fold, which are numbered from 1."""
        return load_split(self.dataset, self._split_name(fold))

    def splits(self) -> list[dict[str, str]]:
        """Return the `split` of every fold."""
        return [self.split(fold) for fold in range(1, len(self.folds) + 1)]

    def _split_name(self, fold: int) -> str:
        name = self.folds[fold - 1]
        known = self.dataset in DEFAULT_SPLIT and name in split_names(self.dataset)
        return name if known else str(self.folder / name)

    def _training(self, key: str, fold: int, seed: int) -> Training:
        row = self.networks[key]
        own = row.settings | dict.fromkeys(row.seeded, seed)
        own |= {"data.train_patients": row.patients} if row.patients else {}
        split = {"data.split": self._split_name(fold), "segmentation.seeds": [seed]}
        overrides = {
            name: found_from(self.folder, name, value) for name, value in (self.where | self.settings | own).items()
        }
        network = found_from(self.folder, "network", row.network)
        return Training(row.model or key, network, fold, seed, self.profile, overrides | split, row.patients)


@dataclass(frozen=True)
class Training:
    """One network of a plan, trained in one fold with one seed; `model` is its name in tables.

    `patients` is the number of its training patients, where that tells it from others.
    """

    model: str
    network: str
    fold: int
    seed: int
    profile: str
    overrides: Mapping[str, Any]
    patients: int | None = None

    @property
    def name(self) -> str:
        """File name of its scores, without ending."""
        if self.patients:
            return f"{self.model}_{self.patients}patients_seed{self.seed}"
        return f"{self.model}_fold{self.fold}_seed{self.seed}"

    @property
    def labels(self) -> dict[str, Any]:
        """Return the columns by which its scores are told from others."""
        return {"model": self.model} | ({"train_patients": self.patients} if self.patients else {"fold": self.fold})

    def settings(self, where: Mapping[str, Any]) -> Settings:
        """Return its settings; `where` says which data, weights and device, by dotted name."""
        return load_settings(self.profile, {**self.overrides, **where})


def read_plan(path: Path) -> Plan:
    """Read a plan from YAML.

    Raises:
        InputError: the file cannot be read, a name in it is unknown, a training stands in it twice, or a patient is
            tested in two folds.
    """
    try:
        values = yaml.safe_load(path.read_text(encoding="utf-8"))
        plan = Plan.model_validate({**values, "folder": path.parent})
    except (OSError, UnicodeError, yaml.YAMLError, TypeError) as error:
        raise InputError(f"plan {path.name}: {reason(error, path)}; see study/plans for the form") from error
    except ValidationError as error:
        first = error.errors()[0]
        name = ".".join(map(str, first["loc"]))
        raise InputError(f"plan {path.name}: {name}: {first['msg']}; see study/plans for the form") from error
    _check(plan, path.name)
    return plan


def plan_hash(plan: Plan) -> str:
    """Return the SHA-256 of everything in a plan that counts.

    Its title and what depends on the machine (`where`) do not count; of folds it is the content that counts, and of
    code from outside the name without its folder and the content (`source_hash`), of other files the name alone. A
    field that has its default counts as little as one that is absent.

    Raises:
        InputError: a file with code, or a fold, is not there.
    """
    values = plan.model_dump(mode="json", exclude=_NOT_HASHED, exclude_defaults=True)
    values["folds"] = plan.splits()
    values["settings"] = {name: identity(plan.folder, name, value) for name, value in plan.settings.items()}
    for row in values["networks"].values():
        own = row.get("settings", {})
        row["settings"] = {name: identity(plan.folder, name, value) for name, value in own.items()}
        row["network"] = identity(plan.folder, "network", row["network"])
    text = json.dumps(values, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


def _check(plan: Plan, name: str) -> None:
    compared = {each for line in plan.comparisons for each in (line.first, line.second)}
    used = {each for wave in plan.waves for each in wave.networks} | compared
    for each in sorted(used - set(plan.networks)):
        raise unknown(f"plan {name}: network", each, plan.networks)
    for each in sorted(compared):
        if plan.networks[each].model or plan.networks[each].patients:
            raise InputError(
                f"plan {name}: {each} has `model` or `patients`, by which comparisons do not tell networks apart"
            )
    trained = {each for wave in plan.waves for each in wave.networks}
    if lacking := sorted(compared - trained):
        raise InputError(f"plan {name}: {lacking[0]} is compared, and no wave trains it; add it to one")
    names = [training.name for training in plan.trainings()]
    twice = sorted({each for each in names if names.count(each) > 1})
    if twice:
        raise InputError(
            f"plan {name}: {twice[0]} stands in it twice; give each wave another seed, and networks with "
            "`patients` one fold"
        )
    tested: dict[str, str] = {}
    for number, fold in enumerate(plan.folds, start=1):
        for patient in (each for each, split in plan.split(number).items() if split == "test"):
            if patient in tested:
                raise InputError(f"plan {name}: {patient} is tested in {tested[patient]} and {fold}; test it once")
            tested[patient] = fold
    if compared:
        check_enough(tested, len(plan.folds))


def check_enough(tested: Collection[str], folds: int) -> None:
    """Refuse as many folds as test patients, which leave nothing to compute an interval from.

    Raises:
        InputError: the message has both numbers.
    """
    if len(tested) <= folds:
        raise InputError(f"{len(tested)} test patients in {folds} folds; a difference needs more patients than folds")


def _rotated(names: tuple[str, ...], count: int) -> tuple[str, ...]:
    shift = count % len(names)
    return names[shift:] + names[:shift]
