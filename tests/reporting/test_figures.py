import math
from collections.abc import Callable, Mapping, Sequence
from itertools import pairwise
from typing import Any

import matplotlib as mpl
import numpy as np
import pandas as pd
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from pandas import DataFrame

from dainet.data.colors import class_colors
from dainet.protocol import CLASSES
from dainet.reporting import charts, figures, head_charts

NAMES, PALETTE = CLASSES["acdc"].names, CLASSES["acdc"].colors
random = np.random.default_rng(0)


def samples(count: int, shape: tuple[int, int] = (20, 24)) -> tuple[np.ndarray, np.ndarray]:
    """Images and labels; a square of each class."""
    label = np.zeros(shape, np.uint8)
    label[2:6, 2:6], label[8:12, 8:12], label[14:18, 14:18] = 1, 2, 3
    return random.random((count, *shape)).astype(np.float16), np.stack([label] * count)


def draw(figure: Figure) -> Figure:
    """Draw once, as a notebook would, and look at the size."""
    FigureCanvasAgg(figure).draw()
    assert figure.get_figwidth() <= 12
    return figure


def titles(figure: Figure) -> list[str]:
    return [panel.get_title() for panel in figure.axes if panel.get_title()]


def legend(figure: Figure) -> list[str]:
    return [text.get_text() for legend in figure.legends for text in legend.get_texts()]


def test_overlay_at_known_pixels() -> None:
    image = np.zeros((4, 6))
    image[:, 3:] = 1
    label = np.zeros((4, 6), int)
    label[0, 0], label[0, 5] = 1, 3
    overlay = figures.label_overlay(image, label, PALETTE)
    assert overlay.shape == (4, 6, 3)
    assert overlay.min() >= 0
    assert overlay.max() <= 1
    assert overlay[1, 0] == pytest.approx((0, 0, 0))
    assert overlay[1, 5] == pytest.approx((1, 1, 1))
    assert overlay[0, 0] == pytest.approx(0.55 * np.array(to_rgb(PALETTE[0])))
    assert overlay[0, 5] == pytest.approx(0.45 + 0.55 * np.array(to_rgb(PALETTE[2])))


def test_overlay_of_a_constant_image_is_finite() -> None:
    assert np.array_equal(
        figures.label_overlay(np.full((2, 2), 7.0), np.zeros((2, 2), int), PALETTE), np.zeros((2, 2, 3))
    )


def test_attention_figure_has_a_row_per_sample_and_a_panel_per_head() -> None:
    images, labels = samples(2)
    maps = random.random((2, 3, 20, 24)).astype(np.float16)
    figure = draw(figures.attention_figure(images, labels, maps, NAMES, PALETTE))
    assert len(figure.axes) == 2 * 5
    assert titles(figure) == ["Image", "Ground truth", "Head 1", "Head 2", "Head 3"]
    assert [figure.axes[i].get_ylabel() for i in (0, 5)] == ["A", "B"]
    assert legend(figure) == list(NAMES)
    panel = figure.axes[2].images[0]
    assert panel.get_cmap().name == "viridis"
    assert panel.get_clim() == pytest.approx((maps[0, 0].min(), maps[0, 0].max()))


def test_qualitative_figure_with_different_sides_and_scores() -> None:
    images, labels = zip(*((i[0], la[0]) for i, la in (samples(1), samples(1, (40, 22)))), strict=True)
    predictions = {"U-Net": labels, "DAINet": labels}
    scores = {"U-Net": [0.5, math.nan], "DAINet": [0.75, 1.0]}
    figure = draw(figures.qualitative_figure(images, labels, predictions, NAMES, PALETTE, ["a", "b"], scores))
    assert titles(figure) == ["Image", "Ground truth", "U-Net", "DAINet"]
    assert [panel.get_xlabel() for panel in figure.axes] == ["", "", "DSC 0.500", "DSC 0.750", "", "", "", "DSC 1.000"]
    assert [panel.images[0].get_array().shape[:2] for panel in figure.axes[::4]] == [(20, 24), (40, 22)]
    assert not any(panel.get_xlabel() for panel in draw(bare(images, labels, predictions)).axes)


