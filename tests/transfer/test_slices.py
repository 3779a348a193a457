"""A plan run in slices: inputs go to another machine, results come back, and it is as if nothing had interrupted it."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from importlib.resources import files
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np
import pytest
import yaml

from dainet import pipeline
from dainet.cache.store import StageResult
from dainet.cache.verify import verify_folder
from dainet.compare.plan import Plan, Training, read_plan
from dainet.compare.queue import run_queue
from dainet.segmentation.training import mean_volume_dsc
from dainet.transfer.commands import pack, unpack
from tests.compare.test_plan import PATIENTS, PLAN, write_plan
from tests.helpers import REPOSITORY
from tests.helpers.formats import acdc_patient, load_nifti, save_nifti
from tests.helpers.lent_machine import lack
from tests.helpers.samples import tiny_overrides

STUDY = Path("figures", "small")


def write_raw_acdc(folder: Path) -> Path:
    """Six patients as ACDC's authors lay them out; images are whole numbers, labels are not."""
    for patient in PATIENTS:
        place = acdc_patient(folder / "training" / patient, seed=100 * int(patient[-3:]))
        for path in place.glob("*_frame??.nii.gz"):
            save_nifti(path, np.rint(1000 * np.asarray(load_nifti(path).dataobj).T).astype(np.int16))
    return folder


@pytest.fixture(scope="module")
def inputs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with scans, weights and a plan."""
    folder = tmp_path_factory.mktemp("inputs")
    write_raw_acdc(folder / "data" / "ACDC")
    (folder / "weights").mkdir()
    shutil.copy(str(files("dainet.vit") / "weights" / "tour_vit.safetensors"), folder / "weights" / "vit.safetensors")
    (folder / "plan").mkdir()
    write_plan(folder / "plan")
    return folder


@pytest.fixture(scope="module")
def packed(inputs: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A pack of scans and weights."""
    folder = tmp_path_factory.mktemp("packed") / "inputs"
    pack(folder, str(inputs / "data" / "ACDC"), str(inputs / "weights" / "vit.safetensors"), part_mib=1)
    return folder


@pytest.fixture
def plan(inputs: Path) -> Plan:
    return read_plan(inputs / "plan" / "plan.yaml")


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Go to a machine by its name: a working directory and a cache of its own, empty at first."""
    monkeypatch.setenv("DAINET_COMMIT", "0123456789ab")

    def enter(name: str) -> Path:
        folder = tmp_path / name
        folder.mkdir(exist_ok=True)
        monkeypatch.chdir(folder)
        monkeypatch.setenv("DAINET_RUNS", str(tmp_path / f"cache of {name}"))
        return folder

    return enter


def where(folder: Path) -> dict[str, Any]:
    """Data and weights as they lie in a folder, and tiny sizes."""
    values = tiny_overrides(folder / "data" / "ACDC") | {"vit.weights": str(folder / "weights" / "vit.safetensors")}
    del values["segmentation.epochs"]  # the plan says how many
    return values


def content(stage: StageResult) -> dict[str, bytes]:
    names = stage.record()["files"]
    return {name: (stage.path / name).read_bytes() for name in names}


def scores(folder: Path) -> dict[str, bytes]:
    """Scores and histories of a study by name; records hold the time and the machine."""
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.glob("*/*.csv"))}


def test_another_machine_computes_the_same_keys_and_bytes(inputs: Path, packed: Path, plan: Plan, machine: Any) -> None:
    training = plan.trainings()[1]

    def stages(folder: Path) -> list[StageResult]:
        settings = training.settings(where(folder))
        return [pipeline.prepare(settings).result, pipeline.attention(settings)]

    machine("here")
    expected = stages(inputs)
    there = machine("there")
    assert len(list(packed.glob("pack.tar.*"))) > 1
    unpack(packed)
    assert not list(there.rglob("*_4d.nii.gz"))
    found = stages(there)
    assert [stage.key for stage in found] == [stage.key for stage in expected]
    assert [content(stage) for stage in found] == [content(stage) for stage in expected]


@pytest.fixture
def undisturbed(inputs: Path, plan: Plan, machine: Any) -> dict[str, bytes]:
    folder = machine("undisturbed") / STUDY
    run_queue(plan.trainings()[:3], where(inputs), folder)
    return scores(folder)


def run_interrupted(trainings: Sequence[Training], folder: Path) -> None:
    """Run a queue that is stopped in the second epoch of its first training."""
    calls: list[int] = []

    def interrupt(*args: Any) -> float:
        calls.append(1)
        if len(calls) == 2:
            raise KeyboardInterrupt
        return mean_volume_dsc(*args)

    with patch("dainet.segmentation.training.mean_volume_dsc", interrupt), pytest.raises(KeyboardInterrupt):
        run_queue(trainings, where(folder), folder / STUDY)


@pytest.mark.slow
def test_slices_make_what_an_undisturbed_run_makes(
    inputs: Path,
    packed: Path,
    plan: Plan,
    machine: Any,
    tmp_path: Path,
    undisturbed: dict[str, bytes],
    caplog: pytest.LogCaptureFixture,
) -> None:
    trainings, packs = plan.trainings()[:3], [tmp_path / f"pack {number}" for number in range(3)]
    there = machine("slice 1")
    unpack(packed)
    assert run_queue(trainings, where(there), there / STUDY, seconds=0.001) == 1
    run_interrupted(trainings, there)
    pack(packs[0], results=[STUDY], states=True)

    here = machine("here")
    unpack(packs[0])
    assert [path.stem for path in (here / STUDY / "scores").iterdir()] == [trainings[0].name]
    pack(packs[1], results=[STUDY], states=True)

    there = machine("slice 2")
    unpack(packed)
    unpack(packs[1])
    with caplog.at_level("INFO", "dainet"):
        assert run_queue(trainings, where(there), there / STUDY) == 2
    assert caplog.messages.count("resuming after epoch 1") == 1
    pack(packs[2], results=[STUDY])

    machine("here")
    unpack(packs[2])
    assert scores(here / STUDY) == undisturbed
    assert run_queue(trainings, where(inputs), here / STUDY) == 0
    assert verify_folder(here / "figures").different == []


@pytest.mark.slow
def test_the_script_runs_a_plan_there_and_packs_its_results(inputs: Path, machine: Any, tmp_path: Path) -> None:
    """The folder `site` exists, so nothing is installed; it holds what the wheels would bring."""
    tiny = {name: value for name, value in tiny_overrides(inputs).items() if name not in ("data.source", "device")}
    (tmp_path / "plan").mkdir()
    planned = yaml.safe_load(PLAN) | {
        "folds": ["one.csv"],
        "waves": [{"seed": 1, "networks": ["unet"]}],
        "comparisons": [],
    }
    path = write_plan(tmp_path / "plan", yaml.safe_dump(planned | {"settings": planned["settings"] | tiny}))
    machine("here")
    pack(tmp_path / "slice" / "inputs", str(inputs / "data" / "ACDC"), plan=path)
    there = machine("there")
    (there / "site").mkdir()
    (there / "wheels").mkdir()
    lack(there / "site")
    (there / "site" / "dainet").symlink_to(REPOSITORY / "dainet")
    words = ["there", str(tmp_path / "slice"), "300", "inputs/plan.yaml", "--device", "cpu"]
    programs = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    done = subprocess.run(
        ["bash", str(REPOSITORY / "study" / "slice.sh"), *words],
        env=os.environ | {"PATH": programs},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    here = machine("here")
    unpack(there / "back")
    assert [each.name for each in (here / STUDY / "scores").iterdir()] == ["unet_fold1_seed1.csv"]
