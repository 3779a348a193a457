"""A forest plot: differences between networks with their intervals, colored by verdict, next to published ones."""

from __future__ import annotations

from collections.abc import Collection, Hashable, Mapping
from numbers import Real
from typing import Any

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from dainet.compare.rule import VERDICTS
from dainet.errors import InputError, unknown
from dainet.reporting.charts import label_axes, new_figure
from dainet.reporting.style import in_style

__all__ = ["forest_plot"]

_COLORS = dict(zip(VERDICTS, ("#009e73", "#d55e00", "#555555"), strict=True))
_ROOM = (-4, 8)  # points, for a reader to fill in
_PAPER: dict[str, Any] = {"marker": "D", "linestyle": "", "markerfacecolor": "white", "color": "black", "markersize": 6}
_GUESS: dict[str, Any] = {"marker": "x", "linestyle": "", "color": "#0072b2", "markersize": 9, "markeredgewidth": 2}


@in_style
def forest_plot(
    families: Mapping[str, pd.DataFrame],
    badly_trained: Collection[str] = (),
    guesses: Mapping[str, float | None] | None = None,
) -> Figure:
    """Draw every difference in DSC with its two intervals, colored by verdict; a diamond is the paper's difference.

    The thick interval resamples patients, the thin one patients and seeds. Claims without a verdict are empty rows to
    fill in.

    Args:
        families: title -> claims, as `dainet.compare.rule.judge` takes or returns them; those that have not run or are
            not about DSC are left out.
        badly_trained: networks whose comparisons get a dagger.
        guesses: a reader's prediction in points by claim, drawn as a cross; None is not drawn.

    Raises:
        InputError: a guess is not a number, or there is no such claim.
    """
    _check_guesses(guesses or {}, [claim for table in families.values() for claim in table["claim"]])
    tables = {title: _drawable(table) for title, table in families.items()}
    tables = {title: table for title, table in tables.items() if len(table)}
    heights = [len(table) + 0.6 for table in tables.values()]
    figure = new_figure(10, 0.5 * sum(heights) + 1.2, _told(tables))
    panels = figure.subplots(len(tables), 1, sharex=True, squeeze=False, height_ratios=heights)[:, 0]
    for panel, (title, table) in zip(panels, tables.items(), strict=True):
        lines = table[::-1].to_dict("records")
        for height, line in enumerate(lines):
            _draw_row(panel, height, line, (guesses or {}).get(line["claim"]))
        panel.axvline(0, color="black", linewidth=0.8)
        panel.set_ylim(-0.6, len(table) - 0.4)
        panel.set_title(title, fontsize=10, loc="left")
        label_axes(panel, "", "")
        panel.set_yticks(range(len(table)), [_named(line, badly_trained) for line in lines], fontsize=9)
    if all("verdict" not in table for table in tables.values()):
        far = [guess + side for guess in (guesses or {}).values() if guess is not None for side in (-1, 1)]
        panels[-1].set_xlim(min([_ROOM[0], *far]), max([_ROOM[1], *far]))
    panels[-1].set_xlabel("Difference in DSC (points)", fontsize=10)
    handles = [Line2D([], [], marker="o", linestyle="", color=color, label=name) for name, color in _COLORS.items()]
    handles += [Line2D([], [], label="paper (one run)", **_PAPER)]
    handles += [Line2D([], [], label="your guess", **_GUESS)] if guesses is not None else []
    figure.legend(handles=handles, loc="outside lower center", ncols=len(handles), fontsize=9, frameon=False)
    return figure


def _check_guesses(guesses: Mapping[str, float | None], claims: list[str]) -> None:
    for claim, guess in guesses.items():
        if claim not in claims:
            raise unknown("claim", claim, claims)
        if not isinstance(guess, Real | None):
            raise InputError(f"the guess for {claim!r} is {guess!r}; expected points such as 0.5 or -2, or None")


def _draw_row(panel: Axes, height: int, line: Mapping[Hashable, Any], guess: float | None) -> None:
    if "verdict" in line:
        color = _COLORS[line["verdict"]]
        panel.plot([line["low_seeds"], line["high_seeds"]], [height] * 2, color=color, linewidth=1.2)
        panel.plot([line["low"], line["high"]], [height] * 2, color=color, linewidth=4, solid_capstyle="butt")
        panel.plot(line["difference"], height, "o", color=color, markersize=7)
    if pd.notna(line.get("paper")):
        panel.plot(line["paper"], height, **_PAPER)
    if guess is not None:
        panel.plot(guess, height, **_GUESS)


def _drawable(table: pd.DataFrame) -> pd.DataFrame:
    chosen = table[table["measure"] == "dsc"]
    return chosen[chosen["verdict"] != "not run"] if "verdict" in chosen else chosen


def _told(tables: Mapping[str, pd.DataFrame]) -> str:
    lines = [line for table in tables.values() for line in table.to_dict("records")]
    found = [
        f"{line['better']} - {line['worse']}"
        + (f" {line['difference']:+.2f}, {line['verdict']}" if "verdict" in line else ", to fill in")
        for line in lines
    ]
    return f"Forest plot of differences in points of DSC: {'; '.join(found)}"


def _named(line: Mapping[Hashable, Any], badly_trained: Collection[str]) -> str:
    mark = "†" if line["worse"] in badly_trained else ""
    return f"{line['claim']}{mark}\n({line['better']} - {line['worse']})"
