"""How long the explorer takes to answer a switch or a head, beside predicting the same slice with nothing reused.

    python benchmarks/explorer.py

Weights do not matter for time: at the paper's size the network is trained for one epoch on 7 phantom patients. What the
browser adds (a message each way, decoding 11 small pictures) is not in here.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from time import perf_counter

import numpy as np
import pandas as pd

from dainet import pipeline
from dainet.explorer import Explorer
from dainet.explorer.predictor import train
from dainet.settings import load_settings

SIZES = {
    "tour": {},
    "paper": {"segmentation.width": 64, "segmentation.image_size": 224, "segmentation.epochs": 1},
}
SLICES = 5


async def answers(explorer: Explorer) -> list[dict]:
    """Touch everything once on each of some slices; an event loop runs as in a kernel, so the volume waits."""
    network = pipeline.train(explorer.settings, "dual-1111", explorer.settings.segmentation.seeds[0]).model
    data = pipeline.slice_data(explorer.settings, with_maps=True)
    found = []
    for number in range(1, SLICES + 1):
        explorer.controls.slice.value = number
        for kind, toggles in (("skip", explorer.controls.skips), ("head", explorer.controls.heads)):
            for toggle in toggles:
                anew = _seconds(lambda: data.predict(network, np.array([explorer.row])))
                off = _seconds(lambda toggle=toggle: setattr(toggle, "value", False))
                toggle.value = True  # known already, so not counted
                found.append({"touched": kind, "answer": off, "network anew": anew})
    return found


def table() -> Iterator[pd.DataFrame]:
    """Milliseconds per size and kind of control."""
    for size, overrides in SIZES.items():
        settings = load_settings("tour", {"data.phantom_patients": 7, **overrides})
        explorer = Explorer({size: settings})
        if explorer.predictor is None or explorer.view.message.value:
            train(settings, explorer.controls.choice)
            explorer = Explorer({size: settings})
        times = pd.DataFrame(asyncio.run(answers(explorer)))
        groups = (1000 * times.set_index("touched")).groupby("touched")
        yield groups.agg(["median", "max"]).round(0).assign(size=size)


def _seconds(call) -> float:
    start = perf_counter()
    call()
    return perf_counter() - start


if __name__ == "__main__":
    print(pd.concat(table()).to_string())
