import pytest
import torch
from torch import nn

from dainet.errors import InputError
from dainet.segmentation.baselines.pretrained import copy_tensors


def test_a_source_serves_several_tensors_and_the_rest_is_named() -> None:
    model = nn.Sequential(nn.Linear(2, 3, bias=False), nn.Linear(2, 3, bias=False), nn.BatchNorm1d(3))
    state = {"a": torch.ones(3, 2), "mean": torch.full((3,), 7.0), "head": torch.ones(1), "extra": torch.ones(1)}
    left = copy_tensors(model, state, {"0.weight": "a", "1.weight": "a", "2.running_mean": "mean"})
    assert left == ["extra", "head"]
    assert model.state_dict()["0.weight"].tolist() == model.state_dict()["1.weight"].tolist() == [[1, 1]] * 3
    assert model.state_dict()["2.running_mean"].tolist() == [7] * 3
    assert all(parameter.requires_grad for parameter in model.parameters())


@pytest.mark.parametrize(
    ("state", "found"), [({}, r"1 .* a$"), ({"a": torch.ones(2, 3)}, r"a .*\(2, 3\).*\(3, 2\).*weight")]
)
def test_what_is_missing_or_does_not_fit_is_named(state: dict[str, torch.Tensor], found: str) -> None:
    model = nn.Linear(2, 3)
    before = model.weight.detach().clone()
    with pytest.raises(InputError, match=found):
        copy_tensors(model, state, {"weight": "a"})
    assert torch.equal(model.weight, before)
