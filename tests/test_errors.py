"""The kit's errors: one base, names that end in Error, and what is said about a name that does not exist."""

from __future__ import annotations

import ast
import re
from importlib import import_module
from pathlib import Path

import pytest
from IPython.core.interactiveshell import InteractiveShell

from dainet.errors import DainetError, InputError, reason, unknown
from dainet.settings import load_settings
from tests.helpers import REPOSITORY

MODULES = sorted([*(REPOSITORY / "dainet").rglob("*.py"), *(REPOSITORY / "study").rglob("*.py")])


def defined_exceptions(path: Path) -> list[str]:
    """Names of the classes of a module that are derived from something named as an exception."""
    classes = [node for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.ClassDef)]
    return [node.name for node in classes if re.search("Error|Exception", " ".join(map(ast.unparse, node.bases)))]


def test_every_exception_derives_from_the_base_and_ends_in_error() -> None:
    found = {path: names for path in MODULES if (names := defined_exceptions(path))}
    assert len(found) > 4
    for path, names in found.items():
        module = import_module(".".join(path.relative_to(REPOSITORY).with_suffix("").parts))
        for name in names:
            assert name.endswith("Error"), name
            assert issubclass(getattr(module, name), DainetError), name


def test_an_unknown_name_is_shown_with_the_closest_and_all_known_ones() -> None:
    error = unknown("network", "dual-111", ["unet", "single", "dual-1111"])
    assert isinstance(error, InputError)
    text = str(error)
    assert text.index("'dual-111'") < text.index("did you mean dual-1111?") < text.index("unet, single, dual-1111")
    assert "did you mean" not in str(unknown("network", "xyz", ["unet"]))


def test_an_unknown_name_stays_short() -> None:
    assert len(str(unknown("patient", "x" * 10_000, [f"patient{n:03d}" for n in range(500)]))) < 600


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (KeyError("labels"), "labels"),
        (ValueError("Empty file: '/data/a.nii'"), "Empty file: 'a.nii'"),
        (OSError(2, "No such file or directory", "/data/a.nii"), "No such file or directory"),
        (ValueError("two\n  lines"), "two lines"),
        (EOFError(), "EOFError"),
        (KeyError(), "KeyError"),
    ],
)
def test_what_a_library_says_about_a_file_is_one_line_without_its_folder(error: Exception, told: str) -> None:
    assert reason(error, Path("/data/a.nii")) == told


@pytest.mark.parametrize(
    ("setting", "known"),
    [("segmentation.epocs", "did you mean segmentation.epochs?"), ("outputs", "did you mean output?")],
)
def test_an_unknown_setting_is_named_with_its_section(setting: str, known: str) -> None:
    with pytest.raises(InputError, match=f"'{setting}'.*{re.escape(known)}"):
        load_settings("tour", {setting: 3})


def test_a_notebook_shows_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    """IPython asks the error for its lines; a traceback of forty would hide them."""
    shell = InteractiveShell()
    shell.run_cell("from dainet.settings import load_settings; load_settings('tour', {'epocs': 3})")
    said = capsys.readouterr().out
    assert "epocs" in said
    assert len(said.strip().splitlines()) == 1
