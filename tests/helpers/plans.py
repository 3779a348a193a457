"""Scores of a small plan, drawn or made by hand, as the queue would leave them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from dainet.compare.analysis import Difference, difference
from dainet.compare.plan import Plan
from dainet.compare.scores import Scored, read_scored

__all__ = ["COMPARISONS", "arrays", "better", "ends", "measured", "printed", "scored", "write_scores"]

COMPARISONS = """
comparisons:
  - {question: first, role: primary, first: random, second: unet, paper: 0.33}
  - {question: second, role: secondary, first: random, second: image}
  - {question: third, role: secondary, first: image, second: unet}
  - {question: fourth, role: exploratory, first: unet, second: image}
"""


def write_scores(plan: Plan, folder: Path, levels: dict[str, float], waves: int = 2) -> None:
    """Scores of four test patients with two phases and two classes; a level is a mean DSC in points."""
    random = np.random.default_rng(0)
    for kind in ("scores", "histories"):
        (folder / kind).mkdir(parents=True, exist_ok=True)
    for training in plan.model_copy(update={"waves": plan.waves[:waves]}).trainings():
        lines = []
        for patient in (each for each, split in plan.split(training.fold).items() if split == "test"):
            dsc = (levels[training.model] + 0.1 * random.standard_normal()) / 100
            for phase in ("ED", "ES"):
                for name, shift in (("LV", 0.01), ("001", -0.01)):
                    line = {"seed": training.seed, "patient": patient, "group": "NOR", "phase": phase, "class": name}
                    line |= {"policy": "strict", "case_id": f"{patient}_{phase}", "dsc": dsc + shift}
                    line |= {"predicted_voxels": 100, "labeled_voxels": 100 + int(patient[7:10]) + len(name)}
                    lines.append(
                        line | {"dsc_last_epoch": dsc, "hd95_mm": 4.0, "assd_mm": 1.0, "surface_dice_2mm": 0.5}
                    )
        table = pd.concat([pd.DataFrame(lines), pd.DataFrame(lines).assign(policy="peer", dsc=0.0)])
        table.assign(**training.labels).to_csv(folder / "scores" / f"{training.name}.csv", index=False)
        history = pd.DataFrame({"epoch": [1, 2], "loss": [1, 1], "dsc": [0.5, levels[training.model] / 100]})
        history.to_csv(folder / "histories" / f"{training.name}.csv", index=False)


def scored(plan: Plan, folder: Path, levels: dict[str, float], waves: int = 2) -> Scored:
    write_scores(plan, folder, levels, waves)
    return read_scored(plan, folder)


def measured(plan: Plan, effect: float = 0.3, movers: float = 0.0) -> Scored:
    """Two folds of six patients with other scores in every case, two seeds (of image one), and histories.

    `random` is better by `effect` points, in the last three patients of the second fold by `movers` more.
    """
    random, lines, histories = np.random.default_rng(7), [], []
    for model, seeds in (("unet", 2), ("random", 2), ("image", 1)):
        for fold, seed in ((fold, seed) for fold in (1, 2) for seed in range(1, seeds + 1)):
            labels = {"model": model, "fold": fold, "seed": seed}
            histories += [labels | {"epoch": epoch, "dsc": random.uniform(0.5, 0.9)} for epoch in (1, 2, 3)]
            for patient in range(6):
                gain = (effect + movers * (fold == 2 and patient > 2)) * (model == "random")
                level = 80 + 2 * patient + gain + 0.02 * random.standard_normal()
                for phase, name in ((phase, name) for phase in ("ED", "ES") for name in ("LV", "RV")):
                    dsc, last = (level + 0.02 * random.standard_normal((2,)) + 3 * (name == "LV")) / 100
                    group = ("NOR", "DCM", "")[patient % 3]
                    line = {"patient": f"{fold}{patient}", "group": group, "phase": phase, "class": name, "dsc": dsc}
                    line |= {"dsc_last_epoch": last - 0.1 * (model == "unet"), "hd95_mm": random.uniform(1, 30)}
                    line |= {"assd_mm": random.uniform(1, 9), "surface_dice_2mm": random.uniform(0.2, 0.9)}
                    lines.append(labels | line)
    return Scored(plan, 2, (), pd.DataFrame(lines), pd.DataFrame(histories))


def arrays(scores: pd.DataFrame, model: str, column: str = "dsc") -> list[np.ndarray]:
    own = scores[scores["model"] == model]
    folds = []
    for fold in sorted(set(own["fold"])):
        part = own[own["fold"] == fold]
        rows = [
            [100 * part[(part["seed"] == seed) & (part["patient"] == patient)][column].mean() for patient in patients]
            for patients in [sorted(set(part["patient"]))]
            for seed in sorted(set(part["seed"]))
        ]
        folds.append(np.array(rows))
    return folds


def better(scores: pd.DataFrame, column: str = "dsc") -> Difference:
    return difference(arrays(scores, "random", column), arrays(scores, "unet", column))


def ends(text: str) -> tuple[float, ...]:
    """The numbers of "+0.30 (+0.10 to +0.50)" or "+0.10 to +0.50"."""
    return tuple(float(word) for word in text.replace("(", "").replace(")", "").split() if word != "to")


def printed(result: Difference) -> object:
    return pytest.approx((result.estimate, *result.interval(0.95)), abs=0.00501)
