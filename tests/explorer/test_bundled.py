"""The explorer on a bundle, without any trained network in the cache."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from nbformat.v4 import new_notebook

from dainet import pipeline
from dainet.cache.store import finished_only
from dainet.device import choose_device
from dainet.errors import InputError
from dainet.explorer.bundled import bundle_settings, explore_bundle
from dainet.explorer.page import of_bundle
from dainet.inference.bundle import read_bundle
from dainet.settings import load_settings
from tests.helpers.bundles import export_tiny


@pytest.fixture(scope="module")
def bundle(trained_runs: tuple[Path, dict[str, Any]], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The full dual encoder of the tiny runs with its fine-tuned ViT."""
    return export_tiny(trained_runs, tmp_path_factory.mktemp("bundles"))


def test_a_bundle_is_explored_without_a_trained_network(
    bundle: Path, trained_runs: tuple[Path, dict[str, Any]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    runs, overrides = trained_runs
    monkeypatch.setenv("DAINET_RUNS", str(tmp_path / "empty"))
    source = {"data.source": overrides["data.source"], "device": "cpu"}
    explorer = explore_bundle(str(bundle), source)
    assert explorer.predictor is not None
    choice, row = explorer.controls.choice, explorer.row
    shown = explorer.predictor.slice_label(choice, row)
    maps = explorer.predictor.maps("finetuned", row)
    assert {path.name for path in (tmp_path / "empty").iterdir() if path.name[0] != "."} == {"prepared", "attention"}
    labels = [label for label, _ in explorer.controls.source.options]
    assert [label.endswith("(not computed yet)") for label in labels] == [False, True, True]
    explorer.controls.skips[0].value = False
    assert explorer.controls.choice.skips_on[0] is False
    explorer.controls.model.value = "unet"
    assert "Not computed yet: unet" in explorer.view.message.value
    explorer.close()
    monkeypatch.setenv("DAINET_RUNS", str(runs))
    settings = load_settings("tour", overrides)
    with finished_only():
        data, trained = pipeline.slice_data(settings, with_maps=True), pipeline.train(settings, "dual-1111", 0)
    np.testing.assert_array_equal(shown, data.predict(trained.model, np.array([row]))[0].numpy())
    expected = data.inputs(torch.tensor([row]))[1]
    assert expected is not None
    np.testing.assert_array_equal(maps, expected[0].numpy())


def test_what_cannot_be_explored_is_refused(
    bundle: Path, trained_runs: tuple[Path, dict[str, Any]], tmp_path: Path
) -> None:
    cpu = choose_device("cpu")
    unet = read_bundle(str(export_tiny(trained_runs, tmp_path, "unet")), cpu)
    with pytest.raises(InputError, match=r"unet.*dual-1111"):
        bundle_settings(unet, {"data.source": "scans"})
    dual = read_bundle(str(bundle), cpu)
    with pytest.raises(InputError, match=r"--source"):
        bundle_settings(dual, {})
    with pytest.raises(InputError, match=r"vit\.weights.*--model"):
        bundle_settings(dual, {"data.source": "scans", "vit.weights": "hub"})


def test_files_that_a_card_cannot_carry_are_given(
    bundle: Path, trained_runs: tuple[Path, dict[str, Any]], tmp_path: Path
) -> None:
    files = {name: tmp_path / "given" / f"{name}.csv" for name in ("split", "spacing")}
    files["split"].parent.mkdir()
    files["split"].write_text("patient,split\npatient001,test\npatient002,train\npatient019,valid\n")
    edges = "".join(f"patient{number:03d},2.5,7\n" for number in (1, 2, 19))
    files["spacing"].write_text(f"patient,pixel_mm,slice_distance_mm\n{edges}")
    dual = read_bundle(str(bundle), choose_device("cpu"))
    data = dual.settings.data.model_copy(update={name: file.name for name, file in files.items()})  # as cards keep them
    trained = replace(dual, settings=dual.settings.model_copy(update={"data": data}))
    given = {f"data.{name}": str(file) for name, file in files.items()}
    prepared = pipeline.prepare(bundle_settings(trained, {"data.source": trained_runs[1]["data.source"], **given}))
    assert set(prepared.cases.loc[prepared.rows("test"), "patient"]) == {"patient001"}
    assert set(prepared.cases["spacing_z_mm"]) == {7}


def test_the_page_of_a_bundle_has_one_cell(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []
    monkeypatch.setattr("dainet.explorer.explore_bundle", lambda *arguments: asked.append(arguments))
    (cell,) = of_bundle(new_notebook(), "it's.safetensors", {"device": "cpu"}).cells
    exec(cell.source, {})
    assert asked == [("it's.safetensors", {"device": "cpu"})]
