"""Fine-tuning a pre-trained ViT without labels on the training slices (paper sections 3.2 and 4.2)."""

from __future__ import annotations

import json
import logging
import math
from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from torch import Tensor, nn

from dainet.cache.atomic import write_complete, write_tensors
from dainet.cache.resume import epoch_seed, load_state, save_state
from dainet.device import Device
from dainet.dino.formulas import (
    DinoHead,
    DinoNetwork,
    clip_gradients,
    collapse,
    dino_loss,
    entropies,
    freeze_last_layer,
    head_from_authors,
    parameter_groups,
    schedules,
    teacher_temperature,
    update_center,
    update_teacher,
)
from dainet.dino.shuffle import block_shuffle
from dainet.dino.views import multi_crop
from dainet.errors import InputError, NonFiniteError
from dainet.parallel import collectives
from dainet.progress import progress
from dainet.settings import DinoSettings
from dainet.vit.checkpoints import load_dino_center, load_dino_head
from dainet.vit.model import DinoViT, input_size, load_vit, save_vit, set_fused_attention, to_vit_input

__all__ = [
    "HISTORY_COLUMNS",
    "TrainingState",
    "check_shared_batches",
    "finetune",
    "starting_state",
    "train_step",
]

log = logging.getLogger(__name__)
_CHECKED_TOGETHER = 1024  # images per read when the range of values is checked

# One row per epoch: loss and entropies (in nats) are means over its iterations, the other values are those of its last
# iteration; center_norm is the length of the center.
HISTORY_COLUMNS: tuple[str, ...] = ("epoch", "loss", "lr", "weight_decay", "momentum", "teacher_temperature")
HISTORY_COLUMNS += ("teacher_entropy", "batch_entropy", "center_norm")
_ADVICE = {
    "uniform": "the teacher's output is nearly flat, so it says nothing about the image: normal for a fresh head in a "
    "short run, a collapse after a long one; train longer, or lower dino.teacher_temperature",
    "constant": "every image gets the same output; set dino.centering to true, or raise dino.teacher_temperature",
}


@dataclass
class TrainingState:
    """Everything that changes during training; `center` is [K] float32, `parallel` averages the student's gradients."""

    student: DinoNetwork
    parallel: nn.Module
    teacher: DinoNetwork
    optimizer: torch.optim.Optimizer
    center: Tensor
    history: list[dict[str, float]]


def finetune(
    settings: DinoSettings,
    weights: str,
    images: np.ndarray,
    rows: np.ndarray,
    device: Device,
    folder: Path,
    heads: int | None = None,
) -> None:
    """Train student and teacher from the same weights and write both; resume from the last state in `folder`, if any.

    Head and center come from a full DINO checkpoint where `weights` names one (the teacher's head for both networks);
    otherwise the head is randomly initialized. Such a head gives all images nearly the same logits. Both entropies
    therefore begin a little below ln K and rise towards it while the center removes what the images share (tens of
    iterations). They fall only once the head distinguishes images.
    Each epoch draws its random numbers, torch's global ones included, from (seed, epoch). A resumed training therefore
    repeats an uninterrupted one, on the CPU to the last bit.

    Args:
        settings: epochs = 0 writes the weights as they are, and no head.
        weights, heads: as for `dainet.vit.model.load_vit`.
        images: [N, H, W] float16 in about [0, 1], usually mapped from disk; batches go to the device one by one, so
            that memory does not grow with N.
        rows: row numbers of the training images.
        device: where to train; in bfloat16 where it is native.
        folder: for the results, see `dainet.dino.stage.run_dino`; holds the last two states while training.

    Raises:
        InputError: fewer images than a batch, a batch that the processes cannot share equally, values far from
            [0, 1], views smaller than a patch, a warm-up longer than the training, a head of another size, or a
            checkpoint of other settings.
        NonFiniteError: the loss is no longer finite.
    """
    if not settings.epochs:
        if collectives.rank() == 0:
            _keep(load_vit(weights, heads=heads), settings, folder)
        return
    state = starting_state(settings, weights, device, heads)
    settings = _fit_views(settings, state.student.backbone)
    _check(settings, images, rows)
    _resume(state, settings, folder)
    for epoch in progress(range(len(state.history), settings.epochs), "DINO epochs"):
        state.history.append(_train_epoch(state, settings, images, rows, device, epoch))
        _report(state.history[-1], settings)
        if collectives.rank() == 0:
            _save(state, settings, folder)
    if collectives.rank() == 0:
        _finish(state, settings, folder)


