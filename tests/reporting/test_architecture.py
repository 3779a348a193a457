import itertools

import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.patches import FancyArrowPatch

from dainet.reporting.architecture import architecture_figure
from dainet.segmentation.catalog import build

LEGEND = [
    "Convolution, ReLU + Batch Norm",
    "Max. Pooling",
    "Transposed Convolution",
    "Concatenation",
    "Softmax",
]


def texts(figure: Figure) -> list[str]:
    return [text.get_text() for text in figure.axes[0].texts]


def dashed_arrows(figure: Figure) -> list[FancyArrowPatch]:
    return [patch for patch in figure.axes[0].patches if isinstance(patch, FancyArrowPatch) and is_dashed(patch)]


def is_dashed(patch: FancyArrowPatch) -> bool:
    return patch.get_linestyle() in ("--", "dashed")


@pytest.mark.parametrize("digits", ["0000", "0001", "0111", "1010", "1111"])
@pytest.mark.parametrize("order", ["deep-first", "shallow-first"])
def test_switches_read_as_in_the_name_of_the_model(digits: str, order: str) -> None:
    figure = architecture_figure(build(f"dual-{digits}", width=4, switch_order=order), order)
    assert sorted(text for text in texts(figure) if text.startswith("(")) == [
        f"({number}) = {digit}" for number, digit in enumerate(digits, start=1)
    ]
    assert len(dashed_arrows(figure)) == digits.count("0")


def test_the_first_switch_is_the_deepest_skip_unless_reversed() -> None:
    model = build("dual-0111", width=4)  # the deepest skip is off
    assert "(1) = 0" in texts(architecture_figure(model))
    assert "(4) = 0" in texts(architecture_figure(model, "shallow-first"))


@pytest.mark.parametrize(("name", "encoders"), [("unet", 1), ("single", 1), ("dual-0000", 2), ("dual-1111", 2)])
def test_channels_and_resolutions_come_from_the_model(name: str, encoders: int) -> None:
    model = build(name, in_channels=3, heads=5, classes=7, width=6)
    found = texts(architecture_figure(model))
    skips = {"unet": 1, "single": 1, "dual-0000": 1, "dual-1111": 2}[name]
    for channels in (6, 12, 24, 48):  # encoders, upsampled, skips, decoder
        assert found.count(str(channels)) == 2 * encoders + 1 + skips + 2
    assert found.count("96") == 2 * encoders + (2 if encoders == 2 else 0)
    assert [found.count(f"1/{step}") for step in (2, 4, 8, 16)] == [encoders + 1] * 3 + [encoders]
    assert found.count("7") == 1
    assert "Segmentation\n7 classes" in found


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("unet", {"Image\n1 channel"}),
        ("single", {"Image and\nattention maps\n1 + 6 channels"}),
        ("dual-1111", {"Image\n1 channel", "Attention maps\n6 heads", "Image encoder", "Attention encoder"}),
    ],
)
def test_inputs_are_named_with_their_channels(name: str, expected: set[str]) -> None:
    assert expected <= set(texts(architecture_figure(build(name, width=4))))


def test_parameters_of_the_papers_width() -> None:
    assert "31.04 M parameters" in texts(architecture_figure(build("unet", classes=9)))


@pytest.mark.parametrize(("name", "last"), [("unet", []), ("dual-0110", ["Switch = 0: off"])])
def test_legend_reads_as_in_the_paper(name: str, last: list[str]) -> None:
    (legend,) = architecture_figure(build(name, width=4)).legends
    assert [text.get_text() for text in legend.get_texts()] == LEGEND + last


@pytest.mark.parametrize("name", ["unet", "single", "dual-1111", "dual-0101"])
def test_no_text_lies_on_another_or_off_the_page(name: str) -> None:
    figure = architecture_figure(build(name))
    renderer = FigureCanvasAgg(figure).get_renderer()
    boxes = [text.get_window_extent(renderer) for text in figure.axes[0].texts]
    boxes.append(figure.legends[0].get_window_extent(renderer))
    assert not [(a, b) for a, b in itertools.combinations(boxes, 2) if a.overlaps(b)]
    page = figure.bbox
    assert all(page.x0 <= box.x0 and box.x1 <= page.x1 and page.y0 <= box.y0 and box.y1 <= page.y1 for box in boxes)


def test_unknown_switch_order() -> None:
    with pytest.raises(ValueError, match=r"up.*deep-first.*shallow-first"):
        architecture_figure(build("dual-1111", width=4), "up")
