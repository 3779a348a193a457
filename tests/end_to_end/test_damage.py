"""Every file of every stage is damaged in every way: results are those of an undisturbed run, or one line says more."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import torch

from dainet import pipeline
from dainet.cache import resume
from dainet.cache.folders import StageError
from dainet.cache.store import RECORD, UNFINISHED, StageResult, finished_only
from dainet.cache.verify import verify_folder
from dainet.data.sources import source_folder
from dainet.dino import network
from dainet.settings import Settings, load_settings
from dainet.vit.model import DinoViT, save_vit
from tests.helpers.damage import DAMAGES, SEEN_ON_OPENING
from tests.helpers.samples import tiny_overrides, write_h5_source

STAGES = {"phantoms", "prepared", "dino", "attention", "segmentation", "scores"}

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def narrow() -> Iterator[None]:
    """Most of a state would be the head of DINO, written again and again."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(network, "_HIDDEN", 32)
        yield


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory, narrow: None) -> tuple[Path, Settings]:
    """Run every stage, the maps of a control among them; return the folder of the runs and the settings."""
    folder = tmp_path_factory.mktemp("undisturbed")
    torch.manual_seed(0)
    save_vit(DinoViT(img_size=32, patch_size=8, embed_dim=32, depth=1, num_heads=2), folder / "vit.safetensors")
    overrides = tiny_overrides(write_h5_source(folder / "h5")) | {"vit.weights": str(folder / "vit.safetensors")}
    settings = load_settings("tour", overrides | {"dino.epochs": 3, "data.phantom_patients": 1})
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DAINET_RUNS", str(folder / "runs"))
        run(settings)
    return folder / "runs", settings


@pytest.fixture
def copied(undisturbed: tuple[Path, Settings], runs: Path) -> Path:
    """Copy the finished stages into the runs folder of the test."""
    shutil.copytree(undisturbed[0], runs)
    return runs


def run(settings: Settings) -> pd.DataFrame:
    """Run or open every stage; return the scores."""
    source_folder(settings.data.model_copy(update={"source": "phantom"}))
    control = settings.attention.model_copy(update={"control": "constant"})
    pipeline.attention(settings.model_copy(update={"attention": control}))
    return pipeline.train(settings, "dual-1111", seed=0).cases


def stage_folders(runs: Path) -> list[Path]:
    found = [path for path in sorted(runs.glob("*/*")) if not path.parent.name.startswith(".")]
    assert {path.parent.name for path in found} == STAGES
    return found


def files(folder: Path) -> list[Path]:
    return [path for path in sorted(folder.rglob("*")) if path.is_file()]


def contents(folder: Path) -> dict[str, bytes]:
    """Return every file but the record, which holds the code state and so may change between two runs."""
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in files(folder) if path.name != RECORD}


def what_opening_says(settings: Settings) -> StageError | pd.DataFrame:
    """Open every stage, computing none; any other error ends the test."""
    try:
        with finished_only():
            return run(settings)
    except StageError as error:
        return error


@pytest.mark.parametrize("damage", DAMAGES)
def test_of_a_finished_stage(undisturbed: tuple[Path, Settings], copied: Path, damage: str) -> None:
    settings = undisturbed[1]
    with finished_only():
        scores = run(settings)
    for stage in stage_folders(copied):
        for path in files(stage):
            content = path.read_bytes()
            DAMAGES[damage](path)
            said = what_opening_says(settings)
            if damage in SEEN_ON_OPENING or isinstance(said, StageError):
                assert damage != "linked"
                place = (stage.parent.name, stage.name, path.relative_to(stage).as_posix(), f"delete {stage} ")
                assert all(part in str(said) for part in place), (place, said)
                assert "\n" not in str(said)
            elif damage == "linked":
                pd.testing.assert_frame_equal(said, scores)
            path.unlink(missing_ok=True)
            path.write_bytes(content)


@pytest.mark.parametrize("damage", DAMAGES)
def test_of_a_finished_stage_is_seen_by_verify(copied: Path, damage: str) -> None:
    for stage in stage_folders(copied):
        for path in files(stage):
            content = path.read_bytes()
            DAMAGES[damage](path)
            found = verify_folder(stage)
            lines = found.different + found.not_compared
            named = any(str(stage) in line and path.name in line for line in lines)
            assert named == (damage != "linked"), (path, lines)
            path.unlink(missing_ok=True)
            path.write_bytes(content)


def test_what_the_line_advises_gives_the_undisturbed_result(undisturbed: tuple[Path, Settings], copied: Path) -> None:
    settings = undisturbed[1]
    for stage in stage_folders(copied):
        expected = contents(stage)
        files(stage)[0].unlink()
        assert f"delete {stage} " in str(what_opening_says(settings))
        shutil.rmtree(stage)
        run(settings)
        assert contents(stage) == expected


@pytest.mark.parametrize("damage", DAMAGES)
def test_of_an_unfinished_stage_that_starts_again(
    undisturbed: tuple[Path, Settings], copied: Path, damage: str
) -> None:
    for stage in stage_folders(copied):
        if stage.parent.name in ("dino", "segmentation"):
            continue
        expected = contents(stage)
        unfinished = stage.rename(stage.with_name(f"{stage.name}.partial"))
        for path in files(unfinished):
            DAMAGES[damage](path)
        run(undisturbed[1])
        assert contents(stage) == expected
        assert not unfinished.exists()


def dino(settings: Settings) -> StageResult:
    return pipeline.finetune(settings)


def segmentation(settings: Settings) -> StageResult:
    return pipeline.segment(settings, "dual-1111", seed=0)


def stopped_after_epoch_2(train: Callable[[Settings], StageResult], settings: Settings, runs: Path) -> Path:
    """Remove the finished training, start it again and stop it after the state of epoch 2; its unfinished folder."""
    shutil.rmtree(train(settings).path)
    save_state = resume.save_state

    def save_and_stop(state: Any, folder: Path, epoch: int) -> None:
        save_state(state, folder, epoch)
        if epoch == 2:
            raise KeyboardInterrupt

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(resume, "save_state", save_and_stop)
        with pytest.raises(KeyboardInterrupt):
            train(settings)
    (unfinished,) = (runs / train.__name__).glob("*.partial")
    assert len(list((unfinished / UNFINISHED).iterdir())) == 2
    return unfinished


@pytest.mark.parametrize("damage", DAMAGES)
@pytest.mark.parametrize("train", [dino, segmentation])
def test_of_an_unfinished_training(
    undisturbed: tuple[Path, Settings], copied: Path, train: Callable[[Settings], StageResult], damage: str
) -> None:
    settings = undisturbed[1]
    expected = contents(train(settings).path)
    unfinished = stopped_after_epoch_2(train, settings, copied)
    before = unfinished.rename(copied / "before")
    names = [path.relative_to(before) for path in files(before)]
    assert len(names) > 2
    for damaged in [*([name] for name in names), names]:
        shutil.copytree(before, unfinished)
        for name in damaged:
            DAMAGES[damage](unfinished / name)
        result = train(settings)
        assert contents(result.path) == expected, damaged
        shutil.rmtree(result.path)
