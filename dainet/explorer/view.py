"""The explorer's screen: its outputs, and the layout of controls and pictures."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from importlib.resources import files

import ipywidgets
from ipywidgets import HTML, Box, HBox, Layout, VBox

from dainet.explorer.widgets import Controls, switch_style

__all__ = ["TITLES", "View"]

TITLES = ("Slice", "Ground truth", "Prediction", "Outlines", "Errors")


class View:
    """Holds the output widgets, and `screen`, which arranges them with the controls."""

    def __init__(self, controls: Controls, deep_first: bool) -> None:
        self.pictures = [HTML() for _ in TITLES]
        self.maps: list[HTML] = []
        self.network, self.note, self.scores, self.message = HTML(), HTML(), HTML(), HTML()
        self.train = ipywidgets.Button(
            description="Train it now",
            tooltip="compute everything that this setting lacks",
            layout=Layout(display="none"),
        )
        self.progress = ipywidgets.IntProgress(layout=Layout(width="260px", display="none"))
        self._heads, self._style = HBox(), HTML()
        self.screen = self._arranged(controls)
        self.place_switches(deep_first)
        self.place_heads(controls)

    def place_heads(self, controls: Controls) -> None:
        """Make a panel for each head, with its button over the map."""
        self.maps = [HTML() for _ in controls.heads]
        self._heads.children = [Box(pair) for pair in zip(self.maps, controls.heads, strict=True)]

    def place_switches(self, deep_first: bool) -> None:
        """Place the buttons (1) to (4) on the levels that they switch."""
        css = files(__package__).joinpath("explorer.css").read_text(encoding="utf-8")
        self._style.value = f"<style>{css}{switch_style(deep_first)}</style>"

    def light_heads(self, on: Sequence[bool]) -> None:
        """Dim the maps of heads that are off, and say so on their buttons."""
        for number, (panel, lit) in enumerate(zip(self._heads.children, on, strict=True), start=1):
            (panel.remove_class if lit else panel.add_class)("dainet-off")
            panel.children[1].description = f"Head {number}" if lit else f"Head {number} off"

    def say(self, text: str, offer: bool = False) -> None:
        """Show a message below the pictures, on offer with the button to train; an empty text hides both."""
        self.message.value = f'<div class="message" role="status">{escape(text)}</div>' if text else ""
        self.train.layout.display = "" if offer else "none"

    def _arranged(self, controls: Controls) -> VBox:
        for i, toggle in enumerate(controls.skips):
            toggle.add_class(f"dainet-skip-{i + 1}")
        network = Box([self.network, *controls.skips]).add_class("dainet-network")
        self._heads.add_class("dainet-heads")
        left = VBox(
            [HBox([controls.model, controls.source]), controls.mode, self.note, self._heads],
            layout=Layout(flex="1 1 0", min_width="0"),
        )
        return VBox(
            [
                self._style,
                HBox([controls.dataset, controls.patient, controls.phase, controls.slice]),
                HBox([controls.opacity, controls.palette, controls.color_map]),
                HBox(self.pictures).add_class("dainet-pictures"),
                HBox([left, network]),
                self.scores,
                HBox([self.message, self.train, self.progress]),
            ]
        ).add_class("dainet")
