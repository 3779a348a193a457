"""Slices without maps."""

from __future__ import annotations

import pytest

from dainet.data.prepared import Prepared
from dainet.device import choose_device
from dainet.segmentation.slices import SliceData
from dainet.settings import AttentionSettings


@pytest.fixture
def plain(prepared: Prepared) -> SliceData:
    return SliceData(prepared, None, AttentionSettings(), choose_device("cpu"))
