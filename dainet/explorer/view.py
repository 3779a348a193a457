"""The explorer's screen: its outputs, and the layout of controls and pictures."""

from __future__ import annotations

from collections.abc import Mapping
from html import escape
from importlib.resources import files

import ipywidgets
import numpy as np
from ipywidgets import HTML, Box, HBox, Layout, VBox

from dainet.explorer.display import close_tree
from dainet.explorer.drawing import network_drawing
from dainet.explorer.pictures import figure_html, map_picture
from dainet.explorer.predictor import Choice
from dainet.explorer.widgets import Controls, switch_style

__all__ = ["TITLES", "View"]

TITLES = ("Slice", "Ground truth", "Prediction", "Outlines", "Errors")

_NOTES = {
    False: "This network was <b>trained</b> with exactly these skips, so its weights could adapt to the missing ones.",
    True: "One network, trained with everything on. A skip that is off enters as <b>zeros</b>, which it never saw, and "
    "a map as chosen above. This shows what it relies on, not what a network can do without.",
}

# Seen as soon as the page finds the kernel gone; from then on the kernel cannot say anything.
_GONE = (
    '<div class="dainet-gone" role="alert">The kernel of this explorer has ended, so its controls do nothing. '
    "In a notebook, run the cells again; on the web page, load it again. What has been computed is kept; a training "
    "that was stopped can be resumed.</div>"
)


class View:
    """Holds the output widgets, and `screen`, which arranges them with the controls and the card."""

    def __init__(self, controls: Controls, card: ipywidgets.Widget, deep_first: bool) -> None:
        self.pictures = [HTML() for _ in TITLES]
        self.maps: list[HTML] = []
        self.network, self.note, self.scores, self.message = HTML(), HTML(), HTML(), HTML()
        self.against = HTML()
        self.pin = ipywidgets.Button(description="Pin this", tooltip="compare with the setting that is shown")
        self.reset = ipywidgets.Button(description="Reset", tooltip="switch everything on, and compare with that")
        self.train = ipywidgets.Button(tooltip="compute everything that this setting lacks")
        self.at_work, self.progress = HTML(), ipywidgets.IntProgress(layout=Layout(width="260px"))
        self.stop = ipywidgets.Button(description="Stop", tooltip="end the computation; what it has finished is kept")
        self.train.layout.display = "none"
        self._heads, self._style = HBox(), HTML()
        self._work = HBox([self.at_work, self.progress, self.stop])
        for said in (self.message, self.at_work):
            said.add_class("dainet-said")
        self.screen = self._arranged(controls, card)
        self.place_switches(deep_first)
        self.place_heads(controls)
        self.report("", None)

    def place_heads(self, controls: Controls) -> None:
        """Make a panel for each head, with its button over the map."""
        for panel in self._heads.children:
            close_tree(panel)
        self.maps = [HTML() for _ in controls.heads]
        self._heads.children = [Box(pair) for pair in zip(self.maps, controls.heads, strict=True)]

    def place_switches(self, deep_first: bool) -> None:
        """Place the buttons (1) to (4) on the levels that they switch."""
        css = files(__package__).joinpath("explorer.css").read_text(encoding="utf-8")
        self._style.value = f"<style>{css}{switch_style(deep_first)}</style>{_GONE}"

    def show_setting(self, choice: Choice, deep_first: bool) -> None:
        """Draw the network of a choice, say how it was made, and dim the maps of heads that are off."""
        self.note.value = f'<div class="note">{_NOTES[choice.cut]}</div>'
        self.network.value = network_drawing(choice, deep_first)
        for number, (panel, on) in enumerate(zip(self._heads.children, choice.heads_on, strict=True), start=1):
            lit = on and choice.source is not None
            (panel.remove_class if lit else panel.add_class)("dainet-off")
            panel.children[1].description = f"Head {number}" if lit else f"Head {number} off"

    def show_pictures(self, pictures: Mapping[str, np.ndarray], slice_number: int) -> None:
        """Show the pictures of a slice by title; frames of missing ones say so."""
        for html, title in zip(self.pictures, TITLES, strict=True):
            html.value = figure_html(pictures.get(title), title, f"{title}, slice {slice_number}")

    def show_maps(self, maps: np.ndarray | None, color_map: str) -> None:
        """Show attention maps [h, H, W]; None leaves their frames empty."""
        for number, html in enumerate(self.maps):
            picture = None if maps is None else map_picture(maps[number], color_map)
            html.value = figure_html(picture, "", f"attention of head {number + 1}")

    def hide_all_but_data_set(self, hidden: bool) -> None:
        """Hide what a data set fills that is not there."""
        (self.screen.add_class if hidden else self.screen.remove_class)("dainet-nothing")

    def say(self, text: str, offer: str = "") -> None:
        """Show a message below the pictures, and a button to train if it gets a label; an empty text hides both."""
        self.message.value = f'<div class="message">{escape(text)}</div>' if text else ""
        self.train.description, self.train.layout.display = offer, "" if offer else "none"

    def report(self, what: str, step: tuple[str, int, int] | None) -> None:
        """Show what this page computes, how far it is (description, finished, total), and the button that stops it."""
        doing, finished, total = step or ("", 0, 0)
        text = f"{what}; {doing}: {finished} of {total}" if step else what
        self.at_work.value = f'<div class="message">{escape(text)}</div>' if text else ""
        self.progress.max, self.progress.value = total, finished
        self._work.layout.display = "" if what else "none"
        self.stop.disabled = self.stop.disabled and bool(what)

    def _arranged(self, controls: Controls, card: ipywidgets.Widget) -> VBox:
        for i, toggle in enumerate(controls.skips):
            toggle.add_class(f"dainet-skip-{i + 1}")
        network = Box([self.network, *controls.skips]).add_class("dainet-network")
        self._heads.add_class("dainet-heads")
        left = VBox(
            [
                HBox([controls.model, controls.source]),
                HBox([controls.mode, controls.instead]),
                self.note,
                self._heads,
            ]
        ).add_class("dainet-left")
        compared = VBox([self.scores, HBox([self.against, self.pin, self.reset])]).add_class("dainet-compared")
        return VBox(
            [
                self._style,
                HBox([controls.dataset, controls.patient, controls.phase, controls.slice]).add_class("dainet-chosen"),
                HBox([controls.opacity, controls.palette, controls.color_map]).add_class("dainet-filled"),
                HBox(self.pictures).add_class("dainet-pictures").add_class("dainet-filled"),
                HBox([left, network]).add_class("dainet-filled"),
                HBox([compared, card]).add_class("dainet-filled").add_class("dainet-results"),
                HBox([self.message, self.train]),
                self._work,
            ]
        ).add_class("dainet")
