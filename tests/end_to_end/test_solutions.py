"""The exercises of all notebooks are solved by their solutions, and stored outputs are those of the present code."""

from pathlib import Path

import nbformat
import pytest
from nbformat import NotebookNode

from dainet.device import choose_device
from dainet.lessons.reproduce import find_notebooks, reproduce
from tests.helpers import REPOSITORY
from tests.helpers.notebooks import solved


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
