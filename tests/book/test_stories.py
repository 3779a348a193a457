"""Stories in pictures: numbers are those of the kit's functions; committed pictures are what the code makes."""

from __future__ import annotations

import json
import re
from base64 import b64decode
from io import BytesIO
from itertools import islice, pairwise
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image
from torch import Tensor

from book.stories.build import build_stories, stories, write_pictures
from book.stories.cut_skip import decoder_features, relative_change
from book.stories.our_patient import our_patient
from book.stories.seeds import paper_gap, simulated_gains, simulation_values
from book.stories.softmax_row import attention_rows
from book.stories.svg import Story
from dainet.attention.maps import cls_attention, token_maps
from dainet.cache.records import hash_file, read_record
from dainet.compare.power import published_spreads
from dainet.segmentation.cuts import CutNetwork
from study import one_run
from tests.helpers import REPOSITORY

PICTURES = REPOSITORY / "figures" / "stories"
NAMES = ("softmax_row", "cut_skip", "seeds")
NUMBER = re.compile(r"-?\d+(?:\.\d+)?")


def story(name: str) -> Story:
    return next(each for each in stories() if each.name == name)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Write the pictures, and the pages next to them."""
    folder = tmp_path_factory.mktemp("stories")
    write_pictures(folder)
    build_stories(folder)
    return folder


def test_rows_are_the_attention_of_the_kit_and_maps_are_their_patches() -> None:
    patient = our_patient()
    scores, rows = attention_rows(patient.vit, patient.vit_input)
    with torch.inference_mode():
        expected, tokens = cls_attention(patient.vit, patient.vit_input)[0], token_maps(patient.vit, patient.vit_input)
    torch.testing.assert_close(rows, expected, rtol=1e-4, atol=1e-6)
    torch.testing.assert_close(rows.sum(-1), torch.ones(6), rtol=0, atol=1e-5)
    torch.testing.assert_close(rows[:, 1:].reshape(1, 6, 12, 12), tokens, rtol=1e-4, atol=1e-6)
    assert torch.equal(patient.tokens, tokens)
    told = " ".join(step.words for step in story("softmax_row").steps)
    for number in (expected[0, 0], tokens[0, 0].sum()):
        assert f"{number:.3f}" in told
    for number in (scores[0].min(), scores[0].max()):
        assert f"{number:.1f}" in told


def hooked(cut: int | None) -> list[Tensor]:
    """Decoder features and logits of the kit's own network with cuts, by hooks."""
    patient, found = our_patient(), list[Tensor]()
    network = CutNetwork(patient.network).eval()
    network.skips_on = tuple(level != cut for level in range(4))
    blocks = patient.network.decoder.blocks
    hooks = [block.register_forward_hook(lambda *call: found.append(call[2])) for block in blocks]
    with torch.inference_mode():
        logits = network(patient.image, patient.maps)
    for hook in hooks:
        hook.remove()
    return [*found, logits]


@pytest.mark.parametrize("cut", range(4))
def test_a_cut_changes_what_hooks_in_the_network_see_and_nothing_before_it(cut: int) -> None:
    patient = our_patient()
    whole, after = (decoder_features(patient.network, patient.image, patient.maps, each) for each in (None, cut))
    shares = []
    for before, seen, mine, other in zip(whole, hooked(None), after, hooked(cut), strict=True):
        torch.testing.assert_close(before, seen)
        torch.testing.assert_close(mine, other)
        change = relative_change(before, mine)
        shares.append(float(np.sqrt((change**2).mean())))
        assert shares[-1] == pytest.approx(float((other - seen).norm() / seen.norm()), abs=1e-5)
    assert [share > 0 for share in shares] == [level >= cut for level in range(5)]
    flipped = int((hooked(cut)[-1].argmax(1) != hooked(None)[-1].argmax(1)).sum())
    told = story("cut_skip").steps[cut + 1].words
    assert f"moves by {100 * shares[cut]:.0f} %" in told
    assert (f"{flipped} of 4096 labels change" if flipped else "no label changes") in told


