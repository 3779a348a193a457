"""The pictures of the explorer, drawn from arrays and choices made by hand."""

import math
import re
from base64 import b64decode
from io import BytesIO

import numpy as np
import pytest
from matplotlib.colors import to_rgb
from PIL import Image

from dainet.explorer.drawing import network_drawing
from dainet.explorer.pictures import ERROR_COLORS, figure_html, map_picture, slice_pictures
from dainet.explorer.predictor import Choice
from dainet.explorer.table import score_table

RED, BLUE = (1.0, 0.0, 0.0), (0.0, 0.0, 1.0)
COLORS = ["red", "blue"]


@pytest.fixture
def arrays() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """A square of class 1 whose prediction lacks a column, has one too many and takes a pixel for class 2."""
    image = np.linspace(0, 1, 48 * 48).reshape(48, 48).astype(np.float16)
    label, prediction = np.zeros((2, 48, 48), np.uint8)
    label[10:30, 10:30] = 1
    prediction[10:30, 11:31] = 1
    prediction[20, 20] = 2
    return image, label, prediction


def test_five_pictures_of_one_slice(arrays: tuple[np.ndarray, np.ndarray, np.ndarray]) -> None:
    pictures = slice_pictures(*arrays, COLORS, opacity=1.0)
    assert list(pictures) == ["Slice", "Ground truth", "Prediction", "Outlines", "Errors"]
    factor = 6  # 48 px become 288
    assert all(
        picture.shape == (288, 288, 3) and 0 <= picture.min() <= picture.max() <= 1 for picture in pictures.values()
    )
    truth, predicted = pictures["Ground truth"], pictures["Prediction"]
    assert tuple(truth[15 * factor, 10 * factor]) == RED != tuple(predicted[15 * factor, 10 * factor])
    assert tuple(predicted[20 * factor, 20 * factor]) == BLUE


def test_without_prediction_only_slice_and_truth(arrays: tuple[np.ndarray, np.ndarray, np.ndarray]) -> None:
    assert list(slice_pictures(arrays[0], arrays[1], None, COLORS, 0.5)) == ["Slice", "Ground truth"]


def test_no_opacity_shows_the_slice(arrays: tuple[np.ndarray, np.ndarray, np.ndarray]) -> None:
    pictures = slice_pictures(*arrays, COLORS, opacity=0.0)
    assert np.array_equal(pictures["Slice"], pictures["Prediction"])


@pytest.mark.parametrize(("where", "kind"), [((15, 10), "missed"), ((15, 30), "added"), ((20, 20), "other")])
def test_errors_by_kind(arrays: tuple[np.ndarray, np.ndarray, np.ndarray], where: tuple[int, int], kind: str) -> None:
    pictures = slice_pictures(*arrays, COLORS, opacity=0.5)
    row, column = (6 * i + 3 for i in where)
    expected = 0.8 * np.array(to_rgb(ERROR_COLORS[kind])) + 0.2 * pictures["Slice"][row, column]
    assert pictures["Errors"][row, column] == pytest.approx(expected)
    right = pictures["Errors"] == pictures["Slice"]
    assert right.all(axis=-1).sum() == (48 * 48 - 41) * 36  # 20 missed, 20 added, 1 other


def test_outlines_are_edges_of_both(arrays: tuple[np.ndarray, np.ndarray, np.ndarray]) -> None:
    outlines = slice_pictures(*arrays, COLORS, opacity=0.5)["Outlines"]
    row = outlines[15 * 6]
    assert (row[60] == 1).all()
    assert tuple(row[66]) == RED
    assert row[20 * 6] == pytest.approx(
        slice_pictures(*arrays, COLORS, 0.5)["Slice"][15 * 6, 20 * 6]
    )  # inside: neither


def test_a_map_without_contrast_is_one_color() -> None:
    picture = map_picture(np.full((4, 4), 0.3, np.float32), "viridis")
    assert picture.shape == (4, 4, 3)
    assert np.ptp(picture.reshape(-1, 3), axis=0).max() == 0


def test_a_map_goes_from_the_darkest_to_the_brightest() -> None:
    picture = map_picture(np.array([[0.2, 0.7]], np.float32), "gray")
    assert tuple(picture[0, 0]) == (0, 0, 0)
    assert tuple(picture[0, 1]) == (1, 1, 1)


def test_pictures_survive_the_way_into_html_and_have_words() -> None:
    picture = np.random.default_rng(0).random((5, 7, 3))
    html = figure_html(picture, "<b>", 'say "this"')
    png = b64decode(re.search(r"base64,([^\"]+)", html)[1])
    assert np.array_equal(np.asarray(Image.open(BytesIO(png))), np.round(picture * 255))
    assert "&lt;b&gt;" in html
    assert 'alt="say &quot;this&quot;"' in html
    assert "nothing yet" in figure_html(None, "", "nothing yet")
    assert "<img" not in figure_html(None, "", "nothing yet")


ON, HEADS = (True,) * 4, (True,) * 6


def lines(choice: Choice, deep_first: bool = True) -> list[str]:
    """State of the attention skips, full resolution first."""
    return re.findall(r'class="(on|off) switched"', network_drawing(choice, deep_first))


def test_the_drawing_lights_what_is_on() -> None:
    choice = Choice("dual", True, (False, True, True, True), HEADS, "finetuned")
    assert lines(choice) == ["on", "on", "on", "off"]  # (1) is the deepest
    assert lines(choice, deep_first=False) == ["off", "on", "on", "on"]
    assert "6 of 6 maps" in network_drawing(choice, True)
    assert "skips of the attention encoder on: (2), (3), (4)" in (network_drawing(choice, True))


@pytest.mark.parametrize("model", ["unet", "single"])
def test_without_attention_encoder_no_attention_skip_is_lit(model: str) -> None:
    choice = Choice(model, False, ON, HEADS, None if model == "unet" else "finetuned")
    assert lines(choice) == ["off"] * 4
    assert ("slice + 6 of 6 maps" in network_drawing(choice, True)) == (model == "single")


def test_the_table_of_scores() -> None:
    table = score_table({"now": ([0.5, math.nan, 1.0], [0.75, 0.5, 1.0]), "later": (None, None)}, "ABC", ["red"] * 3)
    cells = [re.sub(r"<[^>]*>", "", cell) for cell in re.findall("<td>(.*?)</td>", table)]
    assert cells == ["50.0 ▼25.0", "–", "100.0 =", "75.0 =", *["…"] * 4]  # means of 50, 100 and of 75, 50, 100
    assert "neither in the ground truth nor in the prediction" in table


def test_a_first_table_has_no_changes_and_an_empty_one_no_mean() -> None:
    assert "▲" not in (table := score_table({"now": ([0.5], None)}, "A", ["red"]))
    assert "=" not in table.split("now")[1]
    assert score_table({"now": ([math.nan], None)}, "A", ["red"]).count("–") == 2
