"""Augmented batches of image, label and six maps at 224 px on one core, compared with TransUNet's loader."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import numpy as np
import torch
from scipy import ndimage

from benchmarks.data import PAPER_SIZE, paper_size_slices
from benchmarks.timing import Comparison, compare, copy_limit
from dainet import pipeline
from dainet.device import choose_device
from dainet.segmentation.augment import random_transforms
from dainet.segmentation.slices import SliceData
from dainet.segmentation.step import augmented_batch

__all__ = ["comparisons", "peer_batches", "transunet_batch", "write_slices"]

_BATCH, _NATIVE_PX = 16, 512


def comparisons(rounds: int = 7) -> Iterator[Comparison]:
    """Compare without and with attention maps, which the peer does not have; both sides use one core."""
    device, side = choose_device("cpu"), PAPER_SIZE.segmentation.image_size
    with_maps = paper_size_slices(device)
    alone = SliceData(pipeline.prepare(PAPER_SIZE), None, PAPER_SIZE.attention, device)
    generator, rows = torch.Generator().manual_seed(0), torch.arange(_BATCH)
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as folder:
        peer = peer_batches(write_slices(Path(folder), _BATCH))
        for what, data in (("image and label", alone), ("image, label and 6 maps", with_maps)):
            yield compare(
                f"augmented batch of {_BATCH}: {what}, {side} px, one core",
                "TransUNet's loader: npz, rotate or flip, cubic zoom from 512; no maps",
                partial(_augmented, data, rows, generator),
                peer,
                10,
                "same transforms in law; ours after resizing (docs/protocol.md#1.4)",
                rounds,
                copy_limit(_smallest_traffic(data, rows, generator)),
            )
    torch.set_num_threads(threads)


def _augmented(data: SliceData, rows: torch.Tensor, generator: torch.Generator) -> tuple[torch.Tensor | None, ...]:
    return augmented_batch(data, rows, random_transforms(len(rows), generator))


def _smallest_traffic(data: SliceData, rows: torch.Tensor, generator: torch.Generator) -> int:
    """Bytes that must at least be read and written: the stored rows and the batch."""
    stored = [tensor[rows] for tensor in (data.images, data.labels, data.maps) if tensor is not None]
    batch = [tensor for tensor in _augmented(data, rows, generator) if tensor is not None]
    return sum(tensor.nbytes for tensor in (*stored, *batch))


def write_slices(folder: Path, count: int) -> list[Path]:
    """Write smooth noise in TransUNet's format: npz files with image and label, 512 x 512."""
    random, files = np.random.default_rng(0), []
    for number in range(count):
        image = ndimage.gaussian_filter(random.random((_NATIVE_PX, _NATIVE_PX), np.float32), 3)
        files.append(folder / f"case0000_slice{number:03d}.npz")
        np.savez(files[-1], image=image, label=(image > 0.5).astype(np.float32))
    return files


def peer_batches(files: list[Path]) -> Callable[[], tuple[torch.Tensor, torch.Tensor]]:
    """Return the peer's work: each call draws new transforms, as ours does; a rotation doubles the time of a slice."""
    return partial(transunet_batch, files, np.random.default_rng(0))


def transunet_batch(files: list[Path], random: np.random.Generator) -> tuple[torch.Tensor, torch.Tensor]:
    """Make a batch as TransUNet dataset_synapse.py:11-46 does; written from its description (docs/protocol.md#1.4)."""
    samples = []
    for file in files:
        with np.load(file) as arrays:
            pair = [arrays["image"], arrays["label"]]
        if random.random() > 0.5:
            turns, axis = int(random.integers(4)), int(random.integers(2))
            pair = [np.flip(np.rot90(array, turns), axis) for array in pair]
        elif random.random() > 0.5:
            angle = random.integers(-20, 20)
            pair = [ndimage.rotate(array, angle, order=0, reshape=False) for array in pair]
        factor = PAPER_SIZE.segmentation.image_size / _NATIVE_PX
        samples.append([ndimage.zoom(array, factor, order=order) for array, order in zip(pair, (3, 0), strict=True)])
    images, labels = (torch.from_numpy(np.stack(arrays)) for arrays in zip(*samples, strict=True))
    return images[:, None], labels.long()
