"""On one machine, the same settings give the same bits in every stage, with one thread and with two."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.helpers import REPOSITORY
from tests.helpers.killing import fingerprint
from tests.helpers.samples import write_h5_source

SCRIPT = """
import sys
import torch
sys.path.insert(0, sys.argv[1])
from tests.helpers.samples import tiny_overrides
from tests.helpers.killing import reproduce
from dainet.settings import load_settings
from pathlib import Path
torch.set_num_threads(int(sys.argv[4]))
reproduce(load_settings("tour", tiny_overrides(Path(sys.argv[2])) | {"output": sys.argv[3]}), ("dual-1111",))
"""


@pytest.mark.slow
@pytest.mark.parametrize("threads", [1, 2])
def test_every_stage_gives_the_same_bits_twice(tmp_path: Path, threads: int) -> None:
    source, prints = write_h5_source(tmp_path / "h5"), []
    for name in ("first", "second"):
        folder = tmp_path / name
        arguments = [str(REPOSITORY), str(source), str(folder / "out"), str(threads)]
        environment = os.environ | {"DAINET_RUNS": str(folder / "runs"), "OMP_NUM_THREADS": str(threads)}
        subprocess.run([sys.executable, "-c", SCRIPT, *arguments], env=environment, check=True, capture_output=True)
        prints.append(fingerprint(folder / "runs", folder / "out"))
    assert {name.split("/")[0] for name in prints[0]} >= {"prepared", "dino", "attention", "segmentation", "scores"}
    assert prints[0] == prints[1]
