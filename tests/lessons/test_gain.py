"""The plan of lesson 9: its changes, its shipped scores, how they are made, and what is read from them."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import torch
import yaml
from scipy import stats

from dainet import pipeline
from dainet.cache.records import hash_file, read_record
from dainet.compare.plan import plan_hash, read_plan
from dainet.compare.scores import read_scored
from dainet.errors import InputError
from dainet.lessons import gain
from dainet.lessons.gain import COLUMNS, PLAN, read_gain, shipping
from dainet.lessons.gain.changes import Gate, Order, Position
from dainet.lessons.gain.students import recognized, students
from dainet.segmentation.catalog import build
from tests.helpers.formats import nnunet
from tests.helpers.notebooks import QUICK, lesson

CELL = next(cell.source for cell in lesson("09").cells if cell.source.startswith("%%writefile my_change.py\n"))
FILE = CELL.partition("\n")[2]
LINE = "x = block(torch.cat([skip * torch.sigmoid(x), x], dim=1))"
POSITION = """
    def forward(self, image):
        sides = (torch.linspace(-1, 1, side) for side in image.shape[2:])
        where = torch.stack(torch.meshgrid(*sides, indexing="ij")).expand(len(image), -1, -1, -1)
        return super().forward(torch.cat([image, where], dim=1))