def bare(
    images: Sequence[np.ndarray], labels: Sequence[np.ndarray], predictions: Mapping[str, Sequence[np.ndarray]]
) -> Figure:
    return figures.qualitative_figure(images, labels, predictions, NAMES, PALETTE, ["a", "b"])


@pytest.mark.parametrize(("count", "panels"), [(1, 1), (3, 3), (8, 12)])
def test_montage(count: int, panels: int) -> None:
    images, labels = samples(count)
    names = [f"slice {i}" for i in range(count)]
    figure = draw(figures.slice_montage(images, labels, NAMES, PALETTE, names))
    assert len(figure.axes) == panels
    assert titles(figure) == names
    assert legend(figure) == list(NAMES)
    assert len(figure.axes[0].collections) == 3
    plain = draw(figures.slice_montage(images, None, NAMES, PALETTE, names, columns=2))
    assert not plain.axes[0].collections
    assert not plain.legends


FIFTEEN = (
    *("spleen", "kidney_right", "kidney_left", "gall_bladder", "esophagus", "liver", "stomach", "aorta", "postcava"),
    *("pancreas", "adrenal_right", "adrenal_left", "duodenum", "bladder", "prostate/uterus"),
)
LONG = tuple(f"vertebra number {i} of the thoracic and lumbar spine, body and arch" for i in range(30))
ODD = ("_hidden", "$x_1$", "a\\b", "100 %", "<b>", "{}", "^")


@pytest.mark.parametrize("names", [FIFTEEN, LONG, ODD, NAMES], ids=["fifteen", "long", "odd", "three"])
@pytest.mark.parametrize("count", [1, 6])
def test_a_legend_has_as_many_rows_as_its_names_need(names: tuple[str, ...], count: int) -> None:
    images, labels = samples(count)
    figure = draw(figures.slice_montage(images, labels, names, class_colors(len(names)), "abcdef"[:count]))
    assert [text.replace("\n", " ") for text in legend(figure)] == list(names)
    (drawn,) = figure.legends
    page, box = figure.bbox, drawn.get_window_extent()
    assert page.x0 <= box.x0 <= box.x1 <= page.x1
    assert page.y0 <= box.y0
    pictures = [panel.get_window_extent() for panel in figure.axes]
    assert box.y1 <= min(picture.y0 for picture in pictures)
    assert min(picture.height for picture in pictures) > 60  # px: the legend has not taken their place


@pytest.mark.parametrize("names", [FIFTEEN, LONG, ODD], ids=["fifteen", "long", "odd"])
def test_names_below_columns_do_not_run_into_each_other(names: tuple[str, ...]) -> None:
    scores = pd.DataFrame([(h, name, 0.5) for name in names for h in range(2)], columns=["head", "class", "auroc"])
    dsc = pd.DataFrame({"model": "unet", "class": names, "dsc": 0.5})
    for figure in (
        draw(head_charts.head_score_figure({"a": scores, "b": scores})),
        draw(charts.score_distribution(dsc)),
    ):
        labels = figure.axes[0].get_xticklabels()
        assert [label.get_text().replace("\n", " ") for label in labels] == list(names)
        slanted = {label.get_rotation() for label in labels} == {45}
        boxes = [label.get_window_extent() for label in labels]
        assert slanted or all(a.x1 <= b.x0 for a, b in pairwise(boxes))
        assert figure.axes[0].get_window_extent().height > 50  # px


def test_sixteen_networks_have_sixteen_colors() -> None:
    histories = {(f"network {i}", 0): history(2) for i in range(16)}
    figure = draw(charts.training_curves(histories))
    assert len({line.get_color() for line in figure.axes[0].lines}) == 16


def history(epochs: int) -> DataFrame:
    epoch = np.arange(1, epochs + 1)
    return pd.DataFrame({"epoch": epoch, "loss": 1 / epoch, "dsc": 1 - 1 / epoch})


def test_training_curves_give_a_model_one_color() -> None:
    histories = {("unet", 0): history(40), ("unet", 1): history(40), ("dual-1111", 0): history(3)}
    figure = draw(charts.training_curves(histories))
    assert [panel.get_ylabel() for panel in figure.axes] == ["Training loss", "Monitored DSC"]
    first, second, third = figure.axes[1].lines
    assert first.get_color() == second.get_color() != third.get_color()
    assert (first.get_marker(), third.get_marker()) == ("", "o")
    assert legend(figure) == ["unet (2 seeds)", "dual-1111"]


