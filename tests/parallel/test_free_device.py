"""Several jobs on one machine get a GPU each."""

import threading

import pytest
import torch

from dainet.parallel.free_device import free_device


def test_jobs_on_one_machine_take_different_gpus(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    taken, third = [], threading.Thread(target=lambda: taken.append(free_device("auto").__enter__()))
    with free_device("auto") as first:
        with free_device("auto") as second:
            third.start()
            third.join(timeout=0.5)
            assert (first, second, taken) == ("cuda:0", "cuda:1", [])
        third.join()
        assert taken == ["cuda:1"]


@pytest.mark.parametrize(("name", "count"), [("cpu", 2), ("cuda:1", 2), ("auto", 1), ("auto", 0)])
def test_a_named_device_or_the_only_one_is_not_chosen_again(
    monkeypatch: pytest.MonkeyPatch, name: str, count: int
) -> None:
    monkeypatch.setattr(torch.cuda, "device_count", lambda: count)
    with free_device(name) as chosen:
        assert chosen == name
