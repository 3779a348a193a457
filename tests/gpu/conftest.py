"""Devices for the tests that need a GPU: `pytest -m gpu`; a minute on one."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from dainet.device import Device, choose_device


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark every test of this folder, and skip it where there is no GPU."""
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.gpu)
            item.add_marker(pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device"))


@pytest.fixture
def cuda() -> Device:
    """The GPU as the kit uses it."""
    return choose_device("cuda")


@pytest.fixture
def exact(cuda: Device) -> Iterator[Device]:
    """The GPU in float32 and without TF32, so that it must agree with a CPU."""
    before = torch.backends.cudnn.allow_tf32
    torch.backends.cudnn.allow_tf32 = False
    yield replace(cuda, autocast_dtype=None, memory_format=torch.contiguous_format)
    torch.backends.cudnn.allow_tf32 = before


@pytest.fixture
def cpu() -> Device:
    """The CPU in float32."""
    return replace(choose_device("cpu"), autocast_dtype=None, memory_format=torch.contiguous_format)