@pytest.mark.parametrize("name", ["_private.py:Net", "$x$_1.py:Net"])
def test_odd_names_of_networks_stand_as_they_are(name: str) -> None:
    images, labels = ([part[0]] for part in samples(1))
    dsc = pd.DataFrame({"model": [name, "unet"], "class": "RV", "dsc": 0.5})
    curves, distribution, pictures = (
        draw(charts.training_curves({(name, 0): history(2), ("unet", 0): history(2)})),
        draw(charts.score_distribution(dsc)),
        draw(figures.qualitative_figure(images, labels, {name: labels}, NAMES, PALETTE, ["a"])),
    )
    assert legend(curves) == legend(distribution) == [name, "unet"]
    texts = [*curves.legends[0].get_texts(), *distribution.legends[0].get_texts(), pictures.axes[2].title]
    assert texts[-1].get_text() == name
    assert not any(text.get_parse_math() for text in texts)


def test_dino_curves_mark_a_flat_output() -> None:
    columns = ["loss", "teacher_entropy", "batch_entropy", "center_norm", "lr", "momentum"]
    table = pd.DataFrame(random.random((3, 6)), columns=columns).assign(epoch=[1, 2, 3])
    figure = draw(charts.dino_curves(table, out_dim=4096))
    assert [panel.get_ylabel() for panel in figure.axes] == ["Loss", "Entropy in nats", "Momentum", "Learning rate"]
    assert [text.get_text() for text in figure.axes[1].get_legend().get_texts()] == [
        "Teacher entropy",
        "Batch entropy",
        "ln K = 8.32",
    ]
    assert all(np.asarray(panel.lines[-1].get_ydata())[0] == pytest.approx(math.log(4096)) for panel in figure.axes[:2])
    assert figure.axes[0].lines[0].get_marker() == "o"


def head_scores(missing: Sequence[str] = ()) -> DataFrame:
    rows = [(head, name, 0.1 * head + 0.2) for name in ("RV", "LV", "any") for head in range(4) if name not in missing]
    return pd.DataFrame(rows, columns=["head", "class", "auroc"]).assign(iou=lambda t: t["auroc"] / 2, slices=9)


@pytest.mark.parametrize(("metric", "limits", "first"), [("auroc", (0, 1), "0.20"), ("iou", (0, 0.25), "0.10")])
def test_head_scores_share_one_color_scale(metric: str, limits: tuple[Any, ...], first: str) -> None:
    figure = draw(head_charts.head_score_figure({"random": head_scores(), "tuned": head_scores(["LV"])}, metric))
    assert titles(figure) == ["random", "tuned"]
    left, right, _ = figure.axes
    assert left.collections[0].get_clim() == right.collections[0].get_clim() == pytest.approx(limits)
    assert [text.get_text() for text in left.get_yticklabels()] == ["Head 1", "Head 2", "Head 3", "Head 4"]
    assert [text.get_text() for text in left.get_xticklabels()] == ["RV", "LV", "any"]
    assert [text.get_text() for text in right.get_xticklabels()] == ["RV", "any"]
    assert left.texts[0].get_text() == first


def test_a_single_map_is_one_row_without_the_name_of_a_head() -> None:
    center = head_scores()[lambda table: table["head"] == 0]
    figure = draw(head_charts.head_score_figure({"tuned": head_scores(), "center": center}))
    left, right, _ = figure.axes
    assert left.collections[0].get_array().shape == (4, 3)
    assert right.collections[0].get_array().shape == (1, 3)
    assert [text.get_text() for text in right.get_yticklabels()] == []


def cases(policies: Sequence[str] = ("peer",)) -> DataFrame:
    rows = [
        (model, name, policy, random.random())
        for model in ("unet", "single")
        for name in NAMES
        for policy in policies
        for _ in range(6)
    ]
    return pd.DataFrame(rows, columns=["model", "class", "policy", "dsc"])