def starting_state(settings: DinoSettings, weights: str, device: Device, heads: int | None = None) -> TrainingState:
    """Build student and teacher from the same weights, with head and center of a full checkpoint or with a new head."""
    torch.manual_seed(_seed(settings, 0))
    vit, head_state, center = load_vit(weights, settings.drop_path, heads), load_dino_head(weights, "teacher"), None
    if head_state is None:
        head = DinoHead(vit.embed_dim, settings.out_dim, settings.norm_last_layer)
    else:
        head = head_from_authors(head_state, settings.out_dim, settings.norm_last_layer)
        center = load_dino_center(weights)
    student, teacher = DinoNetwork(vit, head), DinoNetwork(load_vit(weights, heads=heads), deepcopy(head))
    student.train().to(device.torch_device)
    teacher.eval().requires_grad_(False).to(device.torch_device)
    for network in (student, teacher):
        set_fused_attention(network, device.fused_attention)
    optimizer = torch.optim.AdamW(parameter_groups(student), lr=settings.lr, fused=device.fused_adam)
    center = torch.zeros(settings.out_dim) if center is None else center.float().flatten()
    parallel = collectives.parallel(student, device)
    return TrainingState(student, parallel, teacher, optimizer, center.to(device.torch_device), [])


def _fit_views(settings: DinoSettings, vit: DinoViT) -> DinoSettings:
    """Round the sizes of views down to whole patches: 96 px become 84 px for a patch of 14 px."""
    sizes = {name: input_size(vit, getattr(settings, name)) for name in ("global_size", "local_size")}
    return settings.model_copy(update=sizes)


def check_shared_batches(settings: DinoSettings, processes: int) -> None:
    """Refuse batches that the processes cannot share equally.

    Raises:
        InputError: the message names both numbers.
    """
    if settings.batch_size % processes:
        raise InputError(
            f"{processes} processes cannot share batches of {settings.batch_size}; set n_processes to a divisor of "
            "dino.batch_size"
        )


