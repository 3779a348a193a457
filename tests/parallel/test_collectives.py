"""Two processes that share one training compute the same as one process."""

from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from dainet.attention import stage as attention
from dainet.data.prepared import Prepared
from dainet.device import choose_device
from dainet.dino import network as dino_network
from dainet.dino import training as dino_training
from dainet.dino.step import TrainingState, starting_state, train_step
from dainet.dino.training import finetune
from dainet.dino.views import multi_crop
from dainet.parallel import collectives
from dainet.segmentation import step, training
from dainet.segmentation.catalog import build
from dainet.segmentation.losses import segmentation_loss
from dainet.segmentation.slices import SliceData
from dainet.settings import DinoSettings, Settings
from dainet.vit.model import DinoViT, save_vit
from tests.helpers.processes import together

FLOAT32 = replace(choose_device("cpu"), autocast_dtype=None, memory_format=torch.contiguous_format)
DINO = DinoSettings(
    epochs=2, batch_size=4, warmup_epochs=1, drop_path=0.0, out_dim=16, global_size=16, local_crops=2, local_size=8
)


def without_batch_norm(name: str) -> nn.Module:
    torch.manual_seed(0)
    model = build(name, heads=3, width=4)
    for module in list(model.modules()):
        for child, layer in module.named_children():
            if isinstance(layer, nn.BatchNorm2d):
                setattr(module, child, nn.Identity())
    return model


