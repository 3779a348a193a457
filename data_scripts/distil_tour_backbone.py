"""Distil the attention of a large ViT into the small one of the tour profile, on phantoms only.

The small network (4 blocks, width 192, patch 8, 96 px) learns the teacher's last-block CLS attention head by head:
the Kullback-Leibler divergence between the two distributions over the tokens. It is never shown a scan of a person.
"""

from __future__ import annotations

from dainet.interrupts import watch_imports

if __name__ == "__main__":
    watch_imports()  # before those below, which take seconds

import logging
from pathlib import Path
from typing import Annotated

import numpy as np
import pandas as pd
import torch
import typer
from torch import Tensor
from torch.nn import functional as F

from dainet.attention.head_scores import best_heads, head_scores
from dainet.attention.maps import resize_maps, token_maps
from dainet.cache.records import hash_file
from dainet.data.phantoms.cardiac import make_cardiac_patient
from dainet.data.preprocessing import normalize, resize_slices
from dainet.device import Device, choose_device
from dainet.options import new_app, run_app
from dainet.protocol import CLASSES
from dainet.vit.model import DinoViT, load_vit, randomized, save_vit, to_vit_input

SEED = 1000  # of the phantoms and the training; the tour's own phantoms have seed 0
TRAIN_PATIENTS = range(1, 61)
HELD_OUT_PATIENTS = range(61, 81)
TEACHER_PX = 224
STUDENT_PX = 96
GRID = 12  # tokens per side of the student
STUDENT = {"img_size": STUDENT_PX, "patch_size": STUDENT_PX // GRID, "embed_dim": 192, "depth": 4, "num_heads": 6}
EPOCHS = 15
BATCH = 64
PEAK_LR = 1e-3
WEIGHT_DECAY = 0.05

log = logging.getLogger(__name__)
app = new_app(__doc__)


@app.command()
def main(
    teacher: Annotated[
        Path, typer.Option(help="Weights of a ViT with 6 heads, as dainet.vit.model.load_vit reads them.")
    ],
    output: Annotated[Path, typer.Option(help="Where to write.")] = Path("dainet/vit/weights/tour_vit.safetensors"),
) -> None:
    """Make phantoms, record the teacher's attention on them, train the small ViT, score it on held-out phantoms."""
    device = choose_device()
    images, targets = teacher_attention(load_vit(str(teacher)), device)
    student = randomized(DinoViT(**STUDENT), SEED)
    train(student, images, targets, device)
    metadata = {"teacher": teacher.name, "seed": str(SEED), "license": "Apache-2.0", "data": "dainet phantoms"}
    save_vit(student.half(), output, metadata)
    log.info("%s: %.2f MB, sha256 %s", output, output.stat().st_size / 1e6, hash_file(output))
    distilled = load_vit(str(output))
    for name, vit in (("distilled", distilled), ("random", randomized(distilled, SEED))):
        log.info("%s weights, held-out phantoms, best heads:\n%s", name, held_out_scores(vit).to_string(index=False))


def phantom_slices(patient: int, size: int) -> tuple[np.ndarray, np.ndarray]:
    """Draw both phases of a phantom as the prepared store would hold them: images and labels [D, size, size]."""
    phases = make_cardiac_patient(patient, SEED).phases.values()
    images = [resize_slices(normalize(image, "minmax"), (size, size), order=3) for image, _ in phases]
    labels = [resize_slices(label, (size, size), order=0) for _, label in phases]
    return np.concatenate(images).astype(np.float32), np.concatenate(labels)


def teacher_attention(teacher: DinoViT, device: Device) -> tuple[Tensor, Tensor]:
    """Compute student images [N, 1, 96, 96] and the teacher's distributions over the student's grid [N, h, 12, 12]."""
    teacher = teacher.to(device.torch_device)
    images, targets = [], []
    for patient in TRAIN_PATIENTS:
        sizes = (TEACHER_PX, STUDENT_PX)
        large, small = (torch.from_numpy(phantom_slices(patient, size)[0])[:, None] for size in sizes)  # [D, 1, H, W]
        images.append(small)
        targets.append(teacher_distribution(teacher, large, device))
        log.info("teacher: patient %d of %d", patient, len(TRAIN_PATIENTS))
    return torch.cat(images), torch.cat(targets)


@torch.inference_mode()
def teacher_distribution(teacher: DinoViT, images: Tensor, device: Device) -> Tensor:
    """Compute the teacher's attention on the student's grid, [B, h, 12, 12], each map summing to 1."""
    with device.autocast():
        maps = token_maps(teacher, to_vit_input(images.to(device.torch_device), TEACHER_PX))
    grid = F.interpolate(maps, size=(GRID, GRID), mode="area")
    return (grid / grid.sum((-2, -1), keepdim=True)).cpu()


def turned(images: Tensor, maps: Tensor, view: int) -> tuple[Tensor, Tensor]:
    """Transform images and maps [..., H, W] by one of the eight flips and rotations of a square."""
    images, maps = (t.rot90(view % 4, (-2, -1)) for t in (images, maps))
    return (images.flip(-1), maps.flip(-1)) if view >= 4 else (images, maps)


def train(student: DinoViT, images: Tensor, targets: Tensor, device: Device) -> None:
    """Minimize the divergence with AdamW and a one-cycle learning rate; each batch is flipped and rotated at random."""
    generator = torch.Generator().manual_seed(SEED)
    student.to(device.torch_device).train()
    optimizer = torch.optim.AdamW(student.parameters(), lr=PEAK_LR, weight_decay=WEIGHT_DECAY)
    slices = len(images)
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, PEAK_LR, epochs=EPOCHS, steps_per_epoch=slices // BATCH, pct_start=0.1
    )
    for epoch in range(EPOCHS):
        losses = []
        for rows in torch.randperm(slices, generator=generator).split(BATCH)[: slices // BATCH]:
            view = int(torch.randint(8, (), generator=generator))
            loss = divergence(student, *turned(images[rows], targets[rows], view), device)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
            losses.append(loss.item())
        log.info("epoch %d of %d: divergence %.4f", epoch + 1, EPOCHS, float(np.mean(losses)))
    student.cpu().eval()


def divergence(student: DinoViT, images: Tensor, targets: Tensor, device: Device) -> Tensor:
    """Kullback-Leibler divergence from the student's to the teacher's attention, mean over batch and heads."""
    with device.autocast():
        maps = token_maps(student, to_vit_input(images.to(device.torch_device), STUDENT_PX)).flatten(2)
    predicted = maps.clamp_min(1e-8).log() - maps.sum(-1, keepdim=True).log()
    wanted = targets.flatten(2).to(device.torch_device)
    return F.kl_div(predicted, wanted, reduction="none").sum(-1).mean()


@torch.inference_mode()
def held_out_scores(vit: DinoViT) -> pd.DataFrame:
    """Score the best head per class on phantoms that were not used in training, at the student's input size."""
    patients = [phantom_slices(patient, STUDENT_PX) for patient in HELD_OUT_PATIENTS]
    images, labels = (np.concatenate(parts) for parts in zip(*patients, strict=True))
    maps = token_maps(vit, to_vit_input(torch.from_numpy(images)[:, None], STUDENT_PX))
    resized = resize_maps(maps, STUDENT_PX, "nearest-bilinear", STUDENT_PX)
    return best_heads(head_scores(resized.numpy(), labels, CLASSES["acdc"].names))


if __name__ == "__main__":
    run_app(app)
