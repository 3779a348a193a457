"""Maps from outside: read in the place of the ViT's, or refused before anything is trained."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from dainet import pipeline
from dainet.attention.stage import open_attention
from dainet.data.prepared import Prepared
from dainet.errors import DainetError
from dainet.inference.export import export
from dainet.jobs.preflight import check_early
from dainet.settings import Settings
from tests.helpers.samples import changed, write_maps


@pytest.fixture
def maps(prepared: Prepared, tmp_path: Path) -> Path:
    """Return a folder with three maps of 5 x 7 per slice."""
    return write_maps(tmp_path / "maps", prepared.cases)


@pytest.fixture
def given(tiny: Settings, maps: Path) -> Settings:
    return changed(tiny, "attention", maps=str(maps))


@pytest.fixture(autouse=True)
def no_vit(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let every load of a ViT fail."""

    def load(*arguments: object, **named: object) -> None:
        raise AssertionError("a ViT was loaded")

    monkeypatch.setattr("dainet.pipeline.load_vit", load)
    monkeypatch.setattr("dainet.pipeline.run_dino", load)


def test_each_slice_gets_the_maps_of_its_case(given: Settings, maps: Path, prepared: Prepared) -> None:
    stored, grid = open_attention(pipeline.attention(given))
    assert (grid.heads, grid.grid) == (3, (5, 7))
    for row, case in prepared.cases.iterrows():
        np.testing.assert_allclose(stored[row], np.load(maps / f"{case['case_id']}.npy")[case["slice"]], atol=1e-3)


@pytest.mark.parametrize("resize", ["bilinear", "nearest-bilinear"])
def test_a_network_gets_them_resized_bilinearly_and_stretched(given: Settings, maps: Path, resize: str) -> None:
    data = pipeline.slice_data(changed(given, "attention", resize=resize), with_maps=True)
    case = data.prepared.cases.loc[4]
    own = torch.from_numpy(np.load(maps / f"{case['case_id']}.npy")[case["slice"]].astype(np.float16)).float()
    side = data.prepared.images.shape[-1]
    expected = torch.nn.functional.interpolate(own[None], size=(side, side), mode="bilinear", align_corners=False)[0]
    low, high = (part(expected.flatten(1), dim=1).values[:, None, None] for part in (torch.min, torch.max))
    found = data.inputs(torch.tensor([4]))[1]
    assert found is not None
    torch.testing.assert_close(found[0], (expected - low) / (high - low))


def test_a_network_trains_on_them_without_a_vit(given: Settings) -> None:
    trained = pipeline.train(changed(given, "segmentation", epochs=1), "dual-1111", seed=0)
    assert trained.model.heads == 3
    record = trained.segmentation.record()
    assert record["settings"]["maps"] == {"normalization": "minmax"}
    assert record["inputs"]["attention"] == pipeline.attention(given).key


def test_the_key_holds_the_content_and_not_the_place(given: Settings, maps: Path, prepared: Prepared) -> None:
    first = pipeline.attention(given).key
    moved = maps.rename(maps.with_name("elsewhere"))
    assert pipeline.attention(changed(given, "attention", maps=str(moved))).key == first
    path = sorted(moved.iterdir())[0]
    array = np.load(path)
    array[0, 0, 0, 0] += 1
    np.save(path, array)
    assert pipeline.attention(changed(given, "attention", maps=str(moved))).key != first


