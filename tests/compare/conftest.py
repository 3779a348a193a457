"""What tests of comparisons share."""

from __future__ import annotations

from pathlib import Path

import pytest

from dainet.compare.plan import Plan, read_plan
from tests.compare.test_plan import PLAN, write_plan
from tests.helpers.plans import COMPARISONS


@pytest.fixture
def plan(tmp_path: Path) -> Plan:
    text = PLAN[: PLAN.index("comparisons:")] + COMPARISONS
    return read_plan(write_plan(tmp_path, text))
