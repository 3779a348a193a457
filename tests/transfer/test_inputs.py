"""Everything that a run or a plan reads travels in a pack, and is found there."""

from __future__ import annotations

from pathlib import Path

import pytest

from dainet import options
from dainet.compare.plan import plan_hash, read_plan
from dainet.errors import InputError
from dainet.segmentation.outside import source_hash
from dainet.transfer.commands import pack, unpack
from dainet.transfer.inputs import find_inputs
from tests.compare.test_plan import PLAN, write_plan

NETWORK = "from blocks import Block\n\n\ndef mine(in_channels, classes):\n    return Block(in_channels, classes)\n"
PLANNED = PLAN.replace("{network: unet}", "{network: '../code/network.py:mine', settings: {attention.maps: ../maps}}")


@pytest.fixture
def files(tmp_path: Path) -> Path:
    """Files of every kind that a setting may name, below one folder."""
    folder = tmp_path / "here"
    texts = {
        "scans/patient001/image.nii.gz": "scan",
        "vit.safetensors": "weights",
        "code/network.py": NETWORK,
        "code/blocks.py": "class Block: ...\n",
        "code/unused.py": "",
        "maps/case.npy": "maps",
        "tables/edges.csv": "edges",
        "other/edges.csv": "split",
        "encoder.safetensors": "encoder",
    }
    for name, text in texts.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    return folder


def test_a_file_of_every_setting_that_names_one_is_found(files: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(files)
    given = {
        "data.source": "scans",
        "vit.weights": "vit.safetensors",
        "data.spacing": "tables/edges.csv",
        "data.split": "other/edges.csv",
        "segmentation.pretrained": "encoder.safetensors",
        "attention.maps": "maps",
        "segmentation.loss": "code/network.py:mine",
    }
    assert given.keys() == options._PATHS.keys(), "a new setting that takes a path must travel, too"
    inputs = ("encoder.safetensors", "maps/case.npy", "tables/edges.csv", "other/edges.csv")
    expected = {f"inputs/{name}": files / name for name in (*inputs, "code/network.py", "code/blocks.py")}
    expected["data/scans/patient001/image.nii.gz"] = files / "scans" / "patient001" / "image.nii.gz"
    expected["weights/vit.safetensors"] = files / "vit.safetensors"
    found = find_inputs({**given, "device": "cuda", "segmentation.epochs": 2})
    assert {name: path.resolve() for name, path in found.items()} == expected


def test_names_of_the_kit_need_no_file() -> None:
    names = {"data.source": "phantom", "data.split": "sequential", "vit.weights": "tour", "data.spacing": ""}
    assert find_inputs({**names, "segmentation.pretrained": "hub", "segmentation.loss": "package.module:loss"}) == {}


def test_a_plan_travels_with_all_that_it_names_and_is_the_same_plan_there(
    files: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    where = f"where: {{data.source: {files / 'scans'}, vit.weights: {files / 'vit.safetensors'}}}\n"
    (files / "plans").mkdir()
    planned = read_plan(write_plan(files / "plans", PLANNED + where))
    pack(tmp_path / "pack", plan=files / "plans" / "plan.yaml")
    there = tmp_path / "there"
    there.mkdir()
    monkeypatch.chdir(there)
    unpack(tmp_path / "pack")
    found = read_plan(there / "inputs" / "plans" / "plan.yaml")
    assert plan_hash(found) == plan_hash(planned)
    training = found.trainings()[0]
    assert source_hash(training.network) == source_hash(planned.trainings()[0].network)
    assert training.overrides["attention.maps"] == str(there / "inputs" / "maps")
    laid_out = {path.relative_to(there).as_posix() for path in there.rglob("*") if path.is_file()}
    plan = {f"inputs/plans/{name}" for name in ("plan.yaml", "one.csv", "two.csv")}
    code = {"inputs/code/network.py", "inputs/code/blocks.py", "inputs/maps/case.npy"}
    assert laid_out == {*plan, *code, "data/scans/patient001/image.nii.gz", "weights/vit.safetensors"}


def test_a_table_alone_lies_in_inputs_itself(files: Path) -> None:
    table = files / "tables" / "edges.csv"
    assert find_inputs({"data.spacing": str(table)}) == {"inputs/edges.csv": table}
    folder = files / "maps"
    assert find_inputs({"attention.maps": str(folder)}) == {"inputs/maps/case.npy": folder / "case.npy"}


def test_given_scans_take_the_place_of_those_of_the_plan(files: Path) -> None:
    plan = write_plan(files, PLAN + "where: {data.source: /nowhere, device: cpu}\n")
    with pytest.raises(InputError, match="nowhere"):
        find_inputs({}, plan)
    assert "data/scans/patient001/image.nii.gz" in find_inputs({"data.source": str(files / "scans")}, plan)


def test_a_file_that_this_machine_has_lies_where_the_plan_finds_it(
    files: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plan = write_plan(files, PLAN + "where: {vit.weights: vit.safetensors}\n")
    (files / "code" / "vit.safetensors").touch()
    monkeypatch.chdir(files / "code")
    assert find_inputs({}, plan)["weights/vit.safetensors"] == files / "vit.safetensors"


def test_a_vit_from_a_hub_is_told(files: Path, caplog: pytest.LogCaptureFixture) -> None:
    plan = write_plan(files, PLAN.replace("profile: tour", "profile: laptop"))
    find_inputs({}, plan)
    assert "--weights" in caplog.text
    caplog.clear()
    find_inputs({"vit.weights": str(files / "vit.safetensors")}, plan)
    find_inputs({}, write_plan(files, PLAN))
    assert not caplog.text


def test_results_lie_where_dainet_figures_says_at_both_ends(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("DAINET_FIGURES", str(tmp_path / "mine"))
    (tmp_path / "mine" / "study").mkdir(parents=True)
    (tmp_path / "mine" / "study" / "scores.csv").write_text("scores")
    pack(tmp_path / "pack", results=[tmp_path / "mine" / "study"])
    monkeypatch.setenv("DAINET_FIGURES", str(tmp_path / "other"))
    unpack(tmp_path / "pack")
    assert (tmp_path / "other" / "study" / "scores.csv").read_text() == "scores"
    assert not (tmp_path / "figures").exists()
