"""The explorer: it shows what the predictor gives for the chosen controls, or says in place why it cannot."""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import Any

import numpy as np
import torch

from dainet.cache.store import StageMissingError
from dainet.data.volume import fullest_slice
from dainet.errors import DainetError
from dainet.explorer.drawing import network_drawing, score_table
from dainet.explorer.pictures import color_blind_safe, figure_html, map_picture, slice_pictures
from dainet.explorer.predictor import Choice, Predictor, train
from dainet.explorer.view import TITLES, View
from dainet.explorer.widgets import COLOR_BLIND_SAFE, Controls, head_toggles
from dainet.progress import reported_to
from dainet.segmentation.evaluation import class_dsc
from dainet.settings import Settings

__all__ = ["Explorer"]

log = logging.getLogger(__name__)

_NOTES = {
    False: "This network was <b>trained</b> with exactly these skips, so its weights could adapt to the missing ones.",
    True: "This network was trained with everything on. What you switch off enters as <b>zeros</b>, which it "
    "never saw. This shows what it relies on, not what a network can do without.",
}


class Explorer:
    """Connects controls, predictor and screen; every reaction to a control is a method that works without a browser.

    The screen is `view.screen`. `scores` holds what the table shows: title -> DSC 0..1 per class (NaN where neither
    label nor prediction holds it), None while the volume is not predicted yet.

    Args:
        datasets: name -> settings, see `explorable`. Finished networks are found by their settings; none is trained
            unless the button is pressed.
    """

    def __init__(self, datasets: Mapping[str, Settings]) -> None:
        self.datasets = dict(datasets)
        self.controls = Controls(list(self.datasets))
        self.view = View(self.controls, self._deep_first)
        self.predictor: Predictor | None = None
        self.scores: dict[str, list[float] | None] = {}
        self._now: Choice | None = None
        self._before: Choice | None = None
        self._ticket = object()  # of the volume in the making; a newer one makes an older one stop
        self._silent = False
        self._connect()
        self.open_dataset()

    @property
    def settings(self) -> Settings:
        """Settings of the chosen data set."""
        return self.datasets[self.controls.dataset.value]

    @property
    def row(self) -> int:
        """Row number of the chosen slice in the prepared data."""
        assert self.predictor is not None
        return int(self.predictor.rows(self.controls.phase.value)[self.controls.slice.value - 1])

    def open_dataset(self) -> None:
        """Open the prepared data of the chosen data set and go to its first test patient."""
        self.predictor, self._now, self._before = None, None, None
        self.view.say("")
        self.view.place_switches(self._deep_first)
        with self._messages():
            self.predictor = Predictor(self.settings)
        if self.predictor is None:
            self._show_nothing()
            return
        cases = self.predictor.prepared.cases.drop_duplicates("patient")
        names = [f"{patient} ({split})" for patient, split in zip(cases["patient"], cases["split"], strict=True)]
        with self._without_reaction():
            self.controls.patient.options = list(zip(names, cases["patient"], strict=True))
            self.controls.patient.value = cases.loc[cases["split"] == "test", "patient"].iloc[0]
        self.open_patient()

    def open_patient(self) -> None:
        """Offer the phases of the chosen patient and go to the first."""
        cases = self._opened.prepared.cases
        phases = cases[cases["patient"] == self.controls.patient.value].drop_duplicates("case_id")
        names = [str(phase) or "one scan" for phase in phases["phase"]]
        with self._without_reaction():
            self.controls.phase.options = list(zip(names, phases["case_id"], strict=True))
            self.controls.phase.value = phases["case_id"].iloc[0]
            self.controls.phase.disabled = len(names) == 1
        self.open_volume()

    def open_volume(self) -> None:
        """Go to the fullest slice of the chosen scan."""
        labels = self._opened.prepared.labels[self._opened.rows(self.controls.phase.value)]
        with self._without_reaction():
            self.controls.slice.max = len(labels)
            self.controls.slice.value = fullest_slice(labels) + 1
        self.show()

    def show(self) -> None:
        """Draw the chosen slice under the chosen setting with its scores; the scores of the volume follow."""
        self.view.say("")
        self.controls.settle()
        if self.predictor is None:
            self.open_dataset()  # once more; says why not
            return
        maps, prediction = None, None
        with self._messages():
            maps = self._maps()
        if maps is not None:
            self._fit_heads(len(maps))
        choice = self.controls.choice
        self._show_setting(choice)
        if choice != self._now:
            self._now, self._before = choice, self._now
        with self._messages():
            prediction = self.predictor.slice_label(choice, self.row)
        self._show_maps(maps)
        self._show_pictures(prediction)
        self.show_scores()
        if prediction is not None:
            self._predict_volume(choice)

    def show_scores(self) -> None:
        """Fill the table: DSC of what has been predicted so far, and its change from the previous setting."""
        rows = {"this slice": np.array([self.row]), "this volume": self._opened.rows(self.controls.phase.value)}
        self.scores = {title: self._dsc(self._now, part) for title, part in rows.items()}
        lines = {title: (self.scores[title], self._dsc(self._before, part)) for title, part in rows.items()}
        self.view.scores.value = score_table(lines, self._opened.prepared.classes.names, self._colors)

    def train_missing(self) -> None:
        """Compute what the chosen setting lacks, with a progress bar, and show it."""
        self.view.train.disabled, self.view.progress.layout.display = True, ""
        try:
            with self._messages(), reported_to(self._report):
                train(self.settings, self.controls.choice)
                self.show()
        finally:
            self.view.train.disabled, self.view.progress.layout.display = False, "none"

    @property
    def _opened(self) -> Predictor:
        assert self.predictor is not None  # patients, scans and slices can be chosen only of an open data set
        return self.predictor

    @property
    def _deep_first(self) -> bool:
        return self.settings.segmentation.switch_order == "deep-first"

    @property
    def _colors(self) -> list[str]:
        classes = self._opened.prepared.classes
        safe = self.controls.palette.value == COLOR_BLIND_SAFE
        return color_blind_safe(len(classes.colors)) if safe else list(classes.colors)

    def _connect(self) -> None:
        controls = self.controls
        self._react(self.open_dataset, [controls.dataset])
        self._react(self.open_patient, [controls.patient])
        self._react(self.open_volume, [controls.phase])
        self._react(self.show, [controls.slice, controls.opacity, controls.palette, controls.color_map])
        self._react(self.show, [controls.model, controls.mode, controls.source, *controls.skips, *controls.heads])
        self.view.train.on_click(lambda _: self.train_missing())

    def _react(self, called: Callable[[], None], touched: Iterable[Any]) -> None:
        for control in touched:
            control.observe(lambda _: None if self._silent else called(), names="value")

    @contextmanager
    def _without_reaction(self) -> Iterator[None]:
        """Fill a control without being called back for it."""
        self._silent = True
        try:
            yield
        finally:
            self._silent = False

    @contextmanager
    def _messages(self) -> Iterator[None]:
        """Show every error on the screen, since a page has no other place for it; log the traceback of a fault."""
        try:
            yield
        except StageMissingError:
            choice = self.controls.choice
            fed = f" and {choice.source} maps" if choice.source else ""
            what = f"{choice.network}{fed} on {self.settings.data.dataset} at the profile {self.settings.profile}"
            self.view.say(f"Not computed yet: {what}. At the profile tour, this takes a few minutes.", offer=True)
        except (DainetError, OSError) as error:
            self.view.say(str(error))
        except Exception as error:  # a damaged file, or no memory left: libraries raise nearly anything
            log.exception("the explorer cannot go on with %s", self.controls.choice)
            self.view.say(f"This cannot be computed: {type(error).__name__}: {error}")

    def _report(self, description: str, finished: int, total: int) -> None:
        self.view.progress.max, self.view.progress.value = total, finished
        self.view.say(f"{description}: {finished} of {total}", offer=True)

    def _show_setting(self, choice: Choice) -> None:
        self.view.note.value = f'<div class="note">{_NOTES[choice.cut]}</div>'
        self.view.network.value = network_drawing(choice, self._deep_first)
        self.view.light_heads([on and choice.source is not None for on in choice.heads_on])

    def _show_nothing(self) -> None:
        self._show_setting(self.controls.choice)
        self._show_maps(None)
        for html, title in zip(self.view.pictures, TITLES, strict=True):
            html.value = figure_html(None, title, f"{title}: nothing yet")
        self.view.scores.value = ""

    def _show_pictures(self, prediction: np.ndarray | None) -> None:
        prepared, opacity = self._opened.prepared, self.controls.opacity.value
        image, label = prepared.images[self.row], prepared.labels[self.row]
        pictures = slice_pictures(image, label, prediction, self._colors, opacity)
        for html, title in zip(self.view.pictures, TITLES, strict=True):
            html.value = figure_html(pictures.get(title), title, f"{title}, slice {self.controls.slice.value}")

    def _maps(self) -> np.ndarray | None:
        """Attention maps of the chosen source [h, S, S], shown for the U-Net, too; None before they exist."""
        with suppress(StageMissingError):
            return self._opened.maps(self.controls.source.value, self.row)
        return None

    def _fit_heads(self, count: int) -> None:
        """Place a button per head: another transformer may not have six."""
        if count != len(self.controls.heads):
            self.controls.heads = head_toggles(count)
            self.view.place_heads(self.controls)
            self._react(self.show, self.controls.heads)

    def _show_maps(self, maps: np.ndarray | None) -> None:
        for number, html in enumerate(self.view.maps):
            picture = None if maps is None else map_picture(maps[number], self.controls.color_map.value)
            html.value = figure_html(picture, "", f"attention of head {number + 1}")

    def _predict_volume(self, choice: Choice) -> None:
        """Predict the volume: in a notebook slice by slice, so that controls react in between; elsewhere at once."""
        steps, self._ticket = self._opened.volume_steps(choice, self.controls.phase.value), object()
        try:
            loop = asyncio.get_running_loop()
        except RuntimeError:  # no kernel
            deque(steps, maxlen=0)
            self.show_scores()
        else:
            self._task = loop.create_task(self._finish_volume(steps, self._ticket))  # kept, or it may be collected

    async def _finish_volume(self, steps: Iterator[None], ticket: object) -> None:
        with self._messages():
            for _ in steps:
                await asyncio.sleep(0)
                if ticket is not self._ticket:
                    return
            self.show_scores()

    def _dsc(self, choice: Choice | None, rows: np.ndarray) -> list[float] | None:
        prediction = self._opened.known(choice, rows)
        if prediction is None:
            return None
        prepared = self._opened.prepared
        label = torch.from_numpy(np.array(prepared.labels[rows]))
        return class_dsc(torch.from_numpy(prediction), label, len(prepared.classes.names)).tolist()
