"""Predicting scans with a bundle: what the stage scores has scored, in any orientation, and files that stay apart."""

from __future__ import annotations

import itertools
import json
import os
import shutil
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
import pytest
import torch
from nibabel import orientations
from PIL import Image

from dainet import pipeline
from dainet.attention import stage as attention_stage
from dainet.data.formats.supported import FORMATS
from dainet.data.scans import Scan, read_scan
from dainet.data.sources import open_source
from dainet.device import choose_device
from dainet.errors import InputError
from dainet.inference.bundle import Bundle, read_bundle
from dainet.inference.each_scan import output_names
from dainet.inference.export import export
from dainet.inference.label_maps import predict_files
from dainet.inference.predict import predict_scan, predictor
from dainet.segmentation.evaluation import class_dsc
from dainet.settings import Settings, load_settings
from tests.helpers.commands import command
from tests.helpers.formats import load_nifti
from tests.helpers.samples import discs
from tests.helpers.scans import oblique_affine, save_dicom, save_itk, save_nifti_scan

CPU = choose_device("cpu")
AFFINE = oblique_affine()
VOXELS = np.round(1000 * discs(3, (5, 40, 36))[0] + np.arange(5)[:, None, None]).astype(np.int16).T  # [36, 40, 5]


@pytest.fixture(autouse=True)
def runs(trained_runs: tuple[Path, dict[str, Any]], monkeypatch: pytest.MonkeyPatch) -> None:
    """Open the tiny networks, which every test leaves as they are."""
    monkeypatch.setenv("DAINET_RUNS", str(trained_runs[0]))


@pytest.fixture(scope="module")
def settings(trained_runs: tuple[Path, dict[str, Any]]) -> Settings:
    return load_settings("tour", trained_runs[1])


