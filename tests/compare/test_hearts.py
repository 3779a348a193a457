"""Numbers of hearts from voxel counts, by hand."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from dainet.compare.hearts import agreement_figure, agreement_table, ef_table, heart_numbers, milliliters
from dainet.compare.plan import Plan
from dainet.compare.scores import Scored
from tests.helpers.plans import ends


def scores(
    predicted: dict[tuple[str, str], int], model: str = "unet", patient: str = "p1", seed: int = 1
) -> pd.DataFrame:
    """A heart with LV 100 -> 40 ml, RV 120 -> 60 ml and 80 ml of myocardium; voxels of 10 x 2 x 1 mm = 0.02 ml."""
    truth = {
        ("LV", "ED"): 5000,
        ("LV", "ES"): 2000,
        ("RV", "ED"): 6000,
        ("RV", "ES"): 3000,
        ("Myo", "ED"): 4000,
        ("Myo", "ES"): 3900,
    }
    common = {"model": model, "fold": 1, "seed": seed, "patient": patient}
    spacing = {"spacing_z_mm": 10.0, "spacing_y_mm": 2.0, "spacing_x_mm": 1.0}
    lines = [
        common | spacing | {"class": c, "phase": p, "labeled_voxels": n, "predicted_voxels": predicted.get((c, p), n)}
        for (c, p), n in truth.items()
    ]
    return pd.DataFrame(lines)


def test_volumes_ejection_fractions_and_mass() -> None:
    table = heart_numbers(scores({("LV", "ES"): 2500})).set_index("source")
    labeled, predicted = table.loc["labeled"], table.loc["predicted"]
    assert labeled[["lv_edv", "lv_esv", "lv_ef"]].tolist() == pytest.approx([100, 40, 60])
    assert labeled[["rv_edv", "rv_esv", "rv_ef"]].tolist() == pytest.approx([120, 60, 50])
    assert labeled["mass"] == pytest.approx(80 * 1.05)
    assert predicted["lv_ef"] == pytest.approx(50)


def test_a_heart_without_a_predicted_ventricle_has_no_ejection_fraction() -> None:
    table = heart_numbers(scores({("LV", "ED"): 0})).set_index("source")
    assert np.isnan(table.loc["predicted", "lv_ef"])


def test_agreement_by_hand() -> None:
    parts = [scores({("LV", "ES"): 2000 + 50 * k}, patient=f"p{k}") for k in range(-2, 3)]
    row = agreement_table(heart_numbers(pd.concat(parts))).iloc[0]
    errors = np.array([-1.0, -0.5, 0, 0.5, 1]) * -2  # 50 voxels are 1 ml, one point of EF
    half = 1.96 * errors.std(ddof=1)
    assert row["LV EF (points)"] == f"+0.0 ({-half:+.1f} to {half:+.1f})"
    assert row["Mean absolute error of LV EF"] == "1.20"
    assert row["EF wrong by more than 5"] == "0 of 5"
    wrong = agreement_table(heart_numbers(pd.concat([*parts, scores({("LV", "ES"): 3500}, patient="p9")]))).iloc[0]
    assert wrong["EF wrong by more than 5"] == "1 of 6"
    assert wrong["Changes side of EF 40 %"] == "1 of 6"


def ejection_fractions(plan: Plan, shift: int, lost: str = "") -> pd.DataFrame:
    """Two folds of four hearts: the U-Net's ES volumes are `shift` voxels too large, those of `random` are right."""
    random, parts = np.random.default_rng(0), []
    for model, off in (("unet", shift), ("random", 0), ("image", 0)):
        for fold, seed, k in ((fold, seed, k) for fold in (1, 2) for seed in (1, 2) for k in range(4)):
            voxels = {("LV", "ES"): 2000 + off + int(random.integers(0, 10))}
            patient = f"p{fold}{k}"
            voxels |= {("LV", "ED"): 0} if (model, patient, seed) == ("image", lost, 2) else {}
            parts.append(scores(voxels, model, patient, seed).assign(fold=fold))
    numbers = heart_numbers(pd.concat(parts))
    return ef_table(Scored(plan, 2, (), numbers, pd.DataFrame()), numbers).set_index("Comparison")


