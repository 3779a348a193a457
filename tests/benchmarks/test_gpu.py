"""The benchmarks of a card, run on the CPU at tiny sizes; what they measure there says nothing."""

import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest
import torch
from torch import nn

from benchmarks import gpu, results_files
from dainet.device import choose_device
from dainet.vit.model import DinoViT


def measured(work: Callable[[], object]) -> float:
    work()
    return 0.002


@pytest.mark.parametrize("compiles", [True, False])
def test_the_lines_of_training_and_extraction(monkeypatch: pytest.MonkeyPatch, compiles: bool) -> None:
    monkeypatch.setattr(gpu, "seconds", measured)
    monkeypatch.setattr(gpu, "plain_training", lambda *arguments: 0.003)  # asks for a GPU
    monkeypatch.setattr(gpu, "load_vit", lambda name: DinoViT(img_size=32, patch_size=16, embed_dim=24, num_heads=2))
    monkeypatch.setattr(gpu, "_NETWORKS", [("dual-1111", 2, 32)])
    for name in ("_dino_line", "_views_line"):  # minutes on a CPU
        monkeypatch.setattr(gpu, name, lambda *arguments: pd.DataFrame())
    compiled = list[object]()

    def compile_nothing(work: object, **options: object) -> object:
        compiled.append(work)
        return work

    monkeypatch.setattr(torch, "compile", compile_nothing)
    monkeypatch.setattr(torch.cuda, "synchronize", lambda: None)
    device = replace(choose_device("cpu"), compiles=compiles)
    lines = pd.concat(gpu.rows(device, gpu.Limits(product_rate=1e9, copy_rate=1e9)))
    assert list(lines["Graph (ms)"]) == list(lines["Single steps (ms)"]) == [2.0, 2.0]
    assert lines["Plain recipe (ms)"].iloc[1] == 3.0
    assert (lines["Floor (ms)"] > 0).all()
    columns = {name for name in lines if "compiled" in name.lower()}
    assert columns == ({"Compiled graph (ms)", "First compiled graph (s)"} if compiles else set())
    assert bool(compiled) == compiles


def test_what_was_measured_before_an_interrupt_is_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*arguments: object) -> Iterator[pd.DataFrame]:
        yield pd.DataFrame({"What": ["first"], "Graph (ms)": [1.0]})
        yield pd.DataFrame({"What": ["second"], "Floor (ms)": [2.0]})
        raise KeyboardInterrupt

    monkeypatch.setattr(gpu, "rows", interrupted)
    monkeypatch.setattr(gpu, "limits", lambda device: gpu.Limits(product_rate=1e9, copy_rate=1e9))
    monkeypatch.setattr(results_files, "RESULTS", tmp_path)
    with pytest.raises(KeyboardInterrupt):
        gpu.measure(choose_device("cpu"))
    (table,) = tmp_path.glob("*.csv")
    expected = pd.DataFrame({"What": ["first", "second"], "Graph (ms)": [1.0, None], "Floor (ms)": [None, 2.0]})
    pd.testing.assert_frame_equal(pd.read_csv(table), expected)
    assert table.with_suffix(".json").exists()


def test_without_a_gpu_the_command_says_so_in_one_line() -> None:
    code = "import torch; torch.cuda.is_available = lambda: False; import runpy; "
    code += "runpy.run_module('benchmarks.gpu', run_name='__main__')"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 1
    (line,) = done.stderr.splitlines()
    assert "CUDA" in line


def test_traffic_counts_what_convolutions_read_and_write() -> None:
    network = nn.Sequential(nn.Conv2d(1, 4, 3, padding=1), nn.BatchNorm2d(4), nn.ReLU(), nn.Conv2d(4, 2, 1))
    pixels = 3 * 8 * 8  # of three images
    assert gpu._activation_bytes(network, torch.zeros(3, 1, 8, 8)) == 2 * pixels * (1 + 4 + 4 + 2)
