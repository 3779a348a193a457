"""What would stop a run after hours, refused before anything is computed."""

from __future__ import annotations

from dainet.attention.given import maps_folder
from dainet.data.sources import source_folder
from dainet.data.spacing import read_spacing
from dainet.device import Device, can_compile, choose_device
from dainet.dino.training import check_shared_batches
from dainet.errors import InputError
from dainet.places import input_path
from dainet.protocol import CLASSES, load_split
from dainet.segmentation.catalog import check_features, check_network, takes
from dainet.segmentation.outside import is_outside
from dainet.segmentation.outside_check import check_outside
from dainet.segmentation.outside_loss import check_loss
from dainet.segmentation.pretrained import check_pretrained, pretrained_hash
from dainet.segmentation.training import check_sync_batch_norm
from dainet.settings import Settings
from dainet.vit.model import patch_side

__all__ = ["check_early", "check_training"]


def check_training(settings: Settings, network: str) -> None:
    """Refuse what would stop a training of a network later; nothing is read but the network's own code.

    Args:
        settings: the run's settings.
        network: as in `dainet.segmentation.catalog.build`.

    Raises:
        InputError, FileNotFoundError: as `check_early`, `check_pretrained`, `check_features` and `check_outside`; or
            the network is unknown.
    """
    check_network(network)
    check_early(settings, maps=takes(network) != "image")
    check_pretrained(settings.segmentation.pretrained, network)
    check_features(network, settings.attention)
    if is_outside(network):
        check_outside(settings, network)


def check_early(settings: Settings, maps: bool = True) -> None:
    """Refuse settings whose paths, sizes or devices do not fit together; nothing is computed, fetched or written.

    Args:
        settings: the run's settings.
        maps: whether the run needs attention maps; if so, the folder of given ones must exist, or the ViT, whose
            patches must fit into the images.

    Raises:
        InputError, FileNotFoundError: the message names the setting.
    """
    if settings.data.source != "phantom" or settings.data.dataset == "custom":  # others have phantoms, of a later stage
        source_folder(settings.data)
    if settings.data.split:
        load_split(settings.data.dataset, settings.data.split)
    if settings.data.spacing:
        read_spacing(input_path(settings.data.spacing))
    if settings.segmentation.pretrained:
        pretrained_hash(settings.segmentation.pretrained)
    known = CLASSES.get(settings.data.dataset)
    device = choose_device(settings.device)
    _check_compile(settings, device)
    check_loss(settings.segmentation.loss, len(known.names) + 1 if known else None, device.torch_device)
    check_sync_batch_norm(settings.segmentation, settings.n_processes, device)
    if not maps:
        return
    if settings.attention.maps:
        maps_folder(settings.attention.maps)
        return
    patch, dino = patch_side(settings.vit.weights, settings.vit.heads), settings.dino
    sizes = {"vit.image_size": settings.vit.image_size}
    if dino.epochs:
        check_shared_batches(dino, settings.n_processes)
        sizes["dino.global_size"] = dino.global_size
        if dino.local_crops:
            sizes["dino.local_size"] = dino.local_size
    for name, size in sizes.items():
        if size < patch:
            raise InputError(f"setting {name}: {size} px are less than one patch of {patch} px; enlarge it")


def _check_compile(settings: Settings, device: Device) -> None:
    asked = [name for name in ("attention", "dino", "segmentation") if getattr(settings, name).compile]
    if asked and not can_compile(device.torch_device):
        raise InputError(
            f"setting {asked[0]}.compile: torch finds no compiler for {device.torch_device}; leave it out, or install "
            "g++ (for a GPU triton, gcc or clang, and Python.h, which Debian has in python3-dev)"
        )
