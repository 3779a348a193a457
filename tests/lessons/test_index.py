"""The index page of a run, as a browser's parser sees it."""

import json
import tomllib
from importlib.metadata import version
from importlib.resources import files
from pathlib import Path
from typing import Any

import nbformat
import numpy as np
import pandas as pd
import pytest

from dainet.cache.store import run_stage
from dainet.lessons.index import write_index
from dainet.lessons.reproduce import find_notebooks
from dainet.protocol import CLASSES, published_table
from dainet.reporting.artifacts import save_csv, save_figure, save_table
from dainet.reporting.charts import new_figure, score_distribution
from dainet.reporting.differences import difference_table
from dainet.reporting.tables import compare
from dainet.settings import load_settings
from tests.helpers.documents import Page
from tests.helpers.notebooks import lesson, shown
from tests.helpers.samples import scores

SHARED, OWN = "a note on both tables", "a note on one table"


@pytest.fixture
def text(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    (tmp_path / "pyproject.toml").touch()
    monkeypatch.chdir(tmp_path)
    settings = load_settings("tour")
    table = compare(published_table("acdc", "table2"), scores(), CLASSES["acdc"].names, "strict", phantoms=True)
    save_table(table, "table2", settings, {}, [SHARED, OWN])
    save_table(table, "table_heads", settings, {}, [SHARED])
    save_figure(new_figure(1, 1, "six maps of a slice"), "figure1_attention", settings, {})
    save_figure(new_figure(1, 1), "data_sheet", settings, {})
    save_figure(new_figure(1, 1), "of_somebody_else", settings, {})
    return write_index(settings).read_text(encoding="utf-8")


def test_figures_come_before_tables_under_titles_in_the_order_of_the_lessons(text: str) -> None:
    headings = Page(text).read("h2", "h3")
    titles = ["Figures", "The data at a glance", "Figure 1: attention maps of the heads", "Of somebody else", "Tables"]
    assert headings[:5] == titles
    assert "Table 2: ACDC phantoms, test patients" in headings


def test_every_image_has_alternative_text(text: str) -> None:
    alts = {image["src"]: image["alt"] for image in Page(text).all("img")}
    assert alts["./figure1_attention.png"] == "six maps of a slice"
    assert all(alts.values())
    assert len(alts) == 3


def test_the_contents_lead_to_every_figure_and_table(text: str) -> None:
    page = Page(text)
    anchors = {attributes["id"] for _, attributes in page.tags if "id" in attributes}
    linked = {link["href"].removeprefix("#") for link in page.all("a") if link["href"].startswith("#")}
    assert linked <= anchors
    assert {"figure1_attention", "data_sheet", "of_somebody_else", "table2", "table_heads"} <= linked


def test_phantoms_stand_next_to_the_paper_without_a_difference(text: str) -> None:
    page = Page(text)
    assert "Difference" not in page.read("th")
    assert {"paper (patients)", "here (phantoms)"} <= set(page.read("td"))
    assert "Phantoms, not patients." in page.read("strong")


def test_a_note_on_several_tables_is_printed_once(text: str) -> None:
    assert text.count(SHARED) == 1
    assert text.count(OWN) == 1


def test_the_page_fits_a_phone_and_a_dark_room(text: str) -> None:
    page = Page(text)
    assert {"name": "viewport", "content": "width=device-width, initial-scale=1"} in page.all("meta")
    assert "prefers-color-scheme: dark" in text
    scrolling = [attributes for attributes in page.all("div") if attributes.get("class") == "scroll"]
    assert len(scrolling) == len(page.all("table")) == 2


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An output folder that several runs share."""
    for name in ("a", "b"):
        (tmp_path / name / "scans").mkdir(parents=True)
    return tmp_path / "out"


def run(folder: Path, name: str, value: str, overrides: dict[str, Any]) -> Page:
    """Save a table with one value, write the page, and read it."""
    settings = load_settings("tour", {"output": str(folder), "segmentation.epochs": 5} | overrides)
    save_table(pd.DataFrame({"Value": [value]}), name, settings, {}, [f"note of {name}"])
    return Page(write_index(settings).read_text(encoding="utf-8"))


@pytest.mark.parametrize(
    ("overrides", "words"),
    [
        ({"segmentation.epochs": 6}, ["segmentation.epochs", "5", "6"]),
        ({"segmentation.seeds": [0, 1]}, ["segmentation.seeds", "[0]", "[0, 1]"]),
        ({"data.dataset": "synapse"}, ["data.dataset", "acdc", "synapse"]),
        ({"vit.weights": "random"}, ["vit.weights"]),
        ({"data.source": "b/scans"}, ["same names"]),
    ],
)
def test_a_page_shows_only_what_its_settings_made(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, overrides: dict[str, Any], words: list[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    livers = {"data.source": "a/scans"}
    run(folder, "table2", "1111.0", livers)
    page = run(folder, "table_heads", "2222.0", livers | overrides)
    assert "2222.0" in page.read("td")
    assert "1111.0" not in page.read("td")
    assert "note of table2" not in page.read("p", "li")
    (other,) = (text for text in page.read("a", "li") if all(word in text for word in words))
    assert any(link["href"] == "./table2.json" for link in page.all("a"))
    assert str(tmp_path) not in other
    back = run(folder, "table3", "3333.0", livers)
    assert {"1111.0", "3333.0"} <= set(back.read("td"))
    assert "2222.0" not in back.read("td")


def test_a_page_leaves_when_other_settings_replace_its_pictures(folder: Path) -> None:
    run(folder, "table2", "1111.0", {})
    settings = load_settings("tour", {"output": str(folder), "segmentation.epochs": 5})
    save_figure(new_figure(1, 1), "data_sheet", settings, {})
    assert (folder / "index.html").is_file()
    save_figure(new_figure(1, 1), "data_sheet", load_settings("tour", {"output": str(folder)}), {})
    assert not (folder / "index.html").exists()
    assert not (folder / "index.json").exists()


def made_with(record: Path, torch: str) -> None:
    """Change a record as if another torch had made its files; without its hash, as the first versions wrote it."""
    content = json.loads(record.read_text())
    content["packages"]["torch"] = torch
    del content["record_sha256"]
    record.write_text(json.dumps(content))


def test_versions_are_named_at_each_table_where_they_differ(folder: Path) -> None:
    assert "Versions differ." not in run(folder, "table2", "1111.0", {}).read("strong")
    made_with(folder / "table2.json", "2.99.0")
    page = run(folder, "table_heads", "2222.0", {})
    assert "Versions differ." in page.read("strong")
    said = " ".join(text for _, text in page.texts)
    assert said.count("torch 2.99.0") == 1
    assert said.count(f"torch {version('torch')}") == 1
    assert f"numpy {version('numpy')}" not in said, "does not differ"


def test_a_page_leaves_when_other_versions_replace_its_tables(folder: Path) -> None:
    run(folder, "table2", "1111.0", {})
    made_with(folder / "index.json", "2.99.0")
    settings = load_settings("tour", {"output": str(folder), "segmentation.epochs": 5})
    save_table(pd.DataFrame({"Value": ["2222.0"]}), "table2", settings, {}, [])
    assert not (folder / "index.html").exists()


def test_where_it_is_computed_and_moved_makes_no_other_run(folder: Path) -> None:
    run(folder, "table2", "1111.0", {"device": "cpu"})
    moved = folder.rename(folder.with_name("moved"))
    assert "1111.0" in run(moved, "table_heads", "2222.0", {}).read("td")


@pytest.mark.parametrize("content", ["", "[]", '{"settings": 3}', '{"file": "ta'])
def test_a_table_with_a_damaged_record_is_not_shown(folder: Path, content: str) -> None:
    run(folder, "table2", "1111.0", {})
    (folder / "table2.json").write_text(content)
    page = run(folder, "table_heads", "2222.0", {})
    assert "1111.0" not in page.read("td")
    assert any(link["href"] == "./table2.json" for link in page.all("a"))


def test_a_table_of_an_older_version_is_compared_by_its_settings(folder: Path) -> None:
    run(folder, "table2", "1111.0", {})
    record = json.loads((folder / "table2.json").read_text())
    del record["run"], record["record_sha256"]
    (folder / "table2.json").write_text(json.dumps(record))
    assert "1111.0" in run(folder, "table_heads", "2222.0", {}).read("td")
    assert "1111.0" not in run(folder, "table_heads", "2222.0", {"dino.lr": 1e-5}).read("td")


def test_states_of_the_data_are_told_apart(folder: Path) -> None:
    settings = load_settings("tour", {"output": str(folder)})
    for number in (0, 0, 1):
        data = run_stage("prepared", 1, {}, {"data": f"{number}" * 64}, lambda folder: None)
        save_table(pd.DataFrame({"a": ["1"]}), f"table{number}", settings, {"prepared": data.key}, [])
        page = Page(write_index(settings).read_text(encoding="utf-8"))
        said = " ".join(page.read("strong"))
        assert ("changed" in said) == (number == 1)
        assert f"data {str(number) * 8}" in " ".join(page.read("a", "p"))


def test_numbers_without_a_table_are_linked(folder: Path) -> None:
    settings = load_settings("tour", {"output": str(folder)})
    save_csv(pd.DataFrame({"dsc": [0.5]}), "scores_per_case", settings, {})
    page = Page(write_index(settings).read_text(encoding="utf-8"))
    assert "./scores_per_case.csv" in [link["href"] for link in page.all("a")]
    assert "Scores of every test volume" in page.read("h3")


def test_the_source_stands_in_the_title(folder: Path) -> None:
    page = run(folder, "table2", "1111.0", {"data.dataset": "custom", "data.source": "/scans/Dataset501_Liver"})
    (title,) = page.read("h1")
    assert {"Dataset501_Liver", "tour"} <= set(title.replace(",", "").split())
    assert "/scans" not in page.read("h1")


def test_whatever_the_lessons_save_has_a_title() -> None:
    captions = tomllib.loads(files("dainet.lessons").joinpath("captions.toml").read_text(encoding="utf-8"))
    for path in find_notebooks():
        cells = nbformat.read(path, as_version=4).cells
        saving = [
            line for cell in cells for line in cell.source.splitlines() if "save_" in line and '", settings' in line
        ]
        for name in (line.split('", settings')[0].rsplit('"', 1)[1] for line in saving):
            assert captions[name]["lesson"] == path.name[:2], name


def test_captions_say_which_units_points_and_intervals_count() -> None:
    captions = tomllib.loads(files("dainet.lessons").joinpath("captions.toml").read_text(encoding="utf-8"))
    two = pd.concat([scores(model, seeds=(0, 1)) for model in ("unet", "dual-1111")])
    drawn = sum(len(np.asarray(points.get_offsets())) for points in score_distribution(two).axes[0].collections)
    assert drawn == len(two) == 2 * len(two.drop_duplicates(["model", "class", "patient"]))
    for name in ("score_distribution", "ablation_distribution"):
        assert "one volume and one seed" in captions[name]["text"]
    assert "all seeds" in difference_table(two, [("dual-1111", "unet")])
    assert "patients and seeds for all seeds" in captions["table_differences"]["text"]
    assert not {"low", "high"} & set(captions["table_differences"]["text"].split())


def test_the_caption_of_the_heads_names_every_control() -> None:
    captions = tomllib.loads(files("dainet.lessons").joinpath("captions.toml").read_text(encoding="utf-8"))
    kinds = shown(lesson("03"), "head_score_figure(scores)").rpartition("one for each of: ")[2].split(", ")
    controls = {kind.strip() for kind in kinds} - {"pre-trained", "fine-tuned"}
    assert controls == {"random weights", "center of the slice"}
    assert all(control in captions["head_auroc"]["text"].lower() for control in controls)
