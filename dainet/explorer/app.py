"""The explorer: it shows what the predictor gives for the chosen controls, or says in place why it cannot."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import Any

import numpy as np

from dainet.cache.store import StageMissingError
from dainet.data.colors import class_colors
from dainet.data.volume import fullest_slice
from dainet.explorer.background import Background
from dainet.explorer.card import Card, Try
from dainet.explorer.comparison import Comparison
from dainet.explorer.display import close_tree, display_screen
from dainet.explorer.missing import Missing, Wanted
from dainet.explorer.pictures import slice_pictures
from dainet.explorer.predictor import SOURCES, Choice, OpenPredictor, Predictor, everything_on, is_prepared
from dainet.explorer.table import against, score_table
from dainet.explorer.view import View
from dainet.explorer.widgets import COLOR_BLIND_SAFE, Controls, head_toggles, relabel
from dainet.settings import Settings

__all__ = ["Explorer"]

_shown: list[Explorer] = []  # the one that this process shows, if any


class Explorer:
    """Connects controls, predictor and screen; every reaction to a control is a method that works without a browser.

    A notebook shows it where it is the last line of a cell, and closes the one that it showed before. `scores` holds
    what the table shows: title -> DSC 0..1 per class (NaN where neither label nor prediction holds it), None while the
    volume is not predicted yet.

    Args:
        datasets: name -> settings, see `explorable`. Nothing is trained unless the button is pressed.
        open_predictor: makes the predictor of a data set.
    """

    def __init__(self, datasets: Mapping[str, Settings], open_predictor: OpenPredictor = Predictor) -> None:
        self.datasets, self._open_predictor = dict(datasets), open_predictor
        self.controls = Controls({title: title for title in self.datasets})
        self.card = Card(self.try_out)
        self.view = View(self.controls, self.card.screen, self._deep_first)
        self.predictor: Predictor | None = None
        self.scores: dict[str, list[float] | None] = {}
        self._asked: Choice | None = None  # by the card, until its result is there
        self.missing = Missing(self.view, self._wanted, self._look_again)
        self._volume = Background(self.missing.messages)
        self._silent = False
        self._connect()
        self.open_dataset()

    def _ipython_display_(self) -> None:
        for explorer in [shown for shown in _shown if shown is not self]:
            explorer.close()
        _shown[:] = [self]
        display_screen(self.view.screen)

    def close(self) -> None:
        """Take the explorer from the notebook, its networks from memory, and end its training."""
        self.missing.close()
        self._volume.stop()
        self.predictor = None
        with suppress(AttributeError):  # no data set has been opened
            del self.compared
        close_tree(self.view.screen)

    @property
    def settings(self) -> Settings:
        """Settings of the chosen data set."""
        return self.datasets[self.controls.dataset.value]

    @property
    def row(self) -> int:
        """Row number of the chosen slice in the prepared data."""
        return int(self._opened.rows(self.controls.phase.value)[self.controls.slice.value - 1])

    def change_dataset(self) -> None:
        """Open another data set with everything on, so that nobody trains by accident what was chosen for the last."""
        with self._without_reaction():
            self.controls.choose(self._everything_on)
        self.open_dataset()

    def open_dataset(self) -> None:
        """Open the prepared data of the chosen data set and go to its first test patient."""
        self.predictor, self._asked = None, None
        self.missing.forget()
        self.view.place_switches(self._deep_first)
        with self.missing.messages():
            self.predictor = self._open_predictor(self.settings)
        with self.missing.messages():
            self._offer()
        self.view.hide_all_but_data_set(self.predictor is None)
        if self.predictor is None:
            return
        with self._without_reaction():
            self.controls.source.value = self.settings.attention.backbone
            self.controls.offer_patients(self.predictor.prepared.cases)
        self.compared = Comparison(self.predictor, self._everything_on)
        self.open_patient()

    def open_patient(self) -> None:
        """Offer the phases of the chosen patient and go to the first."""
        with self._without_reaction():
            self.controls.offer_phases(self._opened.prepared.cases)
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
        self.missing.forget()
        self.controls.settle()
        if self.predictor is None:
            self.open_dataset()  # once more; says why not
            return
        maps, prediction = None, None
        with self.missing.messages():
            maps = self._maps()
        if maps is not None:
            self._fit_heads(len(maps))
        choice = self.controls.choice
        self.view.show_setting(choice, self._deep_first)
        self.compared.show(choice)
        with self.missing.messages():
            prediction = self.predictor.slice_label(choice, self.row)
        self.view.show_maps(maps, self.controls.color_map.value)
        self._show_pictures(prediction)
        self.compared.predict_pinned(self.row)
        self.show_scores()
        if prediction is not None:
            self._volume.run(self.compared.volume_steps(self.controls.phase.value, self.row), self.show_scores)

    def show_scores(self) -> None:
        """Fill the table: DSC of what has been predicted so far, and how far it is from the pinned setting."""
        compared, volume = self.compared, self._opened.rows(self.controls.phase.value)
        lines = compared.lines({"this slice": np.array([self.row]), "this volume": volume})
        self.scores = {title: now for title, (now, _) in lines.items()}
        self.view.scores.value = score_table(lines, self._opened.prepared.classes.names, self._colors)
        last = compared.change(compared.before, volume)
        self.view.against.value = against(compared.pinned, compared.pinned == compared.now, last)
        found = compared.change(compared.pinned, volume)
        if self._asked == compared.now and not math.isnan(found):
            self._asked = None
            self.card.report(found)

    def pin(self) -> None:
        """Compare with the setting that is shown."""
        self.compared.pinned = self.controls.choice
        self.show()

    def try_out(self, task: Try) -> None:
        """Show the setting of a try, compared with everything on, and report the difference to the card."""
        self._asked = task.change(self._everything_on)
        self._choose(self._asked)

    @property
    def _opened(self) -> Predictor:
        assert self.predictor is not None  # patients, scans and slices can be chosen only of an open data set
        return self.predictor

    @property
    def _everything_on(self) -> Choice:
        return everything_on(len(self.controls.heads), self.settings.attention.backbone)

    @property
    def _deep_first(self) -> bool:
        return self.settings.segmentation.switch_order == "deep-first"

    @property
    def _colors(self) -> list[str]:
        colors = list(self._opened.prepared.classes.colors)
        return list(class_colors(len(colors))) if self.controls.palette.value == COLOR_BLIND_SAFE else colors

    def _connect(self) -> None:
        controls = self.controls
        self._react(self.change_dataset, [controls.dataset])
        self._react(self.open_patient, [controls.patient])
        self._react(self.open_volume, [controls.phase])
        self._react(self.show, [controls.slice, controls.opacity, controls.palette, controls.color_map])
        self._react(self.show, [controls.model, controls.mode, controls.source, controls.instead])
        self._react(self.show, [*controls.skips, *controls.heads])
        self.view.pin.on_click(lambda _: self.pin())
        self.view.reset.on_click(lambda _: self._choose(self._everything_on))

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

    def _wanted(self) -> Wanted:
        return Wanted(self.settings, self.controls.dataset.value, self.controls.choice)

    def _look_again(self) -> None:
        """Show what has been computed meanwhile."""
        self._offer()
        self.show()

    def _choose(self, choice: Choice) -> None:
        """Show a setting, compared with everything on."""
        self.compared.pinned = self._everything_on
        with self._without_reaction():
            self.controls.choose(choice)
        self.show()

    def _offer(self) -> None:
        """Say in the lists which data sets and maps have not been computed yet."""
        with self._without_reaction():
            titles = {title: title for title in self.datasets}
            relabel(self.controls.dataset, titles, lambda title: is_prepared(self.datasets[title]))
            relabel(self.controls.source, SOURCES, self.predictor.has_maps if self.predictor else lambda _: False)

    def _show_pictures(self, prediction: np.ndarray | None) -> None:
        prepared, opacity = self._opened.prepared, self.controls.opacity.value
        image, label = prepared.images[self.row], prepared.labels[self.row]
        pictures = slice_pictures(image, label, prediction, self._colors, opacity)
        self.view.show_pictures(pictures, self.controls.slice.value)

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
            self.compared.pinned = self._everything_on
