import math

import numpy as np
import pandas as pd
import pytest
from pandas import DataFrame
from scipy import stats

from dainet.reporting.statistics import folds_interval, paired_differences, seeded_interval, summarize
from tests.helpers.samples import scores


def test_summary_is_mean_over_cases_then_classes_then_seeds() -> None:
    summary = summarize(scores(seeds=(0, 1))).set_index("class")
    assert summary.loc["RV", "dsc"] == pytest.approx(100 * (0.85 + 0.83) / 2)
    assert summary.loc["mean", "dsc"] == pytest.approx(100 * (0.75 + 0.73) / 2)
    assert summary.loc["mean", "dsc_std"] == pytest.approx(2 / math.sqrt(2))
    assert summary.loc["mean", "seeds"] == 2
    assert math.isnan(summary.loc["mean", "hd95_mm"])


def test_a_single_seed_has_no_spread() -> None:
    assert summarize(scores())["dsc_std"].isna().all()


def two_networks(shift: np.ndarray | list[float]) -> DataFrame:
    """Network b is better by `shift[i]` in patient i, whose difficulty varies far more."""
    lines = []
    for number, step in enumerate(shift):
        for model, value in (("a", 0.0), ("b", step)):
            base = {"patient": f"p{number}", "model": model, "seed": 0, "class": "LV", "policy": "strict"}
            lines.append(base | {"dsc": 0.3 + 0.05 * number + value})
    return pd.DataFrame(lines)


def test_paired_differences_are_within_patients() -> None:
    shift = np.array([0.01, 0.03, 0.02, 0.02, 0.01, 0.03])
    found = paired_differences(two_networks(shift), "b", "a")
    assert (found["patients"], found["difference"]) == (6, pytest.approx(2.0))
    low, high = float(found["low"]), float(found["high"])
    assert 1 <= low < 2 < high <= 3  # although patients differ by 25 points
    assert found["p (Wilcoxon)"] == stats.wilcoxon(shift).pvalue


def test_distances_are_compared_in_voxels_and_one_class_by_itself() -> None:
    frame = pd.concat([two_networks([0.0] * 3).assign(**{"class": name}) for name in ("LV", "RV")])
    frame["hd95_vox"] = 3.0 + 2.0 * (frame["model"] == "b") + 4.0 * (frame["class"] == "RV") * (frame["model"] == "b")
    for class_name, expected in (("LV", 2.0), ("RV", 6.0), ("mean", 4.0)):
        found = paired_differences(frame, "b", "a", "hd95_vox", class_name)
        assert found["difference"] == found["low"] == found["high"] == expected
        assert found["comparison"] == "b - a"


def test_policies_distances_and_seeds_are_summarized_apart() -> None:
    parts = [
        scores(seeds=(0, 1)).assign(hd95_vox=lambda t: 3.0 + 2 * t["seed"], hd95_mm=10.0),
        scores("single", seeds=(0,)).assign(hd95_vox=8.0),
        scores(seeds=(0, 1)).assign(policy="peer", dsc=1.0),
    ]
    found = summarize(pd.concat(parts)).set_index(["model", "policy", "class"])
    assert len(found) == 3 * 4
    strict = found.loc[("unet", "strict", "mean")]
    assert (strict["hd95_vox"], strict["hd95_vox_std"]) == (4.0, pytest.approx(math.sqrt(2)))
    assert (strict["hd95_mm"], strict["hd95_mm_std"], strict["seeds"]) == (10.0, 0.0, 2)
    assert (found.loc[("single", "strict", "RV"), ["hd95_vox", "seeds"]] == [8.0, 1]).all()
    assert found.loc[("unet", "peer", "LV"), "dsc"] == 100.0


def test_the_interval_over_patients_and_seeds_is_that_of_resampling_both() -> None:
    random = np.random.default_rng(3)
    first, second = random.normal(70, 6, (3, 7)), random.normal(68, 6, (5, 7))
    means = []
    for _ in range(20_000):
        patients = random.integers(7, size=7)
        seeds = random.integers(3, size=3), random.integers(5, size=5)
        means.append(first[np.ix_(seeds[0], patients)].mean() - second[np.ix_(seeds[1], patients)].mean())
    assert seeded_interval(first, second) == pytest.approx(tuple(np.quantile(means, (0.025, 0.975))), abs=0.15)


def test_equal_networks_do_not_differ() -> None:
    found = paired_differences(two_networks([0.0] * 4), "b", "a")
    assert found["difference"] == found["low"] == found["high"] == 0
    assert found["p (Wilcoxon)"] == 1


def test_other_patients_are_refused() -> None:
    frame = two_networks([0.1, 0.1])
    with pytest.raises(ValueError, match="same patients"):
        paired_differences(frame[~((frame["model"] == "a") & (frame["patient"] == "p1"))], "b", "a")


def test_the_interval_over_patients_is_that_of_scipy() -> None:
    shift = np.random.default_rng(1).normal(0.02, 0.01, 9)
    found = paired_differences(two_networks(shift), "b", "a")
    expected = stats.bootstrap((100 * shift,), np.mean, method="percentile", rng=5).confidence_interval
    assert (found["low"], found["high"]) == pytest.approx(tuple(expected), abs=0.05)


