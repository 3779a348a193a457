"""Networks of the live page, rebuilt in PyTorch from the numbers in their files: what the browser has to compute.

This reads the files by itself, so that it is a check of `book.live` and not its echo.
"""

from __future__ import annotations

import gzip
import json
from base64 import b64decode
from functools import cache
from typing import Any

import numpy as np
import onnx
import torch
from onnx import numpy_helper
from torch import Tensor

from dainet.attention.maps import network_maps, token_maps
from dainet.segmentation.catalog import build
from dainet.segmentation.cuts import CutNetwork
from dainet.settings import load_settings
from dainet.vit.model import DinoViT, load_vit, to_vit_input
from tests.helpers import REPOSITORY

__all__ = ["LIVE", "live_logits", "live_maps", "live_model", "live_network", "live_slices", "live_vit", "live_weights"]

LIVE = REPOSITORY / "book" / "live"
_TOUR = load_settings("tour")


@cache
def live_slices() -> dict[str, Any]:
    """`slices.json`, with images and labels as arrays [H, W]."""
    facts = json.loads((LIVE / "slices.json").read_text(encoding="utf-8"))
    for organ in facts.values():
        for item in organ["slices"]:
            for name, side, kind in (
                ("image", organ["size"], np.float16),
                ("vit_image", organ["vit_size"], np.float16),
                ("label", organ["size"], np.uint8),
            ):
                item[name] = np.frombuffer(b64decode(item[name]), kind).reshape(side, side)
    return facts


@cache
def live_model(name: str) -> onnx.ModelProto:
    """A committed file by its name, such as "heart-unet"."""
    return onnx.load_from_string(gzip.decompress((LIVE / "models" / f"{name}.onnx.gz").read_bytes()))


def live_weights(name: str) -> dict[str, Tensor]:
    """Weights of a committed file in float32, by their names in the network."""
    arrays = {item.name: numpy_helper.to_array(item) for item in live_model(name).graph.initializer}
    weights = {}
    for stored_name, array in arrays.items():
        module, _, parameter = stored_name.partition(".")
        if module in ("network", "vit") and not parameter.endswith(".scale"):
            value = array.astype(np.float32)
            if parameter.endswith(".int8"):
                value = value * arrays[stored_name.removesuffix(".int8") + ".scale"]
            weights[parameter.removesuffix(".int8").removesuffix(".float16")] = torch.from_numpy(value)
    return weights


@cache
def live_network(organ: str, name: str) -> CutNetwork:
    """A network with the weights of its file, whose heads and skips can be cut by the kit's own way."""
    classes = len(live_slices()[organ]["classes"]) + 1
    heads = load_vit("tour").heads
    network = build(name, heads=heads, classes=classes, width=_TOUR.segmentation.width)
    missing, unexpected = network.load_state_dict(live_weights(f"{organ}-{name}"), strict=False)
    assert not unexpected
    assert all(item.endswith("num_batches_tracked") for item in missing), missing
    return CutNetwork(network).eval()


@cache
def live_vit(organ: str) -> DinoViT:
    """The ViT with the weights of its file; what it lacks, because no map needs it, is that of the tour's ViT."""
    vit = load_vit("tour")
    state = vit.state_dict()
    for name, value in live_weights(f"{organ}-vit").items():
        state[name][: len(value)] = value  # of the last block's weights, those of queries and keys
    vit.load_state_dict(state)
    return vit.eval()


@torch.inference_mode()
def live_maps(organ: str, image: np.ndarray) -> tuple[Tensor, Tensor]:
    """Token maps [1, h, g, g] and maps [1, h, S, S] for the networks, of an image [H, H] for the ViT."""
    facts = live_slices()[organ]
    pixels = torch.from_numpy(image.astype(np.float32))[None, None]
    tokens = token_maps(live_vit(organ), to_vit_input(pixels, facts["vit_size"]))
    return tokens, network_maps(tokens, facts["size"], _TOUR.attention, facts["vit_size"])


@torch.inference_mode()
def live_logits(
    organ: str,
    name: str,
    image: np.ndarray,
    maps: Tensor,
    heads: tuple[bool, ...] = (True,) * 6,
    skips: tuple[bool, ...] = (True,) * 4,
    instead: Tensor | None = None,
) -> Tensor:
    """Logits [1, C, S, S] of an image [S, S] and maps [1, h, S, S]; `skips` are deepest first.

    `instead` stands in for the maps of heads that are off; without it, zeros do.
    """
    network = live_network(organ, name)
    if network.heads:
        network.heads_on = heads
        network.instead = torch.zeros(()) if instead is None else instead
    network.skips_on = skips
    return network(torch.from_numpy(image.astype(np.float32))[None, None], maps)
