"""Every network by name: those of the paper, its competitors, references of today, and what each of them takes."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from importlib import import_module
from typing import Literal

from torch import nn

from dainet.errors import InputError, unknown
from dainet.segmentation.networks import PAPER_NETWORKS, build_paper_network
from dainet.segmentation.outside import build_outside, is_outside, load_outside, takes_maps
from dainet.settings import AttentionSettings

__all__ = ["BASELINES", "Takes", "build", "check_features", "check_network", "takes"]

Takes = Literal["image", "maps", "features"]

# Name -> module below dainet.segmentation.baselines and what it offers to be called; imported when it is built.
BASELINES = {
    "unet-upsample": "unet_upsample:unet_upsample",
    "attn-unet": "unet_upsample:attention_unet",
    "vit": "transunet:vit",
    "vit-small": "transunet:vit_small",
    "vit-cup": "transunet:vit_cup",
    "vit-cup-small": "transunet:vit_cup_small",
    "r50-vit-cup": "transunet:r50_vit_cup",
    "r50-vit-cup-small": "transunet:r50_vit_cup_small",
    "transunet": "transunet:transunet",
    "transunet-small": "transunet:transunet_small",
    "transcascade": "transcascade:transcascade",
    "transcascade-small": "transcascade:transcascade_small",
    "transcascade-published": "transcascade:transcascade_published",
    "transcascade-published-small": "transcascade:transcascade_published_small",
    "dual-features": "dual_features:DualFeatures",
    "swin-unet": "swin_unet:swin_unet",
    "swin-unet-small": "swin_unet:swin_unet_small",
    "mt-unet": "mt_unet:mt_unet",
    "mt-unet-small": "mt_unet:mt_unet_small",
    "r50-unet": "r50_unet:r50_unet",
    "r50-unet-small": "r50_unet:r50_unet_small",
    "r50-attn-unet": "r50_unet:r50_attn_unet",
    "r50-attn-unet-small": "r50_unet:r50_attn_unet_small",
    "vnet-2d": "monai_networks:vnet_2d",
    "mednext-s": "monai_networks:mednext_s",
    "mednext-s-small": "monai_networks:mednext_s_small",
    "nnunet-2d": "nnunet:nnunet_2d",
    "nnunet-2d-small": "nnunet:nnunet_2d_small",
}


def build(
    name: str,
    in_channels: int = 1,
    heads: int = 6,
    classes: int = 4,
    width: int = 64,
    switch_order: str = "deep-first",
    image_size: int = 224,
    feature_channels: int = 384,
) -> nn.Module:
    """Build a network by name; it maps image [B, C, H, W] and, where it takes them, maps or features to logits.

    In training mode, a network with deep supervision returns a list of logits, over which the loss is averaged.

    Args:
        name: "unet", "single", or "dual-" and the paper's switches (1)(2)(3)(4), such as "dual-0111" (Table 3); or one
            of `BASELINES`; or code from outside, see `dainet.segmentation.outside`, which gets those of in_channels,
            heads, classes, width and image_size that it names.
        in_channels: image channels C (paper: not given; 1, docs/protocol.md#5.13).
        heads: attention maps h, 6 for ViT-S; "dual-features" reduces features to as many channels.
        classes: outputs with background, N + 1.
        width: channels of the first level, 64 in the paper's U-Net; networks with fixed widths do not use it.
        switch_order: "deep-first" reads (1) as the 1/8 skip and (4) as full resolution, "shallow-first" the reverse
            (the paper's text allows both; docs/protocol.md#5.21); for "dual-" names.
        image_size: side of the image in px, for networks with a fixed grid of tokens.
        feature_channels: width of the ViT, 384 for ViT-S, for "dual-features".

    Raises:
        InputError: the name or the switch order is unknown, or a library that the network needs is not installed; or
            as `build_outside`.
    """
    offered = {"in_channels": in_channels, "heads": heads, "classes": classes, "width": width}
    offered["image_size"] = image_size
    if is_outside(name):
        return build_outside(name, offered)
    check_network(name)
    if name in PAPER_NETWORKS:
        return build_paper_network(name, in_channels, heads, classes, width, switch_order)
    offered["feature_channels"] = feature_channels
    make = _imported(name)
    return make(**{key: offered[key] for key in inspect.signature(make).parameters})


def check_network(name: str) -> None:
    """Refuse a name that `build` does not know; code from outside is run, but builds no network yet.

    Raises:
        InputError: the message shows the closest known name and all of them; or as `load_outside`.
    """
    if is_outside(name):
        load_outside(name)
    elif name not in PAPER_NETWORKS and name not in BASELINES:
        raise unknown("network", name, (*PAPER_NETWORKS, *BASELINES, "FILE.py:NAME"))


def takes(name: str) -> Takes:
    """Say what a network gets next to the image: nothing, attention maps or features of the ViT."""
    if name == "dual-features":
        return "features"
    if is_outside(name):
        return "maps" if takes_maps(name) else "image"
    return "maps" if name in PAPER_NETWORKS and name != "unet" else "image"


def check_features(name: str, settings: AttentionSettings) -> None:
    """Refuse maps and controls for a network that takes the ViT's features.

    Raises:
        InputError: the message names the setting.
    """
    if takes(name) != "features":
        return
    if settings.maps:
        raise InputError(f"attention.maps with {name}, which takes the ViT's features; leave the setting out")
    if settings.control not in ("none", "other-patient"):
        found = f"attention.control={settings.control} with {name}"
        raise InputError(f"{found}; features have no control but other-patient: choose that, or none")


def _imported(name: str) -> Callable[..., nn.Module]:
    module, _, attribute = BASELINES[name].partition(":")
    try:
        return getattr(import_module(f"dainet.segmentation.baselines.{module}"), attribute)
    except ModuleNotFoundError as error:
        raise InputError(f"network {name} needs {error.name}; run pip install 'dainet[baselines]'") from error
