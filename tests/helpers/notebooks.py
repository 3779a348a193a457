"""What tests that run notebooks share: settings that make a lesson small, and the solutions of its exercises."""

import re

from nbformat import NotebookNode

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


def solved(notebook: NotebookNode) -> NotebookNode:
    """The notebook with every answer filled in."""
    for number, code in solutions(notebook).items():
        notebook.cells[number].source = code
    return notebook
