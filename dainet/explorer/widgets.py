"""The explorer's controls: every input widget with its label, and the choice that they make together."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import ipywidgets
import pandas as pd

from dainet.explorer.drawing import SWITCH_PLACES
from dainet.explorer.predictor import SOURCES, Choice

__all__ = ["COLOR_BLIND_SAFE", "Controls", "head_toggles", "relabel", "switch_style"]

MODELS = {"U-Net": "unet", "Single encoder": "single", "Dual encoder": "dual"}
MODES = {"Trained with this setting": False, "Cut at inference": True}
STAND_INS = {"zeros": "zero", "its own mean": "mean", "another patient's": "other patient"}
COLOR_BLIND_SAFE = "color-blind safe"
COLOR_MAPS = ("viridis", "cividis", "magma", "gray")


class Controls:
    """Holds the widgets; `choice` is the network that they select. No control knows what is drawn."""

    def __init__(self, datasets: Mapping[str, str]) -> None:
        self.dataset = _dropdown("Data set", datasets)
        self.patient = _dropdown("Patient", [])
        self.phase = _dropdown("Phase", [])
        self.slice = _slider(ipywidgets.IntSlider, "Slice", value=1, min=1, max=1)
        self.model = _choice_of_few("Model", MODELS, "Dual encoder", width="112px")
        self.mode = _choice_of_few("Mode", MODES, "Cut at inference", width="178px")
        self.source = _dropdown("Attention", SOURCES)
        self.instead = _dropdown("Cut to", STAND_INS)
        self.opacity = _slider(ipywidgets.FloatSlider, "Opacity", value=0.55, min=0, max=1, step=0.05)
        self.palette = _dropdown("Colors", ["of the data set", COLOR_BLIND_SAFE])
        self.color_map = _dropdown("Maps in", COLOR_MAPS)
        self.skips = [_toggle(f"({i + 1})", f"skip ({i + 1}) of the attention encoder") for i in range(4)]
        self.heads = head_toggles(6)  # ViT-S

    @property
    def choice(self) -> Choice:
        """The chosen network; settings without effect are neutral, so that equal networks are equal choices."""
        model, cut = self.model.value, self.mode.value and self.model.value != "unet"
        skips = tuple(toggle.value or model != "dual" for toggle in self.skips)
        heads = tuple(toggle.value or not cut for toggle in self.heads)
        source = None if model == "unet" else self.source.value
        return Choice(model, cut, skips, heads, source, "zero" if all(heads) else self.instead.value)

    def choose(self, choice: Choice) -> None:
        """Set every control to a choice that uses maps."""
        self.model.value, self.source.value, self.instead.value = choice.model, choice.source, choice.instead
        self.mode.value = choice.cut
        for toggle, on in zip([*self.skips, *self.heads], [*choice.skips_on, *choice.heads_on], strict=True):
            toggle.value = on

    def offer_patients(self, cases: pd.DataFrame) -> None:
        """Offer the patients of prepared slices and choose the first test patient."""
        first = cases.drop_duplicates("patient")
        names = [f"{patient} ({split})" for patient, split in zip(first["patient"], first["split"], strict=True)]
        self.patient.options = list(zip(names, first["patient"], strict=True))
        self.patient.value = first.loc[first["split"] == "test", "patient"].iloc[0]

    def offer_phases(self, cases: pd.DataFrame) -> None:
        """Offer the phases of the chosen patient and choose the first."""
        phases = cases[cases["patient"] == self.patient.value].drop_duplicates("case_id")
        names = [str(phase) or "one scan" for phase in phases["phase"]]
        self.phase.options = list(zip(names, phases["case_id"], strict=True))
        self.phase.value = phases["case_id"].iloc[0]
        self.phase.disabled = len(names) == 1

    def settle(self) -> None:
        """Disable the switches that have no effect with this model and mode."""
        model, cut = self.model.value, self.mode.value
        self.mode.disabled = self.source.disabled = model == "unet"
        for toggle in self.skips:
            toggle.disabled = model != "dual"
        for control in (*self.heads, self.instead):
            control.disabled = model == "unet" or not cut


def relabel(control: ipywidgets.Dropdown, names: Mapping[str, str], is_there: Callable[[str], bool]) -> None:
    """Say in a list of words -> values what has not been computed yet; the value stays."""
    chosen = control.value
    control.options = [(words if is_there(v) else f"{words} (not computed yet)", v) for words, v in names.items()]
    control.value = chosen


def head_toggles(count: int) -> list[ipywidgets.ToggleButton]:
    """Make a button for each head."""
    return [_toggle(f"Head {i + 1}", f"attention map of head {i + 1}") for i in range(count)]


def switch_style(deep_first: bool) -> str:
    """Write CSS that places the buttons (1) to (4) on their lines of the drawing."""
    places = SWITCH_PLACES[::-1] if deep_first else SWITCH_PLACES
    return "".join(f".dainet-skip-{i + 1} {{ left: {x}px; top: {y}px }}\n" for i, (x, y) in enumerate(places))


def _dropdown(label: str, options: Any) -> ipywidgets.Dropdown:
    layout = ipywidgets.Layout(width="auto", flex="1 1 150px", min_width="0")
    return ipywidgets.Dropdown(description=label, options=options, layout=layout, style={"description_width": "64px"})


def _slider(kind: Any, label: str, **values: Any) -> Any:
    layout = ipywidgets.Layout(width="auto", flex="2 1 200px", min_width="0")
    return kind(description=label, layout=layout, style={"description_width": "52px"}, **values)


def _choice_of_few(label: str, options: dict[str, Any], first: str, width: str) -> ipywidgets.ToggleButtons:
    style = {"description_width": "52px", "button_width": width}
    return ipywidgets.ToggleButtons(
        description=label,
        options=options,
        value=options[first],
        style=style,
        layout=ipywidgets.Layout(width="auto", flex="none"),
    )


def _toggle(label: str, what: str) -> ipywidgets.ToggleButton:
    return ipywidgets.ToggleButton(value=True, description=label, tooltip=what)
