"""A loss from outside: tried on the CPU, used in the place of the paper's, and a part of the key."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch.nn import functional

from dainet import pipeline
from dainet.cache.runs import lineage
from dainet.errors import InputError
from dainet.jobs.preflight import check_early
from dainet.options import overrides
from dainet.segmentation import stage, step
from dainet.segmentation.catalog import build
from dainet.segmentation.outside_loss import check_loss, chosen_loss
from dainet.settings import SegmentationSettings, Settings, load_settings
from tests.helpers import REPOSITORY
from tests.helpers.samples import changed

LOSSES = REPOSITORY / "tests" / "helpers" / "losses.py"
GOOD = ("cross_entropy", "smoothed", "as_module", "doubled")
CPU = torch.device("cpu")
HEAD = "import torch\nfrom torch import nn\nfrom torch.nn.functional import cross_entropy\n"
REFUSED = {
    "def own(logits): return logits.mean()": "takes 1 positional argument",
    "own = 3": "found int.*expected a function",
    "def other(logits, label): ...": "other",
    "class own(nn.Module):\n    pass": "found the class own.*object of the class",
    "def own(logits, label): return cross_entropy(logits, label, reduction='none')": r"\[2, 32, 32\].*one finite",
    "def own(logits, label): return cross_entropy(logits, label).item()": r"gave \d\.\d+ .*as a tensor",
    "def own(logits, label): return (logits.argmax(1) != label).sum()": "gave tensor.*one finite number",
    "def own(logits, label): return logits.mean() / 0": "inf.*one finite number",
    "def own(logits, label): return cross_entropy(logits, label, ignore_index=0)": "nan.*one slice without any organ",
    "def own(logits, label): return cross_entropy(logits.detach(), label)": "no gradient reaches the logits",
    "def own(logits, label): return torch.ones((), requires_grad=True)": "no gradient reaches the logits",
    "def own(logits, label): return 0 * logits.sum()": "gradient is 0",
    "def own(logits, label): return (0 * logits).sqrt().sum()": "NaN or infinity in its gradient",
    "def own(logits, label): raise ValueError('no\\nlabel')": "line 4: ValueError: no label",
    "class Own(nn.Module):\n    weight = None\nown = nn.Linear(2, 2)": "parameters.*weight.*buffers",
    "def own(logits, label): return cross_entropy(logits, label, torch.ones(3))": r"\[2, {classes}, 32, 32\].*weight",
    "def own(logits, label) return 1": "loss.py, line 4: SyntaxError",
}


@pytest.mark.parametrize("classes", [2, 4, 14])
@pytest.mark.parametrize("name", GOOD)
def test_functions_partial_objects_and_modules_are_taken(name: str, classes: int) -> None:
    state = torch.get_rng_state()
    check_loss(f"{LOSSES}:{name}", classes)
    assert torch.equal(torch.get_rng_state(), state)


@pytest.mark.parametrize("classes", [2, 9])
@pytest.mark.parametrize("text", REFUSED)
def test_what_a_training_cannot_follow_is_one_line(tmp_path: Path, text: str, classes: int) -> None:
    (tmp_path / "loss.py").write_text(HEAD + text, encoding="utf-8")
    with pytest.raises(InputError, match=REFUSED[text].replace("{classes}", str(classes))) as caught:
        check_loss(f"{tmp_path}/loss.py:own", classes)
    assert len(str(caught.value).splitlines()) == 1
    assert str(tmp_path) not in str(caught.value)


def test_weights_for_three_classes_fit_three_classes(tmp_path: Path) -> None:
    text = "def own(logits, label): return cross_entropy(logits, label, torch.ones(3))"
    (tmp_path / "loss.py").write_text(HEAD + text, encoding="utf-8")
    check_loss(f"{tmp_path}/loss.py:own", 3)


def test_a_name_without_a_file_is_refused_and_no_name_is_the_papers() -> None:
    check_loss("", 4)
    with pytest.raises(InputError, match=r"segmentation\.loss.*focal.*FILE\.py:NAME"):
        check_loss("focal", 4)


def test_of_several_logits_the_mean_is_taken_in_float32() -> None:
    loss = chosen_loss(SegmentationSettings(loss=f"{LOSSES}:doubled"), CPU)
    logits, label = torch.randn(2, 3, 8, 8).bfloat16(), torch.randint(3, (2, 8, 8))
    one, two = (2 * functional.cross_entropy(part.float(), label) for part in (logits, -logits))
    torch.testing.assert_close(loss(logits, label), one)
    torch.testing.assert_close(loss([logits, -logits], label), (one + two) / 2)


def test_tensors_of_modules_and_of_what_a_partial_binds_go_to_the_device(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The device "meta" has shapes and no numbers, and takes no tensor of the CPU."""
    text = """
from functools import partial
class Weighted(nn.Module):
    def __init__(self):
        super().__init__()
        self.register_buffer("weight", torch.ones(3))
    def forward(self, logits, label):
        return cross_entropy(logits, label, self.weight)
module = Weighted()
bound = partial(cross_entropy, weight=torch.ones(3))
both = partial(partial(Weighted()))
here = torch.ones(3)
def stays(logits, label): return cross_entropy(logits, label, here)
"""
    (tmp_path / "loss.py").write_text(HEAD + text, encoding="utf-8")
    meta = torch.device("meta")
    for name in ("module", "bound", "both"):
        own = f"{tmp_path}/loss.py:{name}"
        for device in (CPU, meta):  # and the one that was loaded stays where it is
            logits, label = torch.zeros(2, 3, 8, 8, device=device), torch.zeros(2, 8, 8, device=device).long()
            assert chosen_loss(SegmentationSettings(loss=own), device)(logits, label).device == device
        check_loss(own, 3)
    with pytest.raises(InputError, match=r"loss\.py:stays: computing it on two slices on meta.*line \d+: RuntimeError"):
        check_loss(f"{tmp_path}/loss.py:stays", 3, meta)


