"""The pages for teachers: links to what a class is given, and the solutions of all exercises."""

from __future__ import annotations

import re
from pathlib import Path

import nbformat
import pytest
from nbformat.v4 import new_markdown_cell, new_notebook

from book.solutions import read_solutions, solutions_page
from book.teachers import teaching_page
from dainet.errors import InputError
from dainet.lessons.answers import EXERCISES
from teaching.build import NOTEBOOKS


def test_every_exercise_has_its_solution_on_the_page() -> None:
    page = solutions_page(NOTEBOOKS)
    numbers = re.findall(r"^### Exercise (.+)$", page, flags=re.MULTILINE)
    assert numbers == list(EXERCISES)
    assert page.count("**Solution**") == len(EXERCISES)
    assert "<details>" not in page
    for path in NOTEBOOKS:
        assert f"](../notebooks/{path.name})" in page
        for exercise, solution in read_solutions(path).values():
            assert exercise
            assert solution


def test_a_solution_without_its_check_is_refused(tmp_path: Path) -> None:
    cells = [new_markdown_cell("text") for _ in range(3)]
    folded = new_markdown_cell("<details><summary>Solution</summary>\n\nseven\n\n</details>")
    nbformat.write(new_notebook(cells=[*cells, folded]), tmp_path / "lesson.ipynb")
    with pytest.raises(InputError, match=r"lesson\.ipynb.*seven"):
        read_solutions(tmp_path / "lesson.ipynb")


def test_files_and_decks_that_are_built_are_links(tmp_path: Path) -> None:
    for name in ("handout.html", *(f"slides/{path.stem}.html" for path in NOTEBOOKS)):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    page = teaching_page(tmp_path)
    assert "[`handout.html`](pages/handout.html)" in page
    assert "slides of [05](pages/slides/05_ablation.html) and [07](pages/slides/07_real_patients.html)" in page
    assert "`handout.pdf`" in page
    assert "pages/handout.pdf" not in page  # not printed


def test_the_book_has_what_a_class_is_given(book_site: Path) -> None:
    page = (book_site / "teaching/README.html").read_text(encoding="utf-8")
    built = [path.relative_to(book_site / "teaching") for path in (book_site / "teaching/pages").rglob("*.html")]
    assert len(built) == len(NOTEBOOKS) + 5
    for path in built:
        if path.parent.name != "slides":
            assert f'href="{path}"' in page
    for path in NOTEBOOKS:
        deck = (book_site / f"teaching/pages/slides/{path.stem}.html").read_text(encoding="utf-8")
        assert f'<a href="../../../notebooks/{path.stem}.html">' in deck