"""


@pytest.fixture
def seeded() -> None:
    torch.manual_seed(0)


def test_the_plan_is_the_one_that_was_run() -> None:
    record = read_record(PLAN.with_name("record.json"))
    plan = read_plan(PLAN)
    assert record["plan"] == {"name": plan.name, "sha256": plan_hash(plan)}
    assert plan.sha256 == plan_hash(plan)
    assert set(record["stages"]) == {training.name for training in plan.trainings()}
    assert record["files"] == {name: hash_file(PLAN.with_name(name)) for name in COLUMNS}


def test_the_shipped_scores_are_whole() -> None:
    scored = read_gain()
    assert len(scored.trainings) == 4 * 5 * 3
    cases = scored.scores.groupby(["model", "seed", "patient", "phase", "class"]).size()
    assert (cases == 1).all()  # every phantom is tested once
    assert len(cases) == 4 * 3 * 30 * 2 * 3
    assert scored.scores[["dsc", "dsc_last_epoch"]].notna().all(axis=None)
    epochs = scored.histories.groupby(["model", "fold", "seed"])["epoch"].max()
    assert (epochs == 20).all()
    assert len(epochs) == 60


def test_in_every_fold_each_group_is_tested_and_trained() -> None:
    scored = read_gain()
    groups = scored.scores.drop_duplicates("patient").set_index("patient")["group"]
    for fold in range(1, 6):
        split = pd.Series(scored.plan.split(fold))
        assert split.value_counts().to_dict() == {"train": 18, "valid": 6, "test": 6}
        assert all(set(groups[split.index[split == word]]) == set(groups) for word in ("train", "test"))


def test_the_placebo_computes_what_the_u_net_does_once_halves_of_weights_are_exchanged(seeded: None) -> None:
    unet, order = build("unet", width=4).train(), Order(1, 4, 4).train()
    weights = unet.state_dict()
    for block in range(4):
        name = f"decoder.blocks.{block}.0.weight"
        half = weights[name].shape[1] // 2
        weights[name] = torch.cat([weights[name][:, half:], weights[name][:, :half]], dim=1)
    order.load_state_dict(weights)
    image = torch.rand(2, 1, 32, 32)
    torch.testing.assert_close(order(image), unet(image))


def test_with_equal_seeds_the_placebo_is_another_draw() -> None:
    image, outputs = torch.rand(1, 1, 32, 32), []
    for make in (lambda: build("unet", width=4), lambda: Order(1, 4, 4)):
        torch.manual_seed(1)
        outputs.append(make().eval()(image))
    assert not torch.allclose(outputs[0], outputs[1], atol=1e-2)


def test_a_gate_is_another_function_of_the_same_weights(seeded: None) -> None:
    gate, unet, image = Gate(1, 4, 4).eval(), build("unet", width=4).eval(), torch.rand(1, 1, 32, 32)
    gate.load_state_dict(unet.state_dict())
    assert not torch.allclose(gate(image), unet(image))


def test_rows_and_columns_are_two_more_channels() -> None:
    inputs: list[torch.Tensor] = []
    position = Position(1, 4, 4).eval()
    position.encoder.register_forward_pre_hook(lambda module, arguments: inputs.append(arguments[0]))
    image = torch.rand(2, 1, 16, 32)
    position(image)
    assert torch.equal(inputs[0][:, :1], image)
    rows, columns = torch.linspace(-1, 1, 16)[:, None].expand(16, 32), torch.linspace(-1, 1, 32).expand(16, 32)
    assert all(torch.equal(inputs[0][slice_, 1:], torch.stack([rows, columns])) for slice_ in range(2))


@pytest.mark.parametrize(
    ("old", "new", "network"),
    [
        ("", "", "gate"),
        (LINE, "x = block(torch.cat([x, skip], dim=1))", "order"),
        (LINE, "x = block(torch.cat([skip, x], dim=1))", "unet"),
        (LINE, "x = block(torch.cat([skip, x], dim=1)) + x", None),
        ("in_channels, 0,", "in_channels + 2, 0,", "position"),
    ],
)
def test_what_a_readers_file_holds(old: str, new: str, network: str | None, tmp_path: Path) -> None:
    assert old in FILE
    text = FILE.replace(old, new) if old else FILE
    if network == "position":
        text = text[: text.index("\n    def forward")] + POSITION
    (tmp_path / "my_change.py").write_text(text, encoding="utf-8")
    assert recognized(f"{tmp_path}/my_change.py:MyUNet") == network


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("dim=1)", "dim=0)", r"my_change.py, line \d+.*channels"),
        ("skip * torch", "skp * torch", r"my_change.py, line \d+.*skp"),
        ("return self.head(x)", "self.head(x)", "my_change.py:MyUNet.*NoneType.*logits"),
        ("self.head(x)", "self.head(x)[:, 1:]", r"my_change.py:MyUNet.*\[1, 3, 32, 32\].*\[1, 4, 32, 32\]"),
    ],
)
def test_a_mistake_in_a_readers_file_is_one_line(old: str, new: str, words: str, tmp_path: Path) -> None:
    assert old in FILE
    (tmp_path / "my_change.py").write_text(FILE.replace(old, new), encoding="utf-8")
    with pytest.raises(InputError, match=words):
        recognized(f"{tmp_path}/my_change.py:MyUNet")


def test_the_lines_for_the_position_are_those_of_the_lesson() -> None:
    prose = "\n".join(cell.source for cell in lesson("09").cells if cell.cell_type == "markdown")
    assert POSITION.strip().replace("image):", "image):  # position") in prose


def test_a_student_computes_a_paired_interval() -> None:
    scores = read_gain().scores
    part = scores[(scores["fold"] == 2) & (scores["seed"] == 3)]
    means = 100 * part.groupby(["model", "patient"])["dsc"].mean().unstack("model")
    expected = stats.ttest_rel(means["gate"], means["unet"]).confidence_interval()
    [row] = students(part, "gate").to_dict("records")
    assert (row["low"], row["high"]) == pytest.approx((expected.low, expected.high))
    assert row["student"] == "seed 3"
    assert len(students(scores, "gate")) == 15


def test_other_data_than_hearts_is_not_split_by_the_phantoms_of_the_plan(tmp_path: Path) -> None:
    [cell] = [cell.source for cell in lesson("09").cells if "scored = read_gain()" in cell.source]
    beginning = cell.partition("trained =")[0]
    hearts: dict[str, Any] = {"OVERRIDES": {"data.dataset": "acdc"}}
    exec(beginning, hearts)
    assert Path(hearts["settings"].data.split).read_text() == PLAN.with_name("fold1.csv").read_text()
    nnunet(tmp_path / "scans", names=[f"case{number}" for number in range(10)])
    given = {"data.dataset": "custom", "data.source": str(tmp_path / "scans")}
    other: dict[str, Any] = {"OVERRIDES": given}
    exec(beginning, other)
    assert len(pipeline.prepare(other["settings"]).volumes("train")) == 7
    own: dict[str, Any] = {"OVERRIDES": given | {"data.split": "mine.csv"}}
    exec(beginning, own)
    assert own["settings"].data.split == "mine.csv"


@pytest.mark.slow
def test_the_scores_are_made_by_one_command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "gain"
    shutil.copytree(PLAN.parent, folder, ignore=shutil.ignore_patterns("*.csv", "*.json", "__pycache__"))
    values = yaml.safe_load((folder / "plan.yaml").read_text(encoding="utf-8"))
    values |= {"settings": QUICK, "folds": ["fold1.csv"], "networks": {"unet": {"network": "unet"}}}
    values["networks"]["order"] = {"network": "changes.py:Order"}
    values["waves"] = [{"seed": 1, "networks": ["unet", "order"]}]
    values["comparisons"] = [values["comparisons"][0]]
    (folder / "plan.yaml").write_text(yaml.safe_dump(values | {"sha256": ""}), encoding="utf-8")
    patients = [
        f"patient{number:03d},{split}" for number, split in enumerate(["train"] * 3 + ["valid"] * 2 + ["test"] * 2, 1)
    ]
    (folder / "fold1.csv").write_text("\n".join(["patient,split", *patients]) + "\n", encoding="utf-8")
    monkeypatch.setenv("DAINET_RUNS", str(tmp_path / "runs"))
    monkeypatch.setenv("DAINET_FIGURES", str(tmp_path / "figures"))
    for module in (gain, shipping):
        monkeypatch.setattr(module, "PLAN", folder / "plan.yaml")
    shipping.train_gain()
    plan = read_plan(folder / "plan.yaml")
    found, made = read_gain(), read_scored(plan, tmp_path / "figures" / plan.name)
    columns = list(COLUMNS["scores.csv"][0])
    pd.testing.assert_frame_equal(found.scores[columns], made.scores[columns].reset_index(drop=True))
    assert found.scores["dsc"].to_numpy() == pytest.approx(made.scores["dsc"].to_numpy(), abs=1e-4)
    assert read_record(folder / "record.json")["plan"]["sha256"] == plan_hash(plan)
