"""What the explorer says and does about something that has not been computed: offer it, compute it, or wait for it."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from dainet.cache.store import StageMissingError
from dainet.cache.unfinished import Unfinished, unfinished
from dainet.errors import DainetError
from dainet.explorer.background import Background, has_kernel
from dainet.explorer.predictor import Choice, missing
from dainet.explorer.training import Training
from dainet.explorer.view import View
from dainet.settings import Settings

__all__ = ["Missing", "Wanted", "elsewhere", "offer"]

log = logging.getLogger(__name__)
_STAGES = {
    "phantoms": "drawing of the phantoms",
    "prepared": "preparation of the slices",
    "dino": "DINO training",
    "attention": "extraction of maps",
    "segmentation": "training of {}",
    "scores": "scoring of {}",
}
_LOOK, _WAIT = 0.2, 1.0  # seconds between two looks at a training of this page, and at another process's


class Wanted(NamedTuple):
    """What is to be shown: the settings of a data set, its title, and the choice."""

    settings: Settings
    title: str
    choice: Choice

    def stage(self, done: Path) -> str:
        """Name a stage of it in words."""
        return _STAGES[done.parent.name].format(self.choice.network)


class Missing:
    """Shows every error on the screen, and computes what is missing when its button is pressed.

    Args:
        view: the screen.
        wanted: returns what is to be shown now.
        look_again: is called when something has been computed.
    """

    def __init__(self, view: View, wanted: Callable[[], Wanted], look_again: Callable[[], None]) -> None:
        self.view, self._wanted, self._look_again = view, wanted, look_again
        self.training: Training | None = None
        self.following, self.waiting = Background(self.messages), Background(self.messages)
        view.train.on_click(lambda _: self.compute())
        view.stop.on_click(lambda _: self.stop())

    @contextmanager
    def messages(self) -> Iterator[None]:
        """Show every error on the screen, since a page has no other place for it; log the traceback of a fault."""
        try:
            yield
        except StageMissingError as error:
            self._explain(error.done)
        except (DainetError, OSError) as error:
            self.view.say(str(error))
        except Exception as error:  # a damaged file, or no memory left: libraries raise nearly anything
            log.exception("the explorer cannot show %s", self._wanted().choice)
            self.view.say(f"This cannot be computed: {type(error).__name__}: {error}")

    def forget(self) -> None:
        """Take the message from the screen, and stop waiting for what it was about; a training of this page goes on."""
        self.waiting.stop()
        self.view.say("")

    def compute(self) -> None:
        """Compute what is wanted now in a process of its own, show how far it is, and look again at its end."""
        if self.training is None:
            self.forget()
            with self.messages():
                settings, _, choice = self._wanted()
                self.training = Training(settings, choice)
                self.following.run(self._follow(self.training, missing(settings, choice)), self._end)

    def stop(self) -> None:
        """End the training of this page; what it has finished is kept."""
        if self.training is not None:
            self.view.stop.disabled = True
            self.training.stop()

    def close(self) -> None:
        """End the training of this page and wait for nothing any more."""
        self.stop()
        self.following.stop()
        self.waiting.stop()

    def _follow(self, training: Training, what: str) -> Iterator[float]:
        while training.running:
            self.view.report(f"Computing {what}", training.step)
            yield _LOOK

    def _end(self) -> None:
        error, self.training = self.training.error if self.training else "", None
        self.view.report("", None)
        self._look_again()
        if error:
            self.view.say(error, offer=self.view.train.description)  # as offered by the last look

    def _explain(self, done: Path) -> None:
        wanted, found = self._wanted(), unfinished(done)
        what = f"{missing(wanted.settings, wanted.choice)} ({wanted.title})"
        if self.training is not None:
            self.view.say(f"Not computed yet: {what}.")
        elif not found.computed:
            self.view.say(*offer(what, wanted.stage(done), found))
            self._wait(_until_there(done))
        else:
            self.view.say(elsewhere(what, wanted.stage(done), found))
            self._wait(self._until_free(done, what, wanted.stage(done)))

    def _wait(self, steps: Iterator[float]) -> None:
        if has_kernel():
            self.waiting.run(steps, self._look_again)

    def _until_free(self, done: Path, what: str, stage: str) -> Iterator[float]:
        while (found := unfinished(done)).computed:
            self.view.say(elsewhere(what, stage, found))
            yield _WAIT


def _until_there(done: Path) -> Iterator[float]:
    """Wait until a stage is there: another cell of the notebook or a command may compute it."""
    while not done.is_dir():
        yield _WAIT


def elsewhere(what: str, stage: str, found: Unfinished) -> str:
    """Say that another process computes something, and how far it is."""
    epochs = f", {found.epochs} of {found.total} epochs finished" if found.total else ""
    return f"Another process is computing {what}: {stage}{epochs}. It appears here when it is finished."


def offer(what: str, stage: str, found: Unfinished) -> tuple[str, str]:
    """Say that something is missing and how far it is, and name the button that computes it."""
    if not found.epochs:
        return f"Not computed yet: {what}. At the profile tour, this takes a few minutes.", "Train it now"
    how_far = f"The {stage} stopped after epoch {found.epochs} of {found.total}."
    return f"Not computed yet: {what}. {how_far} Resume continues with the next epoch.", "Resume"
