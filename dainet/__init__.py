"""DAINet, taught and checked: attention maps of a self-supervised ViT as input of a convolutional U-Net."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from dainet.attention.any_vit import attention_maps as attention_maps
    from dainet.attention.maps import network_maps as network_maps
    from dainet.attention.maps import token_maps as token_maps
    from dainet.segmentation.catalog import build as build
    from dainet.segmentation.networks import DAINet as DAINet
    from dainet.segmentation.networks import UNet as UNet
    from dainet.settings import load_settings as load_settings
    from dainet.vit.model import load_vit as load_vit

__version__ = "0.1.0"
__all__ = ["DAINet", "UNet", "attention_maps", "build", "load_settings", "load_vit", "network_maps", "token_maps"]

# Loaded when they are asked for: torch takes seconds, and commands such as `dainet runs` need none.
_PUBLIC = {
    "DAINet": "dainet.segmentation.networks",
    "UNet": "dainet.segmentation.networks",
    "attention_maps": "dainet.attention.any_vit",
    "build": "dainet.segmentation.catalog",
    "load_settings": "dainet.settings",
    "load_vit": "dainet.vit.model",
    "network_maps": "dainet.attention.maps",
    "token_maps": "dainet.attention.maps",
}


def __getattr__(name: str) -> Any:
    if name not in _PUBLIC:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_PUBLIC[name]), name)


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
