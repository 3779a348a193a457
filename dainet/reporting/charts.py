"""Charts of numbers: training curves, distributions, differences. Each function returns a Figure and saves nothing."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd
import seaborn as sns
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from dainet.data.colors import class_colors
from dainet.reporting.legends import name_columns, network_legend
from dainet.reporting.style import in_style

__all__ = [
    "ablation_figure",
    "dino_curves",
    "label_axes",
    "new_figure",
    "score_distribution",
    "training_curves",
]

WIDTH = 11.5  # inches at most: a notebook's column
_STEPS = [1, 2, 2.5, 5, 10]  # ticks at round numbers, few enough for narrow panels


class _Figure(Figure):
    """A figure that is saved in the kit's style, too, whoever saves it."""

    savefig = in_style(Figure.savefig)


_Figure.__name__ = Figure.__name__  # which notebooks print


@in_style
def new_figure(width: float, height: float, alt: str = "", layout: str | None = "constrained") -> Figure:
    """Create an empty white figure of `width` x `height` inches at 100 dpi, which pyplot does not manage.

    `alt`, the alternative text, becomes the figure's label.
    """
    figure = _Figure(figsize=(width, height), dpi=100, facecolor="white", layout=layout)  # type: ignore[arg-type]
    figure.set_label(alt)
    FigureCanvasAgg(figure)
    return figure


@in_style
def training_curves(histories: Mapping[tuple[str, int], pd.DataFrame]) -> Figure:
    """Plot training loss and monitored DSC over the epochs, one color per model and one line per seed.

    Args:
        histories: (model name, seed) -> columns epoch, loss and dsc (0..1) as in a training's `history.csv`.
    """
    seeds = Counter(name for name, _ in histories)
    colors = dict(zip(seeds, _palette(len(seeds)), strict=True))
    alt = f"Two line charts over the epochs, training loss and monitored DSC, with lines for {', '.join(seeds)}"
    figure = new_figure(10, 3.6, alt)
    panels = figure.subplots(1, 2)
    for panel, column, text in zip(panels, ("loss", "dsc"), ("Training loss", "Monitored DSC"), strict=True):
        for (name, _), history in histories.items():
            panel.plot(history["epoch"], history[column], color=colors[name], alpha=0.85, **_points(history))
        label_axes(panel, "Epoch", text)
    handles = [Line2D([], [], color=colors[name], label=_with_seeds(name, count)) for name, count in seeds.items()]
    network_legend(figure, handles)
    return figure


@in_style
def dino_curves(history: pd.DataFrame, out_dim: int) -> Figure:
    """Plot DINO's loss, its two entropies and its schedules over the epochs; ln K marks a uniform output.

    Args:
        history: columns epoch, loss, teacher_entropy and batch_entropy (nats), lr and momentum.
        out_dim: K, the outputs of DINO's head.
    """
    alt = "Three line charts over the epochs: DINO's loss, its teacher and batch entropies, momentum and learning rate"
    figure = new_figure(11, 3.6, alt)
    loss, entropy, schedule = figure.subplots(1, 3)
    rate = schedule.twinx()
    for panel, column, text, style in (
        (loss, "loss", "Loss", {"color": "#0072b2"}),
        (entropy, "teacher_entropy", "Teacher entropy", {"color": "#009e73"}),
        (entropy, "batch_entropy", "Batch entropy", {"color": "#d55e00"}),
        (schedule, "momentum", "Momentum", {"color": "#0072b2"}),
        (rate, "lr", "Learning rate", {"color": "#d55e00", "linestyle": "--"}),
    ):
        panel.plot(history["epoch"], history[column], label=text, **style, **_points(history))
    for panel in (loss, entropy):
        panel.axhline(math.log(out_dim), color="#555555", linestyle=":", label=f"ln K = {math.log(out_dim):.2f}")
    for panel, text in ((loss, "Loss"), (entropy, "Entropy in nats"), (schedule, "Momentum")):
        label_axes(panel, "Epoch", text)
    label_axes(rate, "", "Learning rate")
    rate.spines["right"].set_visible(True)
    rate.grid(False)
    rate.ticklabel_format(axis="y", scilimits=(-2, 3), useMathText=True)
    _legend_below(loss, loss.lines[1:])
    _legend_below(entropy, entropy.lines)
    _legend_below(schedule, [*schedule.lines, *rate.lines])
    return figure