@pytest.mark.parametrize(("paper", "panels"), [({}, 1), ({"single": -1.2, "dual-1111": 0.3}, 2)])
def test_data_without_rows_of_the_paper_have_one_panel(paper: dict[str, float], panels: int) -> None:
    ours = DataFrame({0: [-1.0, 2.0], 1: [0.5, 3.0]}, index=["single", "dual-1111"])
    axes = draw(charts.ablation_figure(paper, ours, "own data")).axes
    assert len(axes) == panels
    assert {tuple(np.asarray(line.get_ydata())) for line in axes[-1].lines} >= {(-1.0, 2.0), (0.5, 3.0)}
    assert all(axis.has_data() for axis in axes)


def test_head_importance_names_every_head_and_shows_the_rank_correlation() -> None:
    heads = ["Head 1", "Head 2", "Head 3"]
    importance = pd.DataFrame({"head": [*heads, "all heads"], "class": "mean", "lost": [3.0, 1.0, 2.0, 9.0]})
    scores = pd.DataFrame({"head": [0, 1, 2], "class": "any", "auroc": [0.9, 0.5, 0.6], "iou": 0.1, "slices": 4})
    figure = head_charts.head_importance_figure(importance, scores)
    figure.canvas.draw()
    bars, points = figure.axes
    assert [text.get_text() for text in bars.get_yticklabels()] == [*heads, "all heads"]
    assert [bar.get_width() for bar in bars.patches if isinstance(bar, Rectangle)] == [3, 1, 2, 9]
    assert points.get_title() == "rank correlation 1.00"
    assert np.asarray(points.collections[0].get_offsets()).tolist() == [[0.9, 3], [0.5, 1], [0.6, 2]]


def test_score_distribution_shows_every_case() -> None:
    figure = draw(charts.score_distribution(cases()))
    (panel,) = figure.axes
    assert [text.get_text() for text in panel.get_xticklabels()] == list(NAMES)
    assert legend(figure) == ["unet", "single"]
    assert sum(len(np.asarray(points.get_offsets())) for points in panel.collections) == len(cases())


def test_scores_that_are_all_missing_leave_an_empty_panel() -> None:
    (panel,) = draw(charts.score_distribution(cases().assign(dsc=math.nan))).axes
    assert [text.get_text() for text in panel.get_xticklabels()] == list(NAMES)
    assert not panel.collections


IMAGES, LABELS = samples(2)
MAPS = np.zeros((3, 6, 20, 24))
IMAGE, LABEL = list(IMAGES[:1]), list(LABELS[:1])
ONE = {"unet": LABEL}


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: figures.attention_figure(IMAGES, LABELS, MAPS, NAMES, PALETTE), "2 images.*2 labels.*3 maps"),
        (lambda: figures.attention_figure(IMAGES[:0], LABELS[:0], MAPS[:0], NAMES, PALETTE), "0 images|at least one"),
        (lambda: figures.attention_figure(IMAGES, LABELS, MAPS[:2], NAMES[:2], PALETTE), "2 .*names.*3 colors"),
        (lambda: bare(list(IMAGES), list(LABELS), ONE), "1 unet"),
        (
            lambda: figures.qualitative_figure(IMAGE, LABEL, ONE, NAMES, PALETTE, "a", {"single": [1.0]}),
            "single.*unet",
        ),
        (lambda: figures.slice_montage(IMAGES, LABELS, NAMES, PALETTE, ["a"]), "1 titles"),
        (lambda: figures.slice_montage(IMAGES, LABELS, NAMES[:2], PALETTE[:2], "ab"), "label 3.*color"),
        (lambda: figures.label_overlay(IMAGES[0], LABELS[0, 1:], PALETTE), "resize"),
        (lambda: figures.label_overlay(IMAGES[0], LABELS[0], PALETTE[:2]), "label 3.*2 colors"),
        (lambda: head_charts.head_score_figure({"a": head_scores()}, "dice"), "auroc.*iou"),
        (lambda: charts.score_distribution(cases(("peer", "strict"))), "count twice"),
    ],
)
def test_what_does_not_fit_is_refused(call: Callable[[], object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        call()


def test_global_settings_stay_as_they_are() -> None:
    before = dict(mpl.rcParams)
    draw(charts.training_curves({("unet", 0): history(2)}))
    draw(charts.score_distribution(cases()))
    assert dict(mpl.rcParams) == before