def test_simulated_tables_have_the_shares_that_the_report_computes() -> None:
    truth, gap, limit = published_spreads()["near-paper"], paper_gap(), simulation_values()["limit"]
    tables = np.array(list(islice(simulated_gains(seed=1), 4000)))
    gains = tables.mean(axis=1)
    assert gap == 0.33
    assert gains.std() == pytest.approx(one_run.one_run_error(truth), rel=0.04)
    assert tables.std(axis=1, ddof=1).mean() == pytest.approx(np.hypot(truth.patients, 2**0.5 * truth.luck), rel=0.03)
    assert (np.abs(gains) >= gap).mean() == pytest.approx(one_run.chance_of_gap(gap, truth), abs=0.025)
    assert (np.abs(gains + gap) >= limit).mean() == pytest.approx(one_run.found(gap, truth), abs=0.02)


def test_the_story_of_seeds_prints_what_the_report_prints() -> None:
    table = pd.read_csv(REPOSITORY / "figures" / "acdc-study" / "table_power.csv").set_index("Comparison")
    line = table.loc["dual-1111 - unet"]
    chance, found, seeds = (
        int(NUMBER.search(line[f"{name}, near the paper's scale"])[0])
        for name in ("By chance", "Found", "Seeds for 80 %")
    )
    told = [step.words for step in story("seeds").steps]
    assert f"it is {chance} %" in told[2]
    assert f"it is {100 - found} %" in told[3]
    assert f"About {seeds} trainings" in told[4]


def pixels(image: ElementTree.Element) -> np.ndarray:
    return np.array(Image.open(BytesIO(b64decode(image.attrib["href"].partition(",")[2])))).astype(float)


@pytest.mark.parametrize("name", NAMES)
def test_the_committed_picture_is_what_the_code_makes_within_rounding(name: str, made: Path) -> None:
    stored, fresh = (list(ElementTree.parse(folder / f"{name}.svg").iter()) for folder in (PICTURES, made))
    assert [element.tag for element in stored] == [element.tag for element in fresh]
    for one, other in zip(stored, fresh, strict=True):
        texts = [" ".join([element.text or "", *element.attrib.values()]) for element in (one, other)]
        if one.tag.endswith("image"):
            difference = np.abs(pixels(one) - pixels(other))
            assert difference.mean() < 1  # another machine rounds otherwise; a label at the edge may flip
            continue
        assert NUMBER.sub("#", texts[0]) == NUMBER.sub("#", texts[1])
        found, expected = (np.array(NUMBER.findall(text), dtype=float) for text in texts)
        np.testing.assert_allclose(found, expected, rtol=0.02, atol=1)
    assert read_record(PICTURES / f"{name}.json")["files"] == {f"{name}.svg": hash_file(PICTURES / f"{name}.svg")}


@pytest.mark.parametrize("name", NAMES)
def test_pictures_and_pages_need_nothing_from_elsewhere(name: str, made: Path) -> None:
    picture = (PICTURES / f"{name}.svg").read_text()
    page = (made / "stories" / f"{name}.html").read_text()
    for text in (picture, page):
        assert set(re.findall(r"https?://[^\s\"]+", text)) == {"http://www.w3.org/2000/svg"}  # a name, not an address
        assert not re.findall(r"(?:src|href)=\"(?!data:|\.\./stories\.html)", text)
    assert len(picture) < 200_000
    root = ElementTree.fromstring(picture)
    assert [child.tag.rpartition("}")[2] for child in root][:2] == ["title", "desc"]
    assert all(child.text for child in root[:2])


@pytest.mark.parametrize("name", NAMES)
def test_steps_appear_in_order_and_the_picture_ends_complete(name: str) -> None:
    rules = (PICTURES / f"{name}.svg").read_text()
    starts = [float(start) for start in re.findall(r"@keyframes k\d+\{0%,([\d.]+)%", rules)]
    assert len(starts) == len(story(name).steps) - 1
    assert all(a < b for a, b in pairwise(starts))
    assert rules.count("100%{opacity:1}") == len(starts)
    assert "prefers-reduced-motion:reduce" in rules


def test_the_patient_is_the_first_of_the_live_page_as_the_tour_has_prepared_her() -> None:
    patient = our_patient()
    first = json.loads((REPOSITORY / "book" / "live" / "slices.json").read_text())["heart"]["slices"][0]
    assert first["name"].startswith("patient002, end-diastole")
    for key, kind, mine in (
        ("image", np.float16, patient.image[0, 0].numpy()),
        ("vit_image", np.float16, patient.picture),
        ("label", np.uint8, patient.label),
    ):
        np.testing.assert_array_equal(np.frombuffer(b64decode(first[key]), kind).reshape(mine.shape), mine)