@in_style
def score_distribution(cases: pd.DataFrame) -> Figure:
    """Draw the DSC of every case as a point over a box per class and model.

    Args:
        cases: columns model, class and dsc (0..1), one line per case; of one empty-mask policy only. A DSC may be NaN,
            and where all are, the panel stays empty.

    Raises:
        ValueError: two empty-mask policies, which would count every case twice.
    """
    policies = sorted(cases["policy"].unique()) if "policy" in cases else []
    if len(policies) > 1:
        raise ValueError(f"cases of the policies {policies}: every case would count twice; choose one policy")
    models, classes = cases["model"].nunique(), cases["class"].nunique()
    alt = f"Box plots of the DSC of every case, grouped by class, for {', '.join(cases['model'].unique())}"
    width = min(WIDTH, max(5.0, 0.45 * models * classes + 1.5))
    figure = new_figure(width, 3.8, alt)
    panel = figure.subplots()
    what = {"data": cases, "x": "class", "y": "dsc", "hue": "model", "palette": _palette(models), "ax": panel}
    if cases["dsc"].notna().any():
        sns.boxplot(**what, showfliers=False, width=0.75, gap=0.15, fill=False, linewidth=1.2, legend="full")
        # No jitter: it is random, and the same scores should give the same picture.
        sns.stripplot(**what, dodge=True, size=3, alpha=0.5, legend=False, jitter=False)
    else:  # seaborn draws no boxes without a number
        panel.set_xticks(range(classes))
    label_axes(panel, "", "DSC per case")
    added = name_columns(panel, list(cases["class"].unique()), (width - 0.8) / classes)
    figure.set_figheight(figure.get_figheight() + added)
    panel.grid(False, axis="x")
    panel.legend_ = None  # one legend, below the panel
    names = set(cases["model"])
    if boxes := [patch for patch in panel.patches if patch.get_label() in names]:
        network_legend(figure, boxes)
    return figure


@in_style
def ablation_figure(paper: Mapping[str, float], means: pd.DataFrame, title: str) -> Figure:
    """Draw DSC minus that of the same source's U-Net: the paper's rows on their own axis, and all rows on one.

    Args:
        paper: network -> difference in points as printed; empty for data that the paper does not have, whose rows
            alone are drawn then.
        means: index network, columns seed: differences in points of this run.
        title: of this run's data.
    """
    dual = {name: value for name, value in paper.items() if name.startswith("dual")}
    panels = {"the paper's dual rows, enlarged": dual, "all rows of the paper and ours": paper} if paper else {"": {}}
    enlarged = "the paper's rows enlarged, and beside those of " if paper else ""
    figure = new_figure(5 * len(panels), 3, f"DSC minus that of the U-Net: {enlarged}every seed")
    drawn = figure.subplots(1, len(panels), squeeze=False)[0]
    for panel, (name, rows) in zip(drawn, panels.items(), strict=True):
        if rows:
            panel.plot(list(rows), list(rows.values()), "s--", color="black", label="paper: patients, one run")
        panel.axhline(0, color="gray", lw=0.8)
        panel.set_title(name, fontsize=10)
        label_axes(panel, "", "DSC minus U-Net (points)")
    for seed in means:
        drawn[-1].plot(means.index, means[seed], "o-", alpha=0.7, label=f"here: {title}, seed {seed}")
    drawn[-1].legend(fontsize=8)
    return figure


def _palette(count: int) -> Sequence[Any]:
    """Return a color for each of `count` networks: seaborn's for every color vision, which are ten, or as many."""
    return sns.color_palette("colorblind", count) if count <= 10 else class_colors(count)


def _points(history: pd.DataFrame) -> dict[str, object]:
    """Return the style of a line, with markers for a short history, so that a single epoch is visible too."""
    return {"linewidth": 1.4, "marker": "o" if len(history) <= 30 else "", "markersize": 3.5}


def label_axes(panel: Axes, x: str, y: str) -> None:
    """Set axis titles, ticks and grid as in every chart of the kit; an axis "Epoch" has whole numbers."""
    panel.set_xlabel(x, fontsize=10)
    panel.set_ylabel(y, fontsize=10)
    panel.tick_params(labelsize=9)
    panel.grid(True, color="#e5e5e5", linewidth=0.8)
    panel.set_axisbelow(True)
    panel.spines[["top", "right"]].set_visible(False)
    panel.yaxis.set_major_locator(MaxNLocator(nbins=6, steps=_STEPS))
    if x == "Epoch":
        panel.xaxis.set_major_locator(MaxNLocator(nbins=6, steps=_STEPS, integer=True))


def _legend_below(panel: Axes, handles: Sequence[Artist]) -> None:
    panel.legend(handles=list(handles), loc="upper center", bbox_to_anchor=(0.5, -0.2), fontsize=9, frameon=False)


def _with_seeds(name: str, count: int) -> str:
    return name if count == 1 else f"{name} ({count} seeds)"
