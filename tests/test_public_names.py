"""The public names of the package, which are loaded on first use."""

from __future__ import annotations

import subprocess
import sys
import tomllib
from pkgutil import resolve_name

import pytest

import dainet
from dainet.__main__ import main
from tests.helpers import REPOSITORY


def test_import_of_the_package_loads_no_torch() -> None:
    code = "import sys, dainet; print('torch' in sys.modules, *dainet.__all__)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["False", *dainet.__all__]


@pytest.mark.parametrize("name", dainet.__all__)
def test_every_public_name_is_found_and_listed(name: str) -> None:
    found = getattr(dainet, name)
    assert found.__name__ == name
    assert found.__module__.startswith("dainet.")
    assert found.__doc__
    assert name in dir(dainet)


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="DinoNet"):
        dainet.DinoNet  # noqa: B018, asking is the point
    assert not hasattr(dainet, "segment")


def test_the_console_script_is_the_command_line() -> None:
    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert resolve_name(project["scripts"]["dainet"]) is main
