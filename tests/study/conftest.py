"""What tests of the studies share."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from dainet.compare.plan import read_plan
from dainet.compare.run import results_folder, run_plan
from dainet.compare.scores import Scored, read_scored
from tests.compare.test_plan import PLAN, write_plan
from tests.helpers.samples import tiny_overrides


@pytest.fixture
def trained(tmp_path: Path, h5_source: Path, monkeypatch: pytest.MonkeyPatch) -> Scored:
    """What a plan of two networks has left, trained small; its data and weights are in the plan."""
    monkeypatch.chdir(tmp_path)
    plan = read_plan(write_plan(tmp_path, f"{PLAN}where: {json.dumps(tiny_overrides(h5_source))}\n"))
    plan = plan.model_copy(update={"waves": (plan.waves[0].model_copy(update={"networks": ("unet", "random")}),)})
    run_plan(plan, {})
    return read_scored(plan, results_folder(plan))
