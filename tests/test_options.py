"""Command lines: one line for errors that the user can mend, a traceback for all others, and a quick start."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from dainet.cache.store import run_stage
from dainet.compare.files import found_from, named_from
from dainet.errors import DainetError, InputError, NonFiniteError
from dainet.options import new_app, overrides, run_app
from dainet.settings import load_settings
from tests.helpers import REPOSITORY

HEAVY = ("torch", "timm", "matplotlib", "papermill", "pandas", "nbformat")


def end(monkeypatch: pytest.MonkeyPatch, error: BaseException, *arguments: str) -> str | int | None:
    """What the process would end with, for a command that raises this error."""
    app = new_app("A command line that fails.")

    @app.command()
    def fail() -> None:
        raise error

    monkeypatch.setattr(sys, "argv", ["program", *arguments])
    with pytest.raises(SystemExit) as stopped:
        run_app(app)
    return stopped.value.code


@pytest.mark.parametrize(
    "error", [DainetError("why"), InputError("why"), NonFiniteError("why"), FileNotFoundError("why")], ids=repr
)
def test_what_the_user_can_mend_is_one_line(monkeypatch: pytest.MonkeyPatch, error: Exception) -> None:
    assert end(monkeypatch, error) == "dainet: why"


@pytest.mark.parametrize("error", [ValueError("shapes (3,) (4,)"), KeyError("x"), FloatingPointError("why")], ids=repr)
def test_a_fault_of_the_code_keeps_its_traceback(monkeypatch: pytest.MonkeyPatch, error: Exception) -> None:
    with pytest.raises(type(error)) as caught:
        end(monkeypatch, error)
    assert caught.value is error


def test_the_home_is_written_out_where_a_shell_leaves_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    app, found = new_app("A command line with paths."), list[object]()

    @app.command()
    def note(scan: Path, output: Path = Path(), words: str = "") -> None:
        found.extend([scan, output, words])

    monkeypatch.setattr(sys, "argv", ["program", "~/a b.nii", "--output=~/maps", "--words=lr=~/x"])
    with pytest.raises(SystemExit):
        run_app(app)
    assert found == [tmp_path / "a b.nii", tmp_path / "maps", "lr=~/x"]


@pytest.mark.parametrize("error", [InputError("why"), OSError("why")], ids=repr)
def test_a_traceback_is_shown_on_request(monkeypatch: pytest.MonkeyPatch, error: Exception) -> None:
    with pytest.raises(type(error)):
        end(monkeypatch, error, "--traceback")


def test_an_interrupt_ends_with_130_and_says_how_to_resume(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert end(monkeypatch, KeyboardInterrupt()) == 130
    assert "interrupted" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("setting", "name"),
    [("data.source", "phantom"), ("vit.weights", "hub"), ("vit.weights", "tour"), ("data.split", "sequential")],
)
def test_a_name_of_the_kit_is_not_replaced_by_a_folder_of_that_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, setting: str, name: str
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / name).mkdir()
    assert overrides(items=[f"{setting}={name}"]) == {setting: name}
    assert f"./{name}" in caplog.text
    assert overrides(items=[f"{setting}=./{name}"]) == {setting: str(tmp_path / name)}


def test_other_paths_become_absolute(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "scans").mkdir()
    (tmp_path / "split.csv").touch()
    (tmp_path / "edges.csv").touch()
    found = overrides(source="scans", weights="hub", items=["data.split=split.csv", "data.spacing=edges.csv"])
    assert found == {
        "data.source": str(tmp_path / "scans"),
        "vit.weights": "hub",
        "data.split": str(tmp_path / "split.csv"),
        "data.spacing": str(tmp_path / "edges.csv"),
    }


def test_settings_of_one_group_are_options_like_others(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "split.csv").touch()
    items = ["data={split: split.csv, dataset: synapse}", "data={dataset: acdc}", "dino.epochs=2"]
    assert overrides(items=items) == {
        "data.split": str(tmp_path / "split.csv"),
        "data.dataset": "acdc",
        "dino.epochs": 2,
    }


def test_a_file_that_is_a_link_keeps_its_ending(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As all weights are in the cache of Hugging Face."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "blob").touch()
    (tmp_path / "snapshot").mkdir()
    link = tmp_path / "snapshot" / "model.safetensors"
    link.symlink_to(tmp_path / "blob")
    assert overrides(weights="snapshot/model.safetensors") == {"vit.weights": str(link)}
    for folder in (tmp_path, tmp_path / "plans" / "new"):  # which may not be there yet
        written = named_from(folder, "segmentation.pretrained", str(link))
        assert found_from(folder, "segmentation.pretrained", written) == str(link)


@pytest.mark.parametrize("command", ["dainet", "study"])
def test_help_names_the_option_for_tracebacks(command: str) -> None:
    done = subprocess.run(
        [sys.executable, "-m", command, "--help"], cwd=REPOSITORY, capture_output=True, text=True, check=True
    )
    assert "--traceback" in done.stdout


@pytest.mark.parametrize("arguments", [["--help"], ["runs"], ["verify", "."]], ids=" ".join)
def test_light_commands_load_nothing_heavy(arguments: list[str], tmp_path: Path) -> None:
    done = run_stage("phantoms", 1, {"patients": 2}, {}, lambda folder: (folder / "a.txt").touch())
    program = (
        "import atexit, sys\n"
        f"atexit.register(lambda: print('LOADED', *[name for name in {HEAVY} if name in sys.modules]))\n"
        f"sys.argv = ['dainet', *{arguments}]\n"
        "from dainet.__main__ import main\nmain()"
    )
    environment = os.environ | {"PYTHONPATH": str(REPOSITORY)}
    said = subprocess.run(
        [sys.executable, "-c", program], cwd=done.path, env=environment, capture_output=True, text=True, check=True
    )
    assert said.stdout.splitlines()[-1] == "LOADED", said.stdout
    assert len(said.stdout.splitlines()) > 1


def test_the_cache_loads_no_torch() -> None:
    names = sorted(f"dainet.cache.{path.stem}" for path in (REPOSITORY / "dainet/cache").glob("[a-z]*.py"))
    assert names
    program = f"import sys, {', '.join(names)}\nassert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", program], env=os.environ | {"PYTHONPATH": str(REPOSITORY)}, check=True)


def test_an_axis_called_y_stays_a_name() -> None:
    """YAML 1.1 has y for true."""
    found = overrides(items=["data.slice_axis=y"])
    assert load_settings("tour", found).data.slice_axis == "y"
