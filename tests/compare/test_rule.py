"""The rule of the first study: Holm's correction; its verdicts are tested with the study's."""

import numpy as np
import pandas as pd
import pytest
from statsmodels.stats.multitest import multipletests

from dainet.compare.rule import _holm, judge


@pytest.mark.parametrize("seed", range(5))
def test_holms_correction_is_that_of_statsmodels(seed: int) -> None:
    p = np.random.default_rng(seed).uniform(0, 0.3, 7)
    p[1] = p[4]
    assert _holm(pd.Series(p)).tolist() == pytest.approx(multipletests(p, method="holm")[1].tolist())


def test_what_was_not_compared_counts_for_nothing() -> None:
    corrected = _holm(pd.Series([0.03, np.nan, 0.01]))
    assert corrected[[0, 2]].tolist() == pytest.approx([0.03, 0.02])
    assert np.isnan(corrected[1])


@pytest.mark.parametrize(("measure", "sign", "unit"), [("dsc", 1, 0.01), ("hd95_vox", -1, 1.0)])
def test_a_claim_counts_the_patients_of_its_sign_and_describes_both_networks(
    measure: str, sign: int, unit: float
) -> None:
    gains = np.array([-0.2, 0.3, 0.4, -0.1, 0.6, -0.7])  # of a patient, in points or voxels
    levels = {"better": 50 + sign * gains, "worse": np.full(6, 50.0)}
    shifts = {"better": [0, 1, 2, 3], "worse": [0, 2, 7]}  # of a seed
    scores = pd.DataFrame(
        {
            "model": model,
            "seed": seed,
            "patient": patient,
            "class": "LV",
            measure: (level + shift - np.mean(each)) * unit,
        }
        for model, each in shifts.items()
        for seed, shift in enumerate(each)
        for patient, level in enumerate(levels[model])
    )
    claim = {"better": "better", "worse": "worse", "class": "mean", "measure": measure}
    (line,) = judge(scores, [claim]).to_dict("records")
    assert (line["agreeing"], line["patients"], line["seeds"]) == (3, 6, 3)
    assert line["difference"] == pytest.approx(sign * gains.mean())
    assert (line["better_mean"], line["worse_mean"]) == pytest.approx((50 + sign * gains.mean(), 50.0))
    deviations = [np.std(each, ddof=1) for each in shifts.values()]
    assert (line["better_std"], line["worse_std"]) == pytest.approx(deviations)
    assert line["verdict"] == "inconclusive"