@pytest.fixture(scope="module")
def file(
    trained_runs: tuple[Path, dict[str, Any]], settings: Settings, tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """A bundle of the full dual encoder, trained on MR without spacing or orientation."""
    path = tmp_path_factory.mktemp("bundles") / "dual.safetensors"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DAINET_RUNS", str(trained_runs[0]))
        export(settings, "dual-1111", 0, path, "CC-BY-4.0")
    return path


@pytest.fixture(scope="module")
def bundle(file: Path) -> Bundle:
    return read_bundle(str(file), CPU)


def trained_on(bundle: Bundle, **facts: Any) -> Bundle:
    """The bundle with other facts about its training."""
    return replace(bundle, card=bundle.card.model_copy(update=facts))


def in_memory(voxels: np.ndarray = VOXELS, affine: np.ndarray = AFFINE, modality: str = "") -> Scan:
    x, y, z = np.linalg.norm(affine[:3, :3], axis=0)
    return Scan("heart", voxels, affine, (x, y, z), modality, "nifti", None)


@pytest.mark.parametrize("network", ["unet", "dual-1111", pytest.param("dual-features", marks=pytest.mark.slow)])
def test_a_volume_of_the_training_is_predicted_as_the_stage_scores_has_scored_it(
    network: str, settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if network == "dual-features":
        monkeypatch.setenv("DAINET_RUNS", str(shutil.copytree(os.environ["DAINET_RUNS"], tmp_path / "runs")))
        short = settings.segmentation.model_copy(update={"epochs": 5})
        settings = settings.model_copy(update={"segmentation": short})
    trained = pipeline.train(settings, network, 0)
    export(settings, network, 0, tmp_path / "a.safetensors", "CC-BY-4.0")
    bundle, source = read_bundle(str(tmp_path / "a.safetensors"), CPU), open_source(settings.data)
    expected = trained.cases[trained.cases["policy"] == "strict"].set_index(["case_id", "class"])
    cases = [case for case in source.cases if case.case_id in expected.index.get_level_values(0)]
    paths = [tmp_path / f"{case.case_id}.nii.gz" for case in cases]
    for case, path in zip(cases, paths, strict=True):
        save_nifti_scan(path, source.read(case).image.T, np.diag([1.5, 1.5, 10, 1]))
    assert predict_files(paths, bundle, "a", CPU, tmp_path / "out") == []
    for case in cases:
        labels = np.asanyarray(load_nifti(tmp_path / "out" / f"{case.case_id}_labels.nii.gz").dataobj).T
        dsc = class_dsc(torch.from_numpy(labels.copy()), torch.from_numpy(source.read(case).label), 3)
        for number, name in enumerate(bundle.classes.names, start=1):
            line = expected.loc[(case.case_id, name)]
            assert (labels == number).sum() == line["predicted_voxels"]
            assert dsc[number - 1].item() == pytest.approx(line["dsc"], abs=1e-7)
    assert len(cases) == 2
    assert expected["predicted_voxels"].sum() > 0


ORDERS = list(zip(itertools.permutations(range(3)), itertools.product((1, -1), repeat=3), strict=False))


def reordered(axes: Sequence[int], signs: Sequence[int]) -> tuple[np.ndarray, np.ndarray]:
    """The same volume at the same places, its voxels stored in another order."""
    turn = np.array(list(zip(axes, signs, strict=True)))
    voxels = orientations.apply_orientation(VOXELS, turn)
    return voxels, AFFINE @ orientations.inv_ornt_aff(turn, VOXELS.shape)


@pytest.mark.parametrize(
    ("form", "orientation"),
    [("acdc", "LPS"), ("acdc", "RAS"), ("acdc", "LAI"), ("custom", "LPS"), ("custom", "AIL")],
)
def test_a_scan_stored_in_six_orientations_has_one_label_map(bundle: Bundle, form: str, orientation: str) -> None:
    bundle = trained_on(bundle, orientation=orientation, format=next(f.name for f in FORMATS if f.dataset == form))
    predict = predictor(bundle, CPU)
    expected = predict_scan(in_memory(), bundle, predict).labels
    assert set(np.unique(expected)) == {0, 1, 2, 3}
    everywhere = np.argwhere(np.ones(VOXELS.shape))
    places = nibabel.affines.apply_affine(AFFINE, everywhere)
    for axes, signs in ORDERS:
        voxels, affine = reordered(axes, signs)
        labels = predict_scan(in_memory(voxels, affine), bundle, predict).labels
        indices = np.rint(nibabel.affines.apply_affine(np.linalg.inv(affine), places)).astype(int)
        np.testing.assert_array_equal(labels[tuple(indices.T)], expected[tuple(everywhere.T)])


def test_no_graph_is_kept_for_the_depth_of_a_scan(bundle: Bundle, monkeypatch: pytest.MonkeyPatch) -> None:
    """On a GPU, steps of equal shapes are recorded; scans differ in depth, and memory would grow with their number."""
    monkeypatch.setattr(attention_stage, "recorded", None)
    labels = predict_scan(in_memory(), bundle, predictor(bundle, replace(CPU, records_steps=True))).labels
    np.testing.assert_array_equal(labels, predict_scan(in_memory(), bundle, predictor(bundle, CPU)).labels)


def test_what_differs_far_from_the_training_is_predicted_only_if_asked(bundle: Bundle) -> None:
    scan, bundle = in_memory(modality="US"), trained_on(bundle, spacing_mm=((1.0, 1.2, 1.2), (3.0, 1.8, 1.8)))
    with pytest.raises(InputError, match=r"US.*8 mm.*--anyway"):
        predict_scan(scan, bundle, predictor(bundle, CPU))
    assert len(predict_scan(scan, bundle, predictor(bundle, CPU), anyway=True).warnings) == 2
    assert predict_scan(in_memory(), trained_on(bundle, spacing_mm=None), predictor(bundle, CPU)).warnings == ()


def test_names_of_outputs_are_their_own() -> None:
    paths = ["a/heart.nii.gz", "b/heart.mha", "b/Heart.nrrd", "b/lung.nii", "c/b_heart.nii"]
    assert output_names([Path(path) for path in paths]) == ["a_heart", "b_heart", "b_Heart_2", "lung", "b_heart_3"]
    assert output_names([Path(path) for path in paths[1:4]]) == ["heart", "Heart_2", "lung"]


def test_scans_of_every_kind_get_their_files_and_a_bad_one_stops_no_other(
    file: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    save_nifti_scan(tmp_path / "a" / "heart.nii.gz", VOXELS, AFFINE)
    save_itk(tmp_path / "b" / "heart.nrrd", VOXELS, AFFINE)
    save_itk(tmp_path / "heart.mha", VOXELS, AFFINE)
    save_dicom(tmp_path / "series", VOXELS, AFFINE)
    Image.fromarray(VOXELS[:, :, 2].T.clip(0, 255).astype(np.uint8)).save(tmp_path / "slice.png")
    (tmp_path / "bad.nii").write_text("no scan")
    scans = ["a/heart.nii.gz", "bad.nii", "b/heart.nrrd", "heart.mha", "series", "absent.nii", "slice.png"]
    arguments = [str(tmp_path / scan) for scan in scans]
    out = tmp_path / "out"
    status, said = command("predict", *arguments, "--model", str(file), "--output", str(out), "--device", "cpu")
    assert status == 1
    assert "5 of 7 scans" in said
    failed = [record.message for record in caplog.records if record.levelname == "ERROR"]
    assert [line.split(":")[0] for line in failed] == [str(tmp_path / name) for name in ("bad.nii", "absent.nii")]
    stems = {"a_heart": ".nii.gz", "b_heart": ".nrrd", f"{tmp_path.name}_heart": ".mha", "series": ".nii.gz"}
    stems["slice"] = ".png"
    made = {f"{stem}{end}" for stem, kind in stems.items() for end in (f"_labels{kind}", "_labels.json", "_sheet.png")}
    assert {path.name for path in out.iterdir()} == made
    expected = read_scan(out / "a_heart_labels.nii.gz")
    for stem in ("b_heart", f"{tmp_path.name}_heart", "series"):
        found = read_scan(out / f"{stem}_labels{stems[stem]}")
        np.testing.assert_array_equal(found.voxels, expected.voxels)
        np.testing.assert_allclose(found.affine, AFFINE, atol=1e-4)
    about = json.loads((out / "a_heart_labels.json").read_text())
    assert about["labels"]["3"]["name"] == "LV"
    assert about["labels"]["3"]["voxels"] == (expected.voxels == 3).sum()
    assert about["labels"]["3"]["ml"] == pytest.approx((expected.voxels == 3).sum() * 1.4 * 1.5 * 8 / 1000, abs=0.01)
    assert about["bundle"]["sha256"] == read_bundle(str(file), CPU).card.network_sha256
    before = {path: path.read_bytes() for path in out.iterdir()}
    again = arguments[0], *arguments[2:4]
    assert command("predict", *again, "--model", str(file), "--output", str(out))[0] == 1
    assert sum(record.levelname == "ERROR" for record in caplog.records) == 2 + 3
    assert {path: path.read_bytes() for path in out.iterdir()} == before


def test_an_axis_of_slices_that_is_unclear_is_asked_for(
    file: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    save_nifti_scan(tmp_path / "cube.nii", VOXELS[:, :36, [0, 1, 2, 3, 4] * 7], np.eye(4))
    arguments = ("predict", str(tmp_path / "cube.nii"), "--model", str(file), "--output", str(tmp_path / "out"))
    assert command(*arguments)[0] == 1
    assert "--slice-axis" in caplog.text
    assert command(*arguments, "--slice-axis", "w")[0] != 0
    assert command(*arguments, "--slice-axis", "superior")[0] == 0
