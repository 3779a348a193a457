"""Which device is chosen, on machines that this one is not."""

import pytest
import torch

from dainet.device import choose_device


@pytest.fixture
def two_gpus(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda including_emulation: True)
    current = []
    monkeypatch.setattr(torch.cuda, "set_device", current.append)
    return current


@pytest.mark.parametrize(
    ("name", "local_rank", "expected"),
    [
        ("auto", None, "cuda"),
        ("cuda:1", None, "cuda:1"),
        ("auto", "0", "cuda:0"),
        ("cuda", "1", "cuda:1"),
        ("cpu", "1", "cpu"),
    ],
)
def test_each_process_takes_its_own_gpu(two_gpus, monkeypatch, name, local_rank, expected):
    if local_rank:
        monkeypatch.setenv("LOCAL_RANK", local_rank)
    device = choose_device(name)
    assert str(device.torch_device) == expected
    assert device.collectives == ("gloo" if expected == "cpu" else "nccl")
    assert two_gpus == ([device.torch_device] if local_rank and expected != "cpu" else [])


@pytest.mark.parametrize(
    ("name", "local_rank", "message"),
    [
        ("cuda:2", None, "device 'cuda:2' asked for, but torch finds 2"),
        ("cuda", "2", "device 'cuda:2' asked for, but torch finds 2; lower n_processes"),
        ("cuda:1", "1", "device 'cuda:1' cannot serve several processes; use --device cuda"),
    ],
)
def test_gpus_that_are_not_there_are_refused(two_gpus, monkeypatch, name, local_rank, message):
    if local_rank:
        monkeypatch.setenv("LOCAL_RANK", local_rank)
    with pytest.raises(ValueError, match=message):
        choose_device(name)


def test_without_cuda_it_is_said(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(ValueError, match="torch finds no CUDA device; use --device cpu or auto"):
        choose_device("cuda")
