"""The stages that a run opens, in its own process and in those that it starts."""

import os
import subprocess
import sys

from dainet.cache.in_use import listed_use, note_use
from tests.helpers.stages import stage


def test_stages_opened_meanwhile_are_listed_once_in_the_order_of_their_first_use() -> None:
    before = stage(seed=0)
    with listed_use() as opened:
        assert opened() == []
        second, first = stage(seed=1), stage(seed=0)
        stage(seed=1)
        assert opened() == [second.key, first.key]
    assert first == before
    note_use("f" * 16)
    with listed_use() as opened:
        assert opened() == []


def test_other_processes_list_theirs_too_and_may_outlive_the_list() -> None:
    script = "from dainet.cache.in_use import note_use; note_use('c' * 16)"
    with listed_use() as opened:
        environment = dict(os.environ)
        subprocess.run([sys.executable, "-c", script], check=True)
        assert opened() == ["c" * 16]
    subprocess.run([sys.executable, "-c", script], check=True, env=environment)
