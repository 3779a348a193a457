"""The first study's plan."""

import json
from typing import Any

from dainet.reporting.run_identity import public_settings
from dainet.segmentation.catalog import build
from dainet.segmentation.networks import parameter_count
from dainet.settings import load_settings
from study.plan import load_more_seeds, load_plan
from tests.helpers import REPOSITORY

RECORDS = REPOSITORY / "figures" / "acdc-study" / "records"


def test_the_plan_names_every_training_once_with_valid_settings() -> None:
    plan = load_plan()
    assert len({training.name for training in plan}) == len(plan)
    for training in plan:
        settings = training.settings({"data.source": "somewhere"})
        assert settings.data.train_patients == training.patients
        assert settings.segmentation.selection == "validation"
    for network in {training.network for training in plan}:
        build(network, width=2)
    finetuned = [t.settings({}).attention.backbone for t in plan if t.model == "dual-1111-finetuned"]
    assert finetuned == ["finetuned"] * 3


def test_the_wide_unet_is_the_width_nearest_to_the_parameters_of_the_dual_encoder() -> None:
    wide = next(t for t in load_plan() if t.model == "unet-wide").settings({}).segmentation.width
    target = parameter_count(build("dual-1111", width=16))
    assert wide == min(range(16, 32), key=lambda width: abs(parameter_count(build("unet", width=width)) - target))


def test_more_seeds_differ_from_the_plan_in_nothing_but_the_seed() -> None:
    plan, later = load_plan(), load_more_seeds()
    assert not {training.seed for training in plan} & {training.seed for training in later}
    assert [training.seed for training in later] == sorted(training.seed for training in later), "seed by seed"
    first = {training.model: training for training in plan if (training.patients, training.seed) == (40, 0)}
    for training in later:
        assert what_counts(training.settings({})) == what_counts(first[training.model].settings({}))


def what_counts(settings: Any) -> dict[str, Any]:
    """Return settings without those of the machine, and without the seed, which is in the name of a training."""
    values = public_settings(settings)
    del values["device"], values["data"]["source"], values["vit"]["weights"], values["segmentation"]["seeds"]
    for section in ("attention", "dino", "segmentation"):
        del values[section]["compile"]  # empty since it can be left to the machine
    values["data"]["split"] = values["data"]["split"] or "mtunet"  # the default split of ACDC
    return values


def test_the_settings_of_every_training_are_those_of_its_committed_record() -> None:
    trainings = {training.name: training for training in load_plan() + load_more_seeds()}
    assert set(trainings) == {path.stem for path in RECORDS.glob("*.json")}
    for name, training in trainings.items():
        record = json.loads((RECORDS / f"{name}.json").read_text(encoding="utf-8"))
        stored = load_settings("laptop", flat(record["settings"]))
        assert what_counts(training.settings({})) == what_counts(stored), name


def flat(values: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    """Return stored settings by dotted name, without the names of files."""
    found: dict[str, Any] = {}
    for name, value in values.items():
        found |= flat(value, f"{prefix}{name}.") if isinstance(value, dict) else {f"{prefix}{name}": value}
    return {name: value for name, value in found.items() if name not in ("profile", "data.source", "vit.weights")}


def test_scores_of_the_first_study_are_told_apart_by_the_number_of_training_patients() -> None:
    assert {training.labels["train_patients"] for training in load_plan()} == {5, 10, 20, 40, 70}
