"""The explorer compares what is set with everything on, or with what was pinned."""

from __future__ import annotations

import re

import numpy as np

from dainet.explorer import Explorer
from dainet.settings import Settings
from tests.helpers.explorer import table


def changes(explorer: Explorer) -> list[str]:
    return [cell.partition(" ")[2] for cell in table(explorer)]


def arrow(difference: float) -> str:
    points = round(100 * difference, 1)
    return f"{'▲' if points > 0 else '▼'}{abs(points):.1f}" if points else "="


def test_changes_are_against_everything_on_until_another_setting_is_pinned(explorer: Explorer) -> None:
    assert changes(explorer) == [""] * 8  # what is shown is what is pinned
    everything = explorer.scores["this volume"]
    explorer.controls.heads[0].value = False
    one_off = explorer.scores["this volume"]
    explorer.controls.heads[1].value = False
    assert changes(explorer)[4:7] == [
        arrow(new - old) for new, old in zip(explorer.scores["this volume"], everything, strict=True)
    ]
    explorer.controls.heads[1].value = True
    explorer.view.pin.click()
    assert changes(explorer) == [""] * 8
    assert "head 1 (zeros)" in explorer.view.against.value
    explorer.controls.heads[0].value = True
    assert changes(explorer)[4:7] == [arrow(new - old) for new, old in zip(everything, one_off, strict=True)]
    explorer.controls.heads[3].value = False
    explorer.view.reset.click()
    assert all(explorer.controls.choice.heads_on)
    assert changes(explorer) == [""] * 8
    assert "everything on" in explorer.view.against.value


def test_the_pinned_setting_is_predicted_on_other_slices_and_for_other_networks(explorer: Explorer) -> None:
    everything = explorer.scores["this volume"]
    explorer.controls.model.label = "U-Net"
    explorer.controls.slice.value += 1
    assert all(changes(explorer))
    assert changes(explorer)[4:7] == [
        arrow(new - old) for new, old in zip(explorer.scores["this volume"], everything, strict=True)
    ]


def test_the_last_change_is_told_besides(explorer: Explorer) -> None:
    explorer.controls.heads[0].value = False
    before = explorer.scores["this volume"]
    explorer.controls.heads[1].value = False
    told = re.sub(r"<[^>]*>", "", explorer.view.against.value)
    assert told.endswith(arrow(float(np.mean(explorer.scores["this volume"]) - np.mean(before))))


def test_another_data_set_begins_with_everything_on(explorer: Explorer, settings: Settings) -> None:
    explorer = Explorer({"first": settings, "second": settings})
    explorer.controls.skips[0].value = False
    explorer.view.pin.click()
    explorer.controls.dataset.value = "second"
    assert all(explorer.controls.choice.skips_on)
    assert changes(explorer) == [""] * 8
