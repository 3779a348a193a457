"""The fine-tuning loop on a ViT of one block: its files, its repeatability and its errors."""

from __future__ import annotations

import json
import logging
import math
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from lightly.models.modules import DINOProjectionHead
from safetensors.torch import load_file
from torch import Tensor

from dainet.cache.resume import save_state
from dainet.cache.store import UNFINISHED
from dainet.device import Device, choose_device
from dainet.dino import formulas, step, training
from dainet.dino.step import starting_state
from dainet.dino.training import HISTORY_COLUMNS, finetune, teacher_file
from dainet.errors import InputError
from dainet.settings import DinoSettings
from dainet.vit.model import DinoViT, load_vit

pytestmark = pytest.mark.usefixtures("quick")
CPU = choose_device("cpu")
FLOAT32 = Device(torch.device("cpu"), None, torch.contiguous_format, True, True, 16)
TINY: dict[str, Any] = {
    "epochs": 3,
    "batch_size": 4,
    "lr": 1e-3,
    "warmup_epochs": 1,
    "out_dim": 16,
    "global_size": 16,
    "local_crops": 1,
    "local_size": 8,
}
FILES = ("student.safetensors", "teacher.safetensors", "head.safetensors")


def settings(**changes: Any) -> DinoSettings:
    return DinoSettings.model_validate(TINY | changes)


def slices(number: int = 9) -> np.ndarray:
    return np.random.default_rng(0).random((number, 16, 16)).astype(np.float16)


def trained(weights: str, folder: Path, heads: int | None = None, **changes: Any) -> dict[str, dict[str, Tensor]]:
    folder.mkdir(exist_ok=True)
    finetune(settings(**changes), weights, slices(), np.arange(9), CPU, folder, heads)
    return {path.name: load_file(path) for path in folder.glob("*.safetensors")}


def same(a: dict[str, Tensor], b: dict[str, Tensor]) -> bool:
    return a.keys() == b.keys() and all(torch.equal(a[name], b[name]) for name in a)


def test_leaves_networks_history_and_verdict(weights: str, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO):
        trained(weights, tmp_path)
    history = pd.read_csv(tmp_path / "history.csv")
    assert tuple(history.columns) == HISTORY_COLUMNS
    assert history["epoch"].tolist() == [1, 2, 3]
    assert np.isfinite(history.to_numpy()).all()
    assert (history["teacher_entropy"] <= history["batch_entropy"] + 1e-6).all()
    assert (history["batch_entropy"] <= math.log(16) + 1e-5).all()
    assert history["lr"].iloc[0] == pytest.approx(1e-3)
    assert len([record for record in caplog.records if record.message.startswith("epoch ")]) == 3
    assert json.loads((tmp_path / "training.json").read_text())["collapse"] in ("uniform", "constant", "none")
    assert load_vit(str(tmp_path / "teacher.safetensors")).embed_dim == 32


def cosine(start: float, end: float, done: float) -> float:
    return end + (start - end) * (1 + math.cos(math.pi * done)) / 2


def test_the_history_holds_the_schedules_values_of_the_last_iteration(weights: str, tmp_path: Path) -> None:
    """Three epochs of two iterations; the rate warms up during the first (main_dino.py:230-243, :373-379)."""
    temperatures: dict[str, Any] = {"warmup_teacher_temperature": 0.02, "teacher_temperature": 0.06}
    rates: dict[str, Any] = {
        "lr": 1e-3,
        "min_lr": 1e-5,
        "weight_decay": 0.1,
        "weight_decay_end": 0.5,
        "teacher_momentum": 0.9,
    }
    trained(weights, tmp_path, **rates, **temperatures, warmup_teacher_temperature_epochs=3)
    history = pd.read_csv(tmp_path / "history.csv")
    assert history["lr"].tolist() == pytest.approx([1e-3, cosine(1e-3, 1e-5, 1 / 4), cosine(1e-3, 1e-5, 3 / 4)])
    ends = [1 / 6, 3 / 6, 5 / 6]
    assert history["weight_decay"].tolist() == pytest.approx([cosine(0.1, 0.5, done) for done in ends])
    assert history["momentum"].tolist() == pytest.approx([cosine(0.9, 1.0, done) for done in ends])
    assert history["teacher_temperature"].tolist() == pytest.approx([0.02, 0.04, 0.06])


