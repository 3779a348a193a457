"""Plans: the registered ones, and what a plan must not say."""

from __future__ import annotations

from dataclasses import FrozenInstanceError
from pathlib import Path

import pytest
from pydantic import ValidationError

from dainet.compare.plan import plan_hash, read_plan
from dainet.errors import InputError

PLAN = """
name: small
title: A small plan
profile: tour
settings: {attention.backbone: pretrained, segmentation.epochs: 2}
folds: [one.csv, two.csv]
networks:
  unet: {network: unet}
  random: {network: dual-1111, settings: {attention.backbone: random}, seeded: [attention.random_seed]}
  image: {network: dual-1111, settings: {attention.control: image}}
waves:
  - {seed: 1, networks: [unet, random, image]}
  - {seed: 2, networks: [unet, random]}
margin: 0.3
comparisons:
  - {question: are random maps better, role: primary, first: random, second: unet}
"""
PATIENTS = [f"patient{i:03d}" for i in (1, 2, 4, 5, 19, 90)]  # those of tests.helpers.samples
FOLDS = {
    "one": ("test", "test", "valid", "train", "train", "train"),
    "two": ("train", "train", "test", "test", "valid", "train"),
}


def write_plan(folder: Path, text: str = PLAN) -> Path:
    for name, parts in FOLDS.items():
        lines = [f"{patient},{part}" for patient, part in zip(PATIENTS, parts, strict=True)]
        (folder / f"{name}.csv").write_text("patient,split\n" + "\n".join(lines) + "\n")
    (folder / "plan.yaml").write_text(text)
    return folder / "plan.yaml"


def test_the_order_rotates_from_fold_to_fold_within_a_wave(tmp_path: Path) -> None:
    names = [training.name for training in read_plan(write_plan(tmp_path)).trainings()]
    assert names == [
        *("unet_fold1_seed1", "random_fold1_seed1", "image_fold1_seed1"),
        *("random_fold2_seed1", "image_fold2_seed1", "unet_fold2_seed1"),
        *("unet_fold1_seed2", "random_fold1_seed2"),
        *("random_fold2_seed2", "unet_fold2_seed2"),
    ]


def test_a_training_has_its_fold_its_seed_and_its_own_settings(tmp_path: Path) -> None:
    trainings = {each.name: each for each in read_plan(write_plan(tmp_path)).trainings()}
    settings = trainings["random_fold2_seed2"].settings({"device": "cpu"})
    assert (settings.attention.backbone, settings.attention.random_seed) == ("random", 2)
    assert Path(settings.data.split) == tmp_path / "two.csv"
    assert (settings.device, settings.segmentation.epochs) == ("cpu", 2)
    assert trainings["image_fold1_seed1"].settings({}).attention.control == "image"
    assert trainings["unet_fold1_seed1"].settings({}).attention.random_seed == 0


@pytest.mark.parametrize(
    ("old", "new", "named"),
    [
        ("networks: [unet, random]", "networks: [unet, rnadom]", "rnadom"),
        ("first: random", "first: other", "other"),
        ("seed: 2", "seed: 1", "_seed1"),
        ("folds: [one.csv, two.csv]", "folds: [one.csv, one.csv]", "patient001"),
        ("two.csv", "three.csv", "three.csv"),
        ("margin: 0.3", "margin: -1", "margin"),
        ("role: primary", "role: main", "role"),
        ("margin: 0.3", "margins: 0.3", "margin"),
        ("folds: [one.csv, two.csv]", "folds: []", "folds"),
        ("margin: 0.3", "margin: 0", "margin"),
        ("margin: 0.3", "margin: .inf", "margin"),
        ("networks: [unet, random]}", "networks: []}", "networks"),
        (PLAN[PLAN.index("waves") : PLAN.index("margin")], "waves: []\n", "waves"),
        (PLAN, "- a list", "plan.yaml"),
    ],
)
def test_what_a_plan_must_not_say_is_named(tmp_path: Path, old: str, new: str, named: str) -> None:
    assert old in PLAN
    with pytest.raises(InputError, match=named):
        read_plan(write_plan(tmp_path, PLAN.replace(old, new)))


def test_a_network_that_no_wave_trains_cannot_be_compared(tmp_path: Path) -> None:
    text = PLAN.replace("[unet, random, image]", "[unet, image]").replace("[unet, random]", "[unet]")
    with pytest.raises(InputError, match="random"):
        read_plan(write_plan(tmp_path, text))


def test_as_many_folds_as_test_patients_are_refused(tmp_path: Path) -> None:
    path = write_plan(tmp_path)
    for name in ("one", "two"):
        fold = (tmp_path / f"{name}.csv").read_text()
        (tmp_path / f"{name}.csv").write_text(fold.replace("test", "train", 1))
    with pytest.raises(InputError, match="2 test patients in 2 folds"):
        read_plan(path)


def test_the_two_folds_that_test_one_patient_are_named(tmp_path: Path) -> None:
    path = write_plan(tmp_path, PLAN.replace("[one.csv, two.csv]", "[one.csv, two.csv, three.csv]"))
    (tmp_path / "three.csv").write_bytes((tmp_path / "one.csv").read_bytes())
    with pytest.raises(InputError, match=r"patient001 .*one\.csv and three\.csv"):
        read_plan(path)


