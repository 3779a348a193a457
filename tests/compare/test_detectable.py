"""What a design could have found, from the spread of its own scores."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np

from dainet.compare.detectable import detectable
from dainet.compare.plan import Plan
from dainet.compare.power import equivalence_power, observed_truth, smallest_gain
from dainet.compare.simulation import Design
from tests.helpers.plans import arrays, measured, scored


def test_the_gain_is_that_of_the_patients_and_trainings_that_have_scores(plan: Plan) -> None:
    own = measured(plan)
    scores = own.scores.assign(dsc=30 * own.scores["dsc"])  # so that two decimals tell designs apart
    scores.loc[scores["patient"] == "10", "dsc"] = np.nan  # no label shows its organs
    own, kept = replace(own, scores=scores), scores[scores["patient"] != "10"]
    truth = observed_truth(arrays(kept, "random"), arrays(kept, "unet"))
    design, told = Design((5, 6), (2, 2)), detectable(own)
    assert f"a gain of {smallest_gain(design, truth):.2f} points" in told
    assert f"{100 * equivalence_power(design, truth, plan.margin):.0f} %." in told
    for spread in (truth.patients, truth.trainings, truth.luck):
        assert f" {spread:.2f}" in told


def test_without_a_spread_of_trainings_no_gain_is_named(plan: Plan, tmp_path: Path) -> None:
    once = scored(plan, tmp_path, {"unet": 90, "random": 91, "image": 90}, waves=1)
    own = measured(plan)
    same = replace(own, scores=own.scores.assign(dsc=0.5))
    told = [detectable(once), detectable(same)]
    assert "trained once per fold" in told[0]
    assert "the same scores" in told[1]
    assert not any("80 %" in line for line in told)
