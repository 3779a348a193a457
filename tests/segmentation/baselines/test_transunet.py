from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest
import torch
from torch import nn

from dainet.errors import InputError
from dainet.segmentation.baselines.vit_encoder import SMALL, Encoder
from dainet.segmentation.catalog import build
from dainet.segmentation.networks import parameter_count
from tests.helpers.golden import check_golden, fill, golden_image
from tests.helpers.gradients import without_gradient

SMALL_FORMS = ["vit-small", "vit-cup-small", "r50-vit-cup-small", "transunet-small"]


@pytest.mark.parametrize(
    ("name", "four_classes", "nine_classes"),
    [
        ("vit", 85_800_196, 85_804_041),
        ("vit-cup", 91_673_476, 91_674_201),
        ("r50-vit-cup", 103_764_932, 103_765_657),
        ("transunet", 105_276_356, 105_277_081),
    ],
)
def test_parameter_counts_are_those_of_the_published_networks(name: str, four_classes: int, nine_classes: int) -> None:
    with torch.device("meta"):
        assert parameter_count(build(name, classes=4)) == four_classes
        assert parameter_count(build(name, classes=9)) == nine_classes


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("vit-cup", (0.226245, 0.512332, 0.176607, 0.191444, 0.594212, 0.0639382)),
        ("r50-vit-cup", (0.192442, 0.327552, 0.160922, 0.24041, 0.799713, 0.0833805)),
        ("transunet", (1.10496, 1.33253, 0.67893, 1.836, 2.16597, 0.562717)),
    ],
)
def test_golden_numbers(name: str, expected: Sequence[float]) -> None:
    with torch.no_grad():
        check_golden(fill(build(name))(golden_image()), expected)


def test_the_plain_vit_upsamples_the_logits_of_its_tokens() -> None:
    torch.manual_seed(0)
    model: Any = build("vit-small", image_size=64).eval()
    image = torch.rand(2, 1, 64, 64)
    logits = model(image)
    tokens, _ = model.encoder(image)
    head = model.decoder.head
    at_tokens = torch.einsum("bdhw,kd->bkhw", tokens, head.weight[:, :, 0, 0]) + head.bias[:, None, None]
    corners = logits[..., [0, 0, 63, 63], [0, 63, 0, 63]]  # which upsampling with aligned corners leaves as they are
    torch.testing.assert_close(corners, at_tokens[..., [0, 0, 3, 3], [0, 3, 0, 3]])
    middle = logits[..., 31:33, 31:33].mean((2, 3))
    torch.testing.assert_close(middle, at_tokens[..., 1:3, 1:3].mean((2, 3)))


@pytest.mark.parametrize("name", SMALL_FORMS)
def test_every_parameter_of_the_reduced_forms_gets_a_gradient(name: str) -> None:
    assert without_gradient(build(name, image_size=64), size=64, classes=4) == set()


@pytest.mark.parametrize("name", SMALL_FORMS)
def test_gray_is_repeated_maps_are_ignored_and_wrong_images_refused(name: str) -> None:
    model = build(name, image_size=64).eval()
    image = torch.rand(1, 1, 64, 64)
    assert torch.equal(model(image), model(image.repeat(1, 3, 1, 1), torch.rand(1, 6, 64, 64)))
    with pytest.raises(InputError, match=r"2 channels.*1.*3"):
        model(torch.rand(1, 2, 64, 64))
    with pytest.raises(InputError, match=r"96 x 64 px.*64 x 64.*segmentation\.image_size"):
        model(torch.rand(1, 1, 96, 64))


@pytest.mark.parametrize("name", SMALL_FORMS)
def test_another_image_size_is_built_on_request(name: str) -> None:
    assert build(name, classes=3, image_size=96).eval()(torch.rand(1, 1, 96, 96)).shape == (1, 3, 96, 96)


def test_only_transunet_looks_at_the_skips() -> None:
    torch.manual_seed(0)
    for name, looks in (("r50-vit-cup-small", False), ("transunet-small", True)):
        model: Any = build(name, image_size=64).eval()
        image = torch.rand(1, 1, 64, 64)
        before = model(image)
        model.encoder.register_forward_hook(lambda _module, _args, out: (out[0], [skip + 1 for skip in out[1]]))
        assert torch.equal(before, model(image)) is not looks


@pytest.mark.parametrize("name", SMALL_FORMS)
def test_pre_trained_tensors_reach_the_encoder_alone(name: str) -> None:
    model: Any = build(name, image_size=64)
    source = Encoder(64, SMALL, hybrid=model.encoder.r50 is not None)
    for parameter in source.parameters():
        nn.init.normal_(parameter)
    names = {name: name.removeprefix("vit.").replace("r50.", "patch_embed.backbone.") for name in source.state_dict()}
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    assert model.load_encoder({names[name]: tensor for name, tensor in source.state_dict().items()}) == []
    for name, tensor in model.state_dict().items():
        place, _, rest = name.partition(".")
        assert torch.equal(tensor, source.state_dict()[rest] if place == "encoder" else before[name])
