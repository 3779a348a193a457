"""The course of head scores over a fine-tuning: table, choice of heads and files."""

from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from dainet.cache.verify import verify_folder
from dainet.data.prepared import Prepared
from dainet.settings import Settings
from study import dino_course
from study.dino_course import best_head_scores, course_settings, course_table, run_course
from tests.helpers.samples import tiny_overrides

SPLIT = {1: "train", 2: "test", 4: "test", 5: "valid", 19: "train", 90: "train"}


def simulated(gain: float) -> pd.DataFrame:
    """Six patients of each split, three heads and two classes; head 2 is best for a, head 0 for b, on validation."""
    random = np.random.default_rng(0)
    lines = [
        {"split": split, "patient": f"{split}{patient}", "epoch": epoch, "head": head, "class": name}
        | {"auroc": 0.5 + 0.1 * (split == "valid") * (head == best) + gain * epoch + random.normal(0, 0.01)}
        for split in ("valid", "test")
        for patient in range(6)
        for epoch in (0, 10)
        for name, best in (("a", 2), ("b", 0), ("any", 1))
        for head in range(3)
    ]
    return pd.DataFrame(lines).assign(iou=lambda table: table["auroc"] / 2)


def test_changes_are_those_of_students_paired_test_over_test_patients() -> None:
    scores = simulated(0.005)
    chosen = scores[(scores["split"] == "test") & (scores["class"] != "any")]
    wide = chosen.pivot_table(index="patient", columns="epoch", values="auroc")
    interval = stats.ttest_rel(wide[10], wide[0]).confidence_interval()
    expected = f"{(wide[10] - wide[0]).mean():+.3f} ({interval.low:+.3f} to {interval.high:+.3f})"
    table = course_table(scores).set_index("Epoch")
    assert table.loc["10", "Change of AUROC"] == expected
    assert table.loc["0", "AUROC"].startswith(f"{wide[0].mean():.3f} (")


def test_the_best_heads_are_chosen_on_validation_patients() -> None:
    scores = simulated(0.0)
    rows = [scores[(scores["class"] == name) & (scores["head"] == head)] for name, head in (("a", 2), ("b", 0))]
    chosen = pd.concat(rows).query("split == 'test' and epoch == 10")["auroc"].mean()
    assert best_head_scores(scores).loc[10, "auroc"] == pytest.approx(chosen)


@pytest.fixture
def settings(h5_source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    """A fine-tuning of two epochs, in a repository of its own."""
    (tmp_path / "notebooks").mkdir()
    (tmp_path / "pyproject.toml").touch()
    monkeypatch.chdir(tmp_path)
    split = tmp_path / "split.csv"
    split.write_text("patient,split\n" + "".join(f"patient{number:03d},{part}\n" for number, part in SPLIT.items()))
    where: dict[str, Any] = tiny_overrides(h5_source) | {"vit.weights": "tour", "data.split": str(split)}
    return course_settings(where | {"dino.epochs": 2, "dino.warmup_epochs": 1, "dino.keep_every": 1})


@pytest.mark.slow
def test_a_course_leaves_scores_of_every_kept_teacher(settings: Settings, tmp_path: Path) -> None:
    scores = run_course(settings)
    assert sorted(scores["epoch"].unique()) == [0, 1, 2]
    assert set(scores["split"]) == {"valid", "test"}
    before, after = (scores[scores["epoch"] == epoch]["auroc"].to_numpy() for epoch in (0, 2))
    assert not np.array_equal(before, after)
    folder = tmp_path / "figures" / "dino-course"
    assert {path.name for path in folder.glob("*.png")} == {"course.png", "maps.png"}
    stored = pd.read_csv(folder / "scores.csv")
    assert len(stored) == len(scores) == 3 * 3 * 6 * 4  # epochs, patients, heads, classes with "any"
    assert stored["auroc"].between(0, 1).all()


@pytest.mark.slow
def test_a_course_goes_on_with_the_first_epoch_that_has_no_scores(
    settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    score, scored = dino_course._patient_scores, list[str]()

    def score_until(last: int, own: Settings, prepared: Prepared) -> pd.DataFrame:
        if len(scored) == last:
            raise KeyboardInterrupt
        scored.append(Path(own.vit.weights).stem)
        return score(own, prepared)

    monkeypatch.setattr(dino_course, "_patient_scores", partial(score_until, 2))
    with pytest.raises(KeyboardInterrupt):
        run_course(settings)
    monkeypatch.setattr(dino_course, "_patient_scores", partial(score_until, 100))
    monkeypatch.setenv("DAINET_RUNS", str(tmp_path / "another slice"))
    resumed = run_course(settings)
    assert scored == ["tour", "teacher-0001", "teacher-0002"]
    folder, files = tmp_path / "figures" / "dino-course", ("scores.csv", "table_course.csv")
    before = [(folder / name).read_bytes() for name in files]
    assert verify_folder(folder).different == verify_folder(folder).not_compared == []
    for path in folder.glob("scores_epoch*"):
        path.unlink()
    pd.testing.assert_frame_equal(run_course(settings), resumed)
    assert len(scored) == 6
    assert [(folder / name).read_bytes() for name in files] == before


@pytest.mark.slow
def test_scores_of_other_weights_or_settings_or_damaged_ones_are_made_again(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    score, scored = dino_course._patient_scores, list[str]()

    def count(own: Settings, prepared: Prepared) -> pd.DataFrame:
        scored.append(Path(own.vit.weights).stem)
        return score(own, prepared)

    monkeypatch.setattr(dino_course, "_patient_scores", count)
    run_course(settings)
    next(Path("figures", "dino-course").glob("*epoch001.csv")).write_text("head\n")
    run_course(settings)
    assert scored[3:] == ["teacher-0001"]
    other_maps = settings.model_copy(update={"attention": settings.attention.model_copy(update={"resize": "bilinear"})})
    run_course(other_maps)
    assert len(scored[4:]) == 3
    other_training = other_maps.model_copy(update={"dino": settings.dino.model_copy(update={"lr": 1e-3})})
    run_course(other_training)
    assert {"teacher-0001", "teacher-0002"} <= set(scored[7:])
