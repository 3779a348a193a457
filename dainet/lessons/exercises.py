"""Start of a lesson, checks of answers to its exercises, and predictions beside what came out."""

from __future__ import annotations

import logging
import re
import sys
from collections import Counter
from collections.abc import Mapping, Sequence
from numbers import Real
from typing import Any

from IPython import get_ipython
from matplotlib.figure import Figure

from dainet.cache.store import times_log
from dainet.data.sources import source_folder
from dainet.errors import InputError, unknown
from dainet.lessons.answers import EXERCISES
from dainet.lessons.answers.kinds import needed_names
from dainet.lessons.pictures import described_png
from dainet.reporting.style import use_style
from dainet.settings import Settings, load_settings

__all__ = ["check", "predicted", "start"]

_wrong: Counter[str] = Counter()  # wrong answers so far in this session, by exercise


def start(profile: str, overrides: Mapping[str, Any], own_networks: Sequence[str] = ()) -> Settings:
    """Load the settings of a lesson; log lines appear in the cell, and figures are displayed with alternative text.

    Keys and times of stages are left out, and a training shows its present epoch in place of the one before. Where the
    data are not those of the tour, a line says how to read the text of the lessons, which was written for it.

    Args:
        profile: `PROFILE` of the lesson.
        overrides: `OVERRIDES` of the lesson.
        own_networks: `OWN_NETWORKS` of a lesson that compares networks.

    Raises:
        DataError: own scans are asked for, and their folder is not given.
        InputError: as `load_settings`; or the networks are not a list: of a text, the letters would be taken as names.
    """
    if not isinstance(own_networks, list | tuple):
        raise InputError(f'OWN_NETWORKS: found {own_networks!r}; expected a list, as in ["my_network.py:gated"]')
    use_style()
    logger = logging.getLogger("dainet")
    logger.handlers[:] = [_CellLog(sys.stdout)]
    logger.setLevel(logging.INFO)
    times_log.setLevel(logging.WARNING)
    if shell := get_ipython():
        shell.display_formatter.formatters["image/png"].for_type(Figure, described_png)
    settings = load_settings(profile, overrides)
    if (settings.data.dataset, settings.data.source) == ("custom", "phantom"):
        source_folder(settings.data)  # says that there are none
    if shown := _other_data(settings):
        print(
            f'This run is on {shown}: "our patient" is the first test patient, '
            "and what the text finds in hearts or phantoms was found in the tour; compare it with your own figures."
        )
    return settings


def _other_data(settings: Settings) -> str:
    """Name the data of a run; empty for the heart phantoms of the tour."""
    if settings.data.source == "phantom":
        return {"acdc": "", "synapse": "phantoms of abdomens"}[settings.data.dataset]
    return {"acdc": "real hearts", "synapse": "real abdomens", "custom": "your own scans"}[settings.data.dataset]


class _CellLog(logging.StreamHandler):
    """Log lines as a reader wants them below a cell: without keys, and one line for all epochs of a training."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the message without the key of its stage; a carriage return takes the place of an epoch's line end."""
        text = re.sub(r" [0-9a-f]{16}$", "", super().format(record))
        epoch = re.match(r"epoch (\d+)/(\d+)", text)
        stopped_early = self.terminator == "\r" and not epoch
        self.terminator = "\r" if epoch and epoch[1] != epoch[2] else "\n"
        return f"\n{text}" if stopped_early else text


def check(number: str, answer: Any) -> None:
    """Print whether the answer to an exercise, such as "3.2", is right; None counts as not answered yet.

    A known mistake is named. Otherwise the first wrong answer gets a nudge, and every later one the hint.

    Raises:
        InputError: there is no such exercise.
    """
    if number not in EXERCISES:
        raise unknown("exercise", number, EXERCISES)
    exercise = EXERCISES[number]
    if answer is None:
        print("not answered yet")
        return
    made = _made_by_the_lesson()
    if missing := sorted(needed_names(exercise) - set(made)):
        print(f"run the cells above first ({', '.join(missing)} is missing): menu Run > Run All Above Selected Cell")
        return
    fault = exercise.fault(answer, made)
    if fault is None:
        print("right")
        return
    _wrong[number] += 1
    print(f"not yet: {fault or (exercise.nudge if _wrong[number] == 1 else exercise.hint)}")


def predicted(guess: object, found: float, unit: str = "") -> None:
    """Print what the reader has predicted beside what was found; a prediction is never wrong, only interesting.

    A guess that is not a number, such as "30 %" or 0,3 for 0.3, is printed as it is.
    """
    said = f"You predicted {f'{guess:g}{unit}' if isinstance(guess, Real) else guess}"
    print(f"{'You have not predicted' if guess is None else said}; found: {found:.3g}{unit}")


def _made_by_the_lesson() -> Mapping[str, Any]:
    shell = get_ipython()
    return shell.user_ns if shell else {}