def test_errors_of_ejection_fractions_are_compared_patient_by_patient(plan: Plan) -> None:
    """150 voxels of 0.02 ml are three points of EF, because 100 ml are labeled at ED."""
    row = ejection_fractions(plan, 150).loc["random - unet"]
    assert row["Patients"] == "8"
    estimate, low, high = ends(row["Difference of mean absolute EF errors (95 %)"])
    assert estimate == pytest.approx(-3, abs=0.1)
    assert low < estimate < high < 0
    assert row["Within 1 point"] == "no"
    assert ejection_fractions(plan, 0).loc["random - unet", "Within 1 point"] == "yes"


def test_a_patient_whose_ejection_fraction_one_training_cannot_give_is_left_out(plan: Plan) -> None:
    table = ejection_fractions(plan, 150, lost="p10")
    assert set(table["Patients"]) == {"7"}


def test_the_figure_has_a_panel_per_network_and_an_alternative_text() -> None:
    parts = [scores({("LV", "ES"): 2000 + 10 * k}, m, f"p{k}") for k in range(4) for m in ("unet", "dual-1111")]
    figure = agreement_figure(heart_numbers(pd.concat(parts)), ("unet", "dual-1111"))
    assert len(figure.axes) == 2
    assert figure.get_label()


def test_bland_altman_plots_show_every_patient_its_bias_and_its_limits() -> None:
    """ES volumes of 40 + k ml where 40 are labeled: the ejection fraction falls by k points from 60."""
    shifts = {"unet": np.array([-3.0, 0.0, 2.0, 5.0]), "dual-1111": np.array([-1.0, 0.0, 0.0, 2.0])}
    parts = [
        scores({("LV", "ES"): int(2000 + 50 * shift)}, model, f"p{number}")
        for model, own in shifts.items()
        for number, shift in enumerate(own)
    ]
    numbers = heart_numbers(pd.concat(parts))
    limits = agreement_table(numbers).set_index("Network")["LV EF (points)"]
    panels = agreement_figure(numbers, ("unet", "dual-1111")).axes
    assert panels[0].get_ylim() == panels[1].get_ylim()
    assert panels[0].get_xlim() == panels[1].get_xlim()
    for panel, (model, own) in zip(panels, shifts.items(), strict=True):
        points, *levels = panel.lines
        assert np.asarray(points.get_xdata()) == pytest.approx(60 - own / 2)
        assert np.asarray(points.get_ydata()) == pytest.approx(-own)
        bias, half = -own.mean(), 1.96 * own.std(ddof=1)
        heights = {np.unique(np.asarray(line.get_ydata())).item(): line.get_linestyle() for line in levels}
        assert list(heights) == pytest.approx([bias, bias - half, bias + half])
        assert list(heights.values()) == ["-", "--", "--"]
        assert panel.get_title() == f"{model}: {limits[model]}"


def test_every_measure_of_a_heart_has_its_own_bias_and_limits() -> None:
    """Errors in ml of LV at ED and ES, RV at ED, and of the myocardium, in four patients."""
    errors = np.array([[4, 1, 6, 2], [-2, 3, 0, 1], [0, 0, -3, -4], [6, -2, 3, 5]])
    keys, truth = [("LV", "ED"), ("LV", "ES"), ("RV", "ED"), ("Myo", "ED")], np.array([100, 40, 120, 80])
    voxels = 50 * (truth + errors)  # of 0.02 ml
    parts = [
        scores({key: int(count) for key, count in zip(keys, row, strict=True)}, patient=f"p{number}")
        for number, row in enumerate(voxels)
    ]
    row = agreement_table(heart_numbers(pd.concat(parts))).iloc[0]
    lv_ed, lv_es, rv_ed, _ = (truth + errors).T
    expected = {
        "LV EDV (ml)": errors[:, 0],
        "LV ESV (ml)": errors[:, 1],
        "LV EF (points)": 100 * (lv_ed - lv_es) / lv_ed - 60,
        "RV EF (points)": 100 * (rv_ed - 60) / rv_ed - 50,
        "Mass (g)": 1.05 * errors[:, 3],
    }
    for title, values in expected.items():
        half = 1.96 * values.std(ddof=1)
        words = row[title].replace("(", "").replace(")", "").split(" ")
        found = [float(word) for word in words if word != "to"]
        assert found == pytest.approx([values.mean(), values.mean() - half, values.mean() + half], abs=0.0501), title


