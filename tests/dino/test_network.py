"""DINO's head compared with lightly's, and the order of views in its network."""

from __future__ import annotations

import re

import pytest
import torch
from lightly.models.modules import DINOProjectionHead
from torch import Tensor, nn

from dainet.dino.formulas import dino_loss, parameter_groups
from dainet.dino.network import DinoHead, DinoNetwork, head_from_authors
from dainet.vit.model import DinoViT


def random(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def network(out_dim: int = 11, seed: int = 0) -> DinoNetwork:
    torch.manual_seed(seed)
    vit = DinoViT(img_size=16, patch_size=8, embed_dim=32, depth=2, num_heads=2)
    return DinoNetwork(vit, DinoHead(32, out_dim))


@pytest.mark.parametrize("norm_last_layer", [True, False])
def test_head_is_lightlys_with_the_authors_names(norm_last_layer: bool) -> None:
    theirs = DINOProjectionHead(8, 2048, 256, 13, norm_last_layer=norm_last_layer)
    state = {re.sub("^layers", "mlp", name): value.clone() for name, value in theirs.state_dict().items()}
    state["last_layer.weight_g"] = torch.rand(13, 1) + 0.5
    theirs.last_layer.weight_g.data.copy_(state["last_layer.weight_g"])
    head = head_from_authors(state, 13, norm_last_layer)
    embedding = random(6, 8)
    torch.testing.assert_close(head(embedding), theirs(embedding))
    trainable = [name for name, parameter in head.named_parameters() if parameter.requires_grad]
    assert ("last_layer.parametrizations.weight.original0" in trainable) is not norm_last_layer


def test_fresh_head_gives_cosines_and_has_the_authors_start() -> None:
    torch.manual_seed(0)
    head = DinoHead(8, 13)
    assert head(100 * random(50, 8)).abs().max() <= 1 + 1e-6
    torch.testing.assert_close(head.last_layer.weight.norm(dim=1), torch.ones(13))
    weight = next(head.mlp.parameters())
    assert weight.std().item() == pytest.approx(0.02, rel=0.05)
    assert not any(layer.bias.any() for layer in head.mlp if isinstance(layer, nn.Linear))


@pytest.mark.parametrize("change", ["size", "missing", "left over"])
def test_head_that_does_not_fit(change: str) -> None:
    theirs = DINOProjectionHead(8, 2048, 256, 13)
    state = {re.sub("^layers", "mlp", name): value for name, value in theirs.state_dict().items()}
    if change == "missing":
        del state["mlp.2.bias"]
    if change == "left over":
        state["mlp.5.bias"] = torch.zeros(2)
    with pytest.raises(ValueError, match=r"dino.out_dim"):
        head_from_authors(state, 12 if change == "size" else 13)


def test_network_passes_each_size_once_and_keeps_the_order_of_views() -> None:
    model = network().eval()
    views = [random(3, 3, size, size, seed=i) for i, size in enumerate((16, 16, 8, 8, 8))]
    expected = torch.stack([model.head(model.backbone(view)) for view in views])
    passes: list[int] = []
    model.backbone.register_forward_hook(lambda *_: passes.append(1))
    torch.testing.assert_close(model(views), expected)
    assert len(passes) == 2


def test_gradients_reach_every_student_parameter_and_no_teacher_parameter() -> None:
    student, teacher = network(), network(seed=1)
    views = [random(2, 3, size, size, seed=i) for i, size in enumerate((16, 16, 8))]
    dino_loss(student(views), teacher(views[:2]), torch.zeros(11), 0.1, 0.04).backward()
    without = [n for n, p in student.named_parameters() if p.requires_grad and (p.grad is None or not p.grad.any())]
    assert without == []
    assert all(parameter.grad is None for parameter in teacher.parameters())


def test_only_matrices_decay() -> None:
    model = network()
    decayed, plain = ({id(p) for p in group["params"]} for group in parameter_groups(model))  # type: ignore[attr-defined]
    for name, parameter in model.named_parameters():
        unregularized = name.endswith(".bias") or len(parameter.shape) == 1  # the authors' rule
        assert (id(parameter) in plain) == (unregularized and parameter.requires_grad)
        assert (id(parameter) in decayed) == (not unregularized and parameter.requires_grad)
