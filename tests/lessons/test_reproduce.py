import logging
import os
import re
from base64 import b64decode, b64encode
from io import BytesIO
from pathlib import Path
from typing import Any

import nbformat
import numpy as np
import pytest
from PIL import Image

from dainet.cache.runs import finished_keys
from dainet.cache.verify import verify_folder
from dainet.csv_files import read_csv
from dainet.errors import InputError
from dainet.explorer import explorable
from dainet.lessons.execution import NotebookError
from dainet.lessons.regenerate import normalized, regenerate
from dainet.lessons.reproduce import find_notebooks, reproduce
from tests.helpers import REPOSITORY
from tests.helpers.documents import Page

PARAMETERS = 'PROFILE = "tour"  # profile\nOVERRIDES = {}  # settings'


@pytest.fixture
def repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A repository with notebooks of one cell each."""
    root = tmp_path / "repository"
    (root / "notebooks").mkdir(parents=True)
    (root / "pyproject.toml").touch()
    monkeypatch.chdir(root)
    return root


def write(root: Path, name: str, source: str, parameters: str = PARAMETERS) -> None:
    cells = [
        nbformat.v4.new_code_cell(parameters, metadata={"tags": ["parameters"]}),
        nbformat.v4.new_code_cell(source),
        nbformat.v4.new_markdown_cell(f"[this notebook]({name})"),
    ]
    nbformat.write(normalized(nbformat.v4.new_notebook(cells=cells)), root / "notebooks" / name)


SAVES = """
from matplotlib.figure import Figure
from dainet.reporting.artifacts import save_figure
from dainet.lessons.exercises import start
save_figure(Figure(), "figure<b>", start(PROFILE, OVERRIDES), {})
from dainet.cache.store import run_stage
run_stage("s", 1, {}, {}, lambda folder: None)
"""


def test_notebooks_run_in_order_and_the_index_shows_their_figures_and_times(
    repository: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, logger="dainet")
    write(repository, "01_first.ipynb", SAVES)
    write(repository, "02_second.ipynb", "assert OVERRIDES == {'dino.epochs': 2}")
    index = reproduce("tour", {"dino.epochs": 2}, find_notebooks())
    text = index.read_text()
    assert "figure&lt;b&gt;.png" in text
    assert "<b>" not in text
    assert text.index("01_first.ipynb") < text.index("02_second.ipynb")
    page = Page(text)
    files = {target for target in page.targets() if not target.startswith("#")}
    assert {f"./figure<b>.{ending}" for ending in ("png", "pdf", "json")} | {"notebooks/01_first.ipynb"} <= files
    assert all((index.parent / file).is_file() for file in files)
    assert {target[1:] for target in page.targets() if target.startswith("#")} <= page.ids()
    copy = nbformat.read(index.parent / "notebooks" / "02_second.ipynb", as_version=4)
    nbformat.write(copy, index.parent / "notebooks" / "02_second.ipynb")  # as JupyterLab saves it; see verify below
    assert copy.cells[-1].source == "[this notebook](../../../notebooks/02_second.ipynb)"
    (key,) = finished_keys()
    assert caplog.text.index("01_first.ipynb") < caplog.text.index(key) < caplog.text.index("02_second.ipynb")
    assert list(read_csv(index.parent / "times.csv")["Stage"]) == ["s", "rest"]
    assert {"./times.csv", "./times.json"} <= files
    first = nbformat.read(index.parent / "notebooks" / "01_first.ipynb", as_version=4)
    printed = [output.text for cell in first.cells[:-1] for output in cell.outputs if output.output_type == "stream"]
    assert printed == ["s: computing\n"], "no time, which differs from run to run"
    # a figure in two forms, two notebooks, a table in three, the page
    assert verify_folder(index.parent) == (8, [], [], [])


MEETS = """
import os, time
from pathlib import Path
from dainet.cache.store import run_stage
Path("{mine}.here").touch()
until = time.monotonic() + 60
while not Path("{other}.here").exists() and time.monotonic() < until:
    time.sleep(0.1)
