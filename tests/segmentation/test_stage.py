"""The stage of a training: the weights it starts from, and its key in the cache."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from dainet.data.prepared import Prepared
from dainet.segmentation import stage
from dainet.segmentation.catalog import build
from dainet.segmentation.slices import SliceData
from dainet.segmentation.stage import load_model, run_segmentation
from dainet.settings import Settings


@pytest.mark.parametrize("name", ["unet", "dual-0011"])
def test_a_training_starts_from_the_weights_of_its_seed(
    tiny: Settings, plain: SliceData, data: SliceData, name: str
) -> None:
    """A rate of 0 leaves them as they are."""
    still = tiny.segmentation.model_copy(update={"lr": 0.0, "epochs": 1, "width": 6})
    settings, source = tiny.model_copy(update={"segmentation": still}), plain if name == "unet" else data
    state = torch.get_rng_state()
    result = run_segmentation(settings, name, 5, source)
    assert torch.equal(torch.get_rng_state(), state)
    torch.manual_seed(5)
    expected = build(name, in_channels=1, heads=0 if name == "unet" else 3, classes=4, width=6)
    found = load_model(settings, name, result, source)
    assert not found.training
    for (parameter, value), start in zip(found.named_parameters(), expected.parameters(), strict=True):
        assert torch.equal(value, start), parameter


def test_the_key_of_a_training_names_seed_network_and_maps(tiny: Settings, data: SliceData) -> None:
    def key(name: str = "single", seed: int = 0, settings: Settings = tiny) -> str:
        return run_segmentation(settings, name, seed, data).key

    maps = tiny.model_copy(update={"attention": tiny.attention.model_copy(update={"normalization": "tokens"})})
    keys = [key(), key(seed=1), key(name="dual-0000"), key(settings=maps)]
    assert len(set(keys)) == 4


def test_processes_and_copies_of_the_image_are_in_the_key(
    tiny: Settings, prepared: Prepared, plain: SliceData, monkeypatch: pytest.MonkeyPatch
) -> None:
    keys: list[dict[str, Any]] = []
    monkeypatch.setattr(stage, "run_stage", lambda name, version, values, *rest, **more: keys.append(values))
    for processes in (1, 2, 3):
        run_segmentation(tiny.model_copy(update={"n_processes": processes}), "unet", 0, plain)
    assert [(values.get("n_processes"), values.get("sync_batch_norm")) for values in keys] == [
        (None, None),
        (2, tiny.segmentation.sync_batch_norm),
        (3, tiny.segmentation.sync_batch_norm),
    ]
    for copies in (3, 6):
        data = SliceData(prepared, None, tiny.attention, plain.device, copies)
        run_segmentation(tiny, "single", 0, data)
    assert [values.get("maps") for values in keys] == [None, None, None, {"image_channels": 3}, {"image_channels": 6}]


def test_a_unets_key_does_not_depend_on_maps(
    tiny: Settings, prepared: Prepared, plain: SliceData, data: SliceData
) -> None:
    unet = run_segmentation(tiny, "unet", 0, plain)
    assert "attention" not in unet.record()["inputs"]
    single = run_segmentation(tiny, "single", 0, data)
    assert single.record()["inputs"]["attention"] == data.attention.key
