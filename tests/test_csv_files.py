"""Names that look like numbers or missing values stay names in every file, and one reader reads them all."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from dainet.cache.store import run_stage
from dainet.csv_files import read_csv
from dainet.data.prepared import run_prepared
from dainet.device import choose_device
from dainet.errors import InputError
from dainet.protocol import load_split, published_table
from dainet.reporting.artifacts import save_table
from dainet.reporting.statistics import summarize
from dainet.reporting.tables import compare
from dainet.segmentation.catalog import build
from dainet.segmentation.evaluation import SCORES, read_scores, run_scores
from dainet.segmentation.slices import SliceData
from dainet.settings import AttentionSettings, DataSettings, load_settings
from tests.helpers import REPOSITORY
from tests.helpers.formats import nnunet

NAMES = ("001", "1e5", "NA", "None", "True", "nan", "null", "-0", "NULL", "inf")


def test_text_is_kept_and_numbers_are_exact(tmp_path: Path) -> None:
    values = np.random.default_rng(0).normal(size=len(NAMES))
    values[3] = np.nan
    table = pd.DataFrame({"name": NAMES, "x": values, "count": range(len(NAMES))})
    table.to_csv(tmp_path / "table.csv", index=False)
    found = read_csv(tmp_path / "table.csv", numbers=["x", "count", "absent"])
    assert tuple(found["name"]) == NAMES
    np.testing.assert_array_equal(found["x"], values)
    assert found["count"].tolist() == list(range(len(NAMES)))
    assert read_csv(tmp_path / "table.csv")["count"].tolist() == [str(number) for number in range(len(NAMES))]
    table[["x", "count"]].to_csv(tmp_path / "numbers.csv", index=False)
    pd.testing.assert_frame_equal(read_csv(tmp_path / "numbers.csv", numbers="all"), table[["x", "count"]])


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "UTF-8"),
        (b"a,b\n1,2,3\n1\n1,2,3,4\n", "UTF-8"),
        (b"a\n\xff\n", "UTF-8"),
        (b"a,b\n1,x\n", "column b.*numbers"),
    ],
)
def test_other_files_are_refused(tmp_path: Path, content: bytes, said: str) -> None:
    (tmp_path / "table.csv").write_bytes(content)
    with pytest.raises(InputError, match=rf"table\.csv.*{said}"):
        read_csv(tmp_path / "table.csv", numbers=["b"])


@pytest.mark.parametrize("name", ["NA", "None", "null", "nan", "001"])
def test_the_mean_over_a_class_with_an_odd_name_at_20_and_another_at_80_is_50(tmp_path: Path, name: str) -> None:
    common = {"model": "unet", "seed": 0, "case_id": "a", "policy": "strict", "hd95_vox": 1.0, "hd95_mm": 1.0}
    scores = pd.DataFrame([common | {"class": name, "dsc": 0.2}, common | {"class": "other", "dsc": 0.8}])
    scores.to_csv(tmp_path / "scores.csv", index=False)
    summary = summarize(read_csv(tmp_path / "scores.csv", numbers=[*SCORES, "seed"])).set_index("class")
    assert summary["dsc"].to_dict() == pytest.approx({name: 20, "other": 80, "mean": 50})


def test_odd_classes_and_patients_come_through_every_file_of_a_run(tmp_path: Path, runs: Path) -> None:
    classes = NAMES[:7]
    nnunet(tmp_path / "scans", NAMES, labels={"background": 0} | {name: i for i, name in enumerate(classes, start=1)})
    sides = ["train"] * 6 + ["valid"] + ["test"] * 3
    pd.DataFrame({"patient": NAMES, "split": sides}).to_csv(tmp_path / "split.csv", index=False)
    assert load_split("custom", str(tmp_path / "split.csv")) == dict(zip(NAMES, sides, strict=True))
    data = DataSettings(dataset="custom", source=str(tmp_path / "scans"), split=str(tmp_path / "split.csv"))
    prepared = run_prepared(data, image_size=16)
    assert prepared.classes.names == classes
    assert prepared.cases.set_index("patient")["split"].to_dict() == dict(zip(NAMES, sides, strict=True))
    scored = run_scores(
        build("unet", width=2, classes=len(classes) + 1).eval(),
        run_stage("segmentation", 1, {}, {}, lambda folder: None),
        prepared,
        SliceData(prepared, None, AttentionSettings(), choose_device("cpu")),
    )
    scores = read_scores(scored).assign(model="unet", seed=0)
    assert tuple(scores["class"].unique()) == classes
    assert tuple(sorted(scores["patient"].unique())) == tuple(sorted(NAMES[7:]))
    table = compare(published_table("custom", "table1"), scores, classes, "peer")
    save_table(table, "table", load_settings("tour", {"output": str(tmp_path)}), {}, [])
    stored = read_csv(tmp_path / "table.csv")
    assert tuple(stored.columns) == tuple(table.columns)
    assert set(classes) <= set(stored.columns)


def readers(path: Path) -> list[str]:
    """Return the functions of pandas, numpy and csv that a module uses for reading tables."""
    found = []
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
            found.append(f"{node.value.id}.{node.attr}")
        elif isinstance(node, ast.ImportFrom):
            found += [f"{node.module}.{alias.name}" for alias in node.names]
    library, function = r"(pd|pandas|np|numpy|csv)", r"(read_csv|read_table|reader|DictReader|loadtxt|genfromtxt)"
    return [name for name in found if re.fullmatch(rf"{library}\.{function}", name)]


def test_no_other_reader_stands_in_the_code() -> None:
    folders = ("dainet", "study", "benchmarks", "data_scripts", "workflow")
    files = [path for folder in folders for path in sorted((REPOSITORY / folder).rglob("*.py"))]
    assert len(files) > 80
    found = {path.relative_to(REPOSITORY).as_posix(): readers(path) for path in files}
    assert {name: used for name, used in found.items() if used} == {"dainet/csv_files.py": ["pd.read_csv"]}
