"""Peak memory of a real DINO step on the CPU, to hold the estimate against.

python -m benchmarks.dino_memory    # GiB by which this process grew
"""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import replace

import torch

from benchmarks.costs import CHECKED_DINO
from benchmarks.timing import PeakMemory
from dainet.device import choose_device
from dainet.dino.training import starting_state, train_step
from dainet.dino.views import multi_crop
from dainet.vit.model import to_vit_input

__all__ = ["measured_gib"]

_NOW = {"lr": 1e-4, "weight_decay": 0.04, "momentum": 0.996}
_RETURNING = {"MALLOC_MMAP_THRESHOLD_": "65536", "MALLOC_TRIM_THRESHOLD_": "0"}  # glibc keeps no freed block


def measured_gib(returning: bool) -> float:
    """In a process of its own; `returning` gives freed memory back to the system at once."""
    environment = os.environ | (_RETURNING if returning else {})
    command = [sys.executable, "-m", "benchmarks.dino_memory"]
    return float(subprocess.run(command, env=environment, check=True, capture_output=True, text=True).stdout)


def _two_steps() -> None:
    """With a GPU's choice of attention, and in bfloat16 whether or not this processor has it."""
    device = replace(choose_device("cpu"), autocast_dtype=torch.bfloat16, fused_attention=True)
    state, generator = starting_state(CHECKED_DINO, "random", device), torch.Generator().manual_seed(0)
    images = torch.rand(CHECKED_DINO.batch_size, 1, CHECKED_DINO.global_size, CHECKED_DINO.global_size)
    for _ in range(2):
        views = [to_vit_input(view, view.shape[-1]) for view in multi_crop(images, CHECKED_DINO, generator)]
        train_step(state, CHECKED_DINO, views, device, epoch=1, now=_NOW)


if __name__ == "__main__":
    with PeakMemory() as peak:
        _two_steps()
    print(peak.mib / 1024)
