"""All notebooks run headless on the data sets that their stored outputs do not show; no cell assumes ACDC's classes."""

from pathlib import Path

import nbformat
import pandas as pd
import pytest
from nbformat import NotebookNode

from dainet.device import choose_device
from dainet.lessons.reproduce import find_notebooks, reproduce
from tests.helpers import REPOSITORY
from tests.helpers.formats import nnunet
from tests.helpers.notebooks import QUICK, solved


@pytest.mark.slow
def test_the_notebooks_run_on_data_of_ones_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Synapse is in test_commands.py."""
    monkeypatch.setenv("DAINET_RUNS", str(tmp_path / "runs"))
    nnunet(tmp_path / "Dataset001_Discs", [f"case {number}" for number in range(10)])
    data = {"data.dataset": "custom", "data.source": str(tmp_path / "Dataset001_Discs")}
    index = reproduce("tour", QUICK | data | {"output": str(tmp_path / "figures")}, find_notebooks())
    rows = pd.read_csv(index.parent / "table_own_data.csv", keep_default_na=False)
    assert {"core", "Difference"} <= set(rows.columns)
    assert set(rows["Method"]) == {"unet", "single", "dual-1111"}
    for name in ("data_sheet", "figure1_attention", "figure2_architecture", "figure3_qualitative", "table3"):
        assert f"{name}." in index.read_text()


@pytest.mark.slow
def test_the_solutions_are_right(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every notebook with its answers filled in: the checking cells say so.

    With the settings and in the cache of `make test-notebooks`, so that whichever comes first trains for both.
    """
    monkeypatch.setenv("DAINET_RUNS", str(REPOSITORY / "runs"))
    paths = [tmp_path / path.name for path in find_notebooks()]
    for path, original in zip(paths, find_notebooks(), strict=True):
        nbformat.write(solved(nbformat.read(original, as_version=4)), path)
    index = reproduce("tour", {"output": str(tmp_path / "figures")}, paths)
    for path in paths:
        assert _stages_of_another_state(nbformat.read(path, as_version=4)) == [], f"{path.name}: run `make notebooks`"
        executed = nbformat.read(index.parent / "notebooks" / path.name, as_version=4)
        checks = [cell for cell in executed.cells if cell.cell_type == "code" and "\ncheck(" in f"\n{cell.source}"]
        assert [cell.outputs[-1].text for cell in checks] == ["right\n"] * len(checks), path.name


def _stages_of_another_state(notebook: NotebookNode) -> list[str]:
    """Stages behind the stored outputs that the present code, settings and phantoms do not make."""
    made_by = notebook.metadata["dainet"]
    if made_by["precision"] != choose_device().precision:  # which is part of the keys
        return []
    return [stage for key, stage in made_by["stages"].items() if not (REPOSITORY / "runs" / stage / key).is_dir()]
