"""The figures of the paper and of the lessons: numbers in, a matplotlib Figure out; nothing is saved or shown."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

__all__ = [
    "attention_figure",
    "dino_curves",
    "head_score_figure",
    "label_overlay",
    "new_figure",
    "qualitative_figure",
    "score_distribution",
    "slice_montage",
    "training_curves",
]

_WIDTH = 11.5  # inches at most: a notebook's column
_OPACITY = 0.55  # of a label's colour over the image


def new_figure(width: float, height: float, layout: str | None = "constrained") -> Figure:
    """An empty white figure of `width` x `height` inches at 100 dpi, outside pyplot's bookkeeping."""
    figure = Figure(figsize=(width, height), dpi=100, facecolor="white", layout=layout)  # type: ignore[arg-type]
    FigureCanvasAgg(figure)
    return figure


def label_overlay(image: np.ndarray, label: np.ndarray, colours: Sequence[str]) -> np.ndarray:
    """The image in grey with every class's colour over it; background stays grey.

    Args:
        image: [H, W], any range; its 0.5 and 99.5 percentiles become black and white.
        label: [H, W] whole numbers, 0 = background.
        colours: of the labels 1, 2, 3 ...

    Returns:
        [H, W, 3] in [0, 1].

    Raises:
        ValueError: different sizes, or a label without a colour.
    """
    if image.shape != label.shape:
        raise ValueError(f"image of {image.shape} and label of {label.shape} px; resize one of them first")
    if label.size and label.max() > len(colours):
        raise ValueError(f"label {label.max()} has no colour: got {len(colours)} colours; give one for every class")
    palette = np.array([(0.0, 0.0, 0.0), *map(to_rgb, colours)])
    opacity = np.where(label > 0, _OPACITY, 0.0)[..., None]  # [H, W, 1]
    return (1 - opacity) * _grey(image)[..., None] + opacity * palette[label]


def attention_figure(
    images: np.ndarray,
    labels: np.ndarray,
    maps: np.ndarray,
    class_names: Sequence[str],
    colours: Sequence[str],
    sample_names: Sequence[str] | None = None,
) -> Figure:
    """Figure 1 of the paper: image, ground truth and the attention map of every head, one row per sample.

    Args:
        images: [n, H, W].
        labels: [n, H, W], 0 = background.
        maps: [n, h, H, W], each shown on its own scale from lowest to highest.
        class_names: names of the labels 1, 2, 3 ...
        colours: their colours.
        sample_names: names of the rows; A, B, C ... by default, as in the paper.

    Raises:
        ValueError: different numbers of samples.
    """
    names = [chr(ord("A") + i) for i in range(len(images))] if sample_names is None else sample_names
    _check_lengths(images=images, labels=labels, maps=maps, sample_names=names)
    titles = ["Image", "Ground truth", *(f"Head {head + 1}" for head in range(maps.shape[1]))]
    figure, axes = _panels(names, titles, images[0].shape)
    for row, image, label, heads in zip(axes, images, labels, maps, strict=True):
        row[0].imshow(_grey(image), cmap="gray", vmin=0, vmax=1)
        row[1].imshow(label_overlay(image, label, colours))
        for panel, attn in zip(row[2:], heads, strict=True):
            panel.imshow(np.asarray(attn, np.float32), cmap="viridis")
    _class_legend(figure, class_names, colours)
    return figure


