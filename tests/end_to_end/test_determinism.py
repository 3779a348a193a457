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
import os
import sys
import torch
sys.path.insert(0, sys.argv[1])
from tests.helpers.samples import tiny_overrides
from tests.helpers.killing import reproduce
from dainet.settings import load_settings
from pathlib import Path
torch.set_num_threads(int(sys.argv[2]))
for folder in sys.argv[4:]:
    os.environ["DAINET_RUNS"] = f"{folder}/runs"
    reproduce(load_settings("tour", tiny_overrides(Path(sys.argv[3])) | {"output": f"{folder}/out"}), ("dual-1111",))
"""


@pytest.mark.slow
@pytest.mark.parametrize("threads", [1, 2])
def test_every_stage_gives_the_same_bits_twice(tmp_path: Path, threads: int) -> None:
    source, folders = write_h5_source(tmp_path / "h5"), [tmp_path / "first", tmp_path / "second"]
    arguments = [str(REPOSITORY), str(threads), str(source), *map(str, folders)]
    # Passive: threads that wait for a busy core by counting would take minutes.
    environment = os.environ | {"OMP_NUM_THREADS": str(threads), "OMP_WAIT_POLICY": "passive"}
    subprocess.run([sys.executable, "-c", SCRIPT, *arguments], env=environment, check=True, capture_output=True)
    first, second = (fingerprint(folder / "runs", folder / "out") for folder in folders)
    assert {name.split("/")[0] for name in first} >= {"prepared", "dino", "attention", "segmentation", "scores"}
    assert first == second