def without_gallbladder(patients: tuple[str, ...], models: tuple[str, ...] = ("a", "b")) -> DataFrame:
    """Six patients and two classes; strict scores have no gallbladder where these patients and networks lack it."""
    liver = two_networks([0.01, 0.03, 0.02, 0.02, 0.01, 0.03]).assign(**{"class": "Liver"})
    gallbladder = liver.assign(**{"class": "Gallbladder"}, dsc=liver["dsc"] + 0.1 * (liver["model"] == "b"))
    lacking = gallbladder["patient"].isin(patients) & gallbladder["model"].isin(models)
    return pd.concat([liver, gallbladder.assign(dsc=gallbladder["dsc"].mask(lacking))])


@pytest.mark.parametrize("models", [("a", "b"), ("a",)])
def test_a_patient_without_the_class_is_left_out_and_the_others_are_compared(models: tuple[str, ...]) -> None:
    found = paired_differences(without_gallbladder(("p1",), models), "b", "a", class_name="Gallbladder")
    assert found["patients"] == 5
    assert found["difference"] == pytest.approx(10 + 100 * np.mean([0.01, 0.02, 0.02, 0.01, 0.03]))
    low, difference, high = (float(found[name]) for name in ("low", "difference", "high"))
    assert 11 <= low < difference < high <= 13


def test_a_patient_without_one_class_has_a_mean_over_the_others() -> None:
    found = paired_differences(without_gallbladder(("p1",)), "b", "a")
    assert found["patients"] == 6
    assert found["difference"] == pytest.approx(2.0 + 5 * 5 / 6)


def test_a_class_that_nearly_all_lack_is_named() -> None:
    scores = without_gallbladder(("p0", "p1", "p2", "p3", "p4"))
    with pytest.raises(ValueError, match=r"Gallbladder in 1 of 6 patients"):
        paired_differences(scores, "b", "a", class_name="Gallbladder")


def test_patients_without_a_value_leave_the_interval_over_patients_and_seeds_as_it_is() -> None:
    random = np.random.default_rng(0)
    first, second = random.normal(70, 5, (3, 8)), random.normal(68, 5, (4, 8))
    nothing = np.full((3, 1), np.nan)
    wider = np.hstack([nothing, first, 80 + nothing * 0]), np.hstack([np.full((4, 1), 60), second, np.full((4, 1), 90)])
    assert seeded_interval(*wider) == seeded_interval(first, second)
    with pytest.raises(ValueError, match="no patient"):
        seeded_interval(nothing, second[:3, :1])


def test_one_seed_without_a_value_takes_the_mean_of_that_patients_other_seeds() -> None:
    first, second = np.array([[70.0, 80.0], [72.0, np.nan], [74.0, 84.0]]), np.zeros((1, 2))
    filled = np.where(np.isnan(first), 82.0, first)
    assert seeded_interval(first, second) == seeded_interval(filled, second)


def test_rows_stay_in_the_order_of_the_scores() -> None:
    found = summarize(pd.concat([scores("unet"), scores("single")]))
    assert list(found.loc[found["class"] == "mean", "model"]) == ["unet", "single"]
    assert list(found["class"][:3]) == ["RV", "Myo", "LV"]


def test_one_patient_without_a_difference_does_not_decide_p() -> None:
    shift = [0.0, 0.01, 0.03, 0.02, 0.05, 0.04]
    found = paired_differences(two_networks(shift), "b", "a")
    values = two_networks(shift).pivot(index="patient", columns="model", values="dsc")
    assert found["p (Wilcoxon)"] == pytest.approx(stats.wilcoxon(values["b"] - values["a"]).pvalue)
    assert float(found["p (Wilcoxon)"]) < 0.2


def test_patients_and_the_seeds_of_both_networks_are_drawn_independently() -> None:
    """With as many seeds as patients, draws that depend on each other would add up or cancel."""
    values = np.random.default_rng(8).normal(0, 1, 12)
    by_patient, by_seed, nothing = np.tile(values, (12, 1)), np.tile(values[:, None], (1, 12)), np.zeros((1, 12))
    error = math.sqrt(2 * values.var() / 12)  # of the sum or difference of two independent means
    for first, second in ((by_patient + by_seed, nothing), (by_patient, by_seed), (by_seed, by_seed)):
        low, high = seeded_interval(first, second)
        assert high - low == pytest.approx(2 * 1.96 * error, rel=0.05)


def test_the_interval_of_one_fold_is_that_of_patients_and_seeds() -> None:
    random = np.random.default_rng(0)
    first, second = random.normal(90, 2, (3, 20)), random.normal(89, 2, (2, 20))
    assert folds_interval([first], [second], 1000) == seeded_interval(first, second, 1000)


def test_patients_and_seeds_are_resampled_within_their_fold() -> None:
    """Folds that differ by 30 points do not widen the interval, a seed that does in one fold of two does."""
    ones = [np.full((2, 5), level) for level in (60.0, 90.0)]
    assert folds_interval([fold + 1 for fold in ones], ones) == pytest.approx((1, 1))
    seeds = [ones[0], ones[1] + np.array([[0], [8]])]
    assert folds_interval(seeds, ones) == pytest.approx((0, 4))


def test_larger_folds_count_more() -> None:
    first, second = [np.full((1, 15), 1.0), np.full((1, 5), 3.0)], [np.zeros((1, 15)), np.zeros((1, 5))]
    assert folds_interval(first, second) == pytest.approx((1.5, 1.5))
