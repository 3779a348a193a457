"""DINO's network: a backbone and the projection head, for views of several sizes."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import groupby

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.utils.parametrizations import weight_norm

from dainet.errors import InputError
from dainet.vit.model import DinoViT

__all__ = ["DinoHead", "DinoNetwork", "head_from_authors"]

_HIDDEN, _BOTTLENECK = 2048, 256


class DinoHead(nn.Module):
    """Projection head from embeddings [..., in_dim] to K = out_dim logits: phi(x) of the paper's eq. 1 before 1/tau.

    A GELU MLP gives 256 features, which are scaled to length 1 and multiplied by a weight-normalized matrix. Every
    logit is a cosine in [-1, 1] as long as the rows of the matrix have length 1. Source: DINO's
    `DINOHead` (vision_transformer.py:257-291).
    """

    def __init__(self, in_dim: int, out_dim: int, norm_last_layer: bool = True) -> None:
        """`in_dim` is D of the ViT, `out_dim` is K; `norm_last_layer` fixes the rows of the matrix at length 1."""
        super().__init__()
        self.mlp = nn.Sequential(
            nn.Linear(in_dim, _HIDDEN),
            nn.GELU(),
            nn.Linear(_HIDDEN, _HIDDEN),
            nn.GELU(),
            nn.Linear(_HIDDEN, _BOTTLENECK),
        )
        for layer in self.mlp:
            if isinstance(layer, nn.Linear):
                nn.init.trunc_normal_(layer.weight, std=0.02)
                nn.init.zeros_(layer.bias)
        self.last_layer = weight_norm(nn.Linear(_BOTTLENECK, out_dim, bias=False))
        length = dict(self.last_layer.named_parameters())["parametrizations.weight.original0"]  # g of g * v / |v|
        nn.init.ones_(length).requires_grad_(not norm_last_layer)

    def forward(self, embedding: Tensor) -> Tensor:
        """Compute logits [..., out_dim] of embeddings [..., in_dim]."""
        return self.last_layer(functional.normalize(self.mlp(embedding), dim=-1))


def head_from_authors(state: Mapping[str, Tensor], out_dim: int, norm_last_layer: bool = True) -> DinoHead:
    """Build a head from the names of facebookresearch/dino checkpoints, `mlp.0.weight` ... `last_layer.weight_v`.

    Raises:
        InputError: keys are missing or left over, or the head has another number of outputs than `out_dim`.
    """
    names = {"last_layer.weight_g": "original0", "last_layer.weight_v": "original1"}
    parts = {key: f"last_layer.parametrizations.weight.{name}" for key, name in names.items()}
    try:
        head = DinoHead(state["mlp.0.weight"].shape[1], out_dim, norm_last_layer)
        head.load_state_dict({parts.get(key, key): value for key, value in state.items()})
    except (KeyError, RuntimeError) as error:
        found = ", ".join(f"{key} {list(value.shape)}" for key, value in sorted(state.items()))
        raise InputError(
            f"the checkpoint's head does not fit: found {found}; expected mlp.0, mlp.2, mlp.4 and last_layer.weight_g, "
            f"last_layer.weight_v with {out_dim} rows; set dino.out_dim to the rows found, or give the backbone only"
        ) from error
    return head


class DinoNetwork(nn.Module):
    """Backbone and head for views of several sizes: one backbone pass per size, one head pass for all.

    Source: DINO's `MultiCropWrapper` (utils.py:594-629).
    """

    def __init__(self, backbone: DinoViT, head: DinoHead) -> None:
        """`backbone` maps images [B, 3, H, W] to embeddings [B, D]."""
        super().__init__()
        self.backbone: DinoViT = backbone
        self.head: DinoHead = head

    def forward(self, views: list[Tensor]) -> Tensor:
        """Compute logits [V, B, K] of V views [B, 3, s, s]; neighbors of equal size share one pass."""
        groups = [torch.cat(list(group)) for _, group in groupby(views, key=lambda view: view.shape[-1])]
        embedding = torch.cat([self.backbone(group) for group in groups])  # [V * B, D]
        return self.head(embedding).unflatten(0, (len(views), -1))
