"""The command lines of the downloads, with small servers on this machine."""

from __future__ import annotations

import runpy
import sys
from contextlib import redirect_stderr, redirect_stdout
from io import StringIO
from pathlib import Path
from unittest.mock import patch

import pytest

from dainet.data.download import servers
from tests.helpers import REPOSITORY
from tests.helpers.servers import SECRET, Girder, Stub

SCRIPTS = REPOSITORY / "data_scripts"


def script(name: str, *arguments: object) -> tuple[int, str, str]:
    """Exit status, standard output and standard error."""
    out, err = StringIO(), StringIO()
    with (
        patch.object(sys, "argv", [name, *map(str, arguments)]),
        redirect_stdout(out),
        redirect_stderr(err),
        pytest.raises(SystemExit) as stopped,
    ):
        runpy.run_path(str(SCRIPTS / f"{name}.py"), run_name="__main__")
    status = stopped.value.code
    if isinstance(status, str):  # printed by the interpreter, which then ends with 1
        return 1, out.getvalue(), f"{err.getvalue()}{status}\n"
    return int(status or 0), out.getvalue(), err.getvalue()


def test_acdc_from_the_command_line(girder: Girder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    girder.add(["training", "patient001", "Info.cfg"])
    monkeypatch.setattr(servers, "ACDC_API", girder.api)
    monkeypatch.setattr(servers, "ACDC_FOLDER", "root")
    monkeypatch.setenv("GIRDER_API_KEY", f"{SECRET}\n")
    status, out, err = script("download_acdc", tmp_path / "acdc")
    assert status == 0
    assert out.startswith("1 files in")
    assert SECRET not in out + err
    girder.add(["large"], size=10**18)
    status, out, err = script("download_acdc", tmp_path / "acdc")
    assert status == 1
    assert out == ""
    assert err.splitlines()[-1].startswith("dainet: the download needs 1000000000.0 GB")


def test_synapse_from_the_command_line(stub: type[Stub], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SYNAPSE_AUTH_TOKEN", SECRET)
    status, out, err = script("download_synapse", tmp_path)
    assert status == 0
    assert out.startswith("4 training files")
    assert SECRET not in out + err


@pytest.mark.parametrize(("entity", "message"), [("syn1", "personal access token"), ("../x", "../x")])
def test_synapse_says_in_one_line_how_to_get_a_token(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, entity: str, message: str
) -> None:
    monkeypatch.delenv("SYNAPSE_AUTH_TOKEN", raising=False)
    status, out, err = script("download_synapse", tmp_path / "btcv", "--entity", entity)
    assert status == 1
    assert out == ""
    assert len(err.splitlines()) == 1
    assert message in err
    assert not (tmp_path / "btcv").exists()


@pytest.mark.parametrize(
    ("name", "library"), [("download_acdc", "girder_client"), ("download_synapse", "synapseclient")]
)
def test_a_missing_library_is_named_with_the_line_that_installs_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, library: str
) -> None:
    monkeypatch.setitem(sys.modules, library, None)
    monkeypatch.setenv("SYNAPSE_AUTH_TOKEN", SECRET)
    status, _, err = script(name, tmp_path)
    assert status == 1
    assert len(err.splitlines()) == 1
    assert "pip install 'dainet[download]'" in err
