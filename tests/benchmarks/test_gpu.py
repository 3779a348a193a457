"""The benchmarks of a card, run on the CPU at tiny sizes; what they measure there says nothing."""

from collections.abc import Callable

import pandas as pd
import pytest
import torch
from torch import nn

from benchmarks import gpu
from dainet.device import choose_device
from dainet.vit.model import DinoViT


def measured(work: Callable[[], object]) -> float:
    work()
    return 0.002


def test_the_lines_of_training_and_extraction(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gpu, "seconds", measured)
    monkeypatch.setattr(gpu, "plain_training", lambda *arguments: 0.003)  # asks for a GPU
    monkeypatch.setattr(gpu, "load_vit", lambda name: DinoViT(img_size=32, patch_size=16, embed_dim=24, num_heads=2))
    monkeypatch.setattr(gpu, "_NETWORKS", [("dual-1111", 2, 32)])
    for name in ("_dino_line", "_views_line"):  # minutes on a CPU
        monkeypatch.setattr(gpu, name, lambda *arguments: pd.DataFrame())
    monkeypatch.setattr(torch, "compile", lambda work, **options: work)
    monkeypatch.setattr(torch.cuda, "synchronize", lambda: None)
    lines = pd.concat(gpu.rows(choose_device("cpu"), gpu.Limits(product_rate=1e9, copy_rate=1e9)))
    assert list(lines["Graph (ms)"]) == list(lines["Single steps (ms)"]) == [2.0, 2.0]
    assert lines["Plain recipe (ms)"].iloc[1] == 3.0
    assert (lines["Floor (ms)"] > 0).all()


def test_traffic_counts_what_convolutions_read_and_write() -> None:
    network = nn.Sequential(nn.Conv2d(1, 4, 3, padding=1), nn.BatchNorm2d(4), nn.ReLU(), nn.Conv2d(4, 2, 1))
    pixels = 3 * 8 * 8  # of three images
    assert gpu._activation_bytes(network, torch.zeros(3, 1, 8, 8)) == 2 * pixels * (1 + 4 + 4 + 2)