def test_views_are_rounded_down_to_whole_patches(weights: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sizes, make_views = [], training.make_views

    def watched(images: Tensor, numbers: Tensor, values: DinoSettings) -> list[Tensor]:
        sizes.append((values.global_size, values.local_size))
        return make_views(images, numbers, values)

    monkeypatch.setattr(training, "make_views", watched)
    trained(weights, tmp_path, epochs=1, global_size=23, local_size=15)  # patches of 8 px
    assert sizes == 2 * [(16, 8)]


def test_one_wrong_image_among_many_is_found(weights: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(training, "_CHECKED_TOGETHER", 4)
    for value in (-0.6, 1.6):
        images = slices(12)
        images[1, 0, 0] = value
        with pytest.raises(ValueError, match=f"{value:.2f}"):
            finetune(settings(), weights, images, np.arange(12), CPU, tmp_path)


def test_an_epoch_reads_whole_batches_in_an_order_of_its_own(
    weights: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    batches, make_views = [], training.make_views

    def watched(images: Tensor, *rest: Any) -> list[Tensor]:
        batches.append(images)
        return make_views(images, *rest)

    monkeypatch.setattr(training, "make_views", watched)
    images, rows = slices(12), np.array([0, 1, 2, 4, 5, 7, 8, 9, 11])
    finetune(settings(epochs=2, seed=3), weights, images, rows, CPU, tmp_path)
    assert [batch.shape for batch in batches] == 4 * [(4, 1, 16, 16)]
    for epoch in (1, 2):
        stream = torch.Generator().manual_seed(3 * 100_003 + epoch)
        order = rows[torch.randperm(9, generator=stream)][:8]
        read = torch.cat(batches[2 * epoch - 2 : 2 * epoch])[:, 0]
        np.testing.assert_array_equal(read, images[order])


def test_a_step_is_that_of_the_paper(weights: str) -> None:
    """Loss and center from the logits before the step; then the student moves and the teacher follows (eq. 1 to 3)."""
    values = settings(drop_path=0.0, clip_grad=1e-3, center_momentum=0.8, freeze_last_layer_epochs=0)
    state = starting_state(values, weights, FLOAT32)
    views = [torch.randn(4, 3, size, size, generator=torch.Generator().manual_seed(size)) for size in (16, 16, 8)]
    state.center = torch.linspace(-0.5, 0.5, 16)
    with torch.no_grad():
        student, teacher = state.student(views), state.teacher(views[:2])
    before, center = [p.clone() for p in state.teacher.parameters()], state.center.clone()
    start = [p.clone() for p in state.student.parameters()]
    now = {"lr": 2e-3, "weight_decay": 0.3, "momentum": 0.7}
    loss, teacher_entropy, batch_entropy = step.train_step(state, values, views, FLOAT32, 0, now)
    expected = formulas.dino_loss(
        student, teacher, center, values.student_temperature, values.warmup_teacher_temperature
    )
    torch.testing.assert_close(loss, expected)
    found = formulas.entropies(teacher, center, values.warmup_teacher_temperature)
    torch.testing.assert_close((teacher_entropy, batch_entropy), found)
    torch.testing.assert_close(state.center, 0.8 * center + 0.2 * teacher.mean(dim=(0, 1)))
    for old, new, moved in zip(before, state.teacher.parameters(), state.student.parameters(), strict=True):
        torch.testing.assert_close(new, 0.7 * old + 0.3 * moved)
    assert any(not torch.equal(old, new) for old, new in zip(start, state.student.parameters(), strict=True))
    groups = [(group["lr"], group["weight_decay"]) for group in state.optimizer.param_groups]
    assert groups == [(2e-3, 0.3), (2e-3, 0.0)]
    gradients = [p.grad for p in state.student.parameters() if p.grad is not None]
    assert max(gradient.norm().item() for gradient in gradients) == pytest.approx(1e-3, rel=1e-2)


def test_every_tensor_of_student_and_teacher_moves(weights: str, tmp_path: Path) -> None:
    start, end = trained(weights, tmp_path / "0", epochs=0), trained(weights, tmp_path / "3")
    assert same(start["student.safetensors"], start["teacher.safetensors"])
    for name in ("student.safetensors", "teacher.safetensors"):
        assert [key for key, tensor in end[name].items() if torch.equal(tensor, start[name][key])] == []
    assert not same(end["student.safetensors"], end["teacher.safetensors"])


def test_no_epochs_keep_the_weights(weights: str, tmp_path: Path) -> None:
    files = trained(weights, tmp_path, epochs=0)
    assert files.keys() == {"student.safetensors", "teacher.safetensors"}  # a head would be random
    assert all(same(tensors, load_file(weights)) for tensors in files.values())
    assert pd.read_csv(tmp_path / "history.csv").empty
    assert json.loads((tmp_path / "training.json").read_text()) == {"collapse": "none", "epochs": 0}


def test_the_last_layer_is_frozen_in_the_first_epoch_only(weights: str, tmp_path: Path) -> None:
    key = "last_layer.parametrizations.weight.original1"
    fresh = starting_state(settings(), weights, CPU).teacher.head.state_dict()
    one, two, unfrozen = (
        trained(weights, tmp_path / name, epochs=epochs, freeze_last_layer_epochs=frozen)["head.safetensors"]
        for name, epochs, frozen in (("b", 1, 1), ("c", 2, 1), ("d", 1, 0))
    )
    assert torch.equal(fresh[key], one[key])
    assert not torch.equal(fresh["mlp.0.weight"], one["mlp.0.weight"])
    assert not torch.equal(fresh[key], two[key])
    assert not torch.equal(fresh[key], unfrozen[key])


def test_resuming_ends_where_the_undisturbed_training_ends(
    weights: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    undisturbed = trained(weights, tmp_path / "whole")
    train_epoch = training._train_epoch

    def stop_in_epoch_2(*args: Any) -> dict[str, float]:
        if args[-1] == 1:
            raise KeyboardInterrupt
        return train_epoch(*args)

    with monkeypatch.context() as patch:
        patch.setattr(training, "_train_epoch", stop_in_epoch_2)
        with pytest.raises(KeyboardInterrupt):
            trained(weights, tmp_path / "parts")
    assert [path.name[:11] for path in (tmp_path / "parts" / UNFINISHED).iterdir()] == ["epoch_00001"]
    torch.rand(7)  # whatever the global generator did meanwhile
    resumed = trained(weights, tmp_path / "parts")
    assert all(same(undisturbed[name], resumed[name]) for name in FILES)
    assert (tmp_path / "whole" / "history.csv").read_text() == (tmp_path / "parts" / "history.csv").read_text()


def test_kept_teachers_are_those_of_a_training_that_goes_on(weights: str, tmp_path: Path) -> None:
    kept = trained(weights, tmp_path / "kept", epochs=4, keep_every=2)
    assert {name for name in kept if "-" in name} == {teacher_file(2), teacher_file(4)}
    assert same(kept[teacher_file(4)], kept["teacher.safetensors"])
    assert not same(kept[teacher_file(2)], kept[teacher_file(4)])
    assert same(kept["teacher.safetensors"], trained(weights, tmp_path / "plain", epochs=4)["teacher.safetensors"])


def test_the_seed_decides(weights: str, tmp_path: Path) -> None:
    one, other = (trained(weights, tmp_path / str(seed), epochs=1, seed=seed) for seed in (0, 1))
    assert not same(one["student.safetensors"], other["student.safetensors"])


def test_a_checkpoint_of_other_settings_is_refused(weights: str, tmp_path: Path) -> None:
    save_state({"settings": settings(lr=2e-3).model_dump_json()}, tmp_path, 1)
    with pytest.raises(ValueError, match=r"other settings.*delete"):
        trained(weights, tmp_path)


def test_without_centering_the_center_stays_zero(weights: str, tmp_path: Path) -> None:
    trained(weights, tmp_path, epochs=1, centering=False, local_crops=0)
    assert pd.read_csv(tmp_path / "history.csv")["center_norm"].tolist() == [0]


def write_full_checkpoint(path: Path, center: Tensor) -> dict[str, Tensor]:
    """Write a checkpoint of DINO's own code, and return its head."""
    theirs = DINOProjectionHead(64, 32, 256, 16)
    head = {f"head.{name.replace('layers', 'mlp')}": value for name, value in theirs.state_dict().items()}
    vit = DinoViT(img_size=16, patch_size=8, embed_dim=64, depth=1, num_heads=1)
    network = {f"backbone.{name}": value for name, value in vit.state_dict().items()} | head
    student = {f"module.{name}": value for name, value in network.items()}
    torch.save({"student": student, "teacher": network, "dino_loss": {"center": center}}, path)
    return head


def test_head_and_center_of_a_full_checkpoint_are_used(tmp_path: Path) -> None:
    path = tmp_path / "full.pth"
    head = write_full_checkpoint(path, torch.full((1, 16), 2.0))
    kept = starting_state(settings(), str(path), CPU, heads=1).teacher.head.state_dict()
    assert torch.equal(kept["last_layer.parametrizations.weight.original1"], head["head.last_layer.weight_v"])
    trained(str(path), tmp_path / "1", heads=1, epochs=1, center_momentum=1.0)
    assert pd.read_csv(tmp_path / "1" / "history.csv")["center_norm"].tolist() == [8]
    with pytest.raises(ValueError, match=r"16.*8.*dino.out_dim"):
        trained(str(path), tmp_path / "2", heads=1, epochs=1, out_dim=8)


def test_without_centering_the_center_of_a_checkpoint_is_not_subtracted(tmp_path: Path) -> None:
    """Equation 2 of the paper has no center."""
    write_full_checkpoint(tmp_path / "full.pth", torch.full((1, 16), 2.0))
    trained(str(tmp_path / "full.pth"), tmp_path / "1", heads=1, epochs=1, centering=False, local_crops=0)
    assert pd.read_csv(tmp_path / "1" / "history.csv")["center_norm"].tolist() == [0]


@pytest.mark.parametrize("length", [1, 8])
def test_a_center_that_does_not_belong_to_the_head_is_refused(tmp_path: Path, length: int) -> None:
    write_full_checkpoint(tmp_path / "full.pth", torch.ones(1, length))
    with pytest.raises(InputError, match=f"{length} .*16"):
        trained(str(tmp_path / "full.pth"), tmp_path / "1", heads=1, epochs=1)


@pytest.mark.parametrize(
    ("changes", "images", "message"),
    [
        ({"batch_size": 10}, slices(), "9 training images.*10"),
        ({}, slices() * 9 - 4, "-4.00 to 4.99.*0 to 1"),
        ({}, slices() * np.float16("nan"), "nan.*0 to 1"),
    ],
)
def test_refused(weights: str, tmp_path: Path, changes: dict[str, Any], images: np.ndarray, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        finetune(settings(**changes), weights, images, np.arange(len(images)), CPU, tmp_path)


def test_a_loss_that_is_not_finite_names_the_epoch(
    weights: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    loss = step.dino_loss
    monkeypatch.setattr(step, "dino_loss", lambda *args: loss(*args) * float("nan"))
    with pytest.raises(FloatingPointError, match=r"epoch 1.*nan.*dino.lr"):
        trained(weights, tmp_path)


def test_only_single_batches_come_into_memory(weights: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    read: list[int] = []

    class Mapped(np.ndarray):
        def __getitem__(self, rows: Any) -> np.ndarray:
            found = np.asarray(super().__getitem__(rows))
            read.append(len(found))
            return found

    monkeypatch.setattr(training, "_CHECKED_TOGETHER", 5)
    finetune(settings(epochs=1), weights, slices(40).view(Mapped), np.arange(3, 36), CPU, tmp_path)
    assert sum(read) == 33 + 32
    assert max(read) <= 5


def test_a_flat_teacher_is_reported(weights: str, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    trained(weights, tmp_path, epochs=1, teacher_temperature=100.0)
    assert "collapse: uniform" in caplog.text
    assert json.loads((tmp_path / "training.json").read_text())["collapse"] == "uniform"
