import pytest
import torch
from monai.losses import DiceLoss
from torch.nn import functional

from dainet.errors import InputError
from dainet.segmentation.losses import dice_loss, segmentation_loss


def peers_dice(logits: torch.Tensor, label: torch.Tensor) -> torch.Tensor:
    """TransUNet utils.py:9-45 at commit 02ef001, rewritten class by class."""
    probability, total = logits.softmax(1), torch.zeros(())
    for c in range(logits.shape[1]):
        p, y = probability[:, c], (label == c).float()
        total += 1 - (2 * (p * y).sum() + 1e-5) / ((p * p).sum() + (y * y).sum() + 1e-5)
    return total / logits.shape[1]


@pytest.fixture(params=[(1, 2, 8), (3, 4, 16), (2, 9, 5)])
def sample(request: pytest.FixtureRequest) -> tuple[torch.Tensor, torch.Tensor]:
    batch, classes, size = request.param
    torch.manual_seed(size)
    return torch.randn(batch, classes, size, size), torch.randint(classes, (batch, size, size))


def test_squared_dice_is_the_peers(sample: tuple[torch.Tensor, torch.Tensor]) -> None:
    torch.testing.assert_close(dice_loss(*sample, "squared"), peers_dice(*sample))


@pytest.mark.parametrize(("dice", "squared"), [("squared", True), ("eq5", False)])
def test_dice_against_monai(sample: tuple[torch.Tensor, torch.Tensor], dice: str, squared: bool) -> None:
    oracle = DiceLoss(softmax=True, to_onehot_y=True, squared_pred=squared, batch=True, smooth_nr=1e-5, smooth_dr=1e-5)
    logits, label = sample
    torch.testing.assert_close(dice_loss(logits, label, dice), oracle(logits, label[:, None]))


def test_equation_6_is_half_and_half(sample: tuple[torch.Tensor, torch.Tensor]) -> None:
    expected = 0.5 * functional.cross_entropy(*sample) + 0.5 * dice_loss(*sample)
    torch.testing.assert_close(segmentation_loss(*sample), expected)


@pytest.mark.parametrize("dice", ["squared", "eq5"])
def test_a_perfect_prediction_costs_nothing(dice: str) -> None:
    label = torch.randint(4, (2, 8, 8))
    logits = 50.0 * functional.one_hot(label, 4).movedim(-1, 1)
    assert segmentation_loss(logits, label, dice) == pytest.approx(0, abs=1e-5)


def test_unknown_dice() -> None:
    with pytest.raises(ValueError, match=r"squared.*eq5"):
        dice_loss(torch.zeros(1, 2, 4, 4), torch.zeros(1, 4, 4, dtype=torch.long), "cubed")


@pytest.mark.parametrize("shape", [(1, 4, 4), (2, 1, 1), (2, 4, 5), (4, 4), (2, 1, 4, 4)])
def test_a_label_of_another_shape_is_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(InputError, match=r"\(2, 3, 4, 4\)"):
        dice_loss(torch.zeros(2, 3, 4, 4), torch.zeros(shape, dtype=torch.long))
