"""docs/gpu.md: its ratios, and what the paper profile costs, computed from the committed measurements."""

from __future__ import annotations

import math
import re

import pandas as pd
import pytest

from dainet.settings import load_settings
from tests.helpers import REPOSITORY

PAGE = (REPOSITORY / "docs" / "gpu.md").read_text(encoding="utf-8")
PROFILE = load_settings("paper")
STEPS = {
    "DINO": "DINO step, ViT-S/16, 2 x 256 and 8 x 96 px, batch 64",
    "dual 64": "training step, dual-1111, width 64, 224 px, batch 16",
    "U-Net": "training step, unet, width 64, 224 px, batch 16",
    "dual 32": "training step, dual-1111, width 32, 224 px, batch 16",
    "dual 16": "training step, dual-1111, width 16, 128 px, batch 16",
}
BANDWIDTH, ARITHMETIC = 4.8, 989  # of the H200: TB/s and TFLOP/s in bfloat16, as its maker says
OTHERS = {
    "H100": [BANDWIDTH / 3.35],
    "A100": [BANDWIDTH / 2.0, ARITHMETIC / 312],
    "RTX": [BANDWIDTH / 1.0, ARITHMETIC / 165],
}


@pytest.fixture(scope="module")
def measured() -> pd.DataFrame:
    """Steps as rows; milliseconds of each way to run them, and seconds until the first compiled graph."""
    table = pd.read_csv(REPOSITORY / "benchmarks/results/gpu-nvidia-h200.csv").set_index("What")
    return table.loc[STEPS.values()].set_axis(list(STEPS))


def minutes(measured: pd.DataFrame) -> list[float]:
    """DINO, dual-1111 and U-Net of the paper profile on the card that was measured: steps times their number."""
    slices = int(re.search(r"\(([\d,]+) training slices", PAGE)[1].replace(",", ""))  # type: ignore[index]
    dino = PROFILE.dino.epochs * (slices // PROFILE.dino.batch_size)
    networks = PROFILE.segmentation.epochs * math.ceil(slices / PROFILE.segmentation.batch_size)
    milliseconds = measured.loc[["DINO", "dual 64", "U-Net"], "Compiled graph (ms)"]
    return [count * step / 60_000 for count, step in zip((dino, networks, networks), milliseconds, strict=True)]


def test_the_slices_are_those_of_the_papers_split_less_the_scan_that_is_there_twice() -> None:
    protocol = (REPOSITORY / "docs" / "protocol.md").read_text(encoding="utf-8")
    [whole] = re.findall(r"093 094 096 097 098 099 100 \((\d+) slices, ED and ES\)", protocol)
    assert (
        "(1,288 training slices, 16 of patient074 left out; 20 DINO steps and 81 segmentation steps an epoch)" in PAGE
    )
    assert int(whole) - 16 == 1288
    assert (1288 // PROFILE.dino.batch_size, math.ceil(1288 / PROFILE.segmentation.batch_size)) == (20, 81)


@pytest.mark.parametrize("card", ["H200", *OTHERS])
def test_what_the_paper_profile_costs(card: str, measured: pd.DataFrame) -> None:
    factors = OTHERS.get(card, [1.0])
    cells = [" to ".join(f"{time * factor:.0f}" for factor in factors) + " min" for time in minutes(measured)]
    [row] = re.findall(rf"^\| {card}\b.*$", PAGE, re.MULTILINE)
    assert row.endswith(f" | {' | '.join(cells)} |"), cells


def test_ratios_of_the_training_step(measured: pd.DataFrame) -> None:
    duals = measured.loc[["dual 64", "dual 32", "dual 16"]]
    single, graph, compiled = (duals[f"{name} (ms)"] for name in ("Single steps", "Graph", "Compiled graph"))
    [words] = re.findall(r"A graph brings ([\d.]+) .*?, ([\d.]+) .*? and ([\d.]+) times at width 16", PAGE)
    assert list(single / graph) == pytest.approx([float(word) for word in words], rel=0.03)
    [words] = re.findall(r"Compiling brings another ([\d.]+), ([\d.]+) and ([\d.]+) times", PAGE)
    assert list(graph / compiled) == pytest.approx([float(word) for word in words], abs=0.005)
    [words] = re.findall(r"is ([\d.]+) \(width 64\), ([\d.]+) and ([\d.]+) times as fast as the plain recipe", PAGE)
    assert list(duals["Plain recipe (ms)"] / compiled) == pytest.approx([float(word) for word in words], rel=0.04)


def test_from_how_many_steps_on_compiling_pays(measured: pd.DataFrame) -> None:
    saved = measured["Graph (ms)"] - measured["Compiled graph (ms)"]
    pays = 1000 * measured["First compiled graph (s)"] / saved
    [words] = re.findall(r"pays from ([\d,]+), ([\d,]+), ([\d,]+) and ([\d,]+) steps on; the kit", PAGE)
    told = [int(word.replace(",", "")) for word in words]
    assert list(pays[["dual 64", "U-Net", "dual 32", "dual 16"]]) == pytest.approx(told, rel=0.03)
    [dino] = re.findall(r"\*\*Compiling\*\* the DINO step takes \d+ s and pays from ([\d,]+) steps on", PAGE)
    assert pays["DINO"] == pytest.approx(int(dino.replace(",", "")), rel=0.03)