def test_a_single_patient_has_no_limits() -> None:
    assert agreement_table(heart_numbers(scores({}))).iloc[0]["LV EF (points)"] == "-"


def test_without_a_predicted_ventricle_there_is_no_error_of_ef() -> None:
    row = agreement_table(heart_numbers(scores({("LV", "ED"): 0}))).iloc[0]
    assert row["Mean absolute error of LV EF"] == row["LV EF (points)"] == "-"
    assert row["EF wrong by more than 5"] == row["No EF"] == "1 of 1"
    assert row["Changes side of EF 40 %"] == "0 of 1"


def test_networks_with_other_numbers_of_seeds_can_be_compared() -> None:
    """The same errors of 4 and -4 points of EF: as two seeds, whose mean is always right, and as one."""
    sides = {1: 200, 2: -200}  # voxels of 0.02 ml at ES, where 100 ml are labeled at ED
    two = [
        scores({("LV", "ES"): 2000 + side * (-1) ** k}, "two", f"p{k}", seed)
        for seed, side in sides.items()
        for k in range(6)
    ]
    one = [part.assign(model="one") for part in two if part["seed"].iloc[0] == 1]
    table = agreement_table(heart_numbers(pd.concat([*two, *one]))).set_index("Network")
    assert table.loc["two"].to_dict() == table.loc["one"].to_dict()
    assert table.loc["two", "Mean absolute error of LV EF"] == "4.00"
    for panel in agreement_figure(heart_numbers(pd.concat([*two, *one])), ("two", "one")).axes:
        name, _, limits = panel.get_title().partition(": ")
        assert limits == table.loc[name, "LV EF (points)"]
        lines = [float(np.unique(np.asarray(line.get_ydata())).item()) for line in panel.lines[1:]]
        assert lines == pytest.approx([0, -1.96 * np.sqrt(6 / 5) * 4, 1.96 * np.sqrt(6 / 5) * 4])


def test_a_heart_that_some_trainings_do_not_find_is_counted_as_wrong() -> None:
    parts = [
        scores({("LV", "ED"): 0} if (k, seed) == (0, 2) else {}, patient=f"p{k}", seed=seed)
        for seed in (1, 2)
        for k in range(4)
    ]
    row = agreement_table(heart_numbers(pd.concat(parts))).iloc[0]
    assert row["No EF"] == row["EF wrong by more than 5"] == "0.5 of 4"
    assert row["Mean absolute error of LV EF"] == "0.00"


def test_a_surplus_of_a_volume_costs_half_as_many_points() -> None:
    """LV at ED: 5000 voxels of 0.02 ml. With 1 % more, DSC = 2 * 5000 / (5000 + 5050), half a point below 1."""
    lost = 100 * (1 - 2 * 5000 / (5000 + 5050))
    row = milliliters(scores({}).assign(case_id="p1_ED"), lost).set_index("class").loc["LV"]
    assert row["ml"] == pytest.approx(100)
    assert row[f"{lost} points"] == pytest.approx(1.0, rel=0.01)


def test_other_organs_have_no_hearts_and_without_spacing_no_milliliters() -> None:
    liver = scores({}).assign(**{"class": "liver", "phase": "", "spacing_z_mm": np.nan, "case_id": "a"})
    assert heart_numbers(liver).empty
    assert agreement_table(heart_numbers(liver)).empty
    assert milliliters(liver, 0.33)["ml"].isna().all()
    assert heart_numbers(scores({}).assign(spacing_y_mm=np.nan)).empty  # as of the copies of ACDC in .h5 files
