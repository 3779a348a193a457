"""The notebooks as texts: structure, size of cells, and stored outputs without traces of the machine."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import nbformat
import pytest
from ipykernel.ipkernel import IPythonKernel
from ipykernel.kernelspec import KERNEL_NAME, get_kernel_dict
from nbconvert import HTMLExporter
from nbformat.notebooknode import NotebookNode

from dainet.lessons.first_cell import TAG, first_cell, public_address
from dainet.lessons.reproduce import find_notebooks, notebooks_of_a_run
from tests.helpers import REPOSITORY
from tests.helpers.documents import Page
from tests.helpers.notebooks import solutions

NOTEBOOKS = find_notebooks()


@pytest.fixture(params=NOTEBOOKS, ids=[path.stem for path in NOTEBOOKS])
def notebook(request: pytest.FixtureRequest) -> NotebookNode:
    return nbformat.read(request.param, as_version=4)


def code(notebook: NotebookNode) -> list[NotebookNode]:
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


def outputs(notebook: NotebookNode) -> Iterator[str]:
    for cell in code(notebook):
        for output in cell.outputs:
            yield output.get("text", "") + str(output.get("data", {}).get("text/plain", ""))


def test_all_lessons_are_there_and_all_but_the_last_two_run_unasked() -> None:
    assert [path.name[:2] for path in NOTEBOOKS] == ["01", "02", "03", "04", "05", "06", "07", "08", "09"]
    assert notebooks_of_a_run() == NOTEBOOKS[:-2]


def test_one_title_and_the_fixed_order(notebook: NotebookNode) -> None:
    prose = "\n".join(cell.source for cell in notebook.cells if cell.cell_type == "markdown")
    assert len(re.findall(r"^# ", prose, flags=re.M)) == 1
    assert re.match(r"# \d\. \w", notebook.cells[0].source)
    order = ["What you will learn", "Run time", "Summary", "Exercises", "References"]
    assert [prose.index(word) for word in order] == sorted(prose.index(word) for word in order)


def test_the_first_code_cell_says_how_to_install_from_the_present_address(notebook: NotebookNode) -> None:
    present, written = first_cell(public_address(REPOSITORY)), code(notebook)[0]
    assert (written.source, written.metadata, written.outputs) == (present.source, present.metadata, [])
    assert sum(TAG in cell.metadata.get("tags", []) for cell in code(notebook)) == 1


def test_one_parameters_cell_of_commented_literals(notebook: NotebookNode) -> None:
    tagged = [cell for cell in code(notebook) if "parameters" in cell.metadata.get("tags", [])]
    assert len(tagged) == 1
    assert tagged[0] is code(notebook)[1]
    assigned = {node.targets[0].id: ast.literal_eval(node.value) for node in ast.parse(tagged[0].source).body}
    compares = notebook.cells[0].source[2] in "45"  # in whose tables networks of one's own stand
    assert assigned == {"PROFILE": "tour", "OVERRIDES": {}} | ({"OWN_NETWORKS": []} if compares else {})
    assert all("  # " in line for line in tagged[0].source.splitlines())


def test_cells_are_short(notebook: NotebookNode) -> None:
    assert max(len(cell.source.splitlines()) for cell in code(notebook)) <= 20


def test_exercises_have_a_checking_cell_and_a_folded_solution(notebook: NotebookNode) -> None:
    """That solutions are right is shown by `end_to_end/test_solutions.py`."""
    checks = [cell for cell in code(notebook) if re.search(r"^check\(", cell.source, flags=re.M)]
    assert len(checks) == len(solutions(notebook)) >= 3


def test_stored_executed_at_the_tour_profile(notebook: NotebookNode) -> None:
    counts = [cell.execution_count for cell in code(notebook)]
    assert counts == list(range(1, len(counts) + 1)), "run `make notebooks`: nbval compares only executed cells"


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_opened_and_saved_it_is_unchanged(path: Path, tmp_path: Path) -> None:
    """JupyterLab reads and writes with nbformat, and writes what the kernel says of itself; its version may differ."""
    notebook = nbformat.read(path, as_version=4)
    kernel = KERNEL_NAME, get_kernel_dict()["display_name"], get_kernel_dict()["language"]
    notebook.metadata.kernelspec = dict(zip(("name", "display_name", "language"), kernel, strict=True))
    version = notebook.metadata.language_info["version"]
    notebook.metadata.language_info = IPythonKernel.language_info | {"version": version}
    nbformat.write(notebook, tmp_path / path.name)
    assert (tmp_path / path.name).read_bytes() == path.read_bytes()


def test_outputs_hold_no_paths_warnings_or_errors(notebook: NotebookNode) -> None:
    for cell in code(notebook):
        assert all(output.output_type != "error" for output in cell.outputs)
        assert all(output.get("name") != "stderr" for output in cell.outputs), cell.source
    for text in outputs(notebook):
        assert not re.search(r"/home/|/root/|/tmp/|/Users/|[A-Z]:\\", text), text


def test_training_cells_are_not_compared(notebook: NotebookNode) -> None:
    """What a network computed depends on the machine, so nbval must not compare it."""
    for cell in code(notebook):
        if re.search(r"pipeline\.(train|finetune|attention|score_heads)\(", cell.source):
            assert "nbval-ignore-output" in cell.metadata.get("tags", []), cell.source


def test_every_picture_has_alternative_text(notebook: NotebookNode) -> None:
    """The template `classic` writes the key `alt` of an output's metadata; nbconvert 7.17 lacks that in `lab`."""
    page, _ = HTMLExporter(template_name="classic").from_notebook_node(notebook)
    alts = [image.get("alt") for image in Page(page).all("img")]
    assert alts
    assert [alt for alt in alts if not alt or alt.startswith("No description")] == []  # nbconvert's own words


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_the_path_tells_how_long_reading_takes(path: Path) -> None:
    """120 words a minute up to the exercises, and 15 seconds for every figure, in steps of five minutes."""
    page = (path.parent / "README.md").read_text(encoding="utf-8")
    [(reading, whole)] = re.findall(rf"\({path.name}\) .* \| (\d+) min \| (\d+) min \|$", page, flags=re.M)
    cells = nbformat.read(path, as_version=4).cells
    prose = "\n".join(cell.source for cell in cells if cell.cell_type == "markdown")
    lesson, _, exercises = prose.partition("xercises\n")
    outputs = [output for cell in cells for output in cell.get("outputs", [])]
    figures = prose.count("![") + sum("image/png" in output.get("data", {}) for output in outputs)
    assert int(reading) == pytest.approx(len(lesson.split()) / 120 + figures / 4, abs=4)
    kinds = re.findall(r"^\*\*[\d.]+ \(([^)]*)\)", exercises, flags=re.M)
    assert len(kinds) in (4, 5)
    minutes = sum(5 if "judg" in kind else {"easy": 3, "medium": 7, "harder": 15}[kind] for kind in kinds)
    play = 20 if "xplorer" in path.stem else 0
    assert int(whole) - int(reading) == pytest.approx(minutes + play, abs=3)