def qualitative_figure(
    images: Sequence[np.ndarray],
    labels: Sequence[np.ndarray],
    predictions: Mapping[str, Sequence[np.ndarray]],
    class_names: Sequence[str],
    colours: Sequence[str],
    sample_names: Sequence[str],
    scores: Mapping[str, Sequence[float]] | None = None,
) -> Figure:
    """Figure 3 of the paper: image, ground truth and the prediction of every model, one row per sample.

    Args:
        images: n of [H, W]; sides may differ from sample to sample.
        labels: n of [H, W], 0 = background.
        predictions: model name -> n of [H, W].
        class_names: names of the labels 1, 2, 3 ...
        colours: their colours.
        sample_names: names of the rows.
        scores: model name -> n DSC (0..1), written below the predictions; NaN is left out.

    Raises:
        ValueError: different numbers of samples, or scores for other models than predictions.
    """
    _check_lengths(images=images, labels=labels, sample_names=sample_names, **predictions)
    if scores is not None:
        if set(scores) != set(predictions):
            raise ValueError(f"scores for {sorted(scores)}, predictions of {sorted(predictions)}; give the same models")
        _check_lengths(images=images, **scores)
    figure, axes = _panels(sample_names, ["Image", "Ground truth", *predictions], images[0].shape)
    for i, row in enumerate(axes):
        row[0].imshow(_grey(images[i]), cmap="gray", vmin=0, vmax=1)
        row[1].imshow(label_overlay(images[i], labels[i], colours))
        for panel, (model, predicted) in zip(row[2:], predictions.items(), strict=True):
            panel.imshow(label_overlay(images[i], predicted[i], colours))
            if scores is not None and not math.isnan(scores[model][i]):
                panel.set_xlabel(f"DSC {scores[model][i]:.3f}", fontsize=9)
    _class_legend(figure, class_names, colours)
    return figure


