"""The committed networks and slices of the live page."""

from __future__ import annotations

import hashlib
import json
import re
from typing import Any

import numpy as np
import onnx
import pytest
import torch
from onnx import TensorProto

from book.live.export import LARGEST
from book.live.trained import ORGANS
from dainet.segmentation.evaluation import class_dsc
from tests.helpers import REPOSITORY
from tests.helpers.live import LIVE, live_logits, live_maps, live_model, live_network, live_slices

MODELS = LIVE / "models"
RECORD = json.loads((MODELS / "record.json").read_text(encoding="utf-8"))
NAMES = sorted(path.name.removesuffix(".onnx.gz") for path in MODELS.glob("*.onnx.gz"))


def shape_of(value: onnx.ValueInfoProto) -> list[int]:
    assert value.type.tensor_type.elem_type == TensorProto.FLOAT
    return [axis.dim_value for axis in value.type.tensor_type.shape.dim]


def words_of(model: onnx.ModelProto) -> str:
    """A model as text, without the numbers of its weights, among which every character can occur."""
    rest = onnx.ModelProto()
    rest.CopyFrom(model)
    for tensor in rest.graph.initializer:
        tensor.raw_data = b""
    return str(rest)


def test_the_files_are_those_of_the_record() -> None:
    assert {f"{organ}-{name}" for organ, shown in ORGANS.items() for name in ("vit", *shown.networks)} == set(NAMES)
    assert set(RECORD["models"]) == set(NAMES)
    for name in NAMES:
        content = (MODELS / f"{name}.onnx.gz").read_bytes()
        assert hashlib.sha256(content).hexdigest() == RECORD["models"][name]["sha256"]
        assert len(content) == RECORD["models"][name]["bytes"]


def test_they_are_small_together() -> None:
    assert sum((MODELS / f"{name}.onnx.gz").stat().st_size for name in NAMES) == RECORD["bytes"] <= LARGEST


def test_the_heart_has_every_row_of_table_3() -> None:
    assert {"single", "dual-0000", "dual-0001", "dual-0111", "dual-1111"} <= set(ORGANS["heart"].networks)


@pytest.mark.parametrize("name", NAMES)
def test_inputs_and_outputs_have_the_promised_names_and_shapes(name: str) -> None:
    organ, _, network = name.partition("-")
    facts, graph = live_slices()[organ], live_model(name).graph
    size, classes = facts["size"], len(facts["classes"]) + 1
    maps = [1, 6, size, size]
    inputs = {"image": [1, 1, size, size]}
    outputs = {"logits": [1, classes, size, size]}
    if network == "vit":
        side, grid = facts["vit_size"], facts["vit_size"] // 8
        inputs, outputs = {"image": [1, 1, side, side]}, {"tokens": [1, 6, grid, grid], "maps": maps}
    elif network != "unet":
        inputs |= {"maps": maps, "heads": [6]} | ({"skips": [4]} if network.startswith("dual") else {})
    assert {item.name: shape_of(item) for item in graph.input} == inputs
    assert {item.name: shape_of(item) for item in graph.output} == outputs


@pytest.mark.parametrize("name", NAMES)
def test_weights_are_small_and_nothing_tells_of_a_machine(name: str) -> None:
    model = live_model(name)
    for tensor in model.graph.initializer:
        if np.prod(tensor.dims) >= 64 and not tensor.name.endswith(".scale"):
            assert tensor.data_type in (TensorProto.FLOAT16, TensorProto.INT8), tensor.name
        assert not tensor.HasField("data_location")
    onnx.checker.check_model(model)
    assert not re.search(r"\w/\w|\w\\\\\w|\.py", words_of(model))


@pytest.mark.parametrize("organ", sorted(ORGANS))
def test_slices_fit_the_networks(organ: str) -> None:
    facts = live_slices()[organ]
    assert len({item["name"] for item in facts["slices"]}) == len(facts["slices"]) == 6
    assert list(facts["networks"]) == ["vit", *ORGANS[organ].networks]
    classes, found = len(facts["classes"]), []
    for item in facts["slices"]:
        label, maps = torch.from_numpy(item["label"].copy()), live_maps(organ, item["vit_image"])[1]
        assert label.max() <= classes
        labels = live_logits(organ, "dual-1111", item["image"], maps)[0].argmax(0)
        found.append(class_dsc(labels, label, classes))
    recorded = torch.tensor(
        [
            [np.nan if value is None else value for value in line]
            for line in RECORD["models"][f"{organ}-vit"]["shown_dsc"]["live maps"]
        ]
    )
    # The record is of the network as trained; stored weights move DSC by less than a point on average.
    assert abs(100 * torch.stack(found).nanmean() - recorded.nanmean()) < 1
    assert recorded.nanmean() > 60  # percent: image, label, maps and network belong together


