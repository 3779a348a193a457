"""The data that several benchmarks share: phantoms, prepared once and kept in the stage cache."""

from __future__ import annotations

from dainet import pipeline
from dainet.device import Device
from dainet.segmentation.slices import SliceData
from dainet.settings import Settings, load_settings

__all__ = ["PAPER_SIZE", "paper_size_slices"]

# So few patients that none is left for validation: the last epoch is kept. ViT and fine-tuning are those of the tour.
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
    """Return slices of 224 px with six attention maps, as `device` needs them."""
    return SliceData(pipeline.prepare(PAPER_SIZE), pipeline.attention(PAPER_SIZE), PAPER_SIZE.attention, device)
