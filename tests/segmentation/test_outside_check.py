"""What networks from outside are refused for, before anything is read, and what is only remembered."""

from __future__ import annotations

import logging
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from dainet import pipeline
from dainet.cache.runs import lineage
from dainet.errors import InputError, MemoryLackError
from dainet.jobs.one_stage import run_named_stage
from dainet.reporting.tables import protocol_notes
from dainet.reporting.work import work_of
from dainet.segmentation.outside import build_outside
from dainet.segmentation.outside_check import check_batches, check_outside
from dainet.settings import Settings, load_settings
from tests.helpers import REPOSITORY

BEGIN = """
import torch
from torch import nn
from torch.nn import functional

class Net(nn.Module):
    def __init__(self, classes):
        super().__init__()
        self.conv = nn.Conv2d(1, classes, 3, padding=1)

    def forward(self, image):
        return self.conv(image)

"""


@pytest.fixture(scope="module")
def small() -> Settings:
    sizes = {"segmentation.image_size": 32, "segmentation.batch_size": 4, "segmentation.width": 8}
    return load_settings("tour", {"device": "cpu", **sizes})


def written(folder: Path, text: str) -> str:
    (folder / "net.py").write_text(BEGIN + text, encoding="utf-8")
    return f"{folder / 'net.py'}:Own"


def network(forward: str, init: str = "pass", arguments: str = "image") -> str:
    """Write a class that changes the plain network: one line of its constructor, and its forward."""
    return f"""
class Own(Net):
    def __init__(self, classes):
        super().__init__(classes)
        {init}

    def forward(self, {arguments}):
        {forward}
"""


