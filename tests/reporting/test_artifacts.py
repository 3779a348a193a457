"""What is written next to a figure or a table: files, hashes, alternative text, data, and what failed beneath."""

import errno
import hashlib
import json
import re
from pathlib import Path

import pandas as pd
import pytest
from matplotlib.figure import Figure
from PIL import Image

from dainet.cache.folders import StageError, runs_folder
from dainet.cache.store import StageResult, run_stage
from dainet.csv_files import read_csv
from dainet.reporting.artifacts import (
    PAGE,
    appearing,
    data_title,
    output_folder,
    record_files,
    save_csv,
    save_figure,
    save_table,
)
from dainet.settings import Settings, load_settings


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return load_settings("tour", {"output": str(tmp_path / "out"), "data.source": "scans"})


def fine_tuned(verdict: str) -> tuple[StageResult, StageResult]:
    """Return a DINO stage that ended like this after 7 epochs, and the attention stage made from it."""
    prepared = run_stage("prepared", 1, {"case": verdict}, {"data": f"content {verdict}"}, lambda folder: None)

    def train(folder: Path) -> None:
        (folder / "training.json").write_text(json.dumps({"collapse": verdict, "epochs": 7}))

    dino = run_stage("dino", 1, {"case": verdict}, {"prepared": prepared.key}, train)
    return dino, run_stage("attention", 1, {}, {"dino": dino.key}, lambda folder: None)


def test_a_table_says_which_fine_tuning_collapsed(settings: Settings) -> None:
    good, bad = fine_tuned("none"), fine_tuned("uniform")
    stages = {"attention": good[1].key, "other": bad[1].key}
    path = save_table(pd.DataFrame({"a": ["1.00 ± 0.50"]}), "table", settings, stages, ["first"])
    first, note = [line for line in path.read_text().splitlines() if line.startswith("- ")]
    assert first == "- first"
    assert [word in note for word in (bad[0].key, "7 epochs", "uniform")] == 3 * [True]
    assert good[0].key not in path.read_text()
    comments = [line for line in path.with_suffix(".tex").read_text().splitlines() if line.startswith("%")]
    assert comments == ["% first", f"% {note[2:]}"]
    assert r"1.00 $\pm$ 0.50" in path.with_suffix(".tex").read_text()


def cells(line: str) -> list[str]:
    """Split a row of a table in Markdown as GitHub does, and undo its escapes."""
    inner = re.split(r"(?<!\\)\|", line)[1:-1]
    return [re.sub(r"\\([^a-z\s])", r"\1", cell.strip()) for cell in inner]


@pytest.mark.parametrize(
    "name", ["kidney_right", "_a_", "a|b", "50 % & more", "#1 $x$", "{a}^2~b", "a\\b", "*x* `y` <b>"]
)
def test_names_stand_as_they_are_in_every_format_of_a_table(name: str, settings: Settings) -> None:
    path = save_table(pd.DataFrame({"Method": [f"unet | {name}"], name: ["1.00"]}), "table", settings, {}, [])
    assert read_csv(path.with_suffix(".csv")).columns.tolist() == ["Method", name]
    first, _, second = path.read_text().splitlines()[:3]
    assert cells(first) == ["Method", name]
    assert cells(second) == [f"unet | {name}", "1.00"]
    assert not re.search(r"(?<!\\)[`<]", second)
    latex = next(line for line in path.with_suffix(".tex").read_text().splitlines() if line.startswith("Method"))
    words = {"textbackslash ": "\\", "textasciicircum ": "^", "textasciitilde ": "~"}
    for command, character in words.items():
        latex = latex.replace(f"\\{command}", f"\\{character}")
    unescaped = re.findall(r"(?<!\\)[&%#_$^~{}]", latex.removesuffix("\\\\"))
    assert unescaped == ["&"]  # between the columns
    assert re.sub(r"\\(.)", r"\1", latex.removesuffix("\\\\")).strip() == f"Method & {name}"


def test_a_record_holds_hashes_of_all_files_and_of_the_data_behind_them(settings: Settings) -> None:
    stages = {"a": fine_tuned("none")[1].key, "b": fine_tuned("constant")[0].key}
    figure = Figure()
    figure.set_label("two curves")
    path = save_figure(figure, "curves", settings, stages)
    record = json.loads(path.with_suffix(".json").read_text())
    assert (path.name, record["file"], record["alt"], record["stages"]) == (
        "curves.png",
        "curves",
        "two curves",
        stages,
    )
    assert record["data"] == ["content constant", "content none"]
    assert set(record["files"]) == {"curves.png", "curves.pdf"}
    for name, digest in record["files"].items():
        assert hashlib.sha256((path.parent / name).read_bytes()).hexdigest() == digest
    table = save_table(pd.DataFrame({"a": ["1"]}), "numbers", settings, {}, [])
    record = json.loads(table.with_suffix(".json").read_text())
    assert set(record["files"]) == {"numbers.csv", "numbers.md", "numbers.tex"}
    assert "alt" not in record
    assert record["data"] == []


@pytest.mark.parametrize(
    ("dataset", "source", "title"),
    [
        ("acdc", "scans", "ACDC"),
        ("acdc", "phantom", "ACDC phantoms"),
        ("synapse", "phantom", "Synapse phantoms"),
        ("custom", "scans", "own data"),
    ],
)
def test_titles_say_what_the_data_are(dataset: str, source: str, title: str) -> None:
    assert data_title(load_settings("tour", {"data.dataset": dataset, "data.source": source})) == title


