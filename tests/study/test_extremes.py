"""The picture of a plan's best and worst cases, from a plan that was trained small."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest
from matplotlib.figure import Figure

from dainet import pipeline
from dainet.cache.store import StageMissingError
from dainet.compare.run import results_folder
from dainet.compare.scores import Scored
from dainet.settings import Settings
from study.extremes import draw_extremes, extremes


def scores(**dsc: list[float]) -> pd.DataFrame:
    """Two seeds of each network in cases a, b and c."""
    lines = [
        {"model": model, "seed": seed, "case_id": case, "dsc": value + 0.01 * seed}
        for model, values in dsc.items()
        for case, value in zip("abc", values, strict=True)
        for seed in (1, 2)
    ]
    return pd.DataFrame(lines)


def test_a_case_that_is_extreme_for_two_networks_is_drawn_once() -> None:
    found = extremes(scores(unet=[0.1, 0.5, 0.9], dual=[0.1, 0.6, 0.5]), ["unet", "dual"])
    assert found == {"c": "best of unet", "b": "best of dual", "a": "worst of unet\nworst of dual"}


def test_the_picture_shows_each_case_as_its_folds_trainings_predict_it(
    trained: Scored, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, drawn = results_folder(trained.plan), list[Figure]()
    monkeypatch.setattr("study.extremes.save_figure", lambda figure, *_: drawn.append(figure))
    draw_extremes(trained, {}, folder)
    strict = trained.scores.groupby(["model", "case_id"])["dsc"].mean()
    axes = drawn[0].axes
    panels = [axes[start : start + 4] for start in range(0, len(axes), 4)]  # image, ground truth, unet, random
    cases = [row[0].get_ylabel().splitlines()[-1] for row in panels]
    assert set(cases) == set(extremes(trained.scores, ["unet", "random"]))
    for case, row in zip(cases, panels, strict=True):
        for model, panel in zip(("unet", "random"), row[2:], strict=True):
            assert panel.get_xlabel() == f"DSC {strict[model, case]:.3f}"
    asked, train = list[int](), pipeline.train

    def note(settings: Settings, network: str, seed: int) -> pipeline.Trained:
        asked.append(seed)
        return train(settings, network, 1)

    monkeypatch.setattr(pipeline, "train", note)
    monkeypatch.setattr(
        "study.extremes.read_records", lambda *_: {"unet_fold1_seed1": {"repeated": {"with_seed": 101}}}
    )
    draw_extremes(trained, {}, folder)
    assert 101 in asked, "a training whose loss was not finite was repeated with another seed"
    monkeypatch.setattr(pipeline, "train", train)
    monkeypatch.setenv("DAINET_RUNS", str(tmp_path / "elsewhere"))
    with pytest.raises(StageMissingError):
        draw_extremes(trained, {}, folder)