def test_what_is_in_order_passes_and_leaves_the_random_state(
    small: Settings, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    name, state = written(tmp_path, network("return self.conv(image)")), torch.get_rng_state()
    with caplog.at_level(logging.INFO):
        facts = check_outside(small, name)
    assert torch.equal(torch.get_rng_state(), state)
    assert facts.parameters == 4 * 10
    assert facts.operations == 2 * 4 * 9 * 32 * 32
    assert (facts.without_gradient, facts.alone) == ((), "")
    (line,) = (record.getMessage() for record in caplog.records)
    assert "net.py:Own" in line
    assert str(tmp_path) not in line


def test_fused_attention_is_counted(small: Settings, tmp_path: Path) -> None:
    attention = "functional.scaled_dot_product_attention(tokens, tokens, tokens).mean(1).view(-1, 1, 1, 1)"
    forward = f"tokens = image.flatten(2).transpose(1, 2)\n        return self.conv(image) + {attention}"
    facts = check_outside(small, written(tmp_path, network(forward)))
    assert facts.operations == 2 * 4 * 9 * 32**2 + 2 * 2 * (32**2) ** 2


def test_a_second_check_of_the_same_content_costs_nothing(
    small: Settings, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    name = written(tmp_path, network("return self.conv(image)"))
    with caplog.at_level(logging.INFO):
        first = check_outside(small, name)
        assert check_outside(small, name) is first
        assert len(caplog.records) == 1
        written(tmp_path, network("return 2 * self.conv(image)"))
        assert check_outside(small, name) == first
    assert len(caplog.records) == 2


@pytest.mark.parametrize("callable_", ["gated", "gated_with_maps", "GatedUNet"])
def test_the_template_passes(small: Settings, callable_: str) -> None:
    facts = check_outside(small, f"{REPOSITORY}/examples/my_network.py:{callable_}")
    assert not facts.without_gradient
    assert not facts.alone


def test_a_list_of_logits_passes(small: Settings, tmp_path: Path) -> None:
    check_outside(small, written(tmp_path, network("return [self.conv(image), self.conv(-image)]")))


LOW = "functional.interpolate(self.conv(image), scale_factor=0.5)"
REFUSED: dict[str, tuple[str, tuple[str, ...]]] = {
    "no argument": (network("return 1", arguments="*, image"), ("forward(", "forward(image)")),
    "three arguments": (
        network("return 1", arguments="image, maps, depth"),
        ("(image, maps, depth)", "forward(image, maps)"),
    ),
    "heads, but no maps": (
        "class Own(Net):\n    def __init__(self, classes, heads): super().__init__(classes)",
        ("forward(image, maps)", "heads"),
    ),
    "low resolution": (network(f"return {LOW}"), ("[1, 4, 16, 16]", "[1, 4, 32, 32]", "interpolate")),
    "low resolution in a list": (
        network(f"return [{LOW}, self.conv(image)] if self.training else self.conv(image)"),
        ("training", "number 1 of 2", "[2, 4, 16, 16]"),
    ),
    "other classes": (network("return self.conv(image)[:, :3]"), ("[1, 3, 32, 32]", "classes with background")),
    "one dimension less": (network("return self.conv(image)[:, 0]"), ("[1, 32, 32]", "[1, 4, 32, 32]")),
    "a dictionary": (network("return {'out': self.conv(image)}"), ("dictionary with out",)),
    "nothing": (network("return None"), ("NoneType",)),
    "an empty list": (network("return []"), ("list of nothing",)),
    "labels": (network("return self.conv(image).long()"), ("int64", "logits")),
    "probabilities": (network("return self.conv(image).softmax(1)"), ("sum to 1", "softmax")),
    "not finite": (network("return self.conv(image) / 0"), ("not finite",)),
    "an error": (network("return self.conv(image.view(-1))"), ("net.py, line", "RuntimeError", "evaluation")),
    "one size of batch": (
        network("return self.conv(image.view(1, 1, 32, 32))"),
        ("net.py, line", "evaluation with [2, 1, 32, 32]"),
    ),
    "nothing to train": (
        network("return self.conv(image)", "self.requires_grad_(False)"),
        ("no gradient reaches any",),
    ),
    "cut off": (network("return self.conv(image).detach() + self.other", "self.other = torch.ones(1)"), ("any",)),
    "an infinite gradient": (
        network("return self.conv(image) + self.other.sqrt()", "self.other = nn.Parameter(torch.zeros(()))"),
        ("gradient of other", "finite"),
    ),
    "random in evaluation": (network("return functional.dropout(self.conv(image))"), ("twice", "self.training")),
    "a counter": (
        network("self.calls += 1; return self.conv(image) + self.calls", "self.calls = 0"),
        ("twice", "1 apart"),
    ),
    "a leak": (network("return self.conv(image - image.mean(0))"), ("slice next to it", "dimension 0")),
    "lazy layers": (network("return self.conv(image)", "self.lazy = nn.LazyConv2d(3, 1)"), ("lazy.weight",)),
    "a state of words": (
        network("return self.conv(image)\n\n    def get_extra_state(self):\n        return 'words'"),
        ("_extra_state", "tensors"),
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_refusals_say_what_was_found_and_what_was_expected(small: Settings, tmp_path: Path, case: str) -> None:
    text, facts = REFUSED[case]
    with pytest.raises(InputError) as caught:
        check_outside(small, written(tmp_path, text))
    message = str(caught.value)
    assert message.startswith("net.py:Own: ")
    assert "\n" not in message
    assert not [fact for fact in facts if fact not in message], message


def test_weights_for_a_network_that_takes_none_are_refused(small: Settings, tmp_path: Path) -> None:
    given = small.segmentation.model_copy(update={"pretrained": "hub"})
    with pytest.raises(InputError, match=r"net\.py.*segmentation\.pretrained"):
        check_outside(
            small.model_copy(update={"segmentation": given}), written(tmp_path, network("return self.conv(image)"))
        )


def test_classes_that_are_known_after_reading_are_tried(small: Settings, tmp_path: Path) -> None:
    name = written(tmp_path, network("return self.conv(image)", "self.conv = nn.Conv2d(1, 4, 3, padding=1)"))
    check_outside(small, name)
    with pytest.raises(InputError, match="6"):
        check_outside(small, name, classes=6)


def test_parameters_without_a_gradient_are_named_and_refused_only_for_several_processes(
    small: Settings, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    idle = "self.idle = nn.Conv2d(1, 1, 1)"
    name = written(tmp_path, network("return self.conv(image)", idle))
    with caplog.at_level(logging.WARNING):
        assert check_outside(small, name).without_gradient == ("idle.weight", "idle.bias")
    assert "idle.weight, idle.bias" in caplog.text
    several = small.model_copy(update={"n_processes": 2})
    with pytest.raises(InputError, match="has_unused_parameters"):
        check_outside(several, name)
    check_outside(
        several, written(tmp_path, network("return self.conv(image)", f"{idle}; self.has_unused_parameters = 1"))
    )


def test_random_numbers_that_no_seed_reaches_are_named(
    small: Settings, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    forward = "return self.conv(image) * ({} if self.training else 1)"
    with caplog.at_level(logging.WARNING):
        check_outside(small, written(tmp_path, network(forward.format("torch.rand(())"))))
        assert not caplog.records
        check_outside(small, written(tmp_path, "import random\n" + network(forward.format("random.random()"))))
    (line,) = (record.getMessage() for record in caplog.records)
    assert line.startswith("net.py:Own: ")


@pytest.mark.parametrize("says", ["pass", "self.records_steps = True"])
def test_steps_of_a_network_from_outside_are_recorded_only_where_it_says_so(
    tiny: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, says: str
) -> None:
    from dainet.segmentation import step

    name = written(tmp_path, network("return self.conv(image)", says))
    model, data = build_outside(name, {"classes": 4}), pipeline.slice_data(tiny, with_maps=False)
    data.device = replace(data.device, records_steps=True)
    monkeypatch.setattr(step, "recorded", lambda *_: "recorded")
    made = step.training_step(model, data, tiny.segmentation, torch.optim.Adam(model.parameters()))
    assert (made == "recorded") is (says != "pass")


def test_one_slice_that_cannot_be_trained_is_refused_for_batches_that_leave_one(
    small: Settings, tmp_path: Path
) -> None:
    norm = "self.norm = nn.BatchNorm2d(4)"
    name = written(tmp_path, network("return self.conv(image) * self.norm(self.conv(image).mean((2, 3), True))", norm))
    assert "ValueError" in check_outside(small, name).alone
    check_batches(small, name, 8)
    check_batches(small, name, 6)
    for slices in (9, 1):
        with pytest.raises(InputError, match=rf"net\.py:Own.*{slices} training slices.*segmentation\.batch_size"):
            check_batches(small, name, slices)
    several = small.model_copy(update={"n_processes": 2})
    check_batches(several, name, 8)
    with pytest.raises(InputError, match="batches of 4"):
        check_batches(several, name, 10)  # two processes share the last two
    check_batches(small, written(tmp_path, network("return self.conv(image)")), 9)


def test_a_view_that_the_memory_format_of_the_device_forbids_is_refused(
    small: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from dainet.segmentation import outside_check

    forward = "x = self.second(image.repeat(1, 3, 1, 1)); return x.view(len(x), -1).view(x.shape)"
    name = written(tmp_path, network(forward, "self.second = nn.Conv2d(3, classes, 3, padding=1)"))
    device = outside_check.choose_device("cpu")
    for memory_format in (torch.contiguous_format, torch.channels_last):
        changed = replace(device, memory_format=memory_format)
        monkeypatch.setattr(outside_check, "choose_device", lambda name, changed=changed: changed)
        with pytest.raises(InputError, match="view") if memory_format is torch.channels_last else nullcontext():
            check_outside(small, name)


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize(
    ("forward", "fields", "words"),
    [
        ("x + 0 * float(x.detach().numpy().sum())", {"autocast_dtype": torch.bfloat16}, "bfloat16.*BFloat16"),
        ("x + torch.ones(x.shape[-1])", {"torch_device": torch.device("meta")}, "meta"),
    ],
)
def test_a_network_is_tried_where_and_as_it_will_be_trained(
    small: Settings,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    training: bool,
    forward: str,
    fields: dict[str, Any],
    words: str,
) -> None:
    """The device "meta" stands for a GPU; a tensor made on the CPU does not meet one there."""
    from dainet.segmentation import outside_check

    plain = replace(outside_check.choose_device("cpu"), autocast_dtype=None)
    name = written(tmp_path, network(f"x = self.conv(image); return {forward} if self.training is {training} else x"))
    monkeypatch.setattr(outside_check, "check_logits", lambda *_: None)  # "meta" has no numbers to look at
    monkeypatch.setattr(outside_check, "choose_device", lambda _: plain)
    check_outside(small, name)
    monkeypatch.setattr(outside_check, "choose_device", lambda _: replace(plain, **fields))
    with pytest.raises(InputError, match=words):
        check_outside(small, name)


def test_want_of_gpu_memory_is_one_line(small: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The device "meta" stands for a GPU that others have filled."""
    from dainet.segmentation import outside_check

    full = replace(outside_check.choose_device("cpu"), torch_device=torch.device("meta"), autocast_dtype=None)
    code = "if image.is_meta: raise RuntimeError('CUDA error: out of memory')\n        return self.conv(image)"
    name = written(tmp_path, network(code))
    monkeypatch.setattr(outside_check, "choose_device", lambda _: full)
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda: (2**30, 2**33))
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda: "Small 1")
    with pytest.raises(MemoryLackError, match="Small 1"):
        check_outside(small, name)


def test_nothing_is_read_for_a_network_that_is_refused(tiny: Settings, tmp_path: Path, runs: Path) -> None:
    name = written(tmp_path, network("return self.conv(image)[:, :3]"))
    for start in (pipeline.segment, pipeline.train):
        with pytest.raises(InputError, match="classes"):
            start(tiny, name, 0)
    with pytest.raises(InputError, match="classes"):
        run_named_stage(tiny, "train", name, 0)
    assert not runs.exists()


def test_training_and_scores_are_kept_under_the_content_of_the_code(tiny: Settings, tmp_path: Path) -> None:
    name = written(tmp_path, network("return [self.conv(-image), self.conv(image)]"))
    trained = pipeline.train(tiny, name, 0)
    values: dict[str, Any] = trained.segmentation.record()["settings"]
    assert values["model"] == "net.py:Own"
    assert set(trained.cases["model"]) == {"net.py:Own"}
    assert work_of(trained.scored.key, lineage([trained.scored.key]), tiny) is None  # its code may be elsewhere by now
    notes = " ".join(protocol_notes(tiny, pipeline.prepare(tiny), "strict", trained.cases))
    assert "net.py:Own" in notes
    assert str(tmp_path) not in notes
    (tmp_path / "moved").mkdir()
    moved = written(tmp_path / "moved", network("return [self.conv(-image), self.conv(image)]"))
    assert pipeline.segment(tiny, moved, 0).key == trained.segmentation.key
    (tmp_path / "moved" / "net.py").write_text((tmp_path / "moved" / "net.py").read_text() + "# changed")
    assert pipeline.segment(tiny, moved, 0).key != trained.segmentation.key


def test_code_that_changed_during_its_training_scores_nothing(tiny: Settings, tmp_path: Path) -> None:
    from dainet.segmentation.stage import load_model

    name = written(tmp_path, network("return self.conv(image)"))
    result, data = pipeline.segment(tiny, name, 0), pipeline.network_data(tiny, name)
    load_model(tiny, name, result, data)
    written(tmp_path, network("return -self.conv(image)"))
    with pytest.raises(InputError, match=r"net\.py:Own has changed"):
        load_model(tiny, name, result, data)


def test_torch_compiles_a_network_whose_helpers_lie_beside_it(tmp_path: Path) -> None:
    text = "from torch.nn import functional\nSCALE = 2\ndef helper(x): return SCALE * functional.relu(x)"
    (tmp_path / "beside.py").write_text(text)
    name = written(tmp_path, "from beside import helper\n" + network("return helper(self.conv(image))"))
    model, image = build_outside(name, {"classes": 4}), torch.randn(2, 1, 8, 8)
    compiled = torch.compile(model, backend="eager", fullgraph=True)
    torch.testing.assert_close(compiled(image), 2 * nn.functional.relu(model.conv(image)))  # type: ignore[operator]
