"""Notebook 8: typical answers to its exercises, and what its prose says about its outputs and about the protocol."""

from __future__ import annotations

import re
from itertools import permutations
from typing import Any

import pandas as pd
import pytest
import torch

from dainet.data.formats.label_order import label_map
from dainet.lessons.answers import EXERCISES
from dainet.protocol import CLASSES, published_table
from dainet.reporting.cost_chart import family
from dainet.reporting.costs import count_operations, example_inputs
from dainet.segmentation.baselines.transcascade import transcascade_published_small, transcascade_small
from dainet.segmentation.catalog import build
from dainet.segmentation.networks import parameter_count
from tests.helpers import REPOSITORY
from tests.helpers.notebooks import lesson, shown

NOTEBOOK = lesson("08")
PROSE = "\n".join(cell.source for cell in NOTEBOOK.cells if cell.cell_type == "markdown")


@pytest.fixture(scope="module")
def made() -> dict[str, Any]:
    """What the checks need of the lesson: the cost of the networks that its prose compares, and Table 2 as printed."""
    rows = []
    for name in ("dual-1111", "transunet", "unet", "vit-cup", "r50-unet"):
        with torch.device("meta"):
            network, inputs = build(name).eval(), example_inputs(name, image_size=224)
        rows.append((name, parameter_count(network) / 1e6, count_operations(network, *inputs) / 1e9))
    costs = pd.DataFrame(rows, columns=["Network", "Parameters (M)", "GFLOP per image"])
    return {"costs": costs, "paper": published_table("acdc", "table2")}


@pytest.mark.parametrize(
    ("number", "answer"),
    [("8.1", 1.98), ("8.2", "R50 AttnUNet"), ("8.2", "r50 attnunet"), ("8.3", 0.56), ("8.4", "b"), ("8.5", "D")],
)
def test_right_answers(number: str, answer: object, made: dict[str, Any]) -> None:
    assert EXERCISES[number].fault(answer, made) is None


@pytest.mark.parametrize(
    ("number", "answer", "words"),
    [
        ("8.1", 0.52, "parameters"),
        ("8.1", 0.51, "inverse"),
        ("8.1", "2", "quotes"),
        ("8.2", "DAINet (dual-1111)", "91.90"),
        ("8.2", "SegFormer", "expected one of"),
        ("8.3", 0.3, "one look"),
        ("8.3", 0.067, "mean of twenty"),
        ("8.3", 1.87, "multiply"),
        ("8.4", "a", "rise or fall"),
        ("8.4", "c", "prediction"),
        ("8.4", "d", "without them"),
        ("8.5", "a", "one training"),
        ("8.5", "b", "equality"),
        ("8.5", "c", "less than a hundredth"),
        ("8.5", "e", "expected one of"),
    ],
)
def test_typical_mistakes_are_named(number: str, answer: object, words: str, made: dict[str, Any]) -> None:
    assert words in (EXERCISES[number].fault(answer, made) or "")


@pytest.mark.parametrize(("number", "answer"), [("8.1", 4.0), ("8.2", "TransUNet"), ("8.3", 1.0)])
def test_other_wrong_answers_are_wrong(number: str, answer: object, made: dict[str, Any]) -> None:
    assert EXERCISES[number].fault(answer, made) == ""


def test_the_best_of_twenty_is_what_order_statistics_say() -> None:
    """The mean of the largest of 20 standard normal numbers is 1.867 (Harter, Biometrika 1961, Table 1)."""
    assert EXERCISES["8.3"].fault(0.3 * 1.86748, {}) is None


def test_costs_in_the_prose(made: dict[str, Any]) -> None:
    dual, hybrid = (made["costs"].set_index("Network").loc[name] for name in ("dual-1111", "transunet"))
    assert "half the parameters of TransUNet, **and twice the operations**" in PROSE
    assert 0.45 < dual["Parameters (M)"] / hybrid["Parameters (M)"] < 0.55
    assert 1.9 < dual["GFLOP per image"] / hybrid["GFLOP per image"] < 2.1
    assert "it uses them 50,176 times" in PROSE
    assert 224**2 == 50_176


def test_accuracy_and_operations_in_the_prose(made: dict[str, Any]) -> None:
    dsc = made["paper"].set_index("method")["dsc"].astype(float)
    gflop = made["costs"].set_index("Network")["GFLOP per image"]
    assert "almost three times the operations of R50 U-Net and stands four points lower" in PROSE
    assert 2.7 < gflop["vit-cup"] / gflop["r50-unet"] < 3
    assert dsc["R50 U-Net"] - dsc["ViT-CUP"] == pytest.approx(4.2, abs=0.2)
    assert "two thirds of its operations" in PROSE
    assert gflop["unet"] / gflop["dual-1111"] == pytest.approx(2 / 3, abs=0.04)
    assert gflop.idxmax() == "dual-1111"


def test_sizes_in_the_prose() -> None:
    with torch.device("meta"):
        hybrid = build("transunet")
    assert "one box has 86 of 105 million" in PROSE
    assert round(parameter_count(hybrid) / 1e6) == 105
    assert round(parameter_count(hybrid.get_submodule("encoder.vit")) / 1e6) == 86


@pytest.mark.parametrize(("width", "channels"), [(64, 384), (8, 192)], ids=["published", "tour"])
def test_features_and_maps_make_networks_of_one_size(width: int, channels: int) -> None:
    """Which is why answer c of exercise 8.5 is wrong."""
    with torch.device("meta"):
        features, maps = (
            build(name, width=width, feature_channels=channels) for name in ("dual-features", "dual-1111")
        )
    assert 0 < parameter_count(features) / parameter_count(maps) - 1 < 0.01


