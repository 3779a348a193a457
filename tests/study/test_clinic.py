"""Numbers of hearts from voxel counts, by hand."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from study.clinic import agreement_figure, agreement_table, compare_ef_errors, heart_numbers


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


def test_errors_of_two_networks_are_compared_patient_by_patient() -> None:
    random = np.random.default_rng(0)
    parts = [
        scores({("LV", "ES"): int(2000 + random.normal(0, 10) + (150 if model == "unet" else 0))}, model, f"p{k}", seed)
        for model in ("unet", "dual-1111")
        for k in range(8)
        for seed in (1, 2)
    ]
    result = compare_ef_errors(heart_numbers(pd.concat(parts)), "dual-1111", "unet")
    assert result.estimate == pytest.approx(-3, abs=0.3)
    assert result.interval()[1] < 0


def test_the_figure_has_a_panel_per_network_and_an_alternative_text() -> None:
    parts = [scores({("LV", "ES"): 2000 + 10 * k}, m, f"p{k}") for k in range(4) for m in ("unet", "dual-1111")]
    figure = agreement_figure(heart_numbers(pd.concat(parts)))
    assert len(figure.axes) == 2
    assert figure.get_label()
