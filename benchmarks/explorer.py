"""Time of the explorer's answer to a switch or a head, compared with predicting the slice without reusing anything.

Weights do not affect the time: at the paper's size the network is trained for one epoch on 7 phantom patients. The
browser's share (a message each way, decoding 11 small images) is not included.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from functools import partial

import numpy as np
import pandas as pd

from benchmarks.data import PAPER_SIZE
from dainet import pipeline
from dainet.explorer import Explorer
from dainet.explorer.predictor import train
from dainet.reporting.costs import seconds
from dainet.settings import Settings, load_settings

__all__ = ["answer_table"]

_SLICES = 5
_SIZES = (load_settings("tour", {"data.phantom_patients": 7, "segmentation.selection": "last"}), PAPER_SIZE)


def answer_table() -> Iterator[pd.DataFrame]:
    """Measure milliseconds per size and kind of control."""
    for settings in _SIZES:
        size = f"width {settings.segmentation.width}, {settings.segmentation.image_size} px"
        times = 1000 * pd.DataFrame(asyncio.run(_answers(_explorer(settings)))).set_index("touched")
        for touched, group in times.groupby("touched"):
            numbers = {
                "answer, median (ms)": [group["answer"].median()],
                "answer, longest (ms)": [group["answer"].max()],
                "network again, median (ms)": [group["again"].median()],
            }
            yield pd.DataFrame({"Size": [size], "Touched": [touched]} | numbers)


def _explorer(settings: Settings) -> Explorer:
    explorer = Explorer({"benchmark": settings})
    if not explorer.view.message.value:
        return explorer
    train(settings, explorer.controls.choice)
    return Explorer({"benchmark": settings})


async def _answers(explorer: Explorer) -> list[dict]:
    """Touch everything once on each of some slices; an event loop runs as in a kernel, so the volume waits."""
    network = pipeline.train(explorer.settings, "dual-1111", explorer.settings.segmentation.seeds[0]).model
    data = pipeline.slice_data(explorer.settings, with_maps=True)
    found = []
    for number in range(1, _SLICES + 1):
        explorer.controls.slice.value = number
        for kind, toggles in (("skip", explorer.controls.skips), ("head", explorer.controls.heads)):
            for toggle in toggles:
                again = seconds(lambda: data.predict(network, np.array([explorer.row])))
                answer = seconds(partial(setattr, toggle, "value", False))
                toggle.value = True  # already computed, so not timed
                found.append({"touched": kind, "answer": answer, "again": again})
    return found
