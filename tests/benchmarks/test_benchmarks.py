"""The benchmarks: the peers compute the same results, and the arithmetic of the table is right."""

from mmap import MAP_ANONYMOUS, MAP_PRIVATE, mmap
from pathlib import Path
from time import sleep
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from benchmarks import timing
from benchmarks.attention import ExplicitAttention
from benchmarks.batches import peer_batches, transunet_batch, write_slices
from benchmarks.preparation import by_scipy
from benchmarks.scores import ORGANS, ct_volume
from dainet.attention.maps import token_maps
from dainet.data.preprocessing import resize_slices
from dainet.reporting import costs
from dainet.segmentation.catalog import build
from dainet.segmentation.networks import count_flops
from dainet.vit.model import DinoViT, set_fused_attention


def test_ratio_and_limit_come_from_neighboring_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = {"ours": iter([1.0, 2.0, 4.0]), "peer": iter([3.0, 8.0, 8.0]), "limit": iter([0.1, 0.1, 0.1])}
    monkeypatch.setattr(costs, "seconds", lambda work: next(clock[work()]))
    works = [lambda name=name: name for name in clock]
    row = timing.compare("work", "peer", works[0], works[1], 2.0, "", rounds=3, limit=(works[2], 5))
    assert (row.ours, row.peer, row.ratio) == (2.0, 8.0, 3.0)  # of 3, 4 and 2
    assert row.limit == pytest.approx(0.5)


def test_operations_count_a_multiply_add_twice() -> None:
    layer = nn.Conv2d(3, 5, 3, padding=1, bias=False)
    assert count_flops(lambda: layer(torch.zeros(2, 3, 8, 8))) == 2 * 2 * 8 * 8 * 3 * 5 * 9


@pytest.mark.parametrize("fused", [False, True])
def test_operations_of_attention_are_counted_fused_or_not(fused: bool) -> None:
    """Two blocks of width 24, the maps of the last: of its 17 tokens CLS alone asks. The MLP is four times as wide."""
    vit = DinoViT(img_size=32, patch_size=8, embed_dim=24, depth=2, num_heads=3).eval()
    set_fused_attention(vit, fused)
    tokens, width = 17, 24
    block = tokens * width * (3 + 1 + 4 + 4) * width + 2 * tokens**2 * width
    last = (1 + tokens) * width**2 + tokens * width
    patches = 16 * 3 * 8 * 8 * width
    with torch.inference_mode():
        assert count_flops(lambda: token_maps(vit, torch.zeros(1, 3, 32, 32))) == 2 * (patches + block + last)


@pytest.mark.parametrize("name", ["unet", "single", "dual-0110", "dual-1111"])
def test_operations_of_a_network_are_those_of_its_convolutions(name: str) -> None:
    """2 * kernel * in * out * pixels for each convolution; a transposed one visits the pixels of its input."""
    expected = []

    def note(layer: Any, inputs: tuple[torch.Tensor], output: torch.Tensor) -> None:
        pixels = (inputs[0] if isinstance(layer, nn.ConvTranspose2d) else output)[:, 0].numel()
        expected.append(2 * layer.weight.numel() * pixels)

    network = build(name, heads=6, classes=4, width=4)
    image, maps = torch.rand(2, 1, 32, 32), torch.rand(2, 6, 32, 32)
    for layer in network.modules():
        if isinstance(layer, nn.Conv2d | nn.ConvTranspose2d):
            layer.register_forward_hook(note)
    assert count_flops(lambda: network(image, maps)) == sum(expected)


def test_peak_memory_sees_what_was_there_only_for_a_while() -> None:
    with timing.PeakMemory() as peak:
        block = mmap(-1, 200 * 2**20, flags=MAP_PRIVATE | MAP_ANONYMOUS)  # an array may lie in what others gave back
        for _ in range(200):
            block.write(bytes(2**20))
        for _ in range(100):  # until the watching thread, which a busy machine keeps waiting, has seen it
            if peak.mib > 190:
                break
            sleep(0.1)
        block.close()
    assert 190 < peak.mib < 260


def test_limits_say_how_much_of_them_the_work_is() -> None:
    assert timing.product_limit(flops=2 * 2048**3 * 7, dtype=None)[1] == 7
    assert timing.copy_limit(2**30)[1] == 2  # of 256 MiB, read and written


def test_the_explicit_peer_makes_the_same_maps() -> None:
    torch.manual_seed(0)
    vit = DinoViT(img_size=32, patch_size=8, embed_dim=24, depth=2, num_heads=3).eval()
    images = torch.randn(2, 3, 48, 48)
    with torch.inference_mode():
        torch.testing.assert_close(ExplicitAttention(vit)(images), token_maps(vit, images), atol=1e-6, rtol=1e-5)


def test_the_loader_peer_makes_batches_of_the_same_shape(tmp_path: Path) -> None:
    images, labels = transunet_batch(write_slices(tmp_path, 3), np.random.default_rng(0))
    assert images.shape == (3, 1, 224, 224)
    assert labels.shape == (3, 224, 224)
    assert labels.dtype == torch.long
    assert set(labels.unique().tolist()) == {0, 1}


def test_the_loader_peer_rotates_as_often_as_its_recipe_says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A quarter of the slices, image and label each; another draw in every round."""
    rotated = [0]

    def rotate(array: np.ndarray, *_: object, **__: object) -> np.ndarray:
        rotated[-1] += 1
        return array

    monkeypatch.setattr("benchmarks.batches.ndimage.rotate", rotate)
    monkeypatch.setattr("benchmarks.batches.ndimage.zoom", lambda array, factor, order: array[::8, ::8])
    work = peer_batches(write_slices(tmp_path, 1) * 40)
    for _ in range(10):
        rotated.append(0)
        work()
    assert len(set(rotated[1:])) > 1
    assert sum(rotated) / (10 * 40 * 2) == pytest.approx(0.25, abs=0.06)


def test_the_resizing_peer_gives_the_same_slices() -> None:
    volume = np.random.default_rng(0).random((2, 40, 30)).astype(np.float32)
    np.testing.assert_allclose(resize_slices(volume, (24, 24), 3), by_scipy(volume, (24, 24), 3), atol=3e-6)


def test_every_organ_of_the_ct_volume_is_there() -> None:
    assert set(np.unique(ct_volume(shift=0))) == set(range(len(ORGANS) + 1))
