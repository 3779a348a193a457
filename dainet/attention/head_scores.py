"""AUROC and IoU for the claim of Figure 1: how well each attention head, trained without labels, finds each class."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
import pandas as pd
from scipy.stats import rankdata

__all__ = ["best_heads", "head_scores"]

_MASS = 0.6  # share of a map's mass in DINO's masks (visualize_attention.py:186-195; docs/protocol.md#4.3)
_UNKNOWN = {"auroc": np.nan, "iou": np.nan}


def head_scores(maps: Iterable[np.ndarray], labels: Iterable[np.ndarray], class_names: Sequence[str]) -> pd.DataFrame:
    """Compute AUROC and IoU of every head for every class, averaged over the slices that show the class.

    This works slice by slice, so memory does not grow with N where `maps` is memory-mapped or a generator.

    Args:
        maps: [N, h, H, W], or N arrays [h, H, W]; raw attention at the labels' size, of any scale for the AUROC.
        labels: [N, H, W], or N arrays [H, W]; 0 = background.
        class_names: names of the labels 1, 2, 3 ...; "any" (all classes together) is added.

    Returns:
        Columns head, class, auroc, iou and slices. AUROC: the chance that a pixel of the class has more attention than
        a pixel outside it, ties counted half. IoU: overlap of the class with DINO's mask, the smallest set of pixels
        that holds 60 % of the map's mass. slices: number of slices with pixels inside and outside the class, over which
        both are averaged; both are NaN for a class without such slices. Maps with negative values, which hold no mass,
        have no IoU.

    Raises:
        ValueError: different numbers of maps and labels, or different sizes.
    """
    rows: list[pd.DataFrame] = []
    for slice_maps, label in zip(maps, labels, strict=True):
        if slice_maps.shape[1:] != label.shape:
            raise ValueError(
                f"maps of {slice_maps.shape[1:]} px and a label of {label.shape} px; resize the maps first"
            )
        rows += _slice_scores(np.asarray(slice_maps, np.float64), np.asarray(label), class_names)
    if not rows:
        return pd.DataFrame(columns=["head", "class", "auroc", "iou", "slices"])
    groups = pd.concat(rows).groupby(["head", "class"], sort=False)
    return groups.agg(auroc=("auroc", "mean"), iou=("iou", "mean"), slices=("auroc", "count")).reset_index()


def best_heads(scores: pd.DataFrame) -> pd.DataFrame:
    """Return the head with the highest AUROC for each class that has one; columns as in `head_scores`."""
    known = scores.dropna(subset="auroc")
    return known.loc[known.groupby("class", sort=False)["auroc"].idxmax()].reset_index(drop=True)


def _slice_scores(maps: np.ndarray, label: np.ndarray, class_names: Sequence[str]) -> list[pd.DataFrame]:
    """Return one table per class, NaN where the slice does not show it; maps [h, H, W], label [H, W]."""
    flat = maps.reshape(len(maps), -1)
    ranks = rankdata(flat, axis=1)
    masks, signed = _mass_masks(flat), flat.min(axis=1) < 0  # these hold no mass
    classes = {name: label.ravel() == number for number, name in enumerate(class_names, start=1)}
    classes["any"] = label.ravel() > 0
    tables = []
    for name, truth in classes.items():
        shown = truth.any() and not truth.all()
        scores = (
            {"auroc": _auroc(ranks, truth), "iou": np.where(signed, np.nan, _iou(masks, truth))} if shown else _UNKNOWN
        )
        tables.append(pd.DataFrame({"head": range(len(maps)), "class": name, **scores}))
    return tables


def _auroc(ranks: np.ndarray, truth: np.ndarray) -> np.ndarray:
    """Compute the AUROC [h] by Mann-Whitney from truth [pixels] and ranks [h, pixels], from 1 with ties averaged."""
    inside = truth.sum()
    wins = ranks[:, truth].sum(axis=1) - inside * (inside + 1) / 2
    return wins / (inside * (truth.size - inside))


def _mass_masks(flat: np.ndarray) -> np.ndarray:
    """Mark the highest pixels of each map [h, pixels] that hold 60 % of its mass; bool of the same shape."""
    order = np.argsort(flat, axis=1, kind="stable")
    mass = np.cumsum(np.take_along_axis(flat, order, axis=1), axis=1)
    kept = mass > (1 - _MASS) * mass[:, -1:]
    masks = np.zeros_like(kept)
    np.put_along_axis(masks, order, kept, axis=1)
    return masks


def _iou(masks: np.ndarray, truth: np.ndarray) -> np.ndarray:
    return (masks & truth).sum(axis=1) / (masks | truth).sum(axis=1)
