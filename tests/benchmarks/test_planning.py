"""The planning page: operations against the layers, memory against torch's own tracker, the page against both."""

import json
import re

import pandas as pd
import pytest
import torch
from torch import nn
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.distributed._tools.mem_tracker import MemTracker

from benchmarks import costs, planning
from benchmarks.estimates import PeakStorage, extraction, inference, training_step
from dainet.segmentation.losses import segmentation_loss
from dainet.segmentation.networks import build
from dainet.settings import SegmentationSettings
from tests.helpers import REPOSITORY

ROOT = REPOSITORY
RESULTS = ROOT / "benchmarks" / "results"
SMALL = SegmentationSettings(image_size=32, width=4, batch_size=2)


@pytest.fixture(scope="module")
def lines() -> pd.DataFrame:
    return pd.read_csv(RESULTS / "planning.csv")


def layer_flops(name: str) -> list[tuple[str, int]]:
    """Each convolution of a network on one batch, in the order of the forward pass: 2 * kernel * in * out * pixels."""
    found = []

    def note(layer: nn.Module, inputs: tuple[torch.Tensor], output: torch.Tensor) -> None:
        pixels = (inputs[0] if isinstance(layer, nn.ConvTranspose2d) else output)[:, 0].numel()
        found.append((names[layer], 2 * layer.weight.numel() * pixels))

    model = build(name, heads=6, classes=4, width=SMALL.width)
    names = {module: path for path, module in model.named_modules()}
    for module in model.modules():
        if isinstance(module, nn.Conv2d | nn.ConvTranspose2d):
            module.register_forward_hook(note)
    model(*(torch.rand(SMALL.batch_size, channels, 32, 32) for channels in (1, 6)))
    return found


@pytest.mark.parametrize(("name", "encoders"), [("unet", 1), ("single", 1), ("dual-0110", 2), ("dual-1111", 2)])
def test_operations_are_those_of_the_convolutions(name, encoders):
    forward = layer_flops(name)
    first = [flops for path, flops in forward if path.endswith("encoder.blocks.0.0")]
    total = sum(flops for _, flops in forward)
    assert len(first) == encoders
    assert inference(name, 4, SMALL, SMALL.batch_size).flops == total
    assert training_step(name, 4, SMALL).flops == 3 * total - sum(first)  # nobody needs the gradient of an input


@pytest.mark.parametrize("bfloat16", [True, False])
def test_peak_memory_is_what_torch_tracks(bfloat16):
    with FakeTensorMode():
        model, tracker = build("dual-0110", classes=4, width=SMALL.width), MemTracker()
        image, maps = (torch.rand(SMALL.batch_size, channels, 32, 32) for channels in (1, 6))
        label = torch.zeros(SMALL.batch_size, 32, 32, dtype=torch.long)
        optimizer = torch.optim.Adam(model.parameters(), fused=True)
        tracker.track_external(model, optimizer, image, maps, label)
        with tracker:
            for _ in range(2):
                tracker.reset_mod_stats()
                with torch.autocast("cpu", torch.bfloat16, enabled=bfloat16):
                    logits = model(image, maps)
                loss = segmentation_loss(logits, label)
                optimizer.zero_grad(set_to_none=True)
                loss.backward()
                optimizer.step()
                del logits, loss
    tracked = tracker.get_tracker_snapshot("peak")[torch.device("cpu")]["Total"]
    assert training_step("dual-0110", 4, SMALL, bfloat16).peak_bytes == tracked


def test_a_storage_counts_once_and_only_while_it_lives():
    given = torch.zeros(100)
    with PeakStorage([given]) as storage:
        for _ in range(3):
            block = torch.zeros(1000)
            block.view(10, 100)[0].add_(given)
            del block
    assert storage.peak == 4 * (100 + 1000)


def test_an_epoch_more_or_a_seed_more_costs_what_it_should(lines):
    stages = {stage.title: stage for stage in costs.stages(lines, "acdc")}
    assert list(stages) == ["DINO", "extraction", "single", "unet", "dual-0000", "dual-0001", "dual-0111", "dual-1111"]
    steps = 800 * 20  # docs/protocol.md, row 15 of the gaps
    assert stages["DINO"].flops == steps * costs.flops_of(lines, "dino")
    gpu = costs.Gpu("", 80, 100.0, True, "")
    assert stages["DINO"].hours(gpu) == pytest.approx(stages["DINO"].flops / (100e12 * costs.UTILISATION[True] * 3600))
    assert [stage.title for stage in costs.stages(lines, "synapse")] == ["DINO", "extraction", "unet", "dual-1111"]


def test_numbers_of_slices_are_the_protocol_s():
    text = (ROOT / "docs" / "protocol.md").read_text(encoding="utf-8")
    acdc, synapse = costs.DATA["acdc"], costs.DATA["synapse"]
    for number in (acdc.train, acdc.valid, acdc.test, synapse.train, synapse.test):
        assert re.search(rf"\({number} slices", text)


def test_memory_grows_in_a_line_with_the_batch():
    peaks = [
        training_step("unet", 4, SMALL.model_copy(update={"batch_size": batch})).peak_bytes for batch in (8, 16, 32)
    ]
    assert peaks[2] - peaks[1] == pytest.approx(2 * (peaks[1] - peaks[0]), rel=0.01)


def test_the_page_is_what_the_estimates_make(lines):
    record = json.loads((RESULTS / "planning.json").read_text(encoding="utf-8"))
    assert planning.page(lines, record) == (ROOT / "docs" / "planning.md").read_text(encoding="utf-8")


@pytest.mark.slow
def test_the_estimates_are_still_those_of_the_code(lines):
    """The quick ones; another version of torch may keep a little more or less."""
    settings = costs.PAPER.segmentation
    fresh = {("dual-1111", 4, 16): training_step("dual-1111", 4, settings), ("extraction", 0, 64): extraction(256, 64)}
    for (work, classes, batch), estimate in fresh.items():
        kept = costs.chosen(lines, work, classes, bfloat16=True).set_index("batch").loc[batch]
        assert estimate.flops == kept["flops"]
        assert estimate.peak_bytes == pytest.approx(kept["peak_bytes"], rel=0.02)