def test_the_mean_of_r50_attnunet_in_table_1() -> None:
    row = published_table("synapse", "table1").set_index("method").loc["R50 AttnUNet"]
    organs = row.drop(["model", "marker", "dsc", "hd95"]).astype(float)
    assert float(row["dsc"]) == 75.57
    assert round(organs.mean(), 2) == 72.10
    assert round(organs.replace(55.92, 83.70).mean(), 2) == 75.57
    assert "printed 75.57, mean of its organs 72.10\nwith 83.70 instead of 55.92 for the aorta: 75.57" in shown(
        NOTEBOOK, "repaired = "
    )


def test_the_mean_of_r50_attnunet_in_table_2() -> None:
    row = published_table("acdc", "table2").set_index("method").loc["R50 AttnUNet"]
    mean = row[["rv", "myo", "lv"]].astype(float).mean()
    assert f"its classes average {mean:.2f}, and {row['dsc']:.2f} is printed" in PROSE
    protocol = (REPOSITORY / "docs" / "protocol.md").read_text(encoding="utf-8")
    assert f"Table 2: {mean:.2f} and {row['dsc']:.2f} is printed" in protocol


def test_distances_between_printed_rows() -> None:
    dsc = published_table("acdc", "table2").set_index("method")["dsc"].astype(float)
    ours = dsc["DAINet (dual-1111)"]
    assert "DAINet and TransCASCADE is 0.27, and to the U-Net 0.33" in PROSE
    assert ours - dsc[["TransCASCADE", "U-Net"]].to_numpy() == pytest.approx([0.27, 0.33])
    assert "DAINet is 2.19 points of DSC ahead of TransUNet" in PROSE
    assert ours - dsc["TransUNet"] == pytest.approx(2.19)
    assert len(dsc) == 10


def test_the_rows_with_another_source_are_not_said_to_have_other_patients() -> None:
    """The protocol: MT-UNet ran the starred networks again, on the split that the paper uses."""
    protocol = (REPOSITORY / "docs" / "protocol.md").read_text(encoding="utf-8")
    [source] = re.findall(r'^.*<a id="5\.26"></a>.*$', protocol, flags=re.MULTILINE)
    [told] = [line for line in PROSE.splitlines() if "protocol.md#5.26" in line]
    assert "MT-UNet's re-runs" in source
    assert "MT-UNet's re-runs on its own split" in told
    [differ] = re.findall(r"Printed rows differ in ([^.]*?) and even", PROSE)
    assert "patients" not in differ


def test_organs_that_another_order_of_labels_mixes_up() -> None:
    names, orders = CLASSES["synapse"].names, [label_map(order) for order in ("transunet", "cascade", "samed")]
    mixed = {
        (names[stored[label] - 1], names[read[label] - 1])
        for stored, read in permutations(orders, 2)
        for label in range(1, len(names) + 1)
        if stored[label] != read[label]
    }
    [told] = [line for line in PROSE.splitlines() if "labels have several orders" in line]
    assert "liver as pancreas and a gallbladder as kidney" in told
    assert {("Liver", "Pancreas"), ("Gallbladder", "Kidney (R)")} <= mixed
    assert "Kidney (L)" not in {name for pair in mixed for name in pair}, "so one kidney is never taken for the other"


@pytest.mark.parametrize(("make", "same"), [(transcascade_small, True), (transcascade_published_small, False)])
def test_two_passes_of_transcascade(make: Any, same: bool) -> None:
    network, image = make().eval(), torch.rand(1, 1, 64, 64)
    with torch.inference_mode():
        assert torch.equal(network(image), network(image)) == same


def test_the_stored_output_says_which_variant_changes() -> None:
    shares = re.findall(r"^(\S+): two passes differ by ([\d.]+) %", shown(NOTEBOOK, "changed = "), flags=re.MULTILINE)
    assert [(name, float(share) > 0) for name, share in shares] == [
        ("transcascade-small", False),
        ("transcascade-published-small", True),
    ]


def test_which_rows_are_below_a_swin_unet_with_a_third_of_the_rate() -> None:
    text = shown(NOTEBOOK, 'save_table(table, "table_competitors"')
    rows = re.findall(r"^\d+ +(\S+) +(\d+\.\d\d) ", text, flags=re.MULTILINE)
    assert len(rows) == 18
    below = sorted(name for name, dsc in rows if 0 < float(dsc) < 50)
    assert below == ["r50-vit-cup-small", "vit-cup-small", "vit-small"]
    assert "DSC of 50, still below all others but `vit-small`, `vit-cup-small` and `r50-vit-cup-small`" in PROSE


def test_the_live_networks_are_of_four_families_and_stored_with_their_scores() -> None:
    text = shown(NOTEBOOK, "predicted(guess, means[")
    means = {name: float(value) for name, value in re.findall(r"^(\S+) +(\d+\.\d)$", text, flags=re.MULTILINE)}
    assert list(means) == ["unet", "unet-upsample", "vit-small", "transunet-small", "dual-1111", "dual-features"]
    assert len({family(name) for name in means}) == 4
    [found] = re.findall(r"found: ([\d.]+) points", text)
    assert float(found) == pytest.approx(means["dual-1111"] - means["transunet-small"], abs=0.11)
