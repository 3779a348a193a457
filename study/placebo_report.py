"""The figure and the tables of the placebo (docs/compare.md): what was claimed, found and promised by design."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from dainet.reporting.artifacts import save_figure, save_table
from dainet.reporting.charts import WIDTH, label_axes, new_figure
from dainet.reporting.style import in_style
from dainet.settings import load_settings
from study.placebo import CASES, GAINS, PROMISED, rates, sequence_rates, share
from study.placebo_files import file_rates

__all__ = ["placebo_figure", "placebo_table", "write_placebo"]

_BY_FILES = ((CASES[5], 2), (CASES[4], 3))  # cases judged from files, with their numbers of names
_LEVEL = 0.05
_BLUE, _GREEN, _ORANGE = "#0072b2", "#009e73", "#d55e00"
_FOUND = {**dict(zip((f"found_{gain:g}" for gain in GAINS), ("#555555", "#cc79a7"), strict=True)), "planted": _GREEN}


def write_placebo(output: Path, rounds: int, from_files: int) -> None:
    """Simulate every case and write a figure and three tables with their records.

    Args:
        output: folder of the figure and the tables.
        rounds: simulated studies of each case.
        from_files: of each case that goes through files.
    """
    settings = load_settings("tour", {"output": str(output)})
    found = {case.title: rates(case, rounds) for case in CASES}
    by_files = {case.title: file_rates(case, from_files, names) for case, names in _BY_FILES}
    note = f"Simulated scores, {rounds} rounds of each design; in brackets 95 % binomial intervals."
    save_table(placebo_table(found, rounds), "table_placebo", settings, {}, [note])
    sequence = sequence_rates(rounds)
    save_table(_sequence_table(sequence, rounds), "table_sequence", settings, {}, [note])
    note = f"Simulated files, {from_files} rounds of each design; in brackets 95 % binomial intervals."
    save_table(_file_table(by_files, from_files), "table_files", settings, {}, [note])
    save_figure(placebo_figure(found, by_files, rounds, from_files), "placebo", settings, {})


def placebo_table(found: Mapping[str, Mapping[str, float]], rounds: int) -> pd.DataFrame:
    """Write what `rates` found for each case as text, in percent, with what was promised."""
    lines, names = [], {"equivalent": "Equivalent", "planted": "Smallest gain found"}
    names |= {f"found_{gain:g}": f"Gain of {gain:g} found" for gain in GAINS}
    for title, line in found.items():
        row = {"Design": title, "One function: difference claimed (%)": _percent(line["same"], rounds)}
        row["No difference on average: claimed (%)"] = _percent(line["average"], rounds)
        for key, name in names.items():
            row[f"{name} (%)"], row[f"{name}, promised (%)"] = (
                f"{100 * line[k]:.0f}" for k in (key, f"promised_{key}")
            )
        row["Smallest gain (points)"] = f"{line['smallest']:.2f}"
        lines.append(row)
    return pd.DataFrame(lines)


def _sequence_table(found: Mapping[str, float], rounds: int) -> pd.DataFrame:
    lines = []
    for number in (1, 2, 3):
        row = {"Question": str(number), "Judged (%)": f"{100 * found[f'judged_{number}']:.0f}"}
        row["Difference claimed (%)"] = _percent(found[f"differs_{number}"], rounds)
        lines.append(row | {"In any question so far (%)": _percent(found[f"any_{number}"], rounds)})
    return pd.DataFrame(lines)


def _file_table(found: Mapping[str, Mapping[str, float]], rounds: int) -> pd.DataFrame:
    names = {"same": "Primary question: difference claimed (%)", "any": "Any question (%)"}
    names |= {"equivalent": "Equivalent (%)", "planted": "Smallest gain found (%)", "few": "Carried by few (%)"}
    rows = {title: {name: _percent(line[key], rounds) for key, name in names.items()} for title, line in found.items()}
    return pd.DataFrame([{"Design": title, **row} for title, row in rows.items()])


@in_style
def placebo_figure(
    found: Mapping[str, Mapping[str, float]], by_files: Mapping[str, Mapping[str, float]], rounds: int, from_files: int
) -> Figure:
    """Draw false verdicts, equivalence and gains found against what was promised, one row per design.

    Args:
        found: title of a case -> what `rates` returns.
        by_files: title of a case -> what `file_rates` returns; drawn as squares in the same rows.
        rounds, from_files: simulated studies behind each share.
    """
    worst = max(found, key=lambda title: found[title]["same"])
    alt = (
        "Three dot charts by design. Differences claimed between one function under two names: at most "
        f"{100 * found[worst]['same']:.1f} % ({worst}); equivalence and gains found next to what was promised."
    )
    figure = new_figure(WIDTH, 0.34 * len(found) + 2.0, alt)
    panels = figure.subplots(1, 3, sharey=True)
    for height, (title, line) in enumerate(reversed(list(found.items()))):
        files = by_files.get(title)
        _dot(panels[0], height + 0.12, line["same"], rounds, _BLUE)
        _dot(panels[0], height - 0.12, line["average"], rounds, _ORANGE)
        for panel, key, color in ((panels[1], "equivalent", _BLUE), *((panels[2], *each) for each in _FOUND.items())):
            panel.plot(100 * line[f"promised_{key}"], height, "|", color="black", markersize=14, zorder=3)
            _dot(panel, height, line[key], rounds, color)
        if files:
            for panel, key, color in zip(
                panels, ("same", "equivalent", "planted"), (_BLUE, _BLUE, _GREEN), strict=True
            ):
                _dot(panel, height + 0.3, files[key], from_files, color, "s")
    panels[0].axvline(100 * _LEVEL, color="black", linewidth=0.8, linestyle="--")
    panels[0].set_xlim(0, 15)
    titles = ("Difference claimed, though there is none", "Called equivalent", "A planted gain is found")
    for panel, title in zip(panels, titles, strict=True):
        label_axes(panel, "Share of simulated studies (%)", "")
        panel.set_title(title, fontsize=10)
        panel.grid(axis="y", color="#eeeeee")
    panels[0].set_yticks(range(len(found)), list(found)[::-1], fontsize=8)
    _legend(figure, panels[0])
    return figure


def _dot(panel: Axes, height: float, rate: float, rounds: int, color: str, marker: str = "o") -> None:
    low, high = share(rate, rounds)
    panel.plot([100 * low, 100 * high], [height] * 2, color=color, linewidth=1.2)
    panel.plot(100 * rate, height, marker, color=color, markersize=5)


def _legend(figure: Figure, panel: Axes) -> None:
    marks: list[tuple[str, dict[str, Any]]] = [
        ("one function under two names", {"marker": "o", "color": _BLUE}),
        ("networks that differ in patients, but not on average", {"marker": "o", "color": _ORANGE}),
        *((f"a gain of {gain:g}", {"marker": "o", "color": _FOUND[f"found_{gain:g}"]}) for gain in GAINS),
        (f"the smallest gain found with {100 * PROMISED:.0f} %", {"marker": "o", "color": _GREEN}),
        ("promised by the power", {"marker": "|", "color": "black", "markersize": 14}),
        ("from score files, as a report reads them", {"marker": "s", "color": _BLUE}),
    ]
    handles = [panel.plot([], [], linestyle="", label=label, **style)[0] for label, style in marks]
    figure.legend(handles=handles, loc="outside lower center", ncols=3, fontsize=8, frameon=False)


def _percent(rate: float, rounds: int) -> str:
    low, high = share(rate, rounds)
    return f"{100 * rate:.1f} ({100 * low:.1f} to {100 * high:.1f})"
