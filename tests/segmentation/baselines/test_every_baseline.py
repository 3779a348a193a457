"""What holds for every network of the catalog's baselines."""

from __future__ import annotations

import sys
from typing import Any

import pytest
import torch

from dainet.errors import InputError
from dainet.segmentation.catalog import BASELINES, build, takes

FULL = [name for name in BASELINES if f"{name}-small" in BASELINES]
TAKE_IMAGES = [name for name in BASELINES if takes(name) == "image"]


@pytest.mark.parametrize("name", BASELINES)
def test_every_tensor_has_one_name(name: str) -> None:
    """Safetensors, in which networks are stored, refuses tensors that share memory."""
    with torch.device("meta"):
        network = build(name, image_size=64)
    for listed in (network.named_parameters, network.named_buffers):
        assert len(list(listed(remove_duplicate=False))) == len(list(listed()))


@pytest.mark.parametrize("name", [name for name in TAKE_IMAGES if name not in FULL])
def test_reduced_forms_predict_64_px_from_gray_images_and_ignore_maps(name: str) -> None:
    network: Any = build(name, width=8, image_size=64).eval()
    image = torch.rand(2, 1, 64, 64)
    with torch.no_grad():
        outputs = network(image)
        if not name.startswith("transcascade-published"):  # random in every pass
            assert torch.equal(last(outputs), last(network(image, torch.rand(2, 6, 64, 64))))
    assert last(outputs).shape == (2, 4, 64, 64)


@pytest.mark.parametrize(
    ("name", "library"),
    [
        ("mednext-s", "monai"),
        ("nnunet-2d", "dynamic_network_architectures"),
        ("r50-unet", "segmentation_models_pytorch"),
        ("swin-unet", "torchvision"),
    ],
)
def test_without_the_extra_one_line_says_what_to_install(
    name: str, library: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in list(sys.modules):
        if module.startswith((f"{library}.", "dainet.segmentation.baselines.")):
            monkeypatch.delitem(sys.modules, module)
    monkeypatch.setitem(sys.modules, library, None)
    with pytest.raises(InputError, match=rf"^[^\n]*{name}[^\n]*{library}[^\n]*pip install 'dainet\[baselines\]'$"):
        build(name)


def last(outputs: Any) -> torch.Tensor:
    return outputs[-1] if isinstance(outputs, list) else outputs
