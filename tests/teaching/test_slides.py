"""Slides: which cells become one, what they show, and formulas and pictures without a network."""

from __future__ import annotations

import re
from base64 import b64decode, b64encode
from io import BytesIO
from pathlib import Path

import nbformat
import pytest
from matplotlib.figure import Figure
from nbformat import NotebookNode
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output

from dainet.errors import InputError
from teaching.build import NOTEBOOKS
from teaching.formulas import formula_image
from teaching.pages import figure_html
from teaching.slides import read_slides


def picture() -> bytes:
    buffer = BytesIO()
    Figure(figsize=(1, 1)).savefig(buffer, format="png")
    return buffer.getvalue()


def tagged(cell: NotebookNode, *tags: str) -> NotebookNode:
    cell.metadata["tags"] = list(tags)
    return cell


def code_cell(source: str, outputs: list[NotebookNode]) -> NotebookNode:
    return new_code_cell(source, outputs=outputs)


def written(folder: Path, *cells: NotebookNode) -> Path:
    path = folder / "01_lesson.ipynb"
    nbformat.write(new_notebook(cells=list(cells)), path)
    return path


def shown(folder: Path, *cells: NotebookNode) -> list[str]:
    return [str(slide) for slide in read_slides(written(folder, *cells))]


def test_only_tagged_cells_become_slides_under_the_heading_of_their_section(tmp_path: Path) -> None:
    text = new_output("stream", text="seven\n")
    path = written(
        tmp_path,
        tagged(new_markdown_cell("# 1. Lesson"), "slide"),
        new_markdown_cell("## 1.1 First\n\nnot shown\n\n## 1.2 *Second*\n\n```python\n# no heading\n```"),
        tagged(code_cell("print(7)", [text]), "slide", "nbval-ignore-output"),
        tagged(code_cell("print(7)", [text]), "slide", "slide-code"),
        new_code_cell("hidden", outputs=[text]),
    )
    title, plain, with_code = read_slides(path)
    assert title.startswith("<h1>1. Lesson")
    assert plain.startswith("<h2>1.2 <em>Second</em>")
    assert with_code.startswith("<h2>1.2 <em>Second</em>")
    assert "seven" in plain
    assert "print(7)" not in plain
    assert "print(7)" in with_code


def test_a_slide_ends_where_the_next_section_begins(tmp_path: Path) -> None:
    [body] = shown(tmp_path, tagged(new_markdown_cell("## Summary\n\nshort\n\n## Exercises\n\nlong"), "slide"))
    assert "short" in body
    assert "long" not in body
    assert "Exercises" not in body


def test_pictures_keep_their_content_and_their_alternative_text(tmp_path: Path) -> None:
    content = picture()
    (tmp_path / "scan.png").write_bytes(content)
    data = {"image/png": b64encode(content).decode(), "text/plain": "<Figure>"}
    output = new_output("display_data", data=data, metadata={"image/png": {"alt": 'a "heart" & more'}})
    [of_output, of_text] = shown(
        tmp_path,
        tagged(code_cell("figure", [output]), "slide"),
        tagged(new_markdown_cell("![a scan](scan.png)"), "slide"),
    )
    for body, alt in ((of_output, "a &#34;heart&#34; &amp; more"), (of_text, "a scan")):
        assert f'alt="{alt}"' in body
        [encoded] = re.findall(r'src="data:image/png;base64,([^"]+)"', body)
        assert b64decode(encoded) == content


def test_a_table_loses_its_own_style_and_stays_a_table(tmp_path: Path) -> None:
    data = {"text/html": "<div><style scoped>\n.x {}\n</style><table><td>91.9</td></table></div>", "text/plain": "91.9"}
    [body] = shown(tmp_path, tagged(code_cell("table", [new_output("execute_result", data=data)]), "slide"))
    assert "<table><td>91.9</td></table>" in body
    assert "style" not in body


def test_lines_of_the_log_are_left_out_and_other_prints_stay(tmp_path: Path) -> None:
    text = "attention: computing\nepoch 1/10  loss 0.9597\n"
    text += "You have not predicted; found: 3 <points>\n"
    [body] = shown(tmp_path, tagged(code_cell("run()", [new_output("stream", text=text)]), "slide"))
    assert body == "<pre>found: 3 &lt;points&gt;</pre>"


def test_a_link_stays_as_words_without_an_address(tmp_path: Path) -> None:
    [body] = shown(tmp_path, tagged(new_markdown_cell("see [the paper](https://dai-net.github.io)"), "slide"))
    assert "the paper" in body
    assert "http" not in body
    assert "href" not in body


def test_a_cell_that_shows_nothing_is_refused(tmp_path: Path) -> None:
    path = written(tmp_path, tagged(new_code_cell("x = 1"), "slide"))
    with pytest.raises(InputError, match="x = 1"):
        read_slides(path)


def test_a_missing_picture_is_refused_with_its_name(tmp_path: Path) -> None:
    path = written(tmp_path, tagged(new_markdown_cell("![a scan](gone.png)"), "slide"))
    with pytest.raises(InputError, match=r"gone\.png"):
        read_slides(path)


def test_formulas_are_drawn_on_the_line_and_alone(tmp_path: Path) -> None:
    text = "With $q$ and\n\n$$a = \\tfrac12 \\frac{q}{\\sqrt{d}}$$\n"
    [body] = shown(tmp_path, tagged(new_markdown_cell(text), "slide"))
    assert body.count('class="formula"') == 2
    assert "$" not in body
    assert 'alt="q"' in body


def test_a_formula_hangs_below_the_line_as_far_as_its_letters_do() -> None:
    heights = {}
    for letter in ("x", "q"):
        [height, depth] = re.findall(r"(?:height|align): (-?[\d.]+)em", formula_image(letter))
        heights[letter] = (float(height), float(depth))
    assert heights["q"][1] < heights["x"][1] - 0.1
    assert 0.3 < heights["x"][0] < heights["q"][0] < 1


def test_fractions_are_larger_on_a_line_of_their_own() -> None:
    def height(image: str) -> float:
        return float(re.findall(r"height: ([\d.]+)em", image)[0])

    assert height(formula_image(r"\frac{a}{b}", display=True)) > 1.2 * height(formula_image(r"\frac{a}{b}"))
    assert height(formula_image(r"\tfrac12", display=True)) == height(formula_image(r"\frac{1}{2}"))
    assert height(formula_image(r"\frac12", display=True)) == height(formula_image(r"\frac{1}{2}", display=True))


def test_an_unknown_command_is_refused_with_the_formula() -> None:
    with pytest.raises(InputError, match="nosuchcommand"):
        formula_image(r"\nosuchcommand{x}")


def test_a_figure_becomes_an_embedded_drawing_with_its_label() -> None:
    figure = Figure(figsize=(1, 1))
    figure.set_label("an empty square")
    html = str(figure_html(figure))
    [encoded] = re.findall(r'<img alt="an empty square" src="data:image/svg\+xml;base64,([^"]+)">', html)
    assert b"<svg" in b64decode(encoded)


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_every_formula_of_the_lessons_can_be_drawn(path: Path) -> None:
    for cell in nbformat.read(path, as_version=4).cells:
        if cell.cell_type == "markdown":
            text = re.sub(r"```.*?```|`[^`]*`", "", cell.source, flags=re.DOTALL)
            for alone, inline in re.findall(r"\$\$(.+?)\$\$|\$(?!\s)(.+?)(?<!\s)\$", text, flags=re.DOTALL):
                assert formula_image(alone or inline, display=bool(alone))
