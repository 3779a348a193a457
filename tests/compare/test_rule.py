"""The rule of the first study: Holm's correction; its verdicts are tested with the study's."""

import numpy as np
import pandas as pd
import pytest
from statsmodels.stats.multitest import multipletests

from dainet.compare.rule import _holm


@pytest.mark.parametrize("seed", range(5))
def test_holms_correction_is_that_of_statsmodels(seed: int) -> None:
    p = np.random.default_rng(seed).uniform(0, 0.3, 7)
    p[1] = p[4]
    assert _holm(pd.Series(p)).tolist() == pytest.approx(multipletests(p, method="holm")[1].tolist())


def test_what_was_not_compared_counts_for_nothing() -> None:
    corrected = _holm(pd.Series([0.03, np.nan, 0.01]))
    assert corrected[[0, 2]].tolist() == pytest.approx([0.03, 0.02])
    assert np.isnan(corrected[1])
