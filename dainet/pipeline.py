"""The stages in their order, as notebooks and jobs call them; a finished stage returns at once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import pandas as pd
import torch
from torch import nn

from dainet.attention.controls import donor_rows, run_constant, run_other_patient
from dainet.attention.given import map_channels, run_given
from dainet.attention.head_scores import head_scores
from dainet.attention.maps import resize_maps
from dainet.attention.stage import What, grid_of, open_attention, run_attention
from dainet.cache.store import StageResult
from dainet.data.prepared import Prepared, run_prepared
from dainet.device import choose_device
from dainet.dino.stage import run_dino
from dainet.errors import InputError, unknown
from dainet.parallel.collectives import process_count
from dainet.segmentation.catalog import check_features, check_network, takes
from dainet.segmentation.evaluation import read_scores, run_scores
from dainet.segmentation.outside import is_outside, outside_label
from dainet.segmentation.outside_check import check_batches, check_outside
from dainet.segmentation.outside_loss import check_loss
from dainet.segmentation.pretrained import check_pretrained
from dainet.segmentation.slices import SliceData
from dainet.segmentation.stage import load_model, run_segmentation
from dainet.segmentation.training import monitored_volumes
from dainet.settings import Settings
from dainet.vit.checkpoints import weights_hash
from dainet.vit.model import DinoViT, load_vit, randomized

__all__ = [
    "Trained",
    "attention",
    "backbone",
    "finetune",
    "network_data",
    "prepare",
    "prepare_for_vit",
    "score_heads",
    "scores",
    "segment",
    "slice_data",
    "train",
]


@dataclass(frozen=True)
class Trained:
    """A trained network, the stages that made it, and its scores per test case and class."""

    name: str
    seed: int
    model: nn.Module
    segmentation: StageResult
    scored: StageResult
    cases: pd.DataFrame

    @property
    def label(self) -> str:
        """The name that tables and figures show: that of code from outside without its folder."""
        return outside_label(self.name)


def prepare(settings: Settings) -> Prepared:
    """Prepare the slices at the networks' size, and the test volumes on their native grid.

    Raises:
        InputError: see `monitored_volumes`; raised here, hours before the networks are trained.
    """
    prepared = run_prepared(settings.data, settings.segmentation.image_size)
    monitored_volumes(settings.segmentation, prepared)
    return prepared


def prepare_for_vit(settings: Settings) -> Prepared:
    """Prepare the same slices, row for row, at the ViT's size and in [0, 1], as its ImageNet statistics expect.

    Raises:
        InputError: the control wants maps of another patient, and a split has a single one; raised here, hours before
            the maps are made.
    """
    data = settings.data
    if data.normalization == "zscore":
        data = data.model_copy(update={"normalization": "auto"})
    prepared = run_prepared(data, settings.vit.image_size, keep_native=False)
    if settings.attention.control == "other-patient":
        donor_rows(prepared.cases)
    return prepared


def finetune(settings: Settings, prepared_vit: Prepared | None = None) -> StageResult:
    """Fine-tune the ViT with DINO on the training slices (paper section 3.2); a caller may pass them already open."""
    return run_dino(settings, prepared_vit or prepare_for_vit(settings), choose_device(settings.device))


def backbone(settings: Settings, kind: str, prepared_vit: Prepared | None = None) -> tuple[DinoViT, dict[str, str]]:
    """Return the ViT that makes the maps, and what identifies it in stage keys.

    Args:
        settings: the run's settings.
        kind: "finetuned" (the teacher after DINO), "pretrained" (weights as loaded), or "random" (random weights).
        prepared_vit: as in `finetune`.

    Raises:
        InputError: `kind` is unknown, or the settings name maps that no ViT has made.
    """
    if settings.attention.maps:
        raise InputError("attention.maps gives maps that no ViT has made, and this is about the ViT's; leave it out")
    weights, heads = settings.vit.weights, settings.vit.heads
    if kind == "finetuned":
        result = finetune(settings, prepared_vit)
        return result.read("teacher.safetensors", lambda path: load_vit(str(path))), {"dino": result.key}
    if kind == "pretrained":
        return load_vit(weights, heads=heads), {"weights": weights_hash(weights, heads)}
    if kind == "random":
        seed = settings.attention.random_seed
        identity = {"random_like": weights_hash(weights, heads), "seed": str(seed)}
        return randomized(load_vit(weights, heads=heads), seed), identity
    raise unknown("backbone", kind, ("finetuned", "pretrained", "random"))


def attention(settings: Settings, kind: str | None = None, what: What = "maps") -> StageResult:
    """Extract the last-block CLS attention of every slice, or the control that the settings put in its place.

    The control "constant" needs no fine-tuning, because it takes only the shape of the ViT. The control "image" needs
    no maps, and those of the ViT are returned (see `slice_data`). Where the settings give maps, these are taken, and
    no ViT is loaded.

    Args:
        settings: the run's settings.
        kind: as in `backbone`; by default the setting attention.backbone.
        what: "features" instead of maps, which have the control "other-patient" only.

    Raises:
        InputError: as `dainet.attention.given.run_given`; or the settings give maps, and `kind` or features are wanted.
    """
    control = settings.attention.control
    if settings.attention.maps and kind is None and what == "maps":
        prepared = prepare(settings)
        given = run_given(settings.attention.maps, prepared)
        if control == "constant":
            return run_constant(prepared, open_attention(given)[1])
        return run_other_patient(given, prepared.cases) if control == "other-patient" else given
    kind = kind or settings.attention.backbone
    prepared = prepare_for_vit(settings)
    if control == "constant" and what == "maps":
        vit = load_vit(settings.vit.weights, heads=settings.vit.heads)
        return run_constant(prepared, grid_of(vit, settings.vit.image_size))
    vit, identity = backbone(settings, kind, prepared)
    maps = run_attention(settings, prepared, vit, kind, identity, choose_device(settings.device), what)
    return run_other_patient(maps, prepared.cases) if control == "other-patient" else maps


def score_heads(settings: Settings, kind: str | None = None, split: str = "test") -> pd.DataFrame:
    """Compute AUROC and IoU of every head for every class on a split's slices (see `dainet.attention.head_scores`).

    `kind` is as in `attention`; without it, given maps are scored. The maps are resized as for the networks, but not
    rescaled. No label is used to make or choose a map.
    """
    prepared = prepare(settings)
    stored, grid = open_attention(attention(settings, kind))
    rows, size = prepared.rows(split), prepared.images.shape[-1]
    maps = (
        resize_maps(torch.tensor(stored[row : row + 1]), size, settings.attention.resize, grid.vit_size_px)[0].numpy()
        for row in rows
    )
    return head_scores(maps, prepared.labels[rows], prepared.classes.names)


def slice_data(settings: Settings, with_maps: bool) -> SliceData:
    """Load all slices onto the device, with attention maps if `with_maps`, or what the control puts in their place."""
    prepared, device = prepare(settings), choose_device(settings.device)  # what is refused should not wait for the maps
    if with_maps and settings.attention.control == "image":
        return SliceData(prepared, None, settings.attention, device, map_channels(settings))
    return SliceData(prepared, attention(settings) if with_maps else None, settings.attention, device)


def segment(settings: Settings, name: str, seed: int) -> StageResult:
    """Train one network with one seed without scoring it; `name` as in `dainet.segmentation.catalog.build`."""
    return run_segmentation(settings, name, seed, network_data(settings, name))


def train(settings: Settings, name: str, seed: int) -> Trained:
    """Train and score one network with one seed; `name` as in `dainet.segmentation.catalog.build`."""
    data = network_data(settings, name)
    segmentation = run_segmentation(settings, name, seed, data)
    model = load_model(settings, name, segmentation, data)
    scored = run_scores(model, segmentation, data.prepared, data)
    return Trained(
        name, seed, model, segmentation, scored, read_scores(scored).assign(model=outside_label(name), seed=seed)
    )


def scores(trained: Sequence[Trained]) -> pd.DataFrame:
    """Concatenate the per-case scores of several networks, with the columns model and seed."""
    return pd.concat([item.cases for item in trained], ignore_index=True)


def network_data(settings: Settings, name: str) -> SliceData:
    """Return the slices with what a network takes next to them: nothing, maps or features (see `slice_data`).

    Raises:
        InputError: the name is unknown, the loss of the settings is refused (see `check_loss`), as are pre-trained
            weights (see `check_pretrained`), or the control does not exist for features; raised before maps are made
            for it. Or a network from outside does not do what it must, see `check_outside`, raised before anything is
            read.
    """
    check_network(name)
    check_pretrained(settings.segmentation.pretrained, name)
    check_features(name, settings.attention)
    if is_outside(name) and process_count() == 1:  # several processes have been started after their parent's check
        check_outside(settings, name)
        check_outside(settings, name, len(prepare(settings).classes.names) + 1)
        check_batches(settings, name, len(prepare(settings).rows("train")))
    if settings.segmentation.loss and process_count() == 1:
        classes, device = len(prepare(settings).classes.names) + 1, choose_device(settings.device)
        check_loss(settings.segmentation.loss, classes, device.torch_device)
    if takes(name) != "features":
        return slice_data(settings, with_maps=takes(name) == "maps")
    prepared, device = prepare(settings), choose_device(settings.device)
    features = attention(settings, what="features")
    return SliceData(prepared, features, settings.attention, device, reduced_features=map_channels(settings))
