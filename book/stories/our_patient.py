"""The patient of the lessons, as networks of the tour see her, and the trained network that comes with the kit."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import numpy as np
import torch
from torch import Tensor

from dainet.attention.maps import network_maps, token_maps
from dainet.data.phantoms.cardiac import make_cardiac_patient
from dainet.data.preprocessing import normalize, resize_slices
from dainet.data.volume import fullest_slice
from dainet.device import choose_device
from dainet.inference.bundle import read_bundle
from dainet.protocol import Classes
from dainet.segmentation.networks import DAINet
from dainet.vit.model import DinoViT, to_vit_input

__all__ = ["OurPatient", "our_patient"]

_NUMBER, _PHASE = 2, "ED"  # the first test patient of the tour


@dataclass(frozen=True)
class OurPatient:
    """One slice of a phantom, a ViT and a trained dual encoder, both in evaluation mode on the CPU.

    `picture` [96, 96] and `image` [1, 1, 64, 64] are the slice in about [0, 1] at the sizes of the ViT and the network,
    `label` [64, 64] its classes; `tokens` [1, h, 12, 12] are the attention maps, `maps` [1, h, 64, 64] those that the
    network takes.
    """

    picture: np.ndarray
    image: Tensor
    label: np.ndarray
    tokens: Tensor
    maps: Tensor
    vit: DinoViT
    network: DAINet
    classes: Classes

    @property
    def vit_input(self) -> Tensor:
        """The slice [1, 3, 96, 96] as the ViT takes it."""
        return to_vit_input(torch.from_numpy(self.picture)[None, None], len(self.picture))


@cache
def our_patient() -> OurPatient:
    """Draw the patient and take the slice that the lessons show, prepared as by the tour, with the bundle `tour`."""
    bundle = read_bundle("tour", choose_device("cpu"))
    vit, network = bundle.vit, bundle.model
    assert vit is not None
    assert isinstance(network, DAINet)
    settings = bundle.settings
    volume, label = make_cardiac_patient(_NUMBER).phases[_PHASE]
    gray = normalize(volume, "minmax")
    labels = _resized(label, settings.segmentation.image_size, 0)
    shown = fullest_slice(labels)
    picture = _resized(gray, settings.vit.image_size, 3)[shown].astype(np.float16).astype(np.float32)  # as stored
    image = _resized(gray, settings.segmentation.image_size, 3)[shown].astype(np.float16).astype(np.float32)
    with torch.inference_mode():
        tokens = token_maps(vit, to_vit_input(torch.from_numpy(picture)[None, None], len(picture)))
        maps = network_maps(tokens, len(image), settings.attention, len(picture))
    return OurPatient(
        picture, torch.from_numpy(image)[None, None], labels[shown], tokens, maps, vit, network, bundle.classes
    )


def _resized(volume: np.ndarray, side: int, order: int) -> np.ndarray:
    return resize_slices(volume, (side, side), order)
