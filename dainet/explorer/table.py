"""The explorer's table of DSC, with changes against the pinned setting, as HTML; and settings in short words."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from html import escape

from dainet.explorer.comparison import mean_dsc
from dainet.explorer.predictor import SOURCES, Choice

__all__ = ["against", "in_short", "score_table"]

_STAND_INS = {"zero": "zeros", "mean": "its mean", "other patient": "another patient's"}


def score_table(
    rows: Mapping[str, tuple[Sequence[float] | None, Sequence[float] | None]],
    class_names: Sequence[str],
    colors: Sequence[str],
) -> str:
    """Write an HTML table: DSC in percent per class and their mean, with the change from the pinned setting.

    Args:
        rows: title -> (DSC 0..1 per class, the same under the pinned setting); NaN where neither label nor prediction
            holds the class, None where it has not been computed yet or should not be compared.
        class_names: of the columns.
        colors: their colors.
    """
    chips = (f'<span class="chip" style="background:{color}"></span>' for color in colors)
    heads = "".join(f"<th>{chip}{escape(name)}</th>" for chip, name in zip(chips, class_names, strict=True))
    lines = [
        f'<tr><th scope="row">{escape(title)}</th>{_cells(now, pinned, len(class_names) + 1)}</tr>'
        for title, (now, pinned) in rows.items()
    ]
    kind = "many" if len(class_names) > 5 else "few"  # decides whether changes fit next to the numbers
    return f'<table class="{kind}"><tr><th>DSC in %</th>{heads}<th>mean</th></tr>{"".join(lines)}</table>'


def against(pinned: Choice, is_shown: bool, last_change: float) -> str:
    """Say against what the arrows of the table compare, and what the last change did to this volume's mean.

    Args:
        pinned: the setting with which the table compares.
        is_shown: the shown setting is the pinned one, so that there are no arrows.
        last_change: of the mean, as a share; NaN where it is not known.
    """
    pin = f"<b>{escape(in_short(pinned))}</b>"
    words = f"Pinned: {pin}; every change is compared with it." if is_shown else f"▲▼ in points, against {pin}."
    return words if math.isnan(last_change) else f"{words} Last change, mean of this volume:{_change(last_change)}"


def in_short(choice: Choice) -> str:
    """Name a setting in a few words: "dual encoder, everything on"."""
    if choice.model == "unet":
        return "U-Net"
    maps = next(words for words, source in SOURCES.items() if source == choice.source)
    name = f"{choice.model} encoder" if choice.cut or choice.model != "dual" else f"{choice.network} as trained"
    off = [f"({number})" for number, on in enumerate(choice.skips_on, 1) if choice.cut and not on]
    heads = [str(number) for number, on in enumerate(choice.heads_on, 1) if not on]
    if heads:
        off.append(f"head {', '.join(heads)} ({_STAND_INS[choice.instead]})")
    switched = f" without {', '.join(off)}" if off else ", everything on" if choice.cut else ""
    return f"{name}{switched}, {maps} maps"


def _cells(now: Sequence[float] | None, pinned: Sequence[float] | None, count: int) -> str:
    if now is None:
        return "<td>…</td>" * count
    values = [*now, mean_dsc(now)]
    past = [math.nan] * count if pinned is None else [*pinned, mean_dsc(pinned)]
    return "".join(f"<td>{_number(value)}{_change(value - old)}</td>" for value, old in zip(values, past, strict=True))


def _number(value: float) -> str:
    if math.isnan(value):
        return '<span title="neither in the ground truth nor in the prediction">–</span>'
    return f"{100 * value:.1f}"


def _change(difference: float) -> str:
    if math.isnan(difference):
        return ""
    points = round(100 * difference, 1) + 0.0  # no "-0.0"
    kind, sign = ("up", "▲") if points > 0 else ("down", "▼") if points < 0 else ("same", "=")
    return f' <span class="{kind}">{sign}{abs(points):.1f}</span>' if points else f' <span class="same">{sign}</span>'
