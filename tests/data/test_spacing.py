"""Copies without voxel edges take them from a table, which must not contradict them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from dainet import pipeline
from dainet.data.check import check_source
from dainet.data.prepared import run_prepared
from dainet.data.spacing import read_spacing
from dainet.data.volume import DataError
from dainet.errors import InputError
from dainet.segmentation.evaluation import read_scores
from dainet.settings import DataSettings, load_settings
from tests.helpers.formats import acdc_patient, mtunet, transunet
from tests.helpers.samples import tiny_overrides

PATIENTS = ("patient001", "patient002", "patient004", "patient005", "patient019", "patient090")


def table(folder: Path, changed: str = "patient002", names: tuple[str, ...] = PATIENTS, **values: object) -> Path:
    """Write edges of 1.5 mm and 8 mm of each patient; `values` are those of one of them, or columns of all ("")."""
    content = pd.DataFrame({"patient": names, "pixel_mm": 1.5, "slice_distance_mm": 8.0, "weight_kg": 70})
    for column, value in values.items():
        content[column] = content.get(column)
        content.loc[content["patient"] == changed if changed else content.index, column] = value
    content.to_csv(folder / "edges.csv", index=False)
    return folder / "edges.csv"


def settings(source: Path, spacing: Path, **values: object) -> DataSettings:
    return DataSettings.model_validate({"source": str(source), "spacing": str(spacing)} | values)


def test_the_store_and_the_scores_of_a_copy_have_millimeters(h5_source: Path, tmp_path: Path) -> None:
    overrides = tiny_overrides(h5_source) | {"segmentation.epochs": 1, "dino.epochs": 0}
    spacing = table(tmp_path, pixel_mm=2.0, slice_distance_mm=500.0, slices=3, ed_frame=1, es_frame=9)
    run = load_settings("tour", overrides | {"data.spacing": str(spacing)})
    prepared = pipeline.prepare(run)
    assert prepared.native_label("patient002_ED")[1] == (500.0, 2.0, 2.0)
    edges = prepared.cases.loc[prepared.rows("train"), ["spacing_z_mm", "spacing_y_mm", "spacing_x_mm"]]
    assert np.unique(edges, axis=0).tolist() == [[8.0, 1.5, 1.5]]
    found = read_scores(pipeline.train(run, "unet", seed=0).scored)
    measured = found[(found["policy"] == "strict") & (found["predicted_voxels"] > 0)]
    assert len(measured)
    # Slices are equal and far apart, so the nearest border lies in the slice.
    np.testing.assert_allclose(measured["hd95_mm"], 2 * measured["hd95_vox"])


@pytest.mark.parametrize(
    ("values", "facts"),
    [
        ({"slices": 4}, ["patient002_E", "slices = 4", "has 3"]),
        ({"es_frame": 8}, ["patient002_ES", "es_frame = 8", "has 9"]),
        ({"ed_frame": 9}, ["patient002_ED", "ed_frame = 9", "has 1"]),
    ],
)
def test_a_table_that_contradicts_the_files_is_refused(
    h5_source: Path, tmp_path: Path, values: dict[str, Any], facts: list[str]
) -> None:
    chosen = settings(h5_source, table(tmp_path, **values))
    with pytest.raises(DataError) as caught:
        run_prepared(chosen, 32)
    assert all(fact in str(caught.value) for fact in facts)
    assert check_source(chosen).problems == tuple(str(caught.value).splitlines())


def test_frames_may_be_in_any_order_of_columns_and_empty(h5_source: Path, tmp_path: Path) -> None:
    assert check_source(settings(h5_source, table(tmp_path, ed_frame=1, es_frame=9))).problems == ()


def test_only_patients_of_the_split_need_a_line(h5_source: Path, tmp_path: Path) -> None:
    split = tmp_path / "split.csv"
    split.write_text("patient,split\npatient001,train\npatient002,test\n")
    spacing = table(tmp_path, names=PATIENTS[:2])
    assert len(run_prepared(settings(h5_source, spacing, split=str(split)), 32).volumes("test")) == 2
    with pytest.raises(DataError) as caught:
        run_prepared(settings(h5_source, spacing), 32)
    assert [line[:10] for line in str(caught.value).splitlines()] == list(PATIENTS[2:])


@pytest.mark.parametrize(("pixel", "fits"), [(1.5, True), (1.51, True), (1.53, False)])
def test_a_file_with_edges_of_its_own_is_compared(tmp_path: Path, pixel: float, fits: bool) -> None:
    """Its pixels are 1.4 x 1.5 mm, and tables are rounded."""
    acdc_patient(tmp_path / "patient002")
    spacing = table(tmp_path, pixel_mm=pixel, slice_distance_mm=10, rows=1.4 / pixel * 40, columns=1.5 / 1.5 * 36)
    report = check_source(settings(tmp_path, spacing))
    assert [line[:13] for line in report.problems] == ["patient002_ED", "patient002_ES"] * (not fits)
    assert all(f"10 x 1.4 x {pixel}" in line and "10 x 1.4 x 1.5" in line for line in report.problems)
    assert set(report.cases.get("spacing_mm", ())) == ({"10.00 x 1.40 x 1.50"} if fits else set())


def test_resized_slices_need_the_size_of_the_scan(tmp_path: Path) -> None:
    """MT-UNet's slices of 40 x 36 px stand for scans of 200 x 216 px."""
    mtunet(tmp_path / "copy")
    problems = check_source(settings(tmp_path / "copy", table(tmp_path))).problems
    assert [line[:10] for line in problems] == ["patient001", "patient002"]
    assert all("rows and columns" in line for line in problems)
    sized = table(tmp_path, "", rows=200, columns=216)
    prepared = run_prepared(settings(tmp_path / "copy", sized), 32)
    assert prepared.native_label("patient002_ED")[1] == pytest.approx((8.0, 1.5 * 200 / 40, 1.5 * 216 / 36))


