"""Malicious names in pages are escaped, and pages are served on this machine only.

Requests without the token in a browser are in tests/end_to_end/test_page.py.
"""

from __future__ import annotations

import json
from pathlib import Path

import nbformat
import pytest
from jupyter_server.auth.identity import IdentityProvider
from jupyter_server.serverapp import ServerApp

import dainet
from dainet.explorer import page
from dainet.explorer.pictures import figure_html
from dainet.explorer.table import score_table
from dainet.lessons.index import write_index
from dainet.reporting.run_identity import public_settings
from dainet.settings import load_settings

SCRIPT = "<script>alert(1)</script>"


def test_the_index_escapes_what_others_have_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "pyproject.toml").touch()
    monkeypatch.chdir(tmp_path)
    settings = load_settings("tour", {"output": "out", "data.source": SCRIPT})
    record = {"settings": public_settings(settings), "git": SCRIPT, "data": [SCRIPT]}
    (tmp_path / "out" / "notebooks").mkdir(parents=True)
    name = "javascript:alert(1)<img src=x onerror=alert(2)>\"'"
    for ending, text in {
        "json": json.dumps(record),
        "png": "",
        "csv": f"{SCRIPT},b\n{SCRIPT},<b>\n",
        "md": f"| a |\n\n- {SCRIPT}\n",
    }.items():
        (tmp_path / "out" / f"{name}.{ending}").write_text(text)
    for path in (tmp_path / "out" / "notebooks" / "<b>.json", tmp_path / "out" / f"other {name}.json"):
        path.write_text(json.dumps(record | ({"settings": {SCRIPT: SCRIPT}} if "other" in path.name else {})))
    text = write_index(settings).read_text(encoding="utf-8")
    assert text.count("&lt;script&gt;") >= 3
    assert "&lt;b&gt;.ipynb" in text
    assert "<script" not in text
    assert "<b>" not in text
    assert "<img src=x" not in text
    assert 'href="./javascript:' in text
    assert 'href="javascript:' not in text


def test_the_explorer_escapes_names() -> None:
    table = score_table({SCRIPT: (None, None)}, [SCRIPT], ["#ffffff"])
    figure = figure_html(None, SCRIPT, SCRIPT)
    assert "<script" not in table + figure
    assert (table + figure).count("&lt;script&gt;") == 4


def test_the_page_is_served_on_localhost_to_who_has_the_token(monkeypatch: pytest.MonkeyPatch) -> None:
    launched = []
    monkeypatch.setattr(page.Voila, "launch_instance", lambda **values: launched.append(values["config"].Voila))
    page.serve("tour", {}, 8866, False)
    assert launched[0].ip == "localhost"
    assert launched[0].auto_token
    assert not launched[0].open_browser
    assert page.Voila(config=page.Config({"Voila": dict(launched[0])})).ip == "localhost"


def test_jupyter_listens_on_localhost_and_makes_a_token(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("JUPYTER_TOKEN", raising=False)
    assert ServerApp().ip == "localhost"
    assert len(IdentityProvider().token) >= 32


def test_nothing_in_the_repository_opens_a_server_to_others() -> None:
    root = Path(dainet.__file__).parents[1]
    files = [root / "Makefile", root / "README.md", *(root / ".ci").iterdir(), *root.glob("docs/*.md")]
    for path in files:
        text = path.read_text(encoding="utf-8")
        assert not [opening for opening in ("0.0.0.0", "token=''", 'token=""') if opening in text], path.name


def test_served_notebooks_hold_no_token() -> None:
    for path in (Path(dainet.__file__).parents[1] / "notebooks").glob("*.ipynb"):
        assert "token=" not in nbformat.writes(nbformat.read(path, as_version=4))