@pytest.mark.parametrize(("says", "may"), [("", False), ("own.records_steps = True", True)])
def test_steps_with_a_loss_from_outside_are_recorded_only_where_it_says_so(
    tiny: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, says: str, may: bool
) -> None:
    (tmp_path / "loss.py").write_text(f"{HEAD}def own(logits, label): return cross_entropy(logits, label)\n{says}")
    settings = changed(tiny, "segmentation", loss=f"{tmp_path}/loss.py:own")
    data, model = pipeline.slice_data(settings, with_maps=False), build("unet", width=2)
    data.device = replace(data.device, records_steps=True)
    monkeypatch.setattr(step, "recorded", lambda *_: "recorded")
    made = step.training_step(model, data, settings.segmentation, torch.optim.Adam(model.parameters()))
    assert (made == "recorded") is may
    paper = step.training_step(model, data, tiny.segmentation, torch.optim.Adam(model.parameters()))
    assert paper == "recorded"


def test_code_from_outside_is_not_compiled_unasked(tiny: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    own = changed(tiny, "segmentation", loss=f"{LOSSES}:doubled")
    data = pipeline.slice_data(tiny, with_maps=False)
    data.device = replace(data.device, compiles=True)
    monkeypatch.setattr(stage, "_COMPILED_FROM", 1)
    decided = [stage._decided(*each, data).compile for each in ((tiny, "unet"), (tiny, "net.py:Own"), (own, "unet"))]
    assert decided == [True, False, False]
    assert stage._decided(changed(own, "segmentation", compile=True), "unet", data).compile


def test_torch_can_compile_it_without_a_break() -> None:
    loss = chosen_loss(SegmentationSettings(loss=f"{LOSSES}:smoothed"), CPU)
    logits, label = torch.randn(2, 3, 8, 8), torch.randint(3, (2, 8, 8))
    whole = torch.compile(loss, backend="eager", fullgraph=True)
    torch.testing.assert_close(whole(logits, label), loss(logits, label))


def test_a_training_lowers_it(tiny: Settings) -> None:
    settings = changed(tiny, "segmentation", epochs=1, lr=1e-30)
    plain, doubled = (
        pipeline.segment(changed(settings, "segmentation", loss=f"{LOSSES}:{name}"), "unet", 0)
        for name in ("cross_entropy", "doubled")
    )
    losses = [
        float(stage.read("history.csv", lambda path: path.read_text().split()[1].split(",")[1]))
        for stage in (plain, doubled)
    ]
    assert losses[1] == pytest.approx(2 * losses[0], rel=1e-5)


def test_its_content_is_a_part_of_the_key_and_its_place_is_not(tiny: Settings, tmp_path: Path) -> None:
    settings = changed(tiny, "segmentation", epochs=1)
    papers = pipeline.segment(settings, "unet", 0)
    assert not {"loss", "loss_source"} & papers.record()["settings"].keys()
    keys = set()
    for folder, text in (("a", LOSSES.read_text()), ("b", LOSSES.read_text()), ("c", LOSSES.read_text() + "\n# new\n")):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "losses.py").write_text(text)
        own = pipeline.segment(
            changed(settings, "segmentation", loss=f"{tmp_path}/{folder}/losses.py:doubled"), "unet", 0
        )
        keys.add(own.key)
        record = lineage([own.key])[own.key]["settings"]  # what `dainet runs --why` prints
        assert record["loss"] == "losses.py:doubled"
        assert len(record["loss_source"]) == 64
    assert len(keys) == 2
    assert papers.key not in keys


def test_it_is_tried_before_anything_is_computed(tiny: Settings, tmp_path: Path) -> None:
    (tmp_path / "loss.py").write_text("def own(logits, label): return 1")
    settings = changed(tiny, "segmentation", loss=f"{tmp_path}/loss.py:own")
    with pytest.raises(InputError, match=r"loss\.py:own: it gave 1"):
        check_early(settings)
    with pytest.raises(InputError, match=r"loss\.py:own: it gave 1"):
        pipeline.train(settings, "dual-1111", 0)
    check_early(changed(settings, "data", dataset="custom", source=str(tmp_path)))  # classes are not known yet


def test_a_command_line_hands_it_on_with_its_whole_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "loss.py").write_text("")
    monkeypatch.chdir(tmp_path)
    given = overrides(items=["segmentation.loss=loss.py:own"])
    assert given == {"segmentation.loss": f"{tmp_path}/loss.py:own"}
    assert overrides(items=["segmentation.loss=a.b:own"]) == {"segmentation.loss": "a.b:own"}
    assert load_settings("tour", given).segmentation.loss.endswith("loss.py:own")
