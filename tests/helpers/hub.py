"""A model hub that cannot be reached."""

from __future__ import annotations

from typing import Any

import pytest
import timm


def take_hub_offline(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let timm build models as always, and fail where it would fetch weights."""
    create = timm.create_model

    def offline(name: str, pretrained: bool = False, **arguments: Any) -> Any:
        if pretrained:
            raise OSError("no route to host")
        return create(name, **arguments)

    monkeypatch.setattr(timm, "create_model", offline)
