"""Fine-tuning a pre-trained ViT without labels on the training slices (paper sections 3.2 and 4.2)."""

from __future__ import annotations

import json
import logging
import math
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from dainet.cache.atomic import write_complete, write_tensors
from dainet.cache.resume import epoch_seed, load_state, state_writer
from dainet.cache.store import UNFINISHED
from dainet.cuda_graphs import recorded
from dainet.device import Device
from dainet.dino.formulas import collapse, schedules, teacher_temperature
from dainet.dino.shuffle import block_shuffle
from dainet.dino.step import TrainingState, starting_state, train_step
from dainet.dino.views import draw_views, make_views
from dainet.errors import InputError, NonFiniteError
from dainet.parallel import collectives
from dainet.progress import progress
from dainet.settings import DinoSettings
from dainet.vit.model import DinoViT, input_size, load_vit, save_vit, to_vit_input

__all__ = ["HISTORY_COLUMNS", "check_shared_batches", "finetune", "teacher_file", "view_maker"]

log = logging.getLogger(__name__)
_TEACHERS = "teachers"  # folder of those that are kept, beside the states
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
    views_of, save = view_maker(settings, device), state_writer(folder)
    for epoch in progress(range(len(state.history), settings.epochs), "DINO epochs", before=len(state.history)):
        state.history.append(_train_epoch(state, settings, images, rows, views_of, device, epoch))
        _report(state.history[-1], settings)
        if collectives.rank() == 0:
            _keep_teacher(state, settings, folder)  # before the state, after which this epoch is not repeated
            save(_content(state, settings), len(state.history))
            _write_history(state.history, folder)
    if collectives.rank() == 0:
        _finish(state, settings, folder)


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


def view_maker(settings: DinoSettings, device: Device) -> Callable[[Tensor, Tensor], list[Tensor]]:
    """Return the function from images [B, 1, H, W] and the numbers of `draw_views` to what the ViT takes."""

    def views_of(images: Tensor, numbers: Tensor) -> list[Tensor]:
        return [to_vit_input(view, view.shape[-1]) for view in make_views(images, numbers, settings)]

    return recorded(views_of, list) if device.records_steps else views_of


def _train_epoch(
    state: TrainingState,
    settings: DinoSettings,
    images: np.ndarray,
    rows: np.ndarray,
    views_of: Callable[[Tensor, Tensor], list[Tensor]],
    device: Device,
    epoch: int,
) -> dict[str, float]:
    """Train for one epoch in whole batches, which the processes share, and return its row of the history."""
    seed = epoch_seed(settings.seed, epoch + 1)  # 0 is for the new head
    torch.manual_seed(collectives.own_seed(seed))  # drop path, of each process's own images
    generator = torch.Generator().manual_seed(seed)  # order and views
    steps = len(rows) // settings.batch_size
    order = rows[block_shuffle(len(rows), generator).numpy()][: steps * settings.batch_size]
    values, share = schedules(settings, steps), collectives.share(settings.batch_size)
    total = torch.zeros(3, device=device.torch_device)
    for step, batch in enumerate(np.split(order, steps), start=epoch * steps):
        now = {name: line[step] for name, line in values.items()}
        slices = device.send(torch.from_numpy(images[batch]))[:, None]  # [B, 1, H, W]
        numbers = device.send(draw_views(slices.shape, settings, generator)[..., share])
        total += train_step(state, settings, views_of(slices[share], numbers), device, epoch, now)
    means = dict(zip(("loss", "teacher_entropy", "batch_entropy"), (total / steps).tolist(), strict=True))
    constant = {"epoch": epoch + 1, "teacher_temperature": teacher_temperature(settings, epoch)}
    return constant | now | means | {"center_norm": state.center.norm().item()}


def _report(line: dict[str, float], settings: DinoSettings) -> None:
    if not math.isfinite(line["loss"]):
        raise NonFiniteError(
            f"epoch {line['epoch']}: non-finite loss ({line['loss']}); lower dino.lr or dino.clip_grad, or raise "
            "dino.warmup_epochs; the last state is kept"
        )
    values = (line["epoch"], settings.epochs, line["loss"], line["teacher_entropy"], line["batch_entropy"])
    text = "epoch %d/%d  loss %.4f  teacher entropy %.3f  batch entropy %.3f  (ln K %.3f)"
    log.info(text, *values, math.log(settings.out_dim))


def _content(state: TrainingState, settings: DinoSettings) -> dict[str, Any]:
    content: dict[str, Any] = {name: getattr(state, name).state_dict() for name in ("student", "teacher", "optimizer")}
    return content | {"center": state.center, "history": state.history, "settings": _identity(settings)}


def teacher_file(epoch: int) -> str:
    """Return the name of the file with the teacher after this epoch, kept where `dino.keep_every` divides it."""
    return f"teacher-{epoch:04d}.safetensors"


def _keep_teacher(state: TrainingState, settings: DinoSettings, folder: Path) -> None:
    epoch = len(state.history)
    if settings.keep_every and epoch % settings.keep_every == 0:
        kept = folder / UNFINISHED / _TEACHERS  # beside the results it would not outlast an interrupt
        kept.mkdir(parents=True, exist_ok=True)
        save_vit(state.teacher.backbone, kept / teacher_file(epoch))


def _resume(state: TrainingState, settings: DinoSettings, folder: Path) -> None:
    content = load_state(folder)
    if content is None:
        return
    if content["settings"] != _identity(settings):
        raise InputError(f"{folder.name} holds a state of other settings; delete it or use another folder")
    for name in ("student", "teacher", "optimizer"):
        getattr(state, name).load_state_dict(content[name])
    state.center, state.history = content["center"].to(state.center.device), content["history"]
    log.info("resuming after epoch %d", len(state.history))


def _identity(settings: DinoSettings) -> str:
    return settings.model_dump_json(exclude={"compile"})  # which may differ where a state is taken to another machine


def _keep(vit: DinoViT, settings: DinoSettings, folder: Path) -> None:
    for name in ("student", "teacher"):
        save_vit(vit, folder / f"{name}.safetensors")
    _conclude([], settings, folder)


def _finish(state: TrainingState, settings: DinoSettings, folder: Path) -> None:
    save_vit(state.student.backbone, folder / "student.safetensors")
    save_vit(state.teacher.backbone, folder / "teacher.safetensors")
    write_tensors(state.teacher.head.state_dict(), folder / "head.safetensors")
    for path in (folder / UNFINISHED / _TEACHERS).glob("*.safetensors"):
        shutil.copyfile(path, folder / path.name)
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
