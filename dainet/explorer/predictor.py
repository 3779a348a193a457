"""Predictions of the explorer: finished networks of one data set are found, and nothing is trained."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from dainet import pipeline
from dainet.cache.store import finished_only
from dainet.data.sources import source_folder
from dainet.device import choose_device
from dainet.errors import DainetError, InputError
from dainet.reporting.artifacts import data_title
from dainet.segmentation.cuts import CutNetwork, Way, stand_ins
from dainet.segmentation.evaluation import class_dsc
from dainet.segmentation.slices import SliceData
from dainet.settings import Settings, load_settings

__all__ = [
    "SOURCES",
    "Choice",
    "OpenPredictor",
    "Predictor",
    "everything_on",
    "explorable",
    "is_prepared",
    "missing",
    "train",
]

# Words -> kind of `pipeline.backbone`.
SOURCES = {"fine-tuned": "finetuned", "pre-trained": "pretrained", "random weights": "random"}
_KEPT_NETWORKS = 4  # in memory; 55 million parameters each at the paper's width
_KEPT_SLICES = 4096  # labels


@dataclass(frozen=True)
class Choice:
    """Names a network, the effect of its switches, and the source of its attention maps.

    `model` is "unet", "single" or "dual"; `cut` says whether switches act on the network trained with everything on
    (cut at inference) or name the network that was trained with them; `skips_on` are the switches (1) to (4) of Table
    3; `heads_on` has one entry per head; `source` is a kind of `pipeline.backbone`, None where no maps are used;
    `instead` is what stands in for the maps of heads that are off.
    """

    model: str
    cut: bool
    skips_on: tuple[bool, ...]
    heads_on: tuple[bool, ...]
    source: str | None
    instead: Way = "zero"

    @property
    def network(self) -> str:
        """Name of the trained network, as in `dainet.segmentation.catalog.build`."""
        if self.model != "dual":
            return self.model
        return "dual-" + "".join("1" if on or self.cut else "0" for on in self.skips_on)


def everything_on(heads: int, source: str) -> Choice:
    """Return the dual encoder with all skips and heads, with which others are compared."""
    return Choice("dual", True, (True,) * 4, (True,) * heads, source)


def explorable(profile: str, overrides: Mapping[str, Any]) -> dict[str, Settings]:
    """Map titles to settings of what can be explored: the chosen data set and, for phantoms, the other phantoms.

    Raises:
        DataError: own scans are asked for, and their folder is not given.
        InputError: an unknown setting; maps of your own, which have no ViT to choose and no weights to fine-tune; or
            images in the place of maps, which are not what is shown.
    """
    asked = load_settings(profile, overrides)
    if asked.attention.maps:
        raise InputError("setting attention.maps: the explorer shows the maps of ViTs; leave it out")
    if asked.attention.control == "image":
        raise InputError("setting attention.control=image: the explorer cuts the maps of ViTs; leave it out")
    if asked.data.source != "phantom":
        return {data_title(asked): asked}
    if asked.data.dataset == "custom":
        source_folder(asked.data)  # says that there are no such phantoms
    names = sorted(("acdc", "synapse"), key=lambda name: name != asked.data.dataset)
    found = [load_settings(profile, {**overrides, "data.dataset": name}) for name in names]
    return {data_title(settings): settings for settings in found}


class Predictor:
    """Predicts one data set under any `Choice`; networks and the features of the latest slice stay in memory.

    Raises:
        StageMissingError: here and in every method: the stage has not been computed yet; see `train`.
    """

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        with finished_only():
            self.prepared = pipeline.prepare(settings)
        self._data: dict[str | None, SliceData] = {}
        self._networks: dict[tuple[str, str], CutNetwork] = {}
        self._inputs: tuple[tuple[int, str | None, Way], tuple[Tensor, Tensor | None, Tensor]] | None = None
        self._labels: dict[tuple[Choice, int], np.ndarray] = {}

    def has_maps(self, source: str) -> bool:
        """Whether the attention maps of a source are there."""
        return _has_maps(self.settings, source)

    def maps(self, source: str, row: int) -> np.ndarray:
        """Attention maps of one slice as input of a network [h, S, S]."""
        _, maps = self._data_of(source).inputs(torch.tensor([row]))
        assert maps is not None  # there is a source
        return maps[0].cpu().numpy()

    def slice_label(self, choice: Choice, row: int) -> np.ndarray:
        """Predicted labels of one slice [S, S]."""
        if (choice, row) not in self._labels:
            self._labels[choice, row] = self._predict(self._network(choice), *self._inputs_of(choice, row))
        return self._labels[choice, row]

    def volume_steps(self, choice: Choice, case_id: str) -> Iterator[None]:
        """Predict a volume slice by slice and pause after each, so that a screen can answer in between."""
        network = self._switched(CutNetwork(self._network(choice).model), choice)  # leaves the kept features alone
        for row in self.rows(case_id):
            if (choice, row) not in self._labels:
                self._labels[choice, row] = self._predict(network, *self._new_inputs(choice, row))
                yield
        _drop_oldest(self._labels, _KEPT_SLICES)

    def known(self, choice: Choice | None, rows: Sequence[int] | np.ndarray) -> np.ndarray | None:
        """Labels that have been predicted already [n, S, S], or None where one is missing."""
        labels = [self._labels.get((choice, row)) for row in rows] if choice else [None]
        return None if any(label is None for label in labels) else np.stack(labels)  # type: ignore[arg-type]

    def dsc(self, choice: Choice | None, rows: np.ndarray) -> list[float] | None:
        """DSC 0..1 per class of what has been predicted already, or None where a slice is missing."""
        prediction = self.known(choice, rows)
        if prediction is None:
            return None
        label = torch.from_numpy(np.array(self.prepared.labels[rows]))
        return class_dsc(torch.from_numpy(prediction), label, len(self.prepared.classes.names)).tolist()

    def rows(self, case_id: str) -> np.ndarray:
        """Row numbers of a volume, in the order of its slices."""
        return np.flatnonzero(self.prepared.cases["case_id"] == case_id)

    def _network(self, choice: Choice) -> CutNetwork:
        settings = _settings_of(self.settings, choice)
        key = (choice.network, settings.attention.backbone)
        if key not in self._networks:
            self._networks[key] = CutNetwork(self._trained(choice))
            _drop_oldest(self._networks, _KEPT_NETWORKS)
        return self._switched(self._networks[key], choice)

    def _switched(self, network: CutNetwork, choice: Choice) -> CutNetwork:
        deep_first = self.settings.segmentation.switch_order == "deep-first"
        network.heads_on = choice.heads_on
        network.skips_on = choice.skips_on[:: 1 if deep_first else -1] if choice.cut else (True,) * 4
        return network

    def _data_of(self, source: str | None) -> SliceData:
        if source not in self._data:
            self._data[source] = self._slices(source)
        return self._data[source]

    def _trained(self, choice: Choice) -> nn.Module:
        with finished_only():
            return _train_network(self.settings, choice).model

    def _slices(self, source: str | None) -> SliceData:
        with finished_only():
            return pipeline.slice_data(_with_source(self.settings, source), source is not None)

    def _inputs_of(self, choice: Choice, row: int) -> tuple[Tensor, Tensor | None, Tensor]:
        """The same objects for the same slice, so that a network keeps its features."""
        key = (row, choice.source, choice.instead)
        if self._inputs is None or self._inputs[0] != key:
            self._inputs = key, self._new_inputs(choice, row)
        return self._inputs[1]

    def _new_inputs(self, choice: Choice, row: int) -> tuple[Tensor, Tensor | None, Tensor]:
        """Image, maps, and what stands in for maps that are cut."""
        data, rows = self._data_of(choice.source), torch.tensor([row])
        image, maps = data.inputs(rows)
        instead = torch.zeros(()) if maps is None else stand_ins(choice.instead, data, rows, maps)
        return image, maps, instead

    def _predict(self, network: CutNetwork, image: Tensor, maps: Tensor | None, instead: Tensor) -> np.ndarray:
        network.instead = instead
        with torch.inference_mode(), choose_device(self.settings.device).autocast():
            return network(image, maps)[0].argmax(dim=0).to(torch.uint8).cpu().numpy()


OpenPredictor = Callable[[Settings], Predictor]


def is_prepared(settings: Settings) -> bool:
    """Whether the slices of a data set are there."""
    return _finished(lambda: pipeline.prepare(settings))


def missing(settings: Settings, choice: Choice) -> str:
    """Name what `choice` needs and what has not been computed yet."""
    if not is_prepared(settings):
        return f"slices and {choice.network}"
    found = [] if _finished(lambda: _train_network(settings, choice)) else [choice.network]
    if choice.source and not _has_maps(settings, choice.source):
        found.append("attention maps, " + next(words for words, source in SOURCES.items() if source == choice.source))
    return " and ".join(found)


def train(settings: Settings, choice: Choice) -> None:
    """Compute what `choice` needs and what is missing: data, transformer, maps, network, scores."""
    _train_network(settings, choice)
    if choice.source is not None:
        pipeline.attention(_with_source(settings, choice.source))


def _train_network(settings: Settings, choice: Choice) -> pipeline.Trained:
    return pipeline.train(_settings_of(settings, choice), choice.network, settings.segmentation.seeds[0])


def _has_maps(settings: Settings, source: str) -> bool:
    return _finished(lambda: pipeline.attention(_with_source(settings, source)))


def _finished(stage: Callable[[], Any]) -> bool:
    try:
        with finished_only():
            stage()
    except (DainetError, OSError):  # missing, or unreadable: choosing it says why
        return False
    return True


def _settings_of(settings: Settings, choice: Choice) -> Settings:
    """Settings of the network's training: a cut network was trained with its own maps, whatever it is fed here."""
    return settings if choice.cut else _with_source(settings, choice.source)


def _with_source(settings: Settings, source: str | None) -> Settings:
    if source is None:
        return settings
    return settings.model_copy(update={"attention": settings.attention.model_copy(update={"backbone": source})})


def _drop_oldest(kept: dict, most: int) -> None:
    while len(kept) > most:
        del kept[next(iter(kept))]
