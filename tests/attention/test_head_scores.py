"""AUROC against scikit-learn, IoU of DINO's masks on cases worked out by hand."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import roc_auc_score

from dainet.attention.head_scores import best_heads, head_scores

CLASSES = ("RV", "Myo", "LV")


@pytest.fixture
def labels() -> np.ndarray:
    labels = np.zeros((4, 20, 20), np.uint8)
    labels[:3, 4:12, 4:12] = 2
    labels[:2, 6:9, 6:9] = 3
    return labels  # slice 3 is empty, class 1 never there


def value(frame: pd.DataFrame, head: int, name: str, column: str) -> float:
    return float(frame.loc[(frame["head"] == head) & (frame["class"] == name), column].item())


@pytest.mark.parametrize("levels", [0, 5])  # 0 = continuous; 5 levels give many ties
def test_auroc_equals_scikit_learn(labels: np.ndarray, levels: int) -> None:
    maps = np.random.default_rng(0).random((4, 2, 20, 20))
    maps = np.floor(maps * levels) if levels else maps
    frame = head_scores(maps, labels, CLASSES)
    for head in range(2):
        for name, truths in [("Myo", labels == 2), ("LV", labels == 3), ("any", labels > 0)]:
            pairs = [(t, m[head]) for t, m in zip(truths, maps, strict=True) if t.any()]
            expected = np.mean([roc_auc_score(truth.ravel(), scores.ravel()) for truth, scores in pairs])
            assert value(frame, head, name, "auroc") == pytest.approx(expected, abs=1e-12)
            assert value(frame, head, name, "slices") == len(pairs)


def test_any_is_all_classes_together() -> None:
    label = np.array([[0, 1, 2], [3, 0, 0]])
    head = (label > 0).astype(np.float64)[None]
    frame = head_scores([head], [label], CLASSES)
    assert list(frame["class"]) == ["RV", "Myo", "LV", "any"]
    assert value(frame, 0, "any", "auroc") == 1.0
    assert value(frame, 0, "any", "iou") == pytest.approx(2 / 3)  # two of three equal pixels hold 60 % of the mass
    assert value(frame, 0, "RV", "auroc") == (3 * 1 + 2 * 0.5) / 5  # three pixels below, ties with two


def test_maps_with_negative_values_hold_no_mass(labels: np.ndarray) -> None:
    maps = np.stack([2.0 * (labels == 2) - 1, 1.0 * (labels == 2)], axis=1)
    frame = head_scores(maps, labels, CLASSES)
    assert value(frame, 0, "Myo", "auroc") == 1
    assert np.isnan(value(frame, 0, "Myo", "iou"))
    assert value(frame, 1, "Myo", "iou") > 0.5


def test_known_answers(labels: np.ndarray) -> None:
    heart = (labels > 0).astype(np.float32)
    random = np.random.default_rng(1).random(labels.shape, np.float32)
    frame = head_scores(np.stack([heart, 1 - heart, random], axis=1), labels, CLASSES)
    assert value(frame, 0, "any", "auroc") == 1.0
    assert value(frame, 1, "any", "auroc") == 0.0
    assert value(frame, 1, "any", "iou") == 0.0
    assert value(frame, 2, "any", "auroc") == pytest.approx(0.5, abs=0.05)
    assert best_heads(frame).set_index("class")["head"].to_dict()["any"] == 0


def test_an_absent_class_has_no_score_and_absent_slices_do_not_count(labels: np.ndarray) -> None:
    frame = head_scores(np.random.default_rng(0).random((4, 2, 20, 20)), labels, CLASSES)
    assert frame.groupby("class")["slices"].first().to_dict() == {"RV": 0, "Myo": 3, "LV": 2, "any": 3}
    assert set(frame.loc[frame["auroc"].isna(), "class"]) == set(frame.loc[frame["iou"].isna(), "class"]) == {"RV"}
    assert set(best_heads(frame)["class"]) == {"Myo", "LV", "any"}


@pytest.mark.parametrize("value", [0, 1])
def test_slices_of_one_label_alone_give_no_scores(value: int) -> None:
    frame = head_scores(np.ones((3, 2, 4, 4)), np.full((3, 4, 4), value, np.uint8), CLASSES)
    assert list(frame["class"].unique()) == [*CLASSES, "any"]
    assert frame[["auroc", "iou"]].isna().all(axis=None)
    assert (frame["slices"] == 0).all()
    assert best_heads(frame).empty


def test_iou_of_the_sixty_percent_mask() -> None:
    # Sorted masses 5 4 3 2 1 (of 15): 60 % = 9, so the pixels 5 and 4 together are the smallest set.
    attention = np.array([[[1, 5, 4], [2, 3, 0]]], np.float32)
    one = head_scores([attention], [np.array([[0, 1, 0], [0, 0, 0]])], ("class",))
    assert value(one, 0, "class", "iou") == pytest.approx(1 / 2)
    two = head_scores([attention], [np.array([[0, 1, 1], [1, 0, 0]])], ("class",))
    assert value(two, 0, "class", "iou") == pytest.approx(2 / 3)
    # Masses 6 3 2 (of 11): 6.6 is needed, 6 alone is not enough.
    three = head_scores([np.array([[[6, 3, 2]]])], [np.array([[1, 0, 0]])], ("class",))
    assert value(three, 0, "class", "iou") == pytest.approx(1 / 2)


def test_constant_zero_map_gives_no_nan() -> None:
    frame = head_scores(np.zeros((1, 1, 4, 4)), np.eye(4, dtype=np.uint8)[None], ("class",))
    assert value(frame, 0, "class", "auroc") == 0.5
    assert value(frame, 0, "class", "iou") == 0.0


def test_generators_are_accepted_and_sizes_checked(labels: np.ndarray) -> None:
    maps = np.random.default_rng(0).random((4, 2, 20, 20))
    lazily = head_scores((m for m in maps), labels, CLASSES)
    assert lazily.equals(head_scores(maps, labels, CLASSES))
    with pytest.raises(ValueError, match="resize"):
        head_scores(maps[:, :, :10, :10], labels, CLASSES)
    with pytest.raises(ValueError, match="zip"):
        head_scores(maps[:3], labels, CLASSES)
