"""One training step of a segmentation network, and an epoch of them (paper sections 3.3 and 4.2)."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor, nn

from dainet.cache.resume import epoch_seed
from dainet.cuda_graphs import changed_by, compiled, recorded
from dainet.device import Device
from dainet.parallel import collectives
from dainet.segmentation.augment import augment, random_transforms, transform
from dainet.segmentation.outside_loss import chosen_loss
from dainet.segmentation.slices import SliceData, run_network
from dainet.settings import SegmentationSettings

__all__ = ["adam", "augmented_batch", "poly_factor", "train_epoch", "training_step"]

# Updates the network with slices of these rows [B], changed by matrices [B, 2, 2], and returns the loss.
Step = Callable[[Tensor, Tensor], Tensor]


def adam(model: nn.Module, settings: SegmentationSettings, device: Device) -> torch.optim.Adam:
    """Build the optimizer (section 4.2); where steps are recorded, its rate is a tensor that they read."""
    lr = torch.tensor(settings.lr, device=device.torch_device) if device.records_steps else settings.lr
    return torch.optim.Adam(
        model.parameters(),
        lr,
        weight_decay=settings.weight_decay,
        fused=device.fused_adam,
        capturable=device.records_steps,
    )


def poly_factor(step: int, total: int) -> float:
    """Return the factor (1 - step/total)^0.9 of the learning rate; 0 from the last step on.

    This is our reading of "in each iteration ... with a rate of 0.9" (docs/protocol.md#5.1).
    """
    return (1 - step / total) ** 0.9 if step < total else 0.0


def training_step(
    model: nn.Module,
    data: SliceData,
    settings: SegmentationSettings,
    optimizer: torch.optim.Optimizer,
) -> Step:
    """Return the function that updates the network with one batch and returns its loss [].

    On CUDA it is recorded and replayed (`dainet.cuda_graphs`), except where several processes share the batch, or where
    network or loss say `records_steps = False`, as those from outside do unless they say otherwise.

    Args:
        model: a network, or several processes' wrapper of one.
        data: the slices.
        settings: batch size, augmentation, loss, and whether torch compiles network and loss: for whole batches only,
            the last one of an epoch may be smaller.
        optimizer: see `adam`.
    """
    loss = chosen_loss(settings, data.device.torch_device)

    def loss_of(image: Tensor, maps: Tensor | None, label: Tensor) -> Tensor:
        with data.device.autocast():
            logits = run_network(model, image, maps)
        return loss(logits, label)

    fast_loss_of = compiled(loss_of) if settings.compile else loss_of

    def step(rows: Tensor, matrices: Tensor) -> Tensor:
        image, maps, label = augmented_batch(data, rows, matrices if settings.augment else None)
        whole = len(rows) == settings.batch_size
        value = (fast_loss_of if whole else loss_of)(image, maps, label)
        optimizer.zero_grad(set_to_none=True)
        value.backward()
        optimizer.step()
        return value.detach()

    may_record = data.device.records_steps and all(getattr(part, "records_steps", True) for part in (model, loss))
    if may_record and collectives.process_count() == 1:
        return recorded(step, lambda: changed_by(model, optimizer))
    return step


def train_epoch(
    step: Step,
    optimizer: torch.optim.Optimizer,
    data: SliceData,
    rows: np.ndarray,
    settings: SegmentationSettings,
    seed: int,
    epoch: int,
) -> float:
    """Train for one epoch over `rows` in an order drawn from (seed, epoch); return the mean loss, read once at the end.

    Several processes share each batch, and each draws the random numbers of the whole batch.

    Args:
        step: see `training_step`; its network is in training mode.
        optimizer: gets the learning rate of each step.
        data: the slices.
        rows: row numbers.
        settings: batch size, learning rate and number of epochs.
        seed: of the whole training.
        epoch: counted from 0.
    """
    device, batch_size = data.device.torch_device, settings.batch_size
    generator = torch.Generator().manual_seed(epoch_seed(seed, epoch))
    order = torch.as_tensor(rows)[torch.randperm(len(rows), generator=generator)]
    batches = order.to(device).split(batch_size)
    # Drawn batch by batch, moved together: a small copy for each step would cost as much as the step.
    matrices = torch.cat([random_transforms(len(batch), generator) for batch in batches]).to(device).split(batch_size)
    total = torch.zeros((), device=device)
    for number, (batch, transforms) in enumerate(zip(batches, matrices, strict=True), start=epoch * len(batches)):
        _set_rate(optimizer, settings.lr * poly_factor(number, settings.epochs * len(batches)))
        mine = collectives.share(len(batch))
        total += step(batch[mine], transforms[mine]) * len(batch)
    return total.item() / len(rows)


def augmented_batch(data: SliceData, rows: Tensor, matrices: Tensor | None) -> tuple[Tensor, Tensor | None, Tensor]:
    """Return image [B, 1, S, S], maps [B, h, S, S] and label [B, S, S] of these rows, by `matrices` where given.

    Features keep to their token grid, on which they are resampled bilinearly.
    """
    image, maps = data.inputs(rows)
    label = data.labels[rows][:, None]
    if matrices is not None and maps is not None and not data.reduced_features:
        image, label, maps = augment([image, label, maps], matrices)
    elif matrices is not None:
        image, label = augment([image, label], matrices)
        maps = None if maps is None else transform(maps, matrices, "bilinear")
    return image, maps, label[:, 0].long()


def _set_rate(optimizer: torch.optim.Optimizer, rate: float) -> None:
    for group in optimizer.param_groups:
        if isinstance(group["lr"], Tensor):
            group["lr"].fill_(rate)
        else:
            group["lr"] = rate