@pytest.fixture
def weights(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setattr(dino_network, "_HIDDEN", 32)
    torch.manual_seed(0)
    save_vit(DinoViT(img_size=16, patch_size=8, embed_dim=32, depth=1, num_heads=2), tmp_path / "vit.safetensors")
    return str(tmp_path / "vit.safetensors")


def test_one_process_does_nothing() -> None:
    value = torch.rand(3)
    assert collectives.process_count() == 1
    assert collectives.rank() == 0
    assert collectives.share(7) == slice(0, 7)
    assert all(function(value) is value for function in (collectives.mean, collectives.summed, collectives.gathered))
    assert collectives.weighted_mean(value, 5) is value
    model = nn.Linear(1, 1)
    assert collectives.parallel(model, FLOAT32) is model


@pytest.mark.parametrize("count", [2, 3])
def test_shares_follow_each_other_and_nothing_is_lost(tmp_path: Path, count: int) -> None:
    shares = together(tmp_path, lambda: [list(range(rows))[collectives.share(rows)] for rows in (0, 2, 7)], count)
    for rows, parts in zip((0, 2, 7), zip(*shares, strict=True), strict=True):
        assert [row for part in parts for row in part] == list(range(rows))
        assert max(map(len, parts)) - min(map(len, parts)) <= 1


def test_what_is_shared(tmp_path: Path) -> None:
    def work() -> Any:
        rank = collectives.rank()
        rows = torch.arange(3 * rank, 3 * rank + 2 + rank)  # [0, 1] and [3, 4, 5]
        total = collectives.weighted_mean(rows.float().mean(), len(rows))
        norm = nn.BatchNorm1d(2)
        norm.running_mean += rank
        collectives.broadcast_buffers(norm)
        return collectives.gathered(rows).tolist(), collectives.mean(torch.tensor(float(rank))).item(), total, norm

    for rows, mean, total, norm in together(tmp_path, work):
        assert rows == [0, 1, 3, 4, 5]
        assert mean == 0.5
        assert total.item() == pytest.approx(np.mean(rows))
        assert norm.running_mean.tolist() == [0, 0]


@pytest.mark.parametrize("dice", ["squared", "eq5"])
@pytest.mark.parametrize("name", ["unet", "dual-0101"])
def test_gradients_are_those_of_the_whole_batch(data: SliceData, tmp_path: Path, name: str, dice: str) -> None:
    rows = torch.arange(5)  # shares of two and three

    def gradients() -> Any:
        model = without_batch_norm(name)
        image, maps, label = step.augmented_batch(data, rows[collectives.share(5)], None)
        parallel = collectives.parallel(model, FLOAT32)
        loss = segmentation_loss(parallel(image, maps), label, dice)
        loss.backward()
        return loss.item(), [parameter.grad for parameter in model.parameters()]

    alone_loss, alone = gradients()
    for loss, shared in together(tmp_path, gradients):
        assert loss == pytest.approx(alone_loss, abs=1e-6)
        for expected, found in zip(alone, shared, strict=True):
            torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("name", ["transcascade-published-small", "mt-unet-small"])
def test_parameters_that_no_gradient_reaches_are_not_waited_for(tmp_path: Path, name: str) -> None:
    def steps() -> Any:
        parallel = collectives.parallel(build(name, image_size=64), FLOAT32)
        for _ in range(2):  # the second one would wait for gradients of the first
            logits = parallel(torch.rand(2, 1, 64, 64), None)
            torch.stack(logits if isinstance(logits, list) else [logits]).square().mean().backward()
        return [parameter.grad is None for parameter in parallel.parameters()]

    assert all(any(unused) and not all(unused) for unused in together(tmp_path, steps))


def test_an_epoch_sees_the_same_batches(tiny: Settings, data: SliceData, tmp_path: Path) -> None:
    data.device = FLOAT32
    settings = tiny.segmentation.model_copy(update={"batch_size": 5})

    def epoch() -> Any:
        model = without_batch_norm("dual-1111")
        optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
        update = step.training_step(collectives.parallel(model, FLOAT32), data, settings, optimizer)
        loss = step.train_epoch(update, optimizer, data, np.arange(17), settings, seed=3, epoch=0)
        return loss, torch.cat([parameter.detach().flatten() for parameter in model.parameters()])

    loss, parameters = epoch()
    for shared_loss, shared in together(tmp_path, epoch):
        assert shared_loss == pytest.approx(loss, abs=1e-5)
        torch.testing.assert_close(shared, parameters, rtol=1e-4, atol=1e-5)


def test_one_process_saves_and_all_score_the_same_network(
    tiny: Settings, prepared: Prepared, data: SliceData, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each process sees other slices, so that statistics of batch norm differ until the first one's are sent around."""
    settings = tiny.segmentation.model_copy(update={"epochs": 1, "sync_batch_norm": False})

    def work() -> Any:
        scored, saved = [], []
        torch.manual_seed(0)
        model = build("dual-1111", heads=3, width=4)

        def score(model: nn.Module, *rest: Any) -> float:
            scored.append(torch.cat([buffer.float().flatten() for buffer in model.buffers()]))
            return 0.5

        with monkeypatch.context() as patch:
            patch.setattr(training, "mean_volume_dsc", score)
            patch.setattr("dainet.cache.resume.save_state", lambda *args: saved.append("state"))
            patch.setattr(training, "_finish", lambda *args: saved.append("result"))
            training.train(model, settings, 0, prepared, data, tmp_path)
        return scored, saved

    (first_buffers, first), (second_buffers, second) = together(tmp_path, work)
    assert (first, second) == (["state", "result"], [])
    assert torch.equal(first_buffers[0], second_buffers[0])


def test_every_volume_is_scored_once(
    prepared: Prepared, data: SliceData, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    volumes = prepared.volumes("train")
    assert len(volumes) > 2
    model = build("dual-1111", heads=3, width=4)

    def work() -> Any:
        scored, volume_dsc = [], training.volume_dsc

        def watched(model: Any, data: SliceData, mine: Any) -> Any:
            scored.extend(mine)
            return volume_dsc(model, data, mine)

        with monkeypatch.context() as patch:
            patch.setattr(training, "volume_dsc", watched)
            return training.mean_volume_dsc(model, data, volumes), scored

    (first_dsc, first), (second_dsc, second) = together(tmp_path, work)
    assert first + second == list(volumes)
    assert first
    assert second
    assert first_dsc == second_dsc == pytest.approx(work()[0], abs=1e-6)


def test_more_processes_than_volumes(prepared: Prepared, data: SliceData, tmp_path: Path) -> None:
    one = dict(list(prepared.volumes("valid").items())[:1])
    model = build("unet", heads=0, width=4)
    found = together(tmp_path, lambda: training.mean_volume_dsc(model, data, one))
    assert found[0] == found[1] == pytest.approx(training.mean_volume_dsc(model, data, one), abs=1e-6)


def test_dino_step_is_that_of_the_whole_batch(weights: str, tmp_path: Path) -> None:
    images = torch.rand(4, 1, 16, 16, generator=torch.Generator().manual_seed(0))
    now = {"lr": 1e-3, "weight_decay": 0.04, "momentum": 0.9}

    def step() -> Any:
        state = starting_state(DINO, weights, FLOAT32)
        views = [view[collectives.share(4)] for view in multi_crop(images, DINO, torch.Generator().manual_seed(1))]
        numbers = train_step(state, DINO, [view.expand(-1, 3, -1, -1) for view in views], FLOAT32, 1, now)
        gradients = [parameter.grad for parameter in state.student.parameters() if parameter.grad is not None]
        return numbers, state.center, gradients

    alone = step()
    for shared in together(tmp_path, step):
        for expected, found in zip(alone[:2], shared[:2], strict=True):
            torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-6)
        for expected, found in zip(alone[2], shared[2], strict=True):
            torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-6)


class Parts(nn.Module):
    """Parameters whose gradients are the values given to `forward`, to the bit."""

    def __init__(self) -> None:
        super().__init__()
        self.parts = nn.ParameterList(nn.Parameter(torch.zeros(size)) for size in (50, 7, 301))

    def forward(self, values: list[Tensor]) -> Tensor:
        return torch.stack([part @ value for part, value in zip(self.parts, values, strict=True)]).sum()


def test_gradients_are_summed_in_the_order_of_the_ranks_in_every_batch(tmp_path: Path) -> None:
    def work() -> Any:
        model, generator = Parts(), torch.Generator().manual_seed(collectives.rank())
        values = [torch.randn(part.shape, generator=generator) for part in model.parts]
        parallel, found = collectives.parallel(model, FLOAT32), []
        for _ in range(3):  # torch arranges its buckets again after the first
            parallel.zero_grad()
            parallel(values).backward()
            found.append(torch.cat([part.grad for part in model.parts]))
        return torch.cat(values), found

    (first, batches), (second, _), (third, _) = together(tmp_path, work, 3)
    assert all(torch.equal(batch, (first + second + third) / 3) for batch in batches)


def test_dino_resumes_to_the_bit_in_three_processes(
    weights: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    images = np.random.default_rng(0).random((12, 16, 16)).astype(np.float16)
    settings = DINO.model_copy(update={"batch_size": 6, "epochs": 3, "drop_path": 0.5})
    train_epoch = dino_training._train_epoch

    def stop_in_epoch_2(*args: Any) -> Any:
        if args[-1] == 1:
            raise KeyboardInterrupt
        return train_epoch(*args)

    def run(name: str) -> None:
        (tmp_path / name).mkdir(exist_ok=True)
        with suppress(KeyboardInterrupt):
            finetune(settings, weights, images, np.arange(12), FLOAT32, tmp_path / name)

    together(tmp_path, lambda: run("whole"), 3)
    with monkeypatch.context() as patch:
        patch.setattr(dino_training, "_train_epoch", stop_in_epoch_2)
        together(tmp_path, lambda: run("parts"), 3)
    assert not (tmp_path / "parts" / "student.safetensors").exists()
    together(tmp_path, lambda: run("parts"), 3)
    whole, parts = (load_file(tmp_path / name / "student.safetensors") for name in ("whole", "parts"))
    assert all(torch.equal(whole[name], parts[name]) for name in whole)


def test_each_process_drops_other_paths_and_the_first_those_of_one_process(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    save_vit(DinoViT(img_size=16, patch_size=8, embed_dim=32, depth=2, num_heads=2), tmp_path / "vit.safetensors")
    images = np.random.default_rng(0).random((12, 16, 16)).astype(np.float16)
    settings = DINO.model_copy(update={"batch_size": 6, "drop_path": 0.5, "seed": 3})

    def masks() -> Any:
        drawn: list[Tensor] = []

        def step(state: TrainingState, *_: Any) -> Tensor:
            block: Any = state.student.backbone.blocks[-1]
            drawn.append(block.drop_path1(torch.ones(40, 1, 1)).flatten())
            return torch.zeros(3)

        monkeypatch.setattr(dino_training, "train_step", step)
        state = starting_state(settings, str(tmp_path / "vit.safetensors"), FLOAT32)
        views_of = dino_training.view_maker(settings, FLOAT32)
        dino_training._train_epoch(state, settings, images, np.arange(12), views_of, FLOAT32, 0)
        return torch.cat(drawn)

    first, second, third = together(tmp_path, masks, 3)
    assert not torch.equal(first, second)
    assert not torch.equal(first, third)
    assert not torch.equal(second, third)
    assert torch.equal(first, masks())
    torch.manual_seed(3 * 100_003 + 1)
    expected = [2 * torch.empty(40).bernoulli_(0.5) for _ in range(2)]
    assert torch.equal(first, torch.cat(expected))


def test_dino_history_and_schedules_are_the_same(weights: str, tmp_path: Path) -> None:
    images = np.random.default_rng(0).random((9, 16, 16)).astype(np.float16)

    def run(folder: Path) -> Any:
        folder.mkdir(exist_ok=True)
        finetune(DINO, weights, images, np.arange(1, 9), FLOAT32, folder)
        return pd.read_csv(folder / "history.csv")

    alone = run(tmp_path / "alone")
    together(tmp_path, lambda: finetune(DINO, weights, images, np.arange(1, 9), FLOAT32, tmp_path))
    shared = pd.read_csv(tmp_path / "history.csv")
    exact = ["epoch", "lr", "weight_decay", "momentum", "teacher_temperature"]
    pd.testing.assert_frame_equal(shared[exact], alone[exact])
    np.testing.assert_allclose(shared.to_numpy(), alone.to_numpy(), rtol=1e-4)


def test_maps_are_the_same_to_the_bit(tiny: Settings, weights: str, tmp_path: Path) -> None:
    images = np.random.default_rng(0).random((50, 16, 16)).astype(np.float16)
    vit = DinoViT(img_size=32, patch_size=8, embed_dim=32, depth=2, num_heads=2).eval()
    (tmp_path / "alone").mkdir()
    attention.extract(tiny, images, vit, FLOAT32, tmp_path / "alone")
    together(tmp_path, lambda: attention.extract(tiny, images, vit, FLOAT32, tmp_path))
    parts = [np.load(tmp_path / name) for name in ("attention-0.npy", "attention-1.npy")]
    assert all(map(len, parts))
    np.testing.assert_array_equal(np.concatenate(parts), np.load(tmp_path / "alone" / "attention-0.npy"))


def test_what_processes_cannot_share_is_refused(
    tiny: Settings, prepared: Prepared, data: SliceData, weights: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(collectives, "process_count", lambda: 3)
    monkeypatch.setattr(collectives, "parallel", lambda model, device: model)
    images = np.zeros((9, 16, 16), np.float16)
    with pytest.raises(ValueError, match=r"3 processes.*4.*n_processes"):
        finetune(DINO, weights, images, np.arange(9), FLOAT32, tmp_path)
    segmentation = tiny.segmentation
    with pytest.raises(ValueError, match=r"sync_batch_norm.*GPU.*false"):
        training.train(build("unet"), segmentation, 0, prepared, data, tmp_path)
    rows = len(prepared.rows("train"))
    odd = segmentation.model_copy(update={"batch_size": rows - 1, "sync_batch_norm": False})
    with pytest.raises(ValueError, match=f"{rows} slices.*3 processes"):
        training.train(build("unet"), odd, 0, prepared, data, tmp_path)
