"""What tests that run notebooks share: settings that make a lesson small, and the solutions of its exercises."""

import re
from typing import Any

import nbformat
from nbformat import NotebookNode
from torch import nn

from dainet.dino import stage as dino_stage
from dainet.lessons.answers import EXERCISES
from dainet.lessons.reproduce import find_notebooks
from dainet.segmentation import stage as segmentation_stage
from dainet.settings import DinoSettings, SegmentationSettings

QUICK = {
    "data.phantom_patients": 7,  # the first of Synapse that validates is the seventh
    "vit.image_size": 32,
    "dino.epochs": 1,
    "dino.batch_size": 16,
    "dino.out_dim": 16,
    "dino.global_size": 32,
    "dino.local_size": 16,
    "segmentation.image_size": 32,
    "segmentation.width": 2,
    "segmentation.epochs": 1,
}

OF_A_RUN = ("01", "02", "03", "04", "05", "06")  # the lessons that read data and train; 07 has its own


def check_wrong(number: str, answer: object, words: str) -> None:
    """Assert that an answer to an exercise is wrong, and that these words are said to it; "": no known mistake."""
    said = EXERCISES[number].fault(answer, {})
    assert said is not None
    assert words in said
    assert bool(said) == bool(words)


def lesson(number: str) -> NotebookNode:
    """Read the notebook with this two-digit number."""
    return nbformat.read(find_notebooks([number])[0], as_version=4)


def shown(notebook: NotebookNode, source: str) -> str:
    """What the only code cell with these words in its source shows: prints, values, alternative texts of figures."""
    [cell] = [cell for cell in notebook.cells if cell.cell_type == "code" and source in cell.source]
    words = [output.get("text", "") for output in cell.outputs]
    words += [output.get("data", {}).get("text/plain", "") for output in cell.outputs]
    words += [output.get("metadata", {}).get("image/png", {}).get("alt", "") for output in cell.outputs]
    return "\n".join(words)


def solutions(notebook: NotebookNode) -> dict[int, str]:
    """Number of the answer's cell -> code of the solution, which follows the checking cell in a closed <details>."""
    found = {}
    for number, cell in enumerate(notebook.cells):
        if cell.cell_type == "code" and re.search("^[a-z_]+ = None  # your answer", cell.source):
            check, solution = notebook.cells[number + 1 : number + 3]
            assert re.search("^check\\(", check.source, flags=re.M), cell.source
            folded = re.match(r"<details><summary>Solution</summary>\n(.*?)</details>", solution.source, flags=re.S)
            found[number] = re.search("```python\n(.*?)```", folded[1], flags=re.S)[1]
    return found


def check_solutions(notebook: NotebookNode, made: dict[str, Any]) -> None:
    """Assert that the solutions of a lesson are right, each on its own, with what its cells have made."""
    chapter = int(notebook.cells[0].source.lstrip("# ").partition(".")[0])
    for place, (number, code) in enumerate(solutions(notebook).items(), 1):
        names = dict(made)
        exec(code, names)
        answer = notebook.cells[number].source.split(" = ")[0]
        assert EXERCISES[f"{chapter}.{place}"].fault(names[answer], names) is None


def solved(notebook: NotebookNode) -> NotebookNode:
    """The notebook with every answer filled in, and with the output that its checking cells then have."""
    for number, code in solutions(notebook).items():
        answer, check = notebook.cells[number : number + 2]
        answer.source, answer.metadata.tags = code, ["nbval-ignore-output"]
        [output] = check.outputs
        output.text = "right\n"
    return notebook


def short_trainings(notebook: NotebookNode) -> NotebookNode:
    """The notebook with a first cell that calls `end_early`."""
    cell = nbformat.v4.new_code_cell(f"import {__name__}\n\n{__name__}.end_early()")
    notebook.cells.insert(0, cell)
    return notebook


def end_early() -> None:
    """Let every training of this process end after two epochs, DINO after one batch, under the key of its settings."""
    train, finetune = segmentation_stage.train, dino_stage.finetune

    def short_train(model: nn.Module, settings: SegmentationSettings, *others: Any) -> None:
        train(model, settings.model_copy(update={"epochs": 2}), *others)

    def short_finetune(settings: DinoSettings, weights: str, images: Any, rows: Any, *others: Any) -> None:
        finetune(settings.model_copy(update={"epochs": 1}), weights, images, rows[: settings.batch_size], *others)

    segmentation_stage.train = short_train  # type: ignore[assignment]
    dino_stage.finetune = short_finetune  # type: ignore[assignment]
