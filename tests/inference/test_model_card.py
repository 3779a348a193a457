"""A card as a page says what the bundle holds, in every case that a training can leave."""

from __future__ import annotations

from typing import Any

import pytest
import yaml

from dainet.inference.bundle import read_card
from dainet.inference.card import Card, Score
from dainet.inference.model_card import model_card

HASH = "0" * 63 + "7"


def line(card: Card, begin: str) -> str:
    """The only line of a card's page with this beginning."""
    (found,) = (each for each in model_card(card).splitlines() if each.startswith(begin))
    return found


def changed(name: str = "acdc", **facts: Any) -> Card:
    return read_card(name).model_copy(update=facts)


def test_classes_have_the_numbers_that_label_maps_hold() -> None:
    assert "128 x 128 px: 1 RV, 2 Myo, 3 LV." in line(changed(), "A network of dainet")


@pytest.mark.parametrize(
    ("place", "words"),
    [
        ("contained", "in this file (mine)"),
        ("shipped", "that the kit contains (mine)"),
        ("timm", "timm's mine"),
        ("elsewhere", "not in this file: give the weights, mine"),
    ],
)
def test_the_transformer_is_named_with_its_place(place: str, words: str) -> None:
    vit = read_card("acdc").vit
    assert vit is not None
    card = changed(vit=vit.model_copy(update={"place": place, "name": "mine"}))
    assert words in line(card, "A network of dainet")
    assert line(card, "- transformer: ").endswith(vit.sha256)


def test_a_network_of_the_image_alone_names_no_transformer() -> None:
    page = model_card(changed(network="unet", vit=None))
    assert "It takes the image. Trained in" in page
    assert "transformer:" not in page


@pytest.mark.parametrize("part", ["source", "loss"])
def test_code_from_outside_is_named_only_where_there_is_some(part: str) -> None:
    begin = {"source": "- code of the network: ", "loss": "- code of the loss: "}
    card = changed(**{f"{part}_sha256": HASH})
    assert line(card, begin[part]).endswith(HASH)
    assert model_card(card).count("- code of ") == 1
    assert ("--network" in model_card(card)) is (part == "source")
    assert ("with the loss" in model_card(card)) is (part == "loss")
    assert "- code of " not in model_card(changed())


def test_the_window_of_ct_is_told_and_no_other_range_is() -> None:
    ct = changed(is_ct=True, normalization="window")
    assert line(ct, "- normalization: ") == "- normalization: window [-125, 275] HU"
    assert line(ct, "- kind: ") == "- kind: CT"
    assert line(changed(), "- normalization: ") == "- normalization: minmax"
    assert "MR" in line(changed(), "- kind: ")


def test_spacing_is_told_by_axis_from_lowest_to_highest() -> None:
    card = changed(spacing_mm=((5.0, 0.7, 0.8), (10.0, 1.9, 2.5)))
    assert line(card, "- spacing: ") == "- spacing: z 5 to 10 mm, y 0.7 to 1.9 mm, x 0.8 to 2.5 mm"
    assert line(changed(spacing_mm=None), "- spacing: ") == "- spacing: unknown"


def test_the_orientation_and_the_settings_are_those_of_the_card() -> None:
    begin = "- columns, rows and slices point to: "
    assert [line(changed(orientation=stored), begin) for stored in ("LPS", "")] == [f"{begin}LPS", f"{begin}unknown"]
    card = changed()
    settings = yaml.safe_load(model_card(card).partition("```yaml\n")[2].partition("```")[0])
    assert settings == card.settings.model_dump(mode="json")


def test_patients_are_counted_and_listed_by_part() -> None:
    card = changed(patients={"train": ("a", "b"), "valid": (), "test": ("c",)}, split="mine")
    assert line(card, "- split: ") == "- split: mine: 2 train, 0 valid, 1 test patients"
    assert [line(card, f"- {part}: ") for part in ("train", "valid", "test")] == [
        *("- train: a, b", "- valid: nobody", "- test: c")
    ]
    assert "Of 1 test patients" in model_card(card)


def test_a_score_that_nobody_has_is_a_dash() -> None:
    scores = (Score(name="RV", dsc=50.5, low=40.25, high=60), Score(name="LV", dsc=None, low=None, high=None))
    rows = [" ".join(each.split()) for each in model_card(changed(scores=scores)).splitlines() if each[:1] == "|"]
    assert rows[2:] == ["| RV | 50.50 | 40.25 to 60.00 |", "| LV | - | - |"]
    assert "| 88.00 |" in line(changed(), "| mean"), "two digits, also where every row has a number"


def test_a_bar_in_the_name_of_a_class_is_no_column() -> None:
    scores = (Score(name="tumor|core", dsc=50, low=40, high=60),)
    assert r"| tumor\|core" in line(changed(scores=scores), "| tumor")


@pytest.mark.parametrize(("name", "phantoms"), [("tour", True), ("acdc", False)])
def test_phantoms_are_told_from_persons(name: str, phantoms: bool) -> None:
    page = model_card(changed(name))
    assert ("It has never seen a person" in page) is phantoms
    assert ("phantoms" if phantoms else "scans of persons") in line(changed(name), "- data: ")
