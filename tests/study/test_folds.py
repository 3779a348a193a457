"""The registered plans and folds: they are what the rules of docs/claims.md give, and nobody changed them since."""

from __future__ import annotations

from collections import Counter

import pytest

from dainet.cache.verify import verify_folder
from dainet.compare.plan import read_plan
from dainet.protocol import load_split
from dainet.segmentation.catalog import build, check_network
from dainet.segmentation.networks import parameter_count
from study.folds import PLANS, acdc_folds, chaos_folds

NAMES = ("near-paper", "paper-width", "chaos", "acdc-baselines", "acdc-baselines-smoke")


def pathology(patient: str) -> int:
    return (int(patient[-3:]) - 1) // 20


def test_the_files_hold_the_dealt_folds() -> None:
    for name, folds in (("near-paper", acdc_folds()), ("chaos", chaos_folds())):
        plan = read_plan(PLANS / f"{name}.yaml")
        assert [plan.split(number) for number in range(1, 6)] == folds


def test_every_patient_of_acdc_but_one_is_tested_once() -> None:
    tested = Counter(patient for fold in acdc_folds() for patient, split in fold.items() if split == "test")
    assert set(tested) == {f"patient{i:03d}" for i in range(1, 101)} - {"patient074"}
    assert set(tested.values()) == {1}


def test_folds_of_acdc_have_the_registered_sizes() -> None:
    sizes = [Counter(fold.values()) for fold in acdc_folds()]
    assert [size["test"] for size in sizes] == [20, 20, 20, 20, 19]
    assert [size["train"] for size in sizes] == [69, 69, 69, 69, 70]
    assert {size["valid"] for size in sizes} == {10}
    published = load_split("acdc", "mtunet")
    assert acdc_folds()[0] == {patient: split for patient, split in published.items() if patient != "patient074"}
    for fold in acdc_folds()[1:]:
        for part, least, most in (("test", 3, 5), ("valid", 2, 2)):
            counts = Counter(pathology(patient) for patient, split in fold.items() if split == part)
            assert all(least <= counts[kind] <= most for kind in range(5))


def test_every_patient_of_chaos_is_tested_once() -> None:
    folds = chaos_folds()
    assert [sum(split == "test" for split in fold.values()) for fold in folds] == [4] * 5
    assert [sum(split == "valid" for split in fold.values()) for fold in folds] == [3] * 5
    assert len({patient for fold in folds for patient, split in fold.items() if split == "test"}) == 20


@pytest.mark.parametrize("name", NAMES)
def test_every_training_has_valid_settings(name: str) -> None:
    for training in read_plan(PLANS / f"{name}.yaml").trainings():
        settings = training.settings({"data.source": "somewhere"})
        assert settings.segmentation.selection == "validation"
        assert settings.segmentation.patience >= settings.segmentation.epochs
        check_network(training.network)


def test_the_competitors_share_the_settings_of_the_near_paper_study_and_none_of_its_trainings() -> None:
    near, competitors = (read_plan(PLANS / f"{name}.yaml") for name in ("near-paper", "acdc-baselines"))
    assert competitors.settings == near.settings
    assert competitors.split(1) == near.split(1)
    seeds = [{training.seed for training in plan.trainings()} for plan in (near, competitors)]
    assert not seeds[0] & seeds[1]
    assert Counter(training.seed for training in competitors.trainings()) == dict.fromkeys((11, 12, 13), 18)


def test_waves_and_trainings_are_as_registered() -> None:
    plan = read_plan(PLANS / "near-paper.yaml")
    assert Counter(training.seed for training in plan.trainings()) == {1: 25, 2: 15, 3: 10}
    assert len(read_plan(PLANS / "paper-width.yaml").trainings()) == 6
    assert Counter(training.seed for training in read_plan(PLANS / "chaos.yaml").trainings()) == {1: 25, 2: 25}


@pytest.mark.parametrize("name", ["near-paper", "chaos"])
def test_the_wide_unet_has_97_percent_of_the_parameters_of_the_dual_encoder(name: str) -> None:
    trainings = read_plan(PLANS / f"{name}.yaml").trainings()
    widths = {each.model: each.settings({}).segmentation.width for each in trainings}
    counts = [
        parameter_count(build(n, width=widths[m])) for n, m in (("unet", "unet-wide"), ("dual-1111", "dual-1111"))
    ]
    assert counts[0] / counts[1] == pytest.approx(0.97, abs=0.005)


def test_plans_and_folds_are_those_of_their_registration() -> None:
    assert verify_folder(PLANS) == (16, [], [], [])
