from __future__ import annotations

from typing import Any

import pytest
import torch

from dainet.errors import InputError
from dainet.segmentation.baselines.transcascade import (
    ORPHANS,
    transcascade,
    transcascade_published_small,
    transcascade_small,
)
from dainet.segmentation.catalog import build
from dainet.segmentation.networks import parameter_count
from tests.helpers.golden import check_golden, fill, golden_image
from tests.helpers.gradients import without_gradient


@pytest.mark.parametrize("name", ["transcascade", "transcascade-published"])
def test_parameter_counts_are_those_of_the_published_network(name: str) -> None:
    with torch.device("meta"):
        model: Any = build(name, classes=4)
        assert parameter_count(model) == 123_479_719
        assert parameter_count(model.encoder) == 97_888_576
        assert parameter_count(model.decoder) == 25_584_715
        assert parameter_count(build(name, classes=9)) == 123_487_739


@pytest.mark.slow
def test_golden_numbers_of_the_four_heads() -> None:
    with torch.no_grad():
        logits = fill(transcascade()).head_logits(golden_image())
    check_golden(logits[0], (0.386733, 0.575735, 0.0882575, 0.979707, -0.0740873, -0.210047))
    check_golden(logits[1], (-0.0407097, 0.473718, 0.191991, -0.176158, 0.738203, -0.0122502))
    check_golden(logits[2], (0.0979464, 0.849688, 0.0700356, 0.868182, 0.898856, -0.0745371))
    check_golden(logits[3], (-0.00705463, 0.319223, 0.0571785, 0.497308, -0.318856, 0.069059))


def test_training_sees_four_full_size_logits_and_evaluation_their_sum() -> None:
    torch.manual_seed(0)
    model = transcascade_small(classes=3)
    image = torch.rand(2, 1, 64, 64)
    heads = model(image)
    assert [tuple(head.shape) for head in heads] == [(2, 3, 64, 64)] * 4
    assert [0.05 < float((head == 0).float().mean()) < 0.15 for head in heads] == [True] * 4  # dropout of 0.1
    prediction, heads = model.eval()(image, torch.rand(2, 6, 64, 64)), model.head_logits(image)
    torch.testing.assert_close(prediction, heads[0] + heads[1] + heads[2] + heads[3])


def test_every_parameter_gets_a_gradient_but_those_that_the_published_form_draws_again() -> None:
    assert without_gradient(transcascade_small(), size=64, classes=4) == set()
    orphans = {f"encoder.{name}" for name in ORPHANS}
    assert orphans == {
        f"encoder.vit.{name}" for name in ("patch_embed.proj.weight", "patch_embed.proj.bias", "pos_embed")
    }
    assert without_gradient(transcascade_published_small(), size=64, classes=4) == orphans


def test_two_predictions_of_the_published_form_differ_and_its_own_projection_has_no_effect() -> None:
    image = torch.rand(1, 1, 64, 64)
    kept, published = transcascade_small().eval(), transcascade_published_small().eval()
    assert torch.equal(kept(image), kept(image))
    assert not torch.allclose(published(image), published(image))
    torch.manual_seed(3)
    before = published(image)
    with torch.no_grad():
        for name in ORPHANS:
            published.encoder.get_parameter(name).fill_(7)
    torch.manual_seed(3)
    assert torch.equal(published(image), before)


def test_the_drawn_projection_is_a_convolution_as_torch_initializes_it() -> None:
    model = transcascade_published_small()
    seen = {}

    def look(module: torch.nn.Module, args: object, output: object) -> None:
        seen.update({name: parameter.detach().clone() for name, parameter in module.named_parameters()})

    model.encoder.vit.register_forward_hook(look)
    model(torch.rand(2, 1, 64, 64))
    fresh = torch.nn.Conv2d(128, 96, kernel_size=1).requires_grad_(False)
    assert seen["patch_embed.proj.weight"].shape == fresh.weight.shape
    assert float(seen["patch_embed.proj.weight"].std()) == pytest.approx(float(fresh.weight.std()), rel=0.05)
    assert float(seen["patch_embed.proj.weight"].abs().max()) == pytest.approx(
        float(fresh.weight.abs().max()), rel=0.01
    )
    assert float(seen["patch_embed.proj.bias"].abs().max()) <= 128**-0.5
    assert not seen["pos_embed"].any()


@pytest.mark.parametrize("name", ["transcascade-small", "transcascade-published-small"])
def test_wrong_images_are_refused(name: str) -> None:
    model = build(name, image_size=64).eval()
    with pytest.raises(InputError, match=r"3 channels.*expected 1"):
        model(torch.rand(1, 3, 64, 64))
    with pytest.raises(InputError, match=r"64 x 96 px.*64 x 64.*segmentation\.image_size"):
        model(torch.rand(1, 1, 64, 96))
    assert build(name, in_channels=3, classes=2, image_size=96).eval()(torch.rand(1, 3, 96, 96)).shape == (1, 2, 96, 96)


def test_one_spatial_attention_serves_all_levels() -> None:
    names = {name for name in transcascade_small().state_dict() if name.endswith("conv.weight") and "spatial" in name}
    assert names == {"decoder.spatial_attention.conv.weight"}
