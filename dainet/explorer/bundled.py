"""The explorer on a bundle: its network and the maps of its ViT are there, so nothing has to be trained."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

from torch import nn

from dainet import pipeline
from dainet.attention.stage import run_attention
from dainet.cache.store import StageResult, finished_only
from dainet.device import choose_device
from dainet.errors import InputError
from dainet.explorer.app import Explorer
from dainet.explorer.predictor import Choice, Predictor
from dainet.inference.bundle import Bundle, read_bundle, read_card
from dainet.inference.card import Card
from dainet.reporting.artifacts import data_title
from dainet.segmentation.slices import SliceData
from dainet.settings import Settings

__all__ = ["BundlePredictor", "bundle_settings", "explore_bundle", "open_bundle"]

_NETWORK = "dual-1111"  # of which heads and all four skips can be cut
_FILES = ("data.source", "data.split", "data.spacing")  # of which a card keeps the names alone
_GIVEN = (*_FILES, "device")


class BundlePredictor(Predictor):
    """Predicts with the network of a bundle and the maps of its ViT; others are found as by `Predictor`.

    Args:
        settings: see `bundle_settings`.
        bundle: of the network dual-1111.

    Raises:
        StageMissingError: as of `Predictor`; `open_bundle` computes slices and maps.
    """

    def __init__(self, settings: Settings, bundle: Bundle) -> None:
        self._bundle = bundle
        super().__init__(settings)

    def has_maps(self, source: str) -> bool:
        """Whether the attention maps of a source are there."""
        return source == self._source or super().has_maps(source)

    @property
    def _source(self) -> str:
        return self.settings.attention.backbone

    def _trained(self, choice: Choice) -> nn.Module:
        own = choice.network == _NETWORK and (choice.cut or choice.source == self._source)
        return self._bundle.model if own else super()._trained(choice)

    def _slices(self, source: str | None) -> SliceData:
        if source != self._source:
            return super()._slices(source)
        with finished_only():
            maps = _maps(self.settings, self._bundle)
        return SliceData(self.prepared, maps, self.settings.attention, choose_device(self.settings.device))


def explore_bundle(model: str, overrides: Mapping[str, Any] | None = None) -> Explorer:
    """Return the explorer on a bundle.

    Args:
        model, overrides: as for `open_bundle`, which says what is raised.
    """
    bundle, settings = open_bundle(model, overrides or {})
    return Explorer({data_title(settings): settings}, partial(BundlePredictor, bundle=bundle))


def open_bundle(model: str, overrides: Mapping[str, Any]) -> tuple[Bundle, Settings]:
    """Read a bundle, and prepare the slices and extract the maps of its ViT where that has not been done.

    Args:
        model: a name as "tour", or a file, see `dainet.inference.bundle.read_bundle`.
        overrides: data.source, the folder with scans of its data set; data.split and data.spacing, where the training
            had such files; and device; nothing else.

    Raises:
        InputError: as `bundle_settings` and `dainet.inference.bundle.read_bundle`.
    """
    _check_network(read_card(model))
    bundle = read_bundle(model, choose_device(overrides.get("device", "auto")))
    settings = bundle_settings(bundle, overrides)
    pipeline.prepare(settings)
    _maps(settings, bundle)
    return bundle, settings


def bundle_settings(bundle: Bundle, overrides: Mapping[str, Any]) -> Settings:
    """Return the settings of a bundle's training with the scans, their files and the device that are used here.

    Raises:
        InputError: the bundle has another network than dual-1111, another setting is given, or no scans are named for a
            network that was trained on scans.
    """
    card = bundle.card
    _check_network(card)
    if strange := sorted(set(overrides) - set(_GIVEN)):
        raise InputError(f"{strange[0]} next to --model, whose settings are those of its training; leave it out")
    if not card.phantoms and "data.source" not in overrides:
        raise InputError(f"this bundle was trained on scans ({card.format}), which it does not contain; give --source")
    files = {name.removeprefix("data."): overrides[name] for name in _FILES if name in overrides}
    data = bundle.settings.data.model_copy(update={"source": "phantom"} | files)
    here = {"data": data, "device": overrides.get("device", "auto"), "n_processes": 1}
    return bundle.settings.model_copy(update=here)


def _check_network(card: Card) -> None:
    if card.network != _NETWORK:
        raise InputError(f"a bundle of {card.network}; the explorer cuts heads and skips of {_NETWORK}: give one of it")


def _maps(settings: Settings, bundle: Bundle) -> StageResult:
    vit, card = bundle.vit, bundle.card.vit
    assert vit is not None  # dual-1111 takes maps
    assert card is not None
    prepared, device = pipeline.prepare_for_vit(settings), choose_device(settings.device)
    return run_attention(settings, prepared, vit, "bundle", {"vit": card.sha256}, device)
