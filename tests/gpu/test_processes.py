"""Several processes and one GPU."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace

import pytest
import torch
from torch import distributed, nn

from dainet.device import Device
from dainet.parallel import collectives


def test_nccl_joins_a_single_process(cuda: Device, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {"RANK": "0", "WORLD_SIZE": "1", "MASTER_ADDR": "localhost", "MASTER_PORT": "29511"}.items():
        monkeypatch.setenv(name, value)
    device = torch.device("cuda", 0)
    with collectives.process_group(replace(cuda, torch_device=device)):
        ranks = torch.arange(3.0, device=device)
        distributed.all_reduce(ranks)
        assert ranks.tolist() == [0, 1, 2]
        assert collectives.process_count() == 1
        normal, shared = nn.BatchNorm2d(3).to(device), nn.SyncBatchNorm(3).to(device)
        image = torch.rand(4, 3, 8, 8, device=device)
        torch.testing.assert_close(shared(image), normal(image))
        torch.testing.assert_close(shared.running_var, normal.running_var)


def test_a_second_process_computes_on_the_same_card(cuda: Device) -> None:
    work = (
        "import torch; from dainet.device import choose_device; device = choose_device('cuda');"
        "x = torch.ones(512, 512, device=device.torch_device); print(int((x @ x).sum()))"
    )
    others = [subprocess.Popen([sys.executable, "-c", work], stdout=subprocess.PIPE) for _ in range(2)]
    own = torch.ones(512, 512, device=cuda.torch_device)
    assert int((own @ own).sum()) == 512**3
    assert [int(other.communicate(timeout=120)[0]) for other in others] == [512**3] * 2
