"""The settings of every stage, and how they are loaded."""

from dainet.settings.groups import (
    SEEDS,
    AttentionSettings,
    DataSettings,
    DinoSettings,
    Seed,
    SegmentationSettings,
    Settings,
    VitSettings,
)
from dainet.settings.loading import load_settings, parse_override, parse_overrides, profile_names

__all__ = [
    "SEEDS",
    "AttentionSettings",
    "DataSettings",
    "DinoSettings",
    "Seed",
    "SegmentationSettings",
    "Settings",
    "VitSettings",
    "load_settings",
    "parse_override",
    "parse_overrides",
    "profile_names",
]
