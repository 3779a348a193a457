"""The first study's plan."""

from dataclasses import replace

from dainet.segmentation.catalog import build
from dainet.segmentation.networks import parameter_count
from study.plan import load_more_seeds, load_plan


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
    first = {(t.model, t.patients): t for t in plan if t.seed == 0}
    assert all(replace(training, seed=0) == first[training.model, 40] for training in later)


def test_scores_of_the_first_study_are_told_apart_by_the_number_of_training_patients() -> None:
    assert {training.labels["train_patients"] for training in load_plan()} == {5, 10, 20, 40, 70}