def test_a_cut_head_and_a_cut_skip_change_what_the_network_says() -> None:
    item = live_slices()["heart"]["slices"][2]
    maps = live_maps("heart", item["vit_image"])[1]
    whole = live_logits("heart", "dual-1111", item["image"], maps)
    for number in range(6):
        heads = tuple(head != number for head in range(6))
        assert not torch.equal(live_logits("heart", "dual-1111", item["image"], maps, heads), whole)
    for number in range(4):
        skips = tuple(skip != number for skip in range(4))
        assert not torch.equal(live_logits("heart", "dual-1111", item["image"], maps, skips=skips), whole)
    assert live_network("heart", "unet").heads == 0


def test_the_tables_of_the_documentation_are_the_record() -> None:
    text = (REPOSITORY / "docs" / "live.md").read_text(encoding="utf-8")
    rows = re.findall(
        r"^\| (\w+), (?:`([\w-]+)`|ViT) \| (\d+) \| (\d+) \| ([\d,]+) \| ([\d.]+) \|$", text, re.MULTILINE
    )
    found = {f"{organ}-{name or 'vit'}": numbers for organ, name, *numbers in rows}
    assert set(found) == set(NAMES)
    for name, (kilobytes, changed, pixels, points) in found.items():
        way = RECORD["models"][name]["ways"]["large int8"]
        assert (int(changed), int(pixels.replace(",", ""))) == (way["pixels_changed"], way["pixels"])
        assert abs(int(kilobytes) - way["bytes"] / 1000) <= 1
        assert abs(float(points) - way["dsc_change"]) < 0.006
    networks = [RECORD["models"][name]["ways"] for name in NAMES if not name.endswith("vit")]
    ways = re.findall(r"^\| (?:all|8 bits) [^|]+ \| ([\d.]+) \| (\d+) \| ([\d,]+) \| ([\d.]+) \|$", text, re.MULTILINE)
    for name, (megabytes, changed, pixels, points) in zip(("large int8", "float16", "int8"), ways, strict=True):
        total = sum(model["ways"][name]["bytes"] for model in RECORD["models"].values())
        assert abs(float(megabytes) - total / 1e6) < 0.06
        assert int(changed) == sum(way[name]["pixels_changed"] for way in networks)
        assert int(pixels.replace(",", "")) == sum(way[name]["pixels"] for way in networks)
        assert abs(float(points) - max(way[name]["dsc_change"] for way in networks)) < 0.006


def test_what_the_documentation_says_that_the_page_shows_is_computed() -> None:
    found = {organ: [cuts_of(organ, item) for item in facts["slices"]] for organ, facts in live_slices().items()}
    text = (REPOSITORY / "docs" / "live.md").read_text(encoding="utf-8").partition("## What to see there")[2]
    pixels = sum(facts["size"] ** 2 * len(facts["slices"]) for facts in live_slices().values())
    changed = torch.tensor([slice_["skips"] for slices in found.values() for slice_ in slices]).sum(0).tolist()
    assert f"change {changed[0]}, {changed[1]}, {changed[2]} and {changed[3]} of {pixels:,} pixels" in text
    whole, cut = ([round(slice_[what]) for slice_ in found["heart"]] for what in ("single", "single without head 3"))
    assert f"between {min(whole)} and {max(whole)} points of DSC" in text
    assert f"at most {max(cut)}" in text
    unread, read = (sum(slice_["dual-0000 without maps"] for slice_ in found[organ]) for organ in ("abdomen", "heart"))
    assert unread == 0
    assert f"changes no pixel of the six abdomens, and {read} of the six hearts" in text


def cuts_of(organ: str, item: dict[str, Any]) -> dict[str, Any]:
    """What cuts to zeros do to a slice: pixels that change, and the mean DSC of the single encoder in points."""
    maps = live_maps(organ, item["vit_image"])[1]
    truth, classes = torch.from_numpy(item["label"].copy())[None], len(live_slices()[organ]["classes"])

    def labels(name: str, heads: str = "111111", skips: str = "1111") -> torch.Tensor:
        heads_on, skips_on = (tuple(digit == "1" for digit in digits) for digits in (heads, skips))
        return live_logits(organ, name, item["image"], maps, heads_on, skips_on).argmax(1)

    def changed(name: str, *cut: str) -> int:
        return int((labels(name, *cut) != labels(name)).sum())

    def dsc(*cut: str) -> float:
        return 100 * class_dsc(labels("single", *cut), truth, classes).nanmean().item()

    return {
        "skips": [changed("dual-1111", "111111", skips) for skips in ("0111", "1011", "1101", "1110")],
        "dual-0000 without maps": changed("dual-0000", "000000"),
        "single": dsc(),
        "single without head 3": dsc("110111"),
    }
