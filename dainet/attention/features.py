"""The ViT's features on the token grid, which a network can take in the place of attention maps."""

from __future__ import annotations

from torch import Tensor

from dainet.vit.model import DinoViT

__all__ = ["token_features"]


def token_features(vit: DinoViT, images: Tensor) -> Tensor:
    """Compute the features of the patches after the last block and the final norm.

    Args:
        vit: the transformer, in evaluation mode.
        images: [B, 3, H, W], ImageNet-normalized, H and W multiples of the patch.

    Returns:
        [B, D, H / patch, W / patch], D = width of the ViT, about standardized over D.
    """
    tokens = vit.forward_features(images)[:, vit.num_prefix_tokens :]
    grid = (images.shape[-2] // vit.patch, images.shape[-1] // vit.patch)
    return tokens.transpose(1, 2).unflatten(2, grid)
