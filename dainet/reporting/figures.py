"""Figures that show images, such as Figures 1 and 3 of the paper. Each function returns a Figure and saves nothing."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure

from dainet.reporting.charts import WIDTH, new_figure
from dainet.reporting.legends import class_legend
from dainet.reporting.style import in_style

__all__ = [
    "attention_figure",
    "gray",
    "label_overlay",
    "qualitative_figure",
    "slice_montage",
]

_OPACITY = 0.55  # of a label's color over the image


def label_overlay(image: np.ndarray, label: np.ndarray, colors: Sequence[str], opacity: float = _OPACITY) -> np.ndarray:
    """Blend every class's color over the image in gray; background stays gray.

    Args:
        image: [H, W], any range; its 0.5 and 99.5 percentiles become black and white.
        label: [H, W] whole numbers, 0 = background.
        colors: colors of the labels 1, 2, 3 ...
        opacity: opacity of the colors, 0..1.

    Returns:
        [H, W, 3] in [0, 1].

    Raises:
        ValueError: different sizes, or a label without a color.
    """
    if image.shape != label.shape:
        raise ValueError(f"image of {image.shape} px and label of {label.shape} px; resize one of them first")
    _check_colors(label, colors)
    palette = np.array([(0.0, 0.0, 0.0), *map(to_rgb, colors)])
    weight = np.where(label > 0, opacity, 0.0)[..., None]  # [H, W, 1]
    return (1 - weight) * gray(image)[..., None] + weight * palette[label.astype(int)]


@in_style
def attention_figure(
    images: np.ndarray,
    labels: np.ndarray,
    maps: np.ndarray,
    class_names: Sequence[str],
    colors: Sequence[str],
    sample_names: Sequence[str] | None = None,
) -> Figure:
    """Draw Figure 1 of the paper: image, ground truth and the attention map of every head, one row per sample.

    Args:
        images: [n, H, W].
        labels: [n, H, W], 0 = background.
        maps: [n, h, H, W], each shown on its own scale from lowest to highest.
        class_names: names of the labels 1, 2, 3 ...
        colors: their colors.
        sample_names: names of the rows; A, B, C ... by default, as in the paper.

    Raises:
        ValueError: different numbers of samples.
    """
    names = [chr(ord("A") + i) for i in range(len(images))] if sample_names is None else sample_names
    _check_lengths(images=images, labels=labels, maps=maps, sample_names=names)
    titles = ["Image", "Ground truth", *(f"Head {head + 1}" for head in range(maps.shape[1]))]
    figure, axes = _panels(names, titles, images)
    for row, image, label, heads in zip(axes, images, labels, maps, strict=True):
        row[0].imshow(gray(image), cmap="gray", vmin=0, vmax=1)
        row[1].imshow(label_overlay(image, label, colors))
        for panel, attn in zip(row[2:], heads, strict=True):
            panel.imshow(np.asarray(attn, np.float32), cmap="viridis")
    class_legend(figure, class_names, colors)
    return figure


@in_style
def qualitative_figure(
    images: Sequence[np.ndarray],
    labels: Sequence[np.ndarray],
    predictions: Mapping[str, Sequence[np.ndarray]],
    class_names: Sequence[str],
    colors: Sequence[str],
    sample_names: Sequence[str],
    scores: Mapping[str, Sequence[float]] | None = None,
) -> Figure:
    """Draw Figure 3 of the paper: image, ground truth and the prediction of every model, one row per sample.

    Args:
        images: n images [H, W]; sides may differ from sample to sample.
        labels: n labels [H, W], 0 = background.
        predictions: model name -> n predicted labels [H, W].
        class_names: names of the labels 1, 2, 3 ...
        colors: their colors.
        sample_names: names of the rows.
        scores: model name -> n DSC (0..1), written below the predictions; NaN is left out.

    Raises:
        ValueError: different numbers of samples, or scores for other models than predictions.
    """
    _check_lengths(images=images, labels=labels, sample_names=sample_names, **predictions)
    if scores is not None:
        if set(scores) != set(predictions):
            raise ValueError(f"scores of {sorted(scores)}, predictions of {sorted(predictions)}; give the same models")
        _check_lengths(images=images, **scores)
    figure, axes = _panels(
        sample_names, ["Image", "Ground truth", *predictions], images, 0.1 if scores is None else 0.3
    )
    for i, row in enumerate(axes):
        row[0].imshow(gray(images[i]), cmap="gray", vmin=0, vmax=1)
        row[1].imshow(label_overlay(images[i], labels[i], colors))
        for panel, (model, predicted) in zip(row[2:], predictions.items(), strict=True):
            panel.imshow(label_overlay(images[i], predicted[i], colors))
            if scores is not None and not math.isnan(scores[model][i]):
                panel.set_xlabel(f"DSC {scores[model][i]:.3f}", fontsize=9)
    class_legend(figure, class_names, colors)
    return figure


@in_style
def slice_montage(
    images: np.ndarray,
    labels: np.ndarray | None,
    class_names: Sequence[str],
    colors: Sequence[str],
    titles: Sequence[str],
    columns: int = 6,
) -> Figure:
    """Draw slices next to each other with the outlines of their labels.

    Args:
        images: [n, H, W].
        labels: [n, H, W], 0 = background; None for images alone.
        class_names: names of the labels 1, 2, 3 ...
        colors: their colors.
        titles: one for each slice.
        columns: slices per row.

    Raises:
        ValueError: different numbers of slices, labels and titles.
    """
    _check_lengths(images=images, titles=titles, **({} if labels is None else {"labels": labels}))
    rows, columns = -(-len(images) // columns), min(columns, len(images))
    side = min(2.0, WIDTH / columns)
    legend_height = 0.0 if labels is None else 0.35
    outlined = "" if labels is None else f" with the outlines of {', '.join(class_names)}"
    height = (side * images.shape[1] / images.shape[2] + 0.25) * rows + legend_height
    figure = new_figure(side * columns, height, f"Gray images{outlined}: {', '.join(titles)}")
    panels = figure.subplots(rows, columns, squeeze=False).flat
    for i, panel in enumerate(panels):
        panel.set_axis_off()
        if i < len(images):
            panel.imshow(gray(images[i]), cmap="gray", vmin=0, vmax=1)
            panel.set_title(titles[i], fontsize=9, parse_math=False)
            if labels is not None:
                _outline(panel, labels[i], colors)
    if labels is not None:
        class_legend(figure, class_names, colors)
    return figure


def gray(image: np.ndarray) -> np.ndarray:
    """Scale [H, W] to [0, 1], black and white at the 0.5 and 99.5 percentiles; one value everywhere gives black."""
    image = np.asarray(image, np.float64)
    low, high = np.percentile(image, (0.5, 99.5))
    return np.clip((image - low) / max(high - low, np.finfo(float).tiny), 0, 1)


def _check_lengths(**items: Sequence[object] | np.ndarray) -> None:
    lengths = {name: len(item) for name, item in items.items()}
    if len(set(lengths.values())) > 1 or 0 in lengths.values():
        found = ", ".join(f"{length} {name}" for name, length in lengths.items())
        raise ValueError(f"found {found}; expected one of each for every sample, and at least one sample")


def _check_colors(label: np.ndarray, colors: Sequence[str]) -> None:
    if label.size and label.max() > len(colors):
        raise ValueError(f"label {label.max()} has no color; found {len(colors)} colors; give one for every class")


def _panels(
    names: Sequence[str], titles: Sequence[str], images: Sequence[np.ndarray] | np.ndarray, gap: float = 0.1
) -> tuple[Figure, np.ndarray]:
    """Create empty panels [rows, columns]: titles on top, names at the left, `gap` inches below each row."""
    side = min(1.9, (WIDTH - 0.4) / len(titles))
    ratios = [image.shape[0] / image.shape[1] for image in images]
    alt = f"Rows: {', '.join(names)}; columns: {', '.join(titles)}"
    figure = new_figure(side * len(titles) + 0.4, side * sum(ratios) + gap * len(names) + 0.5, alt)
    axes = figure.subplots(len(names), len(titles), squeeze=False, height_ratios=ratios)
    for panel in axes.flat:
        panel.set(xticks=[], yticks=[])
        panel.spines[:].set_visible(False)
    for panel, title in zip(axes[0], titles, strict=True):
        panel.set_title(title, fontsize=10, parse_math=False)
    for panel, name in zip(axes[:, 0], names, strict=True):
        panel.set_ylabel(name, fontsize=10, parse_math=False)
    return figure, axes


def _outline(panel: Axes, label: np.ndarray, colors: Sequence[str]) -> None:
    _check_colors(label, colors)
    for number, color in enumerate(colors, start=1):
        if (label == number).any() and not (label == number).all():
            panel.contour(label == number, levels=[0.5], colors=[color], linewidths=1.3)
