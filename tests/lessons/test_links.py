"""Links and pictures of notebooks wherever they lie, as a page of HTML shows them."""

from pathlib import Path
from urllib.parse import unquote

import nbformat
import pytest
from nbconvert import HTMLExporter

from dainet.lessons.links import relocated
from dainet.lessons.reproduce import find_notebooks
from tests.helpers import REPOSITORY
from tests.helpers.documents import Page

NOTEBOOKS = find_notebooks()
HOME = REPOSITORY / "notebooks"
COPIES = REPOSITORY / "figures" / "phantom-acdc-tour" / "notebooks"  # need not exist


def page(path: Path, folder: Path = HOME) -> Page:
    """The text of a notebook, or of its copy in another folder, as nbconvert and JupyterLab export it."""
    notebook = nbformat.read(path, as_version=4)
    notebook.cells = [cell for cell in notebook.cells if cell.cell_type == "markdown"]
    if folder != HOME:
        notebook = relocated(notebook, HOME, folder)
    text, _ = HTMLExporter(template_name="basic").from_notebook_node(notebook)
    return Page(text)


def fault(target: str, folder: Path, own: Page) -> str:
    """Why JupyterLab, opened in the repository, or a browser would not get there; "" where it would."""
    name, _, anchor = unquote(target).partition("#")
    file = (folder / name).resolve()
    if not name:
        return "" if anchor in own.ids() else "no such anchor on this page"
    if not file.is_file():  # JupyterLab opens no folder
        return "no file"
    if not file.is_relative_to(REPOSITORY):
        return "outside the repository"
    # JupyterLab and GitHub derive different anchors from a heading: only those that stand in the page work in both.
    if anchor and f'<a id="{anchor}">' not in file.read_text(encoding="utf-8"):
        return "no such anchor there"
    return ""


def faults(page: Page, folder: Path) -> dict[str, str]:
    return {target: why for target in page.targets() if (why := fault(target, folder, page))}


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
@pytest.mark.parametrize("folder", [HOME, COPIES], ids=["committed", "executed copy"])
def test_every_link_and_picture_leads_to_a_file_and_its_anchor(path: Path, folder: Path) -> None:
    found = page(path, folder)
    assert faults(found, folder) == {}
    assert len(found.targets()) >= 5


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_copy_outside_the_repository_holds_its_pictures_and_leads_back(path: Path, tmp_path: Path) -> None:
    folder = tmp_path / "a b" / "notebooks"
    found = page(path, folder)
    assert faults(found, folder) == {}
    pictures = [str(image["src"]) for image in found.all("img")]
    kinds = [source.removeprefix("data:image/").partition(";base64,")[0] for source in pictures]
    assert set(kinds) <= {"png", "svg+xml"}
    assert all(source.startswith("data:image/") for source in pictures)
    assert len(pictures) == len(page(path).all("img"))


def test_a_picture_that_moves_is_the_file_and_a_link_keeps_its_anchor(tmp_path: Path) -> None:
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs" / "page.md").write_text("# Page")
    (tmp_path / "heart.png").write_bytes(b"pixels")
    source = "[![a heart](../heart.png)](../docs/page.md#2.5) [site](https://x.org/y) [own](#here) `f[0](x)` [no](none)"
    cells = [nbformat.v4.new_markdown_cell(source), nbformat.v4.new_code_cell("# [code](../heart.png)")]
    text, code = relocated(
        nbformat.v4.new_notebook(cells=cells), tmp_path / "notebooks", tmp_path / "figures" / "run" / "notebooks"
    ).cells
    assert text.source == source.replace("../heart.png", "attachment:heart.png").replace("../docs", "../../../docs")
    assert text.attachments == {"heart.png": {"image/png": "cGl4ZWxz"}}
    assert code.source == "# [code](../heart.png)"
    nbformat.validate(nbformat.v4.new_notebook(cells=[text, code]))
