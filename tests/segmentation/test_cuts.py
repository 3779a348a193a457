from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from dainet.data.prepared import Prepared
from dainet.errors import InputError
from dainet.segmentation.catalog import build
from dainet.segmentation.cuts import WAYS, CutNetwork, head_importance, stand_ins
from dainet.segmentation.evaluation import volume_dsc
from dainet.segmentation.slices import SliceData
from dainet.segmentation.training import mean_volume_dsc
from dainet.settings import AttentionSettings

HEADS = 3


def network(name: str, seed: int = 0) -> Any:
    torch.manual_seed(seed)
    return build(name, heads=HEADS, width=4).eval()


@pytest.fixture
def inputs() -> tuple[torch.Tensor, torch.Tensor]:
    torch.manual_seed(1)
    return torch.rand(2, 1, 32, 32), torch.rand(2, HEADS, 32, 32)


@pytest.mark.parametrize("name", ["unet", "single", "dual-0000", "dual-0110", "dual-1111"])
def test_nothing_cut_is_the_network_itself(name: str, inputs: tuple[torch.Tensor, torch.Tensor]) -> None:
    model = network(name)
    assert torch.equal(CutNetwork(model)(*inputs), model(*inputs))


@pytest.mark.parametrize("name", ["single", "dual-0110", "dual-1111"])
def test_a_head_that_is_off_is_a_map_of_zeros(name: str, inputs: tuple[torch.Tensor, torch.Tensor]) -> None:
    model, (image, maps) = network(name), inputs
    cut = CutNetwork(model)
    cut(image, maps)  # what is kept of this call must not leak into the next
    cut.heads_on = (True, False, True)
    zeroed = maps.clone()
    zeroed[:, 1] = 0
    assert torch.equal(cut(image, maps), model(image, zeroed))
    assert not torch.equal(cut(image, maps), model(image, maps))


@pytest.mark.parametrize("name", ["single", "dual-1111"])
def test_what_stands_in_for_a_head_reaches_the_network(name: str, inputs: tuple[torch.Tensor, torch.Tensor]) -> None:
    model, (image, maps) = network(name), inputs
    cut, others = CutNetwork(model), torch.rand_like(maps)
    cut.heads_on = (True, False, True)
    for stand_in in (maps.mean(dim=(2, 3), keepdim=True), others):
        cut.instead = stand_in  # what is kept of the call before must not leak into this one
        replaced = torch.stack([maps[:, 0], stand_in.expand_as(maps)[:, 1], maps[:, 2]], dim=1)
        assert torch.equal(cut(image, maps), model(image, replaced))


def test_stand_ins_by_hand(prepared: Prepared, data: SliceData) -> None:
    rows = torch.from_numpy(prepared.rows("test"))
    maps = data.inputs(rows)[1]
    assert maps is not None
    assert stand_ins("zero", data, rows, maps) == 0
    mean = stand_ins("mean", data, rows, maps)
    assert mean.shape == (*maps.shape[:2], 1, 1)
    assert mean[1, 2].item() == pytest.approx(maps[1, 2].numpy().mean())
    patients = sorted(prepared.cases["patient"].unique())
    others = stand_ins("other patient", data, rows, maps)
    for row, other in zip(rows.tolist(), others, strict=True):
        case = prepared.cases.loc[row]
        donor = patients[(patients.index(case["patient"]) + 1) % len(patients)]
        same = prepared.cases[["patient", "phase", "slice"]].eq([donor, case["phase"], case["slice"]]).all(axis=1)
        (twin,) = np.flatnonzero(same)  # the phantoms have equally many slices
        assert torch.equal(other, data.inputs(torch.tensor([twin]))[1][0])  # type: ignore[index]


@pytest.mark.parametrize("level", range(4))
def test_a_skip_that_is_off_reaches_no_weight_of_the_decoder(
    level: int, inputs: tuple[torch.Tensor, torch.Tensor]
) -> None:
    """Zeros in, or zero weights behind them: the same, and the weights say which level it was."""
    model, twin = network("dual-1111"), network("dual-1111")
    cut = CutNetwork(model)
    cut.skips_on = tuple(position != level for position in range(4))
    first = twin.decoder.blocks[level][0]
    channels = first.out_channels  # image skip, attention skip, upsampled: in this order, equally wide
    with torch.no_grad():
        first.weight[:, channels : 2 * channels] = 0
        torch.testing.assert_close(cut(*inputs), twin(*inputs))
        assert not torch.equal(cut(*inputs), model(*inputs))


def test_a_skip_that_the_network_does_not_have_cannot_be_cut(inputs: tuple[torch.Tensor, torch.Tensor]) -> None:
    cut = CutNetwork(network("dual-0000"))
    whole = cut(*inputs)
    cut.skips_on = (False,) * 4
    assert torch.equal(cut(*inputs), whole)


def test_encoders_run_only_when_what_they_see_changes(inputs: tuple[torch.Tensor, torch.Tensor]) -> None:
    model, calls = network("dual-1111"), []
    for encoder in (model.image_encoder, model.attention_encoder):
        encoder.register_forward_hook(lambda module, *_: calls.append(module))
    cut = CutNetwork(model)
    for skips in ((True,) * 4, (False, True, True, True), (False,) * 4):
        cut.skips_on = skips
        cut(*inputs)
    assert len(calls) == 2
    assert set(calls) == {model.image_encoder, model.attention_encoder}
    cut.heads_on = (False, True, True)
    cut(*inputs)
    assert calls[2:] == [model.attention_encoder]
    cut(inputs[0].clone(), inputs[1])
    assert calls[3:] == [model.image_encoder]