def _check(settings: DinoSettings, images: np.ndarray, rows: np.ndarray) -> None:
    check_shared_batches(settings, collectives.process_count())
    if len(rows) < settings.batch_size:
        raise InputError(
            f"found {len(rows)} training images; expected at least one batch of {settings.batch_size}; lower "
            "dino.batch_size or use more images"
        )
    parts = (images[part] for part in np.array_split(rows, -(-len(rows) // _CHECKED_TOGETHER)))
    extremes = np.array([(part.min(), part.max()) for part in parts], dtype=float)
    low, high = extremes[:, 0].min(), extremes[:, 1].max()
    if not -0.5 <= low <= high <= 1.5:
        raise InputError(
            f"found image values from {low:.2f} to {high:.2f}; expected about 0 to 1; set data.normalization to minmax"
        )


def _train_epoch(
    state: TrainingState, settings: DinoSettings, images: np.ndarray, rows: np.ndarray, device: Device, epoch: int
) -> dict[str, float]:
    """Train for one epoch in whole batches, which the processes share, and return its row of the history."""
    torch.manual_seed(collectives.own_seed(_seed(settings, epoch + 1)))  # drop path, of each process's own images
    generator = torch.Generator().manual_seed(_seed(settings, epoch + 1))  # order and views
    steps = len(rows) // settings.batch_size
    order = rows[block_shuffle(len(rows), generator).numpy()][: steps * settings.batch_size]
    values, share = schedules(settings, steps), collectives.share(settings.batch_size)
    total = torch.zeros(3, device=device.torch_device)
    for step, batch in enumerate(np.split(order, steps), start=epoch * steps):
        now = {name: line[step] for name, line in values.items()}
        slices = torch.from_numpy(images[batch]).to(device.torch_device, non_blocking=True)[:, None]  # [B, 1, H, W]
        crops = multi_crop(slices, settings, generator, share)
        views = [to_vit_input(crop, crop.shape[-1]) for crop in crops]
        total += train_step(state, settings, views, device, epoch, now)
    means = dict(zip(("loss", "teacher_entropy", "batch_entropy"), (total / steps).tolist(), strict=True))
    constant = {"epoch": epoch + 1, "teacher_temperature": teacher_temperature(settings, epoch)}
    return constant | now | means | {"center_norm": state.center.norm().item()}


def train_step(
    state: TrainingState, settings: DinoSettings, views: list[Tensor], device: Device, epoch: int, now: dict[str, float]
) -> Tensor:
    """Update student, center and teacher once; return loss, teacher entropy and batch entropy as one tensor [3]."""
    temperature = teacher_temperature(settings, epoch)
    with device.autocast():
        with torch.no_grad():
            teacher = state.teacher(views[:2])  # [2, B, K]
        student = state.parallel(views)  # [V, B, K]
    loss = dino_loss(student, teacher, state.center, settings.student_temperature, temperature)
    numbers = torch.stack([collectives.mean(loss.detach()), *entropies(teacher, state.center, temperature)])
    if settings.centering:
        state.center = update_center(state.center, teacher, settings.center_momentum)
    state.optimizer.zero_grad(set_to_none=True)
    loss.backward()
    clip_gradients(state.student.parameters(), settings.clip_grad)
    if epoch < settings.freeze_last_layer_epochs:
        freeze_last_layer(state.student.head)
    for group in state.optimizer.param_groups:
        group["lr"] = now["lr"]
    state.optimizer.param_groups[0]["weight_decay"] = now["weight_decay"]
    state.optimizer.step()
    update_teacher(state.student, state.teacher, now["momentum"])
    return numbers


def _report(line: dict[str, float], settings: DinoSettings) -> None:
    if not math.isfinite(line["loss"]):
        raise NonFiniteError(
            f"epoch {line['epoch']}: non-finite loss ({line['loss']}); lower dino.lr or dino.clip_grad, or raise "
            "dino.warmup_epochs; the state of the epoch before is kept"
        )
    values = (line["epoch"], settings.epochs, line["loss"], line["teacher_entropy"], line["batch_entropy"])
    text = "epoch %d/%d  loss %.4f  teacher entropy %.3f  batch entropy %.3f  (ln K %.3f)"
    log.info(text, *values, math.log(settings.out_dim))


def _save(state: TrainingState, settings: DinoSettings, folder: Path) -> None:
    content = {name: getattr(state, name).state_dict() for name in ("student", "teacher", "optimizer")}
    content |= {"center": state.center, "history": state.history, "settings": settings.model_dump_json()}
    save_state(content, folder, len(state.history))
    _write_history(state.history, folder)


def _resume(state: TrainingState, settings: DinoSettings, folder: Path) -> None:
    content = load_state(folder)
    if content is None:
        return
    if content["settings"] != settings.model_dump_json():
        raise InputError(f"{folder.name} holds a state of other settings; delete it or use another folder")
    for name in ("student", "teacher", "optimizer"):
        getattr(state, name).load_state_dict(content[name])
    state.center, state.history = content["center"].to(state.center.device), content["history"]
    log.info("resuming after epoch %d", len(state.history))


def _keep(vit: DinoViT, settings: DinoSettings, folder: Path) -> None:
    for name in ("student", "teacher"):
        save_vit(vit, folder / f"{name}.safetensors")
    _conclude([], settings, folder)


def _finish(state: TrainingState, settings: DinoSettings, folder: Path) -> None:
    save_vit(state.student.backbone, folder / "student.safetensors")
    save_vit(state.teacher.backbone, folder / "teacher.safetensors")
    write_tensors(state.teacher.head.state_dict(), folder / "head.safetensors")
    _conclude(state.history, settings, folder)


def _conclude(lines: list[dict[str, float]], settings: DinoSettings, folder: Path) -> None:
    verdict = collapse(_write_history(lines, folder), settings.out_dim)
    if verdict != "none":
        log.warning("collapse: %s: %s", verdict, _ADVICE[verdict])
    record = {"collapse": verdict, "epochs": len(lines)}
    write_complete(folder / "training.json", json.dumps(record, indent=1))


def _write_history(lines: list[dict[str, float]], folder: Path) -> pd.DataFrame:
    history = pd.DataFrame(lines, columns=list(HISTORY_COLUMNS))
    history.to_csv(folder / "history.csv", index=False)
    return history


def _seed(settings: DinoSettings, epoch: int) -> int:
    """Return the seed of an epoch, counted from 1; 0 is for the new head."""
    return epoch_seed(settings.seed, epoch)
