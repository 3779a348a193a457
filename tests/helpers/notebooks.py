"""The exercises of a notebook: the cells for answers, and the solutions folded below them."""

import re

from nbformat import NotebookNode


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
