"""DINO fine-tuning and extraction on more slices than fit into memory: slices per second and the process's memory.

python -m benchmarks.growing 50000 200000    # each in its own process; docs/cluster.md shows how to limit the memory
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
from pathlib import Path

import numpy as np
import pandas as pd
import torch

from benchmarks.timing import PeakMemory, apart
from dainet import pipeline
from dainet.attention.stage import extract
from dainet.cache.atomic import growing_array
from dainet.device import choose_device
from dainet.dino.training import finetune
from dainet.reporting.costs import seconds
from dainet.segmentation.augment import augment, random_transforms
from dainet.settings import Settings, load_settings
from dainet.vit.model import load_vit

__all__ = ["measured", "write_slices"]

_CHUNK = 1024
# Small views and few tokens: this measures how the data are read, not the speed of a transformer.
_SMALL = {
    "vit.image_size": 48,
    "dino.epochs": 1,
    "dino.warmup_epochs": 0,
    "dino.batch_size": 64,
    "dino.out_dim": 256,
    "dino.global_size": 32,
    "dino.local_crops": 0,
}


def write_slices(path: Path, count: int, base: np.ndarray) -> np.ndarray:
    """Write `count` different phantom slices [count, H, W] float16 and map them.

    Each is one of `base` [N, H, W], rotated or mirrored, with a different brightness and noise.
    """
    generator = torch.Generator().manual_seed(0)
    with growing_array(path, base.shape[1:], np.float16) as append:
        for start in range(0, count, _CHUNK):
            number = min(_CHUNK, count - start)
            chosen = torch.randint(len(base), (number,), generator=generator)
            images = torch.from_numpy(base[chosen.numpy()]).float()[:, None]
            (images,) = augment([images], random_transforms(number, generator))
            brightness = 0.8 + 0.2 * torch.rand(number, 1, 1, 1, generator=generator)
            noise = 0.02 * torch.randn(images.shape, generator=generator)
            append((images * brightness + noise).clamp(0, 1)[:, 0].numpy())
    return np.load(path, mmap_mode="c")


def measured(count: int) -> dict[str, float]:
    """Measure one epoch of DINO and one extraction over `count` slices."""
    settings, device = load_settings("tour", _SMALL), choose_device("cpu")
    base = pipeline.prepare_for_vit(load_settings("tour")).images
    with tempfile.TemporaryDirectory(dir=os.environ.get("DAINET_RUNS")) as name:
        folder = Path(name)
        images = write_slices(folder / "images.npy", count, base)
        _warm_up(settings, images, folder / "warm-up")
        with PeakMemory() as dino_peak:
            dino = seconds(lambda: _finetune(settings, images, count, folder / "dino"))
        with PeakMemory() as maps_peak:
            maps = seconds(lambda: extract(settings, images, load_vit("tour"), device, folder))
        size = images.nbytes / 2**20
    line = {"slices": count, "data_mib": size, "dino_slices_per_s": count / dino, "dino_memory_mib": dino_peak.mib}
    return line | {"maps_slices_per_s": count / maps, "maps_memory_mib": maps_peak.mib}


def _finetune(settings: Settings, images: np.ndarray, count: int, folder: Path) -> None:
    folder.mkdir()
    finetune(settings.dino, "tour", images, np.arange(count), choose_device("cpu"), folder)


def _warm_up(settings: Settings, images: np.ndarray, folder: Path) -> None:
    """Run both once, so that kernels and their buffers, which do not grow, are not counted."""
    _finetune(settings, images, 4 * settings.dino.batch_size, folder)
    extract(settings, images[:_CHUNK], load_vit("tour"), choose_device("cpu"), folder)


if __name__ == "__main__":
    if sys.argv[1] == "--here":
        print(json.dumps(measured(int(sys.argv[2]))))
    else:
        table = pd.DataFrame([apart("benchmarks.growing", "--here", count) for count in sys.argv[1:]])
        print(table.round(0).astype(int).to_markdown(index=False))
