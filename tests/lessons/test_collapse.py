"""DINO in miniature: healthy with the whole recipe, collapsed in the foreseen way without half of it."""

import numpy as np
import pytest
import torch
from torch import Tensor

from dainet.dino.formulas import collapse
from dainet.lessons.collapse import CLASSES, STUDENT_TEMPERATURE, collapse_figure, miniature_dino, miniatures


@pytest.fixture(scope="module")
def vectors() -> Tensor:
    """Slices of 200 patients: the same body, whose regions differ in brightness from patient to patient."""
    y, x = np.mgrid[:24, :24] - 11.5
    regions = np.random.default_rng(0).random((200, 4, 4)).repeat(6, axis=1).repeat(6, axis=2)
    return miniatures((np.hypot(y, x) < 11) * regions)


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize(
    ("found", "centering", "temperature"),
    [("none", True, 0.04), ("constant", False, 0.04), ("uniform", True, STUDENT_TEMPERATURE)],
)
def test_each_half_of_the_recipe_prevents_one_collapse(
    vectors: Tensor, found: str, centering: bool, temperature: float, seed: int
) -> None:
    history = miniature_dino(vectors, centering, temperature, seed=seed)
    assert collapse(history, CLASSES) == found


def test_the_same_seed_repeats_the_training_and_leaves_the_global_generator_alone(vectors: Tensor) -> None:
    torch.manual_seed(1)
    expected = torch.rand(1)
    torch.manual_seed(1)
    first, second = (miniature_dino(vectors, steps=3) for _ in range(2))
    assert torch.rand(1) == expected
    assert first.equals(second)
    assert not first.equals(miniature_dino(vectors, steps=3, seed=1))


def test_miniatures_are_means_of_equal_parts() -> None:
    image = np.zeros((1, 24, 24), np.float16)
    image[0, :2, :2] = 1
    image[0, 2, 0] = 1
    found = miniatures(image)
    assert found.shape == (1, 144)
    assert found[0, [0, 12]].tolist() == [1, 0.25]
    assert found.sum() == 1.25


def test_the_figure_has_a_panel_per_training(vectors: Tensor) -> None:
    history = miniature_dino(vectors, steps=2)
    figure = collapse_figure({"a": history, "b": history})
    assert [panel.get_title() for panel in figure.axes] == ["a", "b"]
    np.testing.assert_array_equal(figure.axes[1].lines[0].get_ydata(), history["batch_entropy"])