def test_nothing_of_a_plan_changes_after_it_was_read(tmp_path: Path) -> None:
    plan = read_plan(write_plan(tmp_path))
    for part, name in ((plan, "margin"), (plan.waves[0], "seed"), (plan.trainings()[0], "seed")):
        with pytest.raises((ValidationError, FrozenInstanceError)):
            setattr(part, name, 5)


def test_a_missing_plan_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="absent"):
        read_plan(tmp_path / "absent.yaml")


def hash_of(folder: Path, old: str = "", new: str = "", fold: str = "") -> str:
    folder.mkdir()
    path = write_plan(folder, PLAN.replace(old, new))
    if fold:
        (folder / "one.csv").write_text(fold)
    return plan_hash(read_plan(path))


def test_the_hash_of_a_plan_tells_what_counts_from_what_does_not(tmp_path: Path) -> None:
    plain, two = hash_of(tmp_path / "plain"), "folds: [one.csv, two.csv]"
    assert len(plain) == 64
    for number, (old, new) in enumerate(
        [
            ("A small plan", "Another title"),
            ("margin: 0.3", "margin: 0.30\nsha256: abc"),
            ("margin: 0.3", "margin: 0.3\nwhere: {data.source: /somewhere, vit.weights: /weights.pth}"),
            ("margin: 0.3", "analysis: patients-and-trainings\nmargin: 0.3"),
        ]
    ):
        assert hash_of(tmp_path / f"same{number}", old, new) == plain, new
    for number, (old, new) in enumerate(
        [
            ("margin: 0.3", "margin: 0.4"),
            ("seed: 2", "seed: 3"),
            ("segmentation.epochs: 2", "segmentation.epochs: 3"),
            ("attention.control: image", "attention.control: constant"),
            ("are random maps better", "are they"),
            ("margin: 0.3", "margin: 0.3\nspread: guessed"),
            (two, "folds: [two.csv, one.csv]"),
        ]
    ):
        assert hash_of(tmp_path / f"other{number}", old, new) != plain, new


def test_folds_count_by_their_content(tmp_path: Path) -> None:
    plain, parts = hash_of(tmp_path / "plain"), list(zip(PATIENTS, FOLDS["one"], strict=True))
    reversed_lines = "".join(f"{patient},{part}\r\n" for patient, part in reversed(parts))
    assert hash_of(tmp_path / "lines", fold="patient,split\r\n" + reversed_lines) == plain
    swapped = reversed_lines.replace("valid", "train")
    assert hash_of(tmp_path / "swapped", fold="patient,split\r\n" + swapped) != plain


def test_files_are_found_from_the_folder_of_the_plan(tmp_path: Path) -> None:
    text = PLAN.replace("{network: unet}", "{network: 'nets/mine.py:wide', settings: {segmentation.pretrained: w.pt}}")
    text = text.replace("margin: 0.3", "margin: 0.3\nwhere: {data.source: phantom, vit.weights: tour}")
    (tmp_path / "nets").mkdir()
    (tmp_path / "tour").mkdir()  # names of the kit stay names
    for name in ("nets/mine.py", "w.pt"):
        (tmp_path / name).touch()
    trainings = {each.name: each for each in read_plan(write_plan(tmp_path, text)).trainings()}
    own = trainings["unet_fold1_seed1"]
    assert own.network == f"{tmp_path}/nets/mine.py:wide"
    settings = own.settings({"vit.weights": "random"})  # options go before what the plan says of another machine
    assert settings.segmentation.pretrained == str(tmp_path / "w.pt")
    assert (settings.data.source, settings.vit.weights) == ("phantom", "random")
    assert own.settings({}).vit.weights == "tour"
    assert trainings["random_fold1_seed1"].network == "dual-1111"


def test_a_network_may_be_trained_with_fewer_patients_under_the_name_of_another(tmp_path: Path) -> None:
    fewer = "  fewer: {network: unet, model: unet, patients: 2}\n  random:"
    text = PLAN.replace("  random:", fewer, 1).replace("[one.csv, two.csv]", "[one.csv]")
    plan = read_plan(write_plan(tmp_path, text.replace("seed: 2, networks: [unet,", "seed: 2, networks: [fewer,")))
    training = next(each for each in plan.trainings() if each.patients)
    assert training.name == "unet_2patients_seed2"
    assert training.labels == {"model": "unet", "train_patients": 2}
    assert training.settings({}).data.train_patients == 2
    with pytest.raises(InputError, match="fewer has"):
        read_plan(write_plan(tmp_path, text.replace("second: unet", "second: fewer")))


def test_a_fold_may_be_a_split_that_circulates(tmp_path: Path) -> None:
    plan = read_plan(write_plan(tmp_path, PLAN.replace("[one.csv, two.csv]", "[mtunet]")))
    assert plan.trainings()[0].settings({}).data.split == "mtunet"
    assert len(plan.split(1)) == 100