def test_controls_work_with_their_number_of_channels(given: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    true, grid = open_attention(pipeline.attention(given))
    constant = changed(given, "attention", control="constant")
    assert np.ptp(open_attention(pipeline.attention(constant))[0]) == 0
    assert open_attention(pipeline.attention(constant))[1] == grid
    image = pipeline.slice_data(changed(given, "attention", control="image"), with_maps=True)
    assert (image.heads, image.maps) == (3, None)
    monkeypatch.setattr("dainet.attention.controls.donor_rows", lambda cases: np.arange(len(cases))[::-1])
    other = pipeline.attention(changed(given, "attention", control="other-patient"))
    np.testing.assert_array_equal(open_attention(other)[0], true[::-1])


def test_head_scores_are_those_of_the_given_maps(given: Settings, maps: Path, prepared: Prepared) -> None:
    for row in prepared.cases.drop_duplicates("case_id").index:  # the label itself, and its contrary
        case = prepared.cases.loc[row, "case_id"]
        organ = (prepared.labels[prepared.cases["case_id"] == case] > 0)[:, None].astype(np.float32)
        np.save(maps / f"{case}.npy", np.concatenate([organ, -organ], axis=1))
    found = pipeline.score_heads(given)
    of_any = found[found["class"] == "any"].set_index("head")["auroc"]
    assert list(of_any) == [1, 0]


@pytest.mark.parametrize("dtype", ["<f2", ">f4", "<f8"])
def test_every_type_of_floats_and_order_of_axes_is_read(given: Settings, maps: Path, dtype: str) -> None:
    expected = np.array(open_attention(pipeline.attention(given))[0])
    for path in maps.iterdir():
        np.save(path, np.asfortranarray(np.load(path).astype(dtype)))
    np.testing.assert_array_equal(open_attention(pipeline.attention(given))[0], expected)


def _change(change: Callable[[np.ndarray], Any]) -> Callable[[Path], None]:
    def act(path: Path) -> None:
        np.save(path, change(np.load(path)))

    return act


def _put(value: float) -> Callable[[np.ndarray], np.ndarray]:
    def put(array: np.ndarray) -> np.ndarray:
        array[2, 1, 3, 3] = value
        return array

    return put


def _zipped(path: Path) -> None:
    with path.open("wb") as handle:
        np.savez(handle, np.load(path) if path.stat().st_size else np.zeros(1))


REFUSED: dict[str, tuple[Callable[[Path], object], str]] = {
    "missing": (Path.unlink, r"1 of \d+ cases.*CASE"),
    "extra": (lambda path: np.save(path.with_name("stranger.npy"), np.zeros(1)), "1 files of no case: stranger.npy"),
    "too few slices": (_change(lambda array: array[1:]), r"CASE.*\d+ slices; expected \d+"),
    "other channels": (_change(lambda array: array[:, :2]), "CASE.*2 channels of 5 x 7; expected 3 channels of 5 x 7"),
    "another grid": (_change(lambda array: array[..., :6]), "CASE.*3 channels of 5 x 6; expected 3 channels"),
    "no channels": (_change(lambda array: array[..., 0]), r"CASE.*shape.*\[slices, channels, h, w\]"),
    "whole numbers": (_change(lambda array: array.astype(int)), "CASE.*int64.*floats"),
    "complex": (_change(lambda array: array.astype(complex)), "CASE.*complex128.*floats"),
    "pickled": (lambda path: np.save(path, np.array([{}, None], dtype=object)), "CASE.*no array of numbers"),
    "text": (lambda path: path.write_text("maps"), "CASE.*no array of numbers"),
    "empty": (lambda path: path.write_bytes(b""), "CASE.*no array of numbers"),
    "cut": (lambda path: path.write_bytes(path.read_bytes()[:-9]), "CASE.*no array of numbers"),
    "npz": (_zipped, "CASE.*no array of numbers"),
    "NaN": (_change(_put(np.nan)), "CASE.*NaN.*slice 2, channel 1"),
    "infinite": (_change(_put(np.inf)), "CASE.*infinity.*slice 2, channel 1"),
    "huge": (_change(_put(1e6)), r"CASE.*16 bits.*1e\+06"),
    "tiny": (_change(lambda array: array * 1e-9), "CASE.*16 bits.*scale"),
    "far from zero": (_change(lambda array: array + 4000), "CASE.*16 bits.*scale"),
}


@pytest.mark.parametrize("how", REFUSED)
def test_what_cannot_be_read_is_one_line_before_any_training(
    given: Settings, maps: Path, prepared: Prepared, how: str
) -> None:
    act, words = REFUSED[how]
    path = maps / f"{prepared.cases['case_id'].iloc[-1]}.npy"
    act(path)
    with pytest.raises(DainetError, match=words.replace("CASE", re.escape(path.name))) as caught:
        pipeline.segment(given, "single", seed=0)
    assert len(str(caught.value).splitlines()) == 1


def test_a_case_of_equal_values_is_no_loss_of_digits(given: Settings, maps: Path, prepared: Prepared) -> None:
    path = maps / f"{prepared.cases['case_id'].iloc[0]}.npy"
    np.save(path, np.full_like(np.load(path), 0.1))
    stored, _ = open_attention(pipeline.attention(given))
    assert (stored[prepared.cases["case_id"] == path.stem] == np.float16(0.1)).all()


def test_a_folder_that_is_not_there_is_refused_early(given: Settings, maps: Path) -> None:
    nowhere = changed(given, "attention", maps=str(maps / "nowhere"))
    check_early(given)
    check_early(nowhere, maps=False)  # a network that takes none
    with pytest.raises(DainetError, match=r"attention\.maps.*nowhere"):
        check_early(nowhere)


def test_what_is_about_a_vit_is_refused(given: Settings, tmp_path: Path) -> None:
    for call in (
        lambda: pipeline.backbone(given, "finetuned"),
        lambda: pipeline.attention(given, "random"),
        lambda: pipeline.score_heads(given, "pretrained"),
        lambda: pipeline.network_data(given, "dual-features"),
        lambda: export(given, "single", 0, tmp_path / "x.safetensors"),
    ):
        with pytest.raises(DainetError, match=r"attention\.maps"):
            call()
