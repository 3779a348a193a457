import sys
from pathlib import Path

import pytest

from dainet import __main__ as command_line
from dainet.errors import needs_extra
from dainet.lessons import reproduce


def run(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> str:
    monkeypatch.setattr(sys, "argv", ["dainet", *arguments])
    with pytest.raises(SystemExit) as stopped:
        command_line.main()
    return str(stopped.value.code)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--set", "segmentation.epocs=3"], "segmentation.epocs"),
        (["--set", "epochs"], "name=value"),
        (["--profile", "huge"], "laptop, paper, tour"),
        (["--set", "profile=paper"], "--profile"),
        (["--set", "profile=nonsense"], "--profile"),
        (["--notebooks", "99"], "99"),
        (["--dataset", "brats"], "data.dataset"),
        (["--set", "dino.epochs=["], "dino.epochs"),
        (["--set", "dino.epochs=!!python/name:os.system"], "dino.epochs"),
        (["--set", "data.source=5"], "data.source"),
        (["--set", "data.source=[a]"], "data.source"),
        (["--set", "data.dataset=[acdc]"], "data.dataset"),
        (["--set", "data=5", "--dataset", "acdc"], "setting data"),
        (["--source", "~nobody-of-this-name", "--set", "data.phantom_patients=0"], "data.phantom_patients"),
    ],
)
def test_mistakes_are_one_line_and_a_failure(monkeypatch: pytest.MonkeyPatch, arguments: list[str], words: str) -> None:
    message = run(monkeypatch, "reproduce", *arguments)
    assert message.startswith("dainet: ")
    assert words in message
    assert "\n" not in message


@pytest.mark.parametrize("seed", [-1, 2**32, 2**62])
def test_seeds_that_cannot_be_are_wrong_usage(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], seed: int
) -> None:
    assert run(monkeypatch, "stage", "train", "--network", "unet", "--seed", str(seed)) == "2"
    assert "--seed" in capsys.readouterr().err


def test_options_become_overrides(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    called = []
    monkeypatch.chdir(tmp_path)
    (tmp_path / "scans").mkdir()
    monkeypatch.setattr(reproduce, "find_notebooks", lambda numbers: numbers)
    monkeypatch.setattr(reproduce, "reproduce", lambda *arguments: called.append(arguments))
    options = ["--source", "scans", "--weights", "hub", "--set", "segmentation.seeds=[0, 1]"]
    options += ["--notebooks", "04, 05", "--processes", "2"]
    assert run(monkeypatch, "reproduce", "--profile", "laptop", *options) == "0"
    overrides = {"data.source": str(tmp_path / "scans"), "vit.weights": "hub", "segmentation.seeds": [0, 1]}
    assert called == [("laptop", overrides, ["04", "05"], [], 2)]


def test_without_numbers_the_lessons_of_a_run_are_chosen(monkeypatch: pytest.MonkeyPatch) -> None:
    called = []
    monkeypatch.setattr(reproduce, "notebooks_of_a_run", lambda: ["01", "07"])
    monkeypatch.setattr(reproduce, "reproduce", lambda *arguments: called.append(arguments))
    assert run(monkeypatch, "reproduce") == "0"
    assert called == [("tour", {}, ["01", "07"], [], 1)]


@pytest.mark.parametrize(
    ("command", "module", "library"),
    [
        ("reproduce", "dainet.lessons.reproduce", "papermill"),
        ("explorer", "dainet.explorer.page", "voila.app"),
        ("notebooks", "dainet.lessons.regenerate", "nbclient"),
    ],
)
def test_without_the_lessons_extra_one_line_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch, command: str, module: str, library: str
) -> None:
    monkeypatch.delitem(sys.modules, module, raising=False)
    monkeypatch.setitem(sys.modules, library, None)
    message = run(monkeypatch, command)
    assert library in message
    assert "pip install 'dainet[lessons]'" in message
    assert "\n" not in message


def test_a_fault_of_the_kit_is_not_taken_for_a_missing_library() -> None:
    with pytest.raises(ImportError, match="no_such_name"), needs_extra("lessons"):
        from dainet.errors import no_such_name  # type: ignore[attr-defined]  # noqa: F401
