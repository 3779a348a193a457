"""The data that the rows share: phantoms, prepared once and kept in the stage cache."""

from __future__ import annotations

from dainet import pipeline
from dainet.device import Device
from dainet.segmentation.slices import SliceData
from dainet.settings import Settings, load_settings

__all__ = ["PAPER_SIZE", "paper_size_slices"]

# Few patients, so the last epoch is kept: none validates. ViT and fine-tuning stay those of the tour.
PAPER_SIZE: Settings = load_settings(
    "tour",
    {
        "data.phantom_patients": 7,
        "segmentation.image_size": 224,
        "segmentation.width": 64,
        "segmentation.batch_size": 4,
        "segmentation.epochs": 1,
        "segmentation.selection": "last",
    },
)


def paper_size_slices(device: Device) -> SliceData:
    """Slices of 224 px with six attention maps, given out as `device` wants them."""
    return SliceData(pipeline.prepare(PAPER_SIZE), pipeline.attention(PAPER_SIZE), PAPER_SIZE.attention, device)
