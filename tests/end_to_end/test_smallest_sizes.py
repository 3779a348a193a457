"""The notebooks' cells on data of one's own, at the smallest and the largest sizes; a run combines several."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import nbformat
import numpy as np
import pandas as pd
import pytest
import torch

from dainet.explorer import Explorer, explorable
from dainet.lessons.reproduce import find_notebooks, reproduce
from dainet.segmentation.outside import outside_label
from dainet.vit.model import DinoViT, save_vit
from tests.helpers import REPOSITORY
from tests.helpers.formats import nnunet, save_nifti
from tests.helpers.notebooks import OF_A_RUN, QUICK


def write_vit(folder: Path, patch: int, heads: int) -> Path:
    torch.manual_seed(0)
    vit = DinoViT(img_size=4 * patch, patch_size=patch, embed_dim=24, depth=1, num_heads=heads, mlp_ratio=1)
    save_vit(vit, folder / "vit.safetensors")
    return folder / "vit.safetensors"


def write_source(folder: Path, parts: list[str], classes: int, slices: int) -> dict[str, Any]:
    """Squares of `classes` classes in noise, one patient per part of the split; the settings that name them."""
    names = [f"case{number}" for number, _ in enumerate(parts)]
    labels = {"background": 0, **{f"organ {number}": number for number in range(1, max(classes, 1) + 1)}}
    nnunet(folder, names, labels=labels)
    random = np.random.default_rng(0)
    for name in names:
        label = np.zeros((slices, 40, 36), np.uint8)
        for number in range(classes):
            row, column = 3 + 9 * (number // 4), 2 + 8 * (number % 4)
            label[:, row : row + 7, column : column + 6] = number + 1
        image = label + random.normal(0, 0.5, label.shape)
        save_nifti(folder / "imagesTr" / f"{name}_0000.nii.gz", image.astype(np.float32))
        save_nifti(folder / "labelsTr" / f"{name}.nii.gz", label)
    split = folder / "split.csv"
    split.write_text("patient,split\n" + "".join(f"{pair[0]},{pair[1]}\n" for pair in zip(names, parts, strict=True)))
    return {"data.dataset": "custom", "data.source": str(folder), "data.split": str(split)}


def write_lessons_in_one(path: Path) -> Path:
    """The cells of all lessons as one notebook: a kernel for each would start for longer than it computes."""
    first, *others = (nbformat.read(lesson, as_version=4) for lesson in find_notebooks(OF_A_RUN))
    first.cells += [
        cell for lesson in others for cell in lesson.cells if "parameters" not in cell.metadata.get("tags", [])
    ]
    next(
        cell for cell in first.cells if "parameters" in cell.metadata.get("tags", [])
    ).source += "\nOWN_NETWORKS = []  # of 04 and 05"
    for number, cell in enumerate(first.cells):
        cell.id = f"cell-{number}"
    nbformat.write(first, path)
    return path


@pytest.mark.slow
@pytest.mark.parametrize(
    ("parts", "classes", "slices", "patch", "heads", "changes"),
    [
        pytest.param(
            ["train", "test"],
            *(1, 1, 14, 1),
            {"segmentation.selection": "last", "dino.epochs": 0, "segmentation.batch_size": 1},
            id="one training patient, one test patient, no validation, one class, one slice, patch 14, one head",
        ),
        pytest.param(
            ["train", "train", "valid", "test", "test"],
            *(15, 2, 8, 12),
            {"dino.batch_size": 2},
            id="fifteen classes, patch 8, twelve heads",
        ),
        pytest.param(
            ["train", "valid", "test", "test"],
            *(0, 3, 16, 3),
            {"dino.batch_size": 3, "data.normalization": "percentile", "segmentation.selection": "last"},
            id="no label anywhere, as many slices as DINO's batch",
        ),
    ],
)
def test_the_notebooks_run(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    parts: list[str],
    classes: int,
    slices: int,
    patch: int,
    heads: int,
    changes: dict[str, Any],
) -> None:
    monkeypatch.setenv("DAINET_RUNS", str(tmp_path / "runs"))
    source = write_source(tmp_path / "scans", parts, classes, slices)
    given = {"vit.weights": str(write_vit(tmp_path, patch, heads)), "output": str(tmp_path / "figures")}
    settings = QUICK | source | given | changes
    own = [f"{REPOSITORY}/examples/my_network.py:gated"] if classes == 15 else []
    index = reproduce("tour", settings, [write_lessons_in_one(tmp_path / "04_all.ipynb")], own)
    table = pd.read_csv(index.parent / "table3.csv", keep_default_na=False)
    labels = {outside_label(name) for name in own}
    assert len(table) == 6 + len(own)
    assert labels <= set(table["Method"])
    assert {f"organ {number}" for number in range(1, classes + 1)} <= set(table.columns)
    rows = pd.read_csv(index.parent / "table_own_data.csv", keep_default_na=False)
    assert "Difference" not in rows.columns  # to a paper that has no row for these data
    assert set(rows["Method"]) == {"unet", "single", "dual-1111"} | labels
    for name in ("data_sheet", "figure1_attention", "figure2_architecture", "figure3_qualitative", "table3"):
        assert f"{name}." in index.read_text()
    importance = pd.read_csv(index.parent / "table_head_importance.csv", dtype=str)
    assert set(importance["head"]) == {*(f"Head {number}" for number in range(1, heads + 1)), "all heads"}
    explorer = Explorer(explorable("tour", settings))
    assert explorer.view.message.value == ""
    assert len(explorer.controls.heads) == heads
    assert len(explorer.scores["this volume"] or ()) == max(classes, 1)