def slice_montage(
    images: np.ndarray,
    labels: np.ndarray | None,
    class_names: Sequence[str],
    colours: Sequence[str],
    titles: Sequence[str],
    columns: int = 6,
) -> Figure:
    """Slices side by side with the outlines of their labels.

    Args:
        images: [n, H, W].
        labels: [n, H, W], 0 = background; None for images alone.
        class_names: names of the labels 1, 2, 3 ...
        colours: their colours.
        titles: one for each slice.
        columns: slices per row.

    Raises:
        ValueError: different numbers of slices, labels and titles.
    """
    _check_lengths(images=images, titles=titles, **({} if labels is None else {"labels": labels}))
    rows, columns = -(-len(images) // columns), min(columns, len(images))
    side = min(2.0, _WIDTH / columns)
    figure = new_figure(side * columns, (side * images.shape[1] / images.shape[2] + 0.25) * rows + 0.4)
    panels = figure.subplots(rows, columns, squeeze=False).flat
    for i, panel in enumerate(panels):
        panel.set_axis_off()
        if i < len(images):
            panel.imshow(_grey(images[i]), cmap="gray", vmin=0, vmax=1)
            panel.set_title(titles[i], fontsize=9)
            if labels is not None:
                _outline(panel, labels[i], colours)
    if labels is not None:
        _class_legend(figure, class_names, colours)
    return figure


def training_curves(histories: Mapping[tuple[str, int], pd.DataFrame]) -> Figure:
    """Training loss and monitored DSC over the epochs, one colour per model and one line per seed.

    Args:
        histories: (model name, seed) -> columns epoch, loss and dsc (0..1) as in a training's `history.csv`.
    """
    seeds = pd.Series([name for name, _ in histories]).value_counts(sort=False)
    colours = dict(zip(seeds.index, sns.color_palette("colorblind", len(seeds)), strict=True))
    figure = new_figure(10, 3.6)
    panels = figure.subplots(1, 2)
    for panel, column, text in zip(panels, ("loss", "dsc"), ("Training loss", "Monitored DSC"), strict=True):
        for (name, _), history in histories.items():
            panel.plot(history["epoch"], history[column], color=colours[name], alpha=0.85, **_points(history))
        _label(panel, "Epoch", text)
    handles = [Line2D([], [], color=colours[name], label=_with_seeds(name, count)) for name, count in seeds.items()]
    figure.legend(handles=handles, loc="outside lower center", ncols=min(5, len(handles)), fontsize=9, frameon=False)
    return figure


def dino_curves(history: pd.DataFrame, out_dim: int) -> Figure:
    """DINO's loss, its two entropies and its schedules over the epochs, with ln K as the mark of a flat output.

    Args:
        history: columns epoch, loss, teacher_entropy and batch_entropy (nats), lr and momentum.
        out_dim: K, the outputs of DINO's head.
    """
    figure = new_figure(11, 3.4)
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
        _label(panel, "Epoch", text)
    _label(rate, "", "Learning rate")
    rate.spines["right"].set_visible(True)
    rate.grid(False)
    rate.ticklabel_format(axis="y", scilimits=(-2, 3), useMathText=True)
    for panel, handles in ((loss, None), (entropy, None), (schedule, [*schedule.lines, *rate.lines])):
        _legend_below(panel, handles)
    return figure


def head_score_figure(scores: Mapping[str, pd.DataFrame], metric: str = "auroc") -> Figure:
    """How well every attention head finds every class: one heat map per ViT, all on one colour scale.

    Args:
        scores: name of the ViT -> columns head (from 0), class and `metric`, as `dainet.head_scores.head_scores` gives.
        metric: "auroc" (0..1, white at 0.5 = chance) or "iou" (0..1, colours from 0 to the highest).

    Raises:
        ValueError: the metric is unknown.
    """
    if metric not in ("auroc", "iou"):
        raise ValueError(f"metric {metric!r} is unknown; expected auroc or iou")
    tables = {name: _head_table(table, metric) for name, table in scores.items()}
    top = 1.0 if metric == "auroc" else max(float(np.nanmax(table)) for table in tables.values())
    colour_map = "vlag" if metric == "auroc" else "viridis"
    rows, columns = (max(table.shape[axis] for table in tables.values()) for axis in (0, 1))
    figure = new_figure(min(_WIDTH, len(tables) * (0.65 * columns + 0.6) + 0.8), 0.36 * rows + 1.0)
    panels = figure.subplots(1, len(tables), sharey=True, squeeze=False)[0]
    for panel, (name, table) in zip(panels, tables.items(), strict=True):
        style = {"annot": True, "fmt": ".2f", "annot_kws": {"fontsize": 9}, "linewidths": 1, "cbar": False}
        sns.heatmap(table, ax=panel, vmin=0, vmax=top, cmap=colour_map, **style)
        panel.set(xlabel="", ylabel="")
        panel.set_title(name, fontsize=10)
        panel.tick_params(labelsize=9, length=0, rotation=0)
    bar = figure.colorbar(panels[-1].collections[0], ax=list(panels), fraction=0.05, pad=0.02)
    bar.set_label({"auroc": "AUROC", "iou": "IoU"}[metric], fontsize=9)
    return figure


def score_distribution(cases: pd.DataFrame) -> Figure:
    """DSC of every case as a point over a box per class and model.

    Args:
        cases: columns model, class and dsc (0..1), one line per case; of one empty-mask policy only.

    Raises:
        ValueError: two empty-mask policies, which would count every case twice.
    """
    policies = sorted(cases["policy"].unique()) if "policy" in cases else []
    if len(policies) > 1:
        raise ValueError(f"cases of the policies {policies}: every case would count twice; choose one of them")
    models, classes = cases["model"].nunique(), cases["class"].nunique()
    figure = new_figure(min(_WIDTH, max(5.0, 0.45 * models * classes + 1.5)), 3.8)
    panel = figure.subplots()
    what = {"data": cases, "x": "class", "y": "dsc", "hue": "model", "palette": "colorblind", "ax": panel}
    sns.boxplot(**what, showfliers=False, width=0.75, gap=0.15, fill=False, linewidth=1.2)
    sns.stripplot(**what, dodge=True, size=3, alpha=0.5, legend=False, jitter=0.12)
    _label(panel, "", "DSC per case")
    panel.grid(False, axis="x")
    handles, names = panel.get_legend_handles_labels()
    panel.get_legend().remove()
    figure.legend(handles, names, loc="outside lower center", ncols=min(5, models), fontsize=9, frameon=False)
    return figure


def _grey(image: np.ndarray) -> np.ndarray:
    """[H, W] -> [0, 1], black and white at the 0.5 and 99.5 percentiles; one value everywhere gives black."""
    image = np.asarray(image, np.float64)
    low, high = np.percentile(image, (0.5, 99.5))
    return np.clip((image - low) / max(high - low, np.finfo(float).tiny), 0, 1)


def _check_lengths(**items: Sequence[object] | np.ndarray) -> None:
    lengths = {name: len(item) for name, item in items.items()}
    if len(set(lengths.values())) > 1 or 0 in lengths.values():
        found = ", ".join(f"{length} {name}" for name, length in lengths.items())
        raise ValueError(f"got {found}; expected one of each for every sample, and at least one sample")


def _panels(names: Sequence[str], titles: Sequence[str], shape: tuple[int, ...]) -> tuple[Figure, np.ndarray]:
    """Empty image panels [rows, columns] with the titles on top and the names at the left."""
    side = min(1.9, (_WIDTH - 0.4) / len(titles))
    height = min(2.0, shape[0] / shape[1]) * side
    figure = new_figure(side * len(titles) + 0.4, (height + 0.15) * len(names) + 0.6)
    axes = figure.subplots(len(names), len(titles), squeeze=False)
    for panel in axes.flat:
        panel.set(xticks=[], yticks=[])
        panel.spines[:].set_visible(False)
    for panel, title in zip(axes[0], titles, strict=True):
        panel.set_title(title, fontsize=10)
    for panel, name in zip(axes[:, 0], names, strict=True):
        panel.set_ylabel(name, fontsize=10)
    return figure, axes


def _class_legend(figure: Figure, class_names: Sequence[str], colours: Sequence[str]) -> None:
    handles = [Patch(color=colour, label=name) for name, colour in zip(class_names, colours, strict=True)]
    figure.legend(handles=handles, loc="outside lower center", ncols=len(handles), fontsize=9, frameon=False)


def _outline(panel: Axes, label: np.ndarray, colours: Sequence[str]) -> None:
    for number, colour in enumerate(colours, start=1):
        if (label == number).any() and not (label == number).all():
            panel.contour(label == number, levels=[0.5], colors=[colour], linewidths=1.3)


def _points(history: pd.DataFrame) -> dict[str, object]:
    """Marks on short histories, so that a single epoch is visible too."""
    return {"linewidth": 1.4, "marker": "o" if len(history) <= 30 else "", "markersize": 3.5}


def _label(panel: Axes, x: str, y: str) -> None:
    panel.set_xlabel(x, fontsize=10)
    panel.set_ylabel(y, fontsize=10)
    panel.tick_params(labelsize=9)
    panel.grid(True, color="#e5e5e5", linewidth=0.8)
    panel.set_axisbelow(True)
    panel.spines[["top", "right"]].set_visible(False)
    if x == "Epoch":
        panel.xaxis.get_major_locator().set_params(integer=True)


def _legend_below(panel: Axes, handles: Sequence[Line2D] | None) -> None:
    handles = panel.lines if handles is None else handles
    panel.legend(handles=list(handles), loc="upper center", bbox_to_anchor=(0.5, -0.2), fontsize=9, frameon=False)


def _with_seeds(name: str, count: int) -> str:
    return name if count == 1 else f"{name} ({count} seeds)"


def _head_table(scores: pd.DataFrame, metric: str) -> pd.DataFrame:
    """Rows Head 1, Head 2 ... (the numbers of Figure 1), columns as classes appear."""
    table = scores.pivot(index="head", columns="class", values=metric)[scores["class"].unique()]
    return table.rename(index=lambda head: f"Head {head + 1}").rename_axis(index=None, columns=None)
