"""One DINO step (2 + 8 views, batch 16, making the views included), compared with DINO's recipe."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch
from lightly.loss import DINOLoss
from lightly.models.utils import update_momentum
from lightly.transforms import DINOTransform
from PIL import Image

from benchmarks.timing import Comparison, compare
from dainet.device import choose_device
from dainet.dino import step
from dainet.dino.views import multi_crop
from dainet.settings import DinoSettings
from dainet.vit.model import set_fused_attention, to_vit_input

__all__ = ["comparisons"]

_BATCH = 16
_SETTINGS = DinoSettings(batch_size=_BATCH, epochs=1, warmup_epochs=0, global_size=224, out_dim=65536)
_NOW = {"lr": 1e-4, "weight_decay": 0.04, "momentum": 0.996}


def comparisons(weights: str, rounds: int = 3) -> Iterator[Comparison]:
    """Compare the views alone, then the whole step."""
    images = torch.rand(_BATCH, 1, 256, 256, generator=torch.Generator().manual_seed(0))
    pictures = [Image.fromarray((255 * image[0].numpy()).astype(np.uint8)).convert("RGB") for image in images]
    transform = DINOTransform(global_crop_size=224, local_crop_size=96, n_local_views=8)
    generator = torch.Generator().manual_seed(0)

    def views() -> list[torch.Tensor]:
        return [to_vit_input(crop, crop.shape[-1]) for crop in multi_crop(images, _SETTINGS, generator)]

    def peer_views() -> list[torch.Tensor]:
        return [torch.stack(view) for view in zip(*(transform(picture) for picture in pictures), strict=True)]

    yield compare(
        f"10 views of {_BATCH} images",
        "lightly's DINOTransform, an image at a time",
        views,
        peer_views,
        1.0,
        "same crops and filters; jitter without hue and saturation, which gray has not",
        rounds,
    )
    device = choose_device("cpu")
    state = step.starting_state(_SETTINGS, weights, device)
    peer = _Peer(weights)
    yield compare(
        f"DINO step, 2 + 8 views, batch {_BATCH}",
        "PIL crops an image at a time, float32, a pass per view",
        lambda: step.train_step(state, _SETTINGS, views(), device, 0, _NOW),
        lambda: peer.step(peer_views()),
        2.5,
        "same networks, loss and optimizer",
        rounds,
    )


class _Peer:
    """Student, teacher and update in float32 with timm's own attention, lightly's loss and lightly's moving average."""

    def __init__(self, weights: str) -> None:
        state = step.starting_state(_SETTINGS, weights, choose_device("cpu"))
        self.student, self.teacher = state.student, state.teacher
        set_fused_attention(self.student, True)
        set_fused_attention(self.teacher, True)
        self.loss = DINOLoss(output_dim=_SETTINGS.out_dim)
        self.optimizer = torch.optim.AdamW(self.student.parameters(), lr=_NOW["lr"])

    def step(self, views: list[torch.Tensor]) -> None:
        with torch.no_grad():
            teacher = [self.teacher([view])[0] for view in views[:2]]
        student = [self.student([view])[0] for view in views]
        self.optimizer.zero_grad()
        self.loss(teacher, student, epoch=0).backward()
        torch.nn.utils.clip_grad_norm_(self.student.parameters(), _SETTINGS.clip_grad)
        self.optimizer.step()
        update_momentum(self.student, self.teacher, _NOW["momentum"])