def test_a_figure_is_saved_the_same_twice_with_its_margins_cut_and_120_dots_per_inch(settings: Settings) -> None:
    def drawn() -> Figure:
        figure = Figure(figsize=(4, 3))
        figure.add_axes((0.5, 0.5, 0.2, 0.2)).plot([0, 1])
        return figure

    path = save_figure(drawn(), "curves", settings, {})
    first = [file.read_bytes() for file in (path, path.with_suffix(".pdf"))]
    save_figure(drawn(), "curves", settings, {})
    assert [file.read_bytes() for file in (path, path.with_suffix(".pdf"))] == first
    image = Image.open(path)
    assert image.info["dpi"] == pytest.approx((120, 120), abs=0.1)
    assert image.width < 4 * 120 * 0.5
    assert "Software" not in image.info
    assert b"CreationDate" not in first[1]


def test_numbers_are_saved_without_their_row_numbers_and_with_a_record(settings: Settings) -> None:
    stages = {"data": fine_tuned("none")[0].key}
    path = save_csv(pd.DataFrame({"case": ["a", "b"], "dsc": [0.25, 0.5]}), "scores", settings, stages)
    assert path == output_folder(settings) / "scores.csv"
    assert path.read_text().splitlines() == ["case,dsc", "a,0.25", "b,0.5"]
    record = json.loads(path.with_suffix(".json").read_text())
    assert (record["file"], record["stages"], list(record["files"])) == ("scores", stages, ["scores.csv"])


def test_a_table_is_printed_as_it_is_given(settings: Settings) -> None:
    path = save_table(pd.DataFrame({"Network": ["a†"], "DSC": ["90.10"]}), "table", settings, {}, ["5 % of all"])
    header, _, line, blank, note = path.read_text().splitlines()
    assert [cell.strip() for cell in header.split("|")[1:-1]] == ["Network", "DSC"]
    assert [cell.strip() for cell in line.split("|")[1:-1]] == ["a†", "90.10"]
    assert (blank, note) == ("", "- 5 % of all")
    assert path.with_suffix(".csv").read_text() == "Network,DSC\na†,90.10\n"
    latex = path.with_suffix(".tex").read_text().splitlines()
    assert latex[0] == "% 5 % of all"
    assert [part.strip() for part in latex[latex.index(r"\midrule") + 1].split("&")] == [r"a\dag{}", r"90.10 \\"]


def test_a_line_break_ends_no_row_and_a_marker_stays(settings: Settings) -> None:
    path = save_table(pd.DataFrame({"Method": ["R50 U-Net*", "two\nlines"]}), "table", settings, {}, [])
    assert [line.strip("| ") for line in path.read_text().splitlines()[2:4]] == ["R50 U-Net*", "two lines"]


def save_half(folder: Path) -> None:
    (folder / "half.csv").write_text("half")
    folder.write_text("fails")


def test_files_appear_together_or_not_at_all(settings: Settings) -> None:
    folder = output_folder(settings)
    with pytest.raises(IsADirectoryError), appearing(settings) as hidden:
        save_half(hidden)
    assert list(folder.iterdir()) == []
    with appearing(settings) as hidden:
        (hidden / "whole.csv").write_text("whole")
        assert not (folder / "whole.csv").exists()
    assert [path.name for path in folder.iterdir()] == ["whole.csv"]


@pytest.mark.parametrize(("of", "stays"), [("same", True), ("other", False), ("damaged", False), ("none", False)])
def test_an_index_page_stays_if_it_is_of_the_same_settings(settings: Settings, of: str, stays: bool) -> None:
    folder, pages = output_folder(settings), (f"{PAGE}.html", f"{PAGE}.json")
    other = settings.model_copy(update={"dino": settings.dino.model_copy(update={"lr": 1e-5})})
    record_of(folder, settings if of == "same" else other)
    if of == "damaged":
        (folder / pages[1]).write_text("{")
    if of == "none":
        (folder / pages[1]).unlink()
    save_csv(pd.DataFrame({"a": [1]}), "numbers", settings, {})
    assert [(folder / name).exists() for name in pages] == [stays, stays]


def record_of(folder: Path, settings: Settings) -> None:
    page = folder / f"{PAGE}.html"
    page.write_text("page")
    record_files(folder / f"{PAGE}.json", [page], settings, {})


class FullDisk(pd.DataFrame):
    """Numbers that a disk has no room for."""

    def to_csv(self, path: Path, **_: object) -> None:  # type: ignore[override]
        raise OSError(errno.ENOSPC, "No space left on device", str(path))


def test_a_full_or_protected_disk_is_named_with_another_way(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = str(output_folder(settings))
    with pytest.raises(StageError, match=r"No space left.*setting output") as refused:
        save_csv(FullDisk(), "numbers", settings, {})
    assert folder in str(refused.value)

    def protected(path: Path, **_: object) -> None:
        raise OSError(errno.EROFS, "Read-only file system", str(path))

    monkeypatch.setattr(Path, "mkdir", protected)
    with pytest.raises(StageError, match=r"Read-only.*setting output") as refused:
        output_folder(settings)
    assert folder in str(refused.value)


def test_the_cache_remembers_only_figures_of_its_stages(settings: Settings) -> None:
    save_csv(pd.DataFrame({"a": [1]}), "numbers", settings, {})
    assert not list(runs_folder().glob(".figures"))
    save_csv(pd.DataFrame({"a": [1]}), "numbers", settings, {"data": fine_tuned("none")[0].key})
    assert str(output_folder(settings).name) in (runs_folder() / ".figures").read_text()


def test_what_a_killed_process_left_half_written_goes_with_the_next_files(settings: Settings) -> None:
    left = output_folder(settings) / ".appearing-x"
    left.mkdir()
    (left / "table.csv").write_text("half")
    save_csv(pd.DataFrame({"a": [1]}), "table", settings, {})
    assert [path.name for path in sorted(output_folder(settings).iterdir())] == ["table.csv", "table.json"]