assert Path("{other}.here").exists(), "the other notebook has not begun"
run_stage("s", 1, {{}}, {{}}, lambda folder: None)
print(os.environ["OMP_NUM_THREADS"])
"""


def test_several_notebooks_run_at_once_and_share_cores_and_stages(
    repository: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, logger="dainet")
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    for mine, other in (("01", "02"), ("02", "01")):
        write(repository, f"{mine}_lesson.ipynb", MEETS.format(mine=mine, other=other))
    index = reproduce("tour", {}, find_notebooks(), processes=2)
    for number in ("01", "02"):
        copy = nbformat.read(index.parent / "notebooks" / f"{number}_lesson.ipynb", as_version=4)
        printed = "".join(output.get("text", "") for cell in copy.cells[:-1] for output in cell.get("outputs", []))
        assert printed.endswith(f"{max(1, (os.cpu_count() or 1) // 2)}\n")
    assert list(read_csv(index.parent / "times.csv")["Stage"]) == ["s", "rest"]
    (key,) = finished_keys()
    assert caplog.text.count(key) == 1
    assert verify_folder(index.parent)[1:] == ([], [], [])


def test_after_an_error_no_other_notebook_begins(repository: Path) -> None:
    write(repository, "01_first.ipynb", "raise OSError('no disk')")
    write(repository, "02_second.ipynb", "import time; time.sleep(3)")
    write(repository, "03_third.ipynb", "1")
    with pytest.raises(NotebookError, match=r"01_first.ipynb.*OSError: no disk"):
        reproduce("tour", {}, find_notebooks(), processes=2)
    folder = repository / "figures" / "phantom-acdc-tour" / "notebooks"
    assert sorted(path.name for path in folder.glob("*.ipynb")) == ["01_first.ipynb", "02_second.ipynb"]


def test_a_failing_cell_is_named_and_its_copy_kept(repository: Path) -> None:
    write(repository, "01_first.ipynb", "raise OSError('no disk')")
    write(repository, "02_second.ipynb", "1")
    with pytest.raises(NotebookError, match=r"01_first.ipynb.*cell \d.*OSError: no disk"):
        reproduce("tour", {}, find_notebooks())
    folder = repository / "figures" / "phantom-acdc-tour" / "notebooks"
    assert [path.name for path in sorted(folder.iterdir())] == ["01_first.ipynb", "01_first.json"]
    assert "no disk" in (folder / "01_first.ipynb").read_text()
    assert verify_folder(folder) == (1, [], [], [])


DIES = "import os, signal\nos.kill(os.getpid(), signal.SIGKILL)"  # as the system does when memory runs out


def test_a_kernel_that_dies_is_one_line_with_advice(repository: Path) -> None:
    write(repository, "01_first.ipynb", DIES)
    with pytest.raises(NotebookError) as caught:
        reproduce("tour", {}, find_notebooks())
    assert re.fullmatch(r".*01_first\.ipynb.*cell \d.*memory.*segmentation\.batch_size.*", str(caught.value))


def test_a_kernel_that_dies_leaves_the_notebook_as_it_was(repository: Path) -> None:
    write(repository, "01_first.ipynb", DIES)
    before = (repository / "notebooks" / "01_first.ipynb").read_bytes()
    with pytest.raises(NotebookError, match=r"01_first\.ipynb.*memory"):
        regenerate(repository / "notebooks" / "01_first.ipynb")
    write(repository, "02_second.ipynb", "1 / 0")
    with pytest.raises(NotebookError, match=r"02_second\.ipynb.*ZeroDivisionError"):
        regenerate(repository / "notebooks" / "02_second.ipynb")
    assert (repository / "notebooks" / "01_first.ipynb").read_bytes() == before


@pytest.mark.parametrize(
    ("overrides", "words"),
    [
        ({"vit.weights": "nowhere.safetensors"}, "nowhere.safetensors"),
        ({"vit.weights": "vit_smal_patch16_224"}, "vit_smal_patch16_224"),
        ({"data.source": "nowhere"}, "nowhere"),
        ({"data.split": "nowhere.csv"}, "nowhere.csv"),
        ({"data.spacing": "nowhere.csv"}, "nowhere.csv"),
        ({"vit.weights": "vit_base_patch32_224", "dino.local_size": 16}, "dino.local_size.*16.*32"),
        ({"vit.weights": "random", "vit.image_size": 16, "dino.local_size": 8}, "dino.local_size.*8.*16"),
        ({"device": "xpu"}, "xpu"),
        ({"n_processes": 5}, "5 processes.*dino.batch_size"),
        ({"n_processes": 2, "device": "cpu"}, "segmentation.sync_batch_norm"),
        ({"data.dataset": "custom"}, "custom.*data.source"),
        ({"segmentation.compile": True, "device": "cpu"}, "segmentation.compile.*compiler.*cpu"),
        ({"segmentation.pretrained": "hub"}, "unet.*segmentation.pretrained"),
        ({"vit.weights": "random", "vit.heads": 4}, "random has 6 heads.*vit.heads"),
        ({"vit.weights": "vit_base_patch32_224", "vit.heads": 4}, "12 heads.*vit.heads"),
    ],
)
def test_what_would_stop_a_later_notebook_is_said_before_the_first(
    repository: Path, monkeypatch: pytest.MonkeyPatch, overrides: dict[str, Any], words: str
) -> None:
    monkeypatch.setenv("CXX", str(repository / "no-compiler"))
    for name in ("01_first.ipynb", "02_second.ipynb", "04_fourth.ipynb"):
        write(repository, name, "raise SystemExit")
    settings = {"segmentation.sync_batch_norm": False} if "batch_size" in words else {}
    with pytest.raises((ValueError, FileNotFoundError), match=words):
        reproduce("tour", settings | overrides, find_notebooks())
    assert not (repository / "figures").exists()


def test_lessons_without_a_vit_need_no_weights(repository: Path) -> None:
    for name in ("01_first.ipynb", "07_last.ipynb"):
        write(repository, name, "1")
    assert reproduce("tour", {"vit.weights": "nowhere.safetensors"}, find_notebooks()).is_file()


def test_networks_of_ones_own_reach_the_lessons_that_compare(repository: Path) -> None:
    own = [f"{REPOSITORY}/examples/my_network.py:gated"]
    write(repository, "01_first.ipynb", "assert 'OWN_NETWORKS' not in globals()")
    write(repository, "05_last.ipynb", f"assert OWN_NETWORKS == {own}", f"{PARAMETERS}\nOWN_NETWORKS = []  # more")
    assert reproduce("tour", {}, find_notebooks(), own).is_file()


@pytest.mark.parametrize(
    ("names", "networks", "words"),
    [
        (["01_a"], ["unet"], "unet.*04, 05"),
        (["04_a"], ["nowhere.py:net"], r"nowhere\.py"),
        (["04_a"], ["unett"], "unett.*unet"),
        (["04_a"], ["a/net.py:wide", "b/net.py:wide"], r"net\.py:wide is given twice"),
        (["04_a"], ["examples.py:net"], r"parameter 'OWN_NETWORKS'"),
    ],
)
def test_networks_that_cannot_stand_in_a_table_stop_before_anything_runs(
    repository: Path, names: list[str], networks: list[str], words: str
) -> None:
    (repository / "examples.py").write_text((REPOSITORY / "examples" / "my_network.py").read_text() + "\nnet = gated\n")
    for name in names:
        write(repository, f"{name}.ipynb", "raise SystemExit")
    with pytest.raises(InputError, match=words):
        reproduce("tour", {}, find_notebooks(), networks)
    assert not (repository / "figures").exists()


@pytest.mark.parametrize("number", ["02", "03", "06", "08"])
def test_lessons_about_vits_are_not_shown_other_maps(repository: Path, tmp_path: Path, number: str) -> None:
    (tmp_path / "maps").mkdir()
    for name in ("01_a", f"{number}_b"):
        write(repository, f"{name}.ipynb", "raise SystemExit")
    with pytest.raises(InputError, match=rf"attention\.maps.*{number}"):
        reproduce("tour", {"attention.maps": str(tmp_path / "maps")}, find_notebooks())
    with pytest.raises(InputError, match=r"attention\.maps"):
        explorable("tour", {"attention.maps": str(tmp_path / "maps")})


def test_the_lesson_about_heads_is_not_shown_images_in_their_place(repository: Path) -> None:
    for name in ("01_a", "06_b"):
        write(repository, f"{name}.ipynb", "1")
    with pytest.raises(InputError, match=r"attention\.control=image.*06"):
        reproduce("tour", {"attention.control": "image"}, find_notebooks())
    assert not (repository / "figures").exists()
    assert reproduce("tour", {"attention.control": "image"}, find_notebooks(["01"])).is_file()
    with pytest.raises(InputError, match=r"attention\.control=image"):
        explorable("tour", {"attention.control": "image"})


def test_unknown_settings_and_parameters_stop_before_anything_runs(repository: Path) -> None:
    write(repository, "01_first.ipynb", "raise SystemExit")
    write(repository, "02_second.ipynb", "1", parameters='PROFILE = "tour"')
    with pytest.raises(ValueError, match=r"segmentation.epocs"):
        reproduce("tour", {"segmentation.epocs": 2}, find_notebooks(["01"]))
    with pytest.raises(ValueError, match=r"02_second.ipynb.*OVERRIDES"):
        reproduce("tour", {}, find_notebooks())
    assert not (repository / "figures").exists()


def test_choosing_notebooks(repository: Path) -> None:
    for name in ("01_a.ipynb", "02_b.ipynb"):
        write(repository, name, "1")
    assert [path.name for path in find_notebooks(["02", "01"])] == ["02_b.ipynb", "01_a.ipynb"]
    with pytest.raises(ValueError, match=r"07.*01, 02"):
        find_notebooks(["07"])


def test_normalizing_joins_prints_and_shrinks_images() -> None:
    buffer = BytesIO()
    noise = np.random.default_rng(0).integers(0, 255, (64, 64, 1), np.uint8)
    Image.fromarray(np.repeat(noise, 3, axis=2)).save(buffer, "PNG")
    picture = b64encode(buffer.getvalue()).decode()
    cell = nbformat.v4.new_code_cell("1")
    cell.outputs = [nbformat.v4.new_output("stream", name="stdout", text=text) for text in ("a\n", "b\n")]
    cell.outputs.append(nbformat.v4.new_output("display_data", {"image/png": picture}))
    text, image = normalized(nbformat.v4.new_notebook(cells=[cell])).cells[0].outputs
    assert text.text == "a\nb\n"
    small = image.data["image/png"]
    assert len(small) < 0.6 * len(picture)
    pixels = np.asarray(Image.open(BytesIO(b64decode(small))).convert("L"))
    assert np.abs(pixels.astype(int) - noise[..., 0]).max() <= 8


def test_normalizing_drops_what_changes_without_meaning() -> None:
    cell = nbformat.v4.new_code_cell("1", metadata={"execution": {"started": "now"}, "tags": ["keep"]})
    cell.outputs = [
        nbformat.v4.new_output(
            "display_data",
            {"text/plain": "x"},
            metadata={"needs": "light", "image/png": {"alt": "a heart", "width": 3}},
        )
    ]
    notebook = normalized(nbformat.v4.new_notebook(cells=[cell], metadata={"widgets": {"state": 1}}))
    assert notebook.cells[0].id == "cell-00"
    assert notebook.cells[0].metadata == {"tags": ["keep"]}
    assert "widgets" not in notebook.metadata
    assert notebook.cells[0].outputs[0].metadata == {"image/png": {"alt": "a heart"}}
    nbformat.validate(notebook)