def test_a_copy_of_synapse_takes_a_table_by_case(tmp_path: Path) -> None:
    transunet(tmp_path / "copy")
    spacing = tmp_path / "edges.csv"
    spacing.write_text("case,pixel_mm,slice_distance_mm\ncase0001,7.5,20\ncase0005,7.5,20\n")
    report = check_source(settings(tmp_path / "copy", spacing, dataset="synapse"))
    assert (report.problems, set(report.cases["spacing_mm"])) == ((), {"20.00 x 7.50 x 7.50"})


@pytest.mark.parametrize(
    ("text", "facts"),
    [
        ("patient,pixel_mm\na,1\n", ["slice_distance_mm"]),
        ("name,pixel_mm,slice_distance_mm\na,1,8\n", ["patient", "case"]),
        ("patient,pixel_mm,slice_distance_mm\na,0,8\n", ["a has pixel_mm = 0"]),
        ("patient,pixel_mm,slice_distance_mm\na,1,-8\n", ["a has slice_distance_mm = -8"]),
        ("patient,pixel_mm,slice_distance_mm\na,,8\n", ["a has pixel_mm = nan"]),
        ("patient,pixel_mm,slice_distance_mm\na,inf,8\n", ["a has pixel_mm = inf"]),
        ("patient,pixel_mm,slice_distance_mm,slices\na,1,8,0\n", ["a has slices = 0"]),
        ("patient,pixel_mm,slice_distance_mm\na,wide,8\n", ["pixel_mm", "wide"]),
        ("patient,pixel_mm,slice_distance_mm\na,1,8\na,1,8\n", ["a is listed twice"]),
        ("patient,pixel_mm,slice_distance_mm\n,1,8\n", ["without a patient"]),
        (None, ["data.spacing", "edges.csv"]),
    ],
)
def test_tables_that_are_none_are_refused(tmp_path: Path, text: str | None, facts: list[str]) -> None:
    path = tmp_path / "edges.csv"
    if text is not None:
        path.write_text(text)
    with pytest.raises(InputError) as caught:
        read_spacing(path)
    assert all(fact in str(caught.value) for fact in ["edges.csv", *facts])
    assert str(tmp_path) not in str(caught.value)
