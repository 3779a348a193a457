"""Exporting the live page's networks and slices from trainings in the cache."""

from __future__ import annotations

import json
from base64 import b64decode
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from book.live import export as exporting
from book.live.export import export
from book.live.models import Model, network_model
from book.live.slices import organ_facts, shown_rows
from book.live.trained import Finished, Organ, open_finished
from dainet.errors import InputError
from dainet.pipeline import Trained

Trainings = tuple[Path, dict[str, Any]]


@pytest.fixture
def organ(trained_runs: Trainings, monkeypatch: pytest.MonkeyPatch) -> Organ:
    """The tiny U-Net and dual encoder."""
    monkeypatch.setenv("DAINET_RUNS", str(trained_runs[0]))
    return Organ("Tiny", ("unet", "dual-1111"), trained_runs[1])


def test_missing_trainings_are_all_named_and_none_is_trained(organ: Organ, tmp_path: Path) -> None:
    more = {name: Organ("Tiny", (name, "unet"), organ.overrides) for name in ("dual-0000", "dual-0001")}
    with pytest.raises(InputError) as error:
        export(tmp_path / "out", more)
    commands = [line for line in str(error.value).splitlines() if "dainet stage scores" in line]
    assert [line.split("--network ")[1].split()[0] for line in commands] == ["dual-0000", "dual-0001"]
    assert not (tmp_path / "out").exists()


def test_slices_are_those_of_test_patients_and_hold_the_prepared_numbers(organ: Organ) -> None:
    finished = open_finished(organ)
    prepared, facts = finished.data.prepared, organ_facts("Tiny", finished)
    rows = shown_rows(prepared)
    assert set(rows) <= set(prepared.rows("test"))
    assert len(facts["colors"]) == len(facts["safe_colors"]) == len(facts["classes"]) == len(prepared.classes.names)
    for row, item in zip(rows, facts["slices"], strict=True):
        case = prepared.cases.loc[row]
        assert case["patient"] in item["name"]
        assert f"slice {case['slice'] + 1} of" in item["name"]
        for name, store, side in (
            ("image", prepared.images, facts["size"]),
            ("vit_image", finished.vit_images.images, facts["vit_size"]),
            ("label", prepared.labels, facts["size"]),
        ):
            found = np.frombuffer(b64decode(item[name]), store.dtype).reshape(side, side)
            np.testing.assert_array_equal(found, store[row])


def test_networks_that_are_too_large_together_are_refused_and_nothing_is_written(
    organ: Organ, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def large(finished: Finished, trained: Trained | None = None) -> Model:
        return Model(trained.name if trained else "vit", b"12345678", {}, {})

    monkeypatch.setattr(exporting, "vit_model", large)
    monkeypatch.setattr(exporting, "network_model", large)
    monkeypatch.setattr(exporting, "LARGEST", 3 * 8)
    assert export(tmp_path / "small", {"heart": organ})["bytes"] == 3 * 8
    monkeypatch.setattr(exporting, "LARGEST", 3 * 8 - 1)
    with pytest.raises(InputError, match="24 bytes"):
        export(tmp_path / "large", {"heart": organ})
    assert not (tmp_path / "large").exists()


@pytest.mark.slow
def test_an_export_is_complete_and_equal_to_the_bit(organ: Organ, tmp_path: Path) -> None:
    dual = Organ("Tiny", ("dual-1111",), organ.overrides)
    record = export(tmp_path, {"heart": dual})
    names = ["heart-vit", "heart-dual-1111"]
    assert {path.name for path in (tmp_path / "models").iterdir()} == {
        "record.json",
        *(f"{name}.onnx.gz" for name in names),
    }
    assert json.loads((tmp_path / "models" / "record.json").read_text()) == record
    page = json.loads((tmp_path / "slices.json").read_text())["heart"]
    assert list(page["networks"]) == ["vit", "dual-1111"]
    for name in names:
        ways = record["models"][name]["ways"]
        assert ways["int8"]["bytes"] < ways["float16"]["bytes"]
        assert ways["float16"]["pixels_changed"] <= 0.01 * ways["float16"]["pixels"]
    finished = open_finished(dual)
    again = network_model(finished, finished.networks[0])
    assert again.content == (tmp_path / "models" / "heart-dual-1111.onnx.gz").read_bytes()
    assert again.record == record["models"]["heart-dual-1111"]
