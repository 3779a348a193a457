"""The same difference from a mixed model (REML), a check of the closed formulas of `dainet.compare.analysis`."""

from __future__ import annotations

import warnings
from collections.abc import Sequence

import numpy as np
import pandas as pd

from dainet.errors import DainetError, needs_extra

__all__ = ["mixed_model_error"]

_COMPONENTS = {"patient": "0 + C(patient)", "pair": "0 + C(patient):C(network)", "training": "0 + C(training)"}
_OPTIMIZERS = ("powell", "bfgs", "lbfgs", "cg")  # a single one often stops early, with a wrong error


def mixed_model_error(first: Sequence[np.ndarray], second: Sequence[np.ndarray]) -> tuple[float, float]:
    """Fit a mixed model by restricted maximum likelihood; return the difference first - second and its error.

    Fixed: network within fold, averaged over patients. Random: patient, patient x network, training; residual:
    seed x patient.

    Args:
        first, second: per fold the scores [seeds, patients], as of `dainet.compare.analysis.difference`.

    Raises:
        DainetError: no optimizer converges.
    """
    table = pd.concat([_long(first, "first"), _long(second, "second")], ignore_index=True)
    with needs_extra("study"), warnings.catch_warnings():
        from statsmodels.regression.mixed_linear_model import MixedLM

        warnings.simplefilter("ignore")  # of single optimizers; what counts is the best likelihood
        model = MixedLM.from_formula("y ~ 0 + C(fold):C(network)", table, groups="fold", vc_formula=_COMPONENTS)
        fits = [model.fit(reml=True, method=name, maxiter=2000) for name in _OPTIMIZERS]
    best = max(fits, key=lambda fit: fit.llf)
    contrast = pd.Series(0.0, index=best.fe_params.index)
    patients = np.array([fold.shape[-1] for fold in first])
    for sign, network in ((1, "first"), (-1, "second")):
        contrast[[f"C(fold)[{fold}]:C(network)[{network}]" for fold in range(len(first))]] = (
            sign * patients / patients.sum()
        )
    error = float(np.sqrt(contrast @ best.cov_params().loc[contrast.index, contrast.index] @ contrast))
    if not np.isfinite(error):
        raise DainetError("the mixed model did not converge with any optimizer; rely on the closed formulas")
    return float(contrast @ best.fe_params), error


def _long(folds: Sequence[np.ndarray], network: str) -> pd.DataFrame:
    lines = [
        {
            "network": network,
            "fold": fold,
            "training": f"{network} {fold} {seed}",
            "patient": f"{fold} {patient}",
            "y": y,
        }
        for fold, scores in enumerate(folds)
        for seed, row in enumerate(scores)
        for patient, y in enumerate(row)
    ]
    return pd.DataFrame(lines)