class SeesOneHead(nn.Module):
    """Finds class 1 where the second map is positive: the other heads do not matter."""

    heads = HEADS

    def forward(self, image: Tensor, maps: Tensor | None) -> Tensor:
        logits = torch.zeros(len(image), 4, *image.shape[-2:])
        logits[:, 1] = (maps[:, 1] > 0) * 2.0 - 1
        return logits


def test_the_head_that_matters_loses_its_dsc(prepared: Prepared, data: SliceData) -> None:
    network: Any = SeesOneHead()
    data.maps[:, 1] = (data.labels == 1)[:, ::8, ::8] + 0.0
    volumes = prepared.volumes("valid")
    table = head_importance(network, data, volumes)
    assert table.index.tolist() == list(range(4 * 4))
    lost = table.set_index(["head", "class"])["lost"]
    whole = 100 * mean_volume_dsc(network, data, volumes)
    assert lost[("Head 2", "mean")] == lost[("all heads", "mean")] == pytest.approx(whole)
    assert whole > 0
    assert (lost[["Head 1", "Head 3"]] == 0).all()


def test_an_attribute_heads_that_does_not_count_maps_is_no_number_of_maps(prepared: Prepared, data: SliceData) -> None:
    image, maps = data.inputs(torch.tensor([0]))
    for heads in (data.heads + 1, (4, 8)):
        network: Any = SeesOneHead()
        network.heads = heads
        assert torch.equal(CutNetwork(network)(image, maps), network(image, maps))
        with pytest.raises(InputError, match="maps"):
            head_importance(network, data, prepared.volumes("valid"))


class SeesItsLevel(SeesOneHead):
    """Finds class 1 everywhere where the second map is not black, so that only a map of zeros hurts."""

    def forward(self, image: Tensor, maps: Tensor | None) -> Tensor:
        logits = super().forward(image, maps)
        logits[:, 1] = ((maps[:, 1].mean(dim=(1, 2)) > 0) * 2.0 - 1)[:, None, None]
        return logits


def test_a_network_that_reads_only_a_level_loses_nothing_by_the_mean(prepared: Prepared, data: SliceData) -> None:
    network: Any = SeesItsLevel()
    volumes = prepared.volumes("valid")
    lost = {way: head_importance(network, data, volumes, way).set_index(["head", "class"])["lost"] for way in WAYS}
    assert lost["zero"][("Head 2", "RV")] > 0
    assert (lost["mean"] == 0).all()
    assert (lost["other patient"] == 0).all()


def test_importance_by_other_maps_is_that_of_slices_with_replaced_maps(prepared: Prepared, data: SliceData) -> None:
    model, volumes = network("dual-1111"), prepared.volumes("train")
    found = head_importance(model, data, volumes, "other patient").set_index(["head", "class"])["dsc"]
    data.maps[:, 1] = data.maps[data.donors, 1]
    assert found[("Head 2", "mean")] == pytest.approx(100 * volume_dsc(model, data, volumes).nanmean().item())


def test_dsc_of_a_cut_network_is_in_percent_per_class_and_over_classes(prepared: Prepared, data: SliceData) -> None:
    model, volumes = network("single"), prepared.volumes("train")
    table = head_importance(model, data, volumes).set_index(["head", "class"])
    whole = 100 * volume_dsc(model, data, volumes)
    without_first = CutNetwork(model)
    without_first.heads_on = (False, True, True)
    cut = 100 * volume_dsc(without_first, data, volumes)
    for value, name in enumerate(("RV", "Myo", "LV")):
        assert table.loc[("Head 1", name), "dsc"] == pytest.approx(cut[:, value].nanmean().item())
        assert table.loc[("Head 1", name), "lost"] == pytest.approx((whole - cut)[:, value].nanmean().item(), abs=1e-4)
    assert table.loc[("Head 1", "mean"), "dsc"] == pytest.approx(cut.nanmean().item())
    assert list(dict.fromkeys(head for head, _ in table.index)) == ["Head 1", "Head 2", "Head 3", "all heads"]


def test_head_importance_needs_heads_and_volumes(prepared: Prepared, data: SliceData) -> None:
    with pytest.raises(ValueError, match="attention maps"):
        head_importance(network("unet"), data, prepared.volumes("valid"))
    with pytest.raises(ValueError, match=r"3 heads.*0 volumes"):
        head_importance(network("single"), data, {})


def test_features_are_no_maps_of_heads(prepared: Prepared, data: SliceData) -> None:
    """Without the refusal, no head of `dual-features` would seem to matter."""
    features = SliceData(prepared, data.attention, AttentionSettings(), data.device, reduced_features=2)
    model = build("dual-features", heads=2, width=4, feature_channels=HEADS)
    with pytest.raises(InputError, match="2 heads, 0 maps"):
        head_importance(model, features, prepared.volumes("valid"))
