"""On one machine, the same settings give the same bits in every stage, also with two threads.

With one thread, tests/end_to_end/test_killing.py compares two runs.
"""

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
torch.set_num_threads(2)
for folder in sys.argv[3:]:
    os.environ["DAINET_RUNS"] = f"{folder}/runs"
    reproduce(load_settings("tour", tiny_overrides(Path(sys.argv[2])) | {"output": f"{folder}/out"}), ("dual-1111",))
"""


@pytest.mark.slow
def test_every_stage_gives_the_same_bits_twice(tmp_path: Path) -> None:
    source, folders = write_h5_source(tmp_path / "h5"), [tmp_path / "first", tmp_path / "second"]
    arguments = [str(REPOSITORY), str(source), *map(str, folders)]
    # Passive: threads that wait for a busy core by counting would take minutes.
    environment = os.environ | {"OMP_NUM_THREADS": "2", "OMP_WAIT_POLICY": "passive"}
    subprocess.run([sys.executable, "-c", SCRIPT, *arguments], env=environment, check=True, capture_output=True)
    first, second = (fingerprint(folder / "runs", folder / "out") for folder in folders)
    assert {name.split("/")[0] for name in first} >= {"prepared", "dino", "attention", "segmentation", "scores"}
    assert first == second
