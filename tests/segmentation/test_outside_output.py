"""What is taken for logits, and what is refused by one line that says what was found."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from dainet.errors import InputError
from dainet.segmentation.outside_output import check_logits

SHAPE = [2, 4, 6, 6]


def logits(shape: list[int] = SHAPE) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(0))


def with_one(value: float) -> Tensor:
    changed = logits()
    changed[1, 2, 3, 4] = value
    return changed


@pytest.mark.parametrize("output", [logits(), [logits(), logits()], (logits(),), logits().abs(), logits().half()])
def test_logits_and_lists_of_logits_are_taken(output: Any) -> None:
    check_logits("net", output, SHAPE)


@pytest.mark.parametrize(
    ("output", "words"),
    [
        (with_one(torch.nan), "not finite"),
        (with_one(-torch.inf), "not finite"),
        ([logits(), with_one(torch.nan)], "number 2 of 2.*not finite"),
        (logits().softmax(dim=1), "softmax"),
        (logits().long(), "int64"),
        (logits([2, 3, 6, 6]), "3 channels|4 channels"),
        (logits([2, 4, 3, 3]), "resize"),
        (logits([2, 4, 6]), r"\[2, 4, 6\]"),
        ({"out": logits()}, "dictionary with out"),
        ([], "list of nothing"),
        ([logits(), 1.0], "list of Tensor, float"),
        (None, "NoneType"),
    ],
)
def test_anything_else_is_refused(output: Any, words: str) -> None:
    with pytest.raises(InputError, match=f"^net, .*({words})"):
        check_logits("net", output, SHAPE)
