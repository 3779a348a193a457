"""Pre-trained encoders: where their weights come from, and what is refused."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from dainet import pipeline
from dainet.errors import InputError
from dainet.reporting.run_identity import other_settings, public_settings, run_hash
from dainet.segmentation import catalog
from dainet.segmentation.pretrained import check_pretrained, load_pretrained, pretrained_hash
from dainet.settings import Settings, load_settings
from tests.helpers.samples import changed


class Small(nn.Module):
    """A network of one convolution, which stands for an encoder."""

    pretrained_name = "a_model.of_timm"

    def __init__(self, classes: int = 4) -> None:
        super().__init__()
        self.encoder, self.head = nn.Conv2d(1, 2, 1), nn.Conv2d(2, classes, 1)

    def load_encoder(self, state: Mapping[str, Tensor]) -> list[str]:
        own = {name: state[f"stem.{name}"] for name in ("weight", "bias")}
        self.encoder.load_state_dict(own)
        return sorted(state.keys() - {"stem.weight", "stem.bias"})

    def forward(self, image: Tensor, maps: Tensor | None = None) -> Tensor:
        return self.head(self.encoder(image))


class _Code:
    def __reduce__(self) -> tuple[Any, tuple[str]]:
        return (print, ("code ran",))


STATE = {"stem.weight": torch.full((2, 1, 1, 1), 0.5), "stem.bias": torch.ones(2), "fc.weight": torch.zeros(3)}


@pytest.mark.parametrize("suffix", [".safetensors", ".pth"])
def test_tensors_of_a_file_reach_the_encoder(tmp_path: Path, suffix: str) -> None:
    path, model = tmp_path / f"weights{suffix}", Small()
    (save_file if suffix == ".safetensors" else torch.save)(STATE, path)
    load_pretrained(model, "small", str(path))
    assert torch.equal(model.encoder.weight, STATE["stem.weight"])
    assert torch.equal(model.encoder.bias, STATE["stem.bias"])


def test_a_network_without_such_weights_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"segmentation\.pretrained"):
        load_pretrained(nn.Conv2d(1, 1, 1), "plain", str(tmp_path))


@pytest.mark.parametrize("network", ["unet", "dual-1111", "attn-unet", "nnunet-2d"])
def test_a_network_without_such_weights_waits_for_no_stage(tiny: Settings, runs: Path, network: str) -> None:
    with pytest.raises(InputError, match=rf"{network}.*segmentation\.pretrained"):
        pipeline.train(changed(tiny, "segmentation", pretrained="hub"), network, 0)
    assert not runs.exists()


def test_networks_that_take_such_weights_are_let_through() -> None:
    for network in ("transunet-small", "r50-unet", "swin-unet"):
        check_pretrained("hub", network)
    check_pretrained("", "unet")


@pytest.mark.parametrize("content", [b"", b"\x00" * 100, b"{}"])
def test_a_damaged_file_is_one_line(tmp_path: Path, content: bytes) -> None:
    for suffix in (".safetensors", ".pth"):
        path = tmp_path / f"weights{suffix}"
        path.write_bytes(content)
        with pytest.raises(InputError, match=path.name):
            load_pretrained(Small(), "small", str(path))


def test_a_file_with_code_is_refused_without_advice_to_run_it(tmp_path: Path) -> None:
    torch.save({**STATE, "optimizer": _Code()}, tmp_path / "weights.pth")
    with pytest.raises(InputError, match=r"weights\.pth.*print") as refused:  # the function that would have run
        load_pretrained(Small(), "small", str(tmp_path / "weights.pth"))
    assert "weights_only" not in str(refused.value)


@pytest.mark.parametrize("state", [{}, {**STATE, "stem.bias": torch.ones(3)}])
def test_tensors_that_do_not_fit_are_one_line(tmp_path: Path, state: dict[str, Tensor]) -> None:
    torch.save(state, tmp_path / "weights.pth")
    with pytest.raises(InputError, match=r"a_model\.of_timm"):
        load_pretrained(Small(), "small", str(tmp_path / "weights.pth"))


def test_what_is_no_tensor_by_name_is_passed_over(tmp_path: Path) -> None:
    content: dict[Any, Any] = {**STATE, "epoch": 3, 7: torch.ones(1)}
    torch.save(content, tmp_path / "weights.pth")
    model = Small()
    load_pretrained(model, "small", str(tmp_path / "weights.pth"))
    assert torch.equal(model.encoder.bias, STATE["stem.bias"])


@pytest.mark.parametrize("network", ["vit-small", "r50-unet-small"])
@pytest.mark.parametrize("value", [3, torch.tensor(4.0)])
def test_numbers_in_place_of_tensors_are_one_line(tmp_path: Path, network: str, value: Any) -> None:
    torch.save({"pos_embed": value, "conv1.weight": value}, tmp_path / "weights.pth")
    with pytest.raises(InputError, match=f"does not fit {network}"):
        load_pretrained(catalog.build(network, image_size=64), network, str(tmp_path / "weights.pth"))


def test_a_missing_file_is_refused_by_name() -> None:
    with pytest.raises(InputError, match="absent"):
        pretrained_hash("absent.pth")


def test_the_hub_out_of_reach_is_one_line() -> None:
    model = Small()
    model.pretrained_name = "vit_tiny_patch16_224.no_such_weights"
    with pytest.raises(ConnectionError, match="no_such_weights"):
        load_pretrained(model, "small", "hub")


def test_weights_change_the_training_and_its_key(
    tiny: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(catalog.BASELINES, "small", "small:Small")
    monkeypatch.setattr(catalog, "_imported", lambda name: Small)
    path = tmp_path / "weights.pth"
    torch.save(STATE, path)
    segmentation = tiny.segmentation.model_copy(update={"pretrained": str(path)})
    scratch = pipeline.segment(tiny, "small", 0)
    loaded = pipeline.segment(tiny.model_copy(update={"segmentation": segmentation}), "small", 0)
    assert scratch.key != loaded.key
    assert loaded.record()["settings"]["pretrained"] == pretrained_hash(str(path))
    assert "pretrained" not in scratch.record()["settings"]


def test_records_of_before_the_setting_are_of_the_same_run() -> None:
    settings = load_settings("tour")
    assert "pretrained" not in public_settings(settings)["segmentation"]
    assert not other_settings({"settings": public_settings(settings), "run": run_hash(settings)}, settings)
    other = load_settings("tour", {"segmentation.pretrained": "hub"})
    assert "pretrained" in other_settings({"settings": public_settings(settings)}, other)
