"""Records of what made a file: a change of the record itself is noticed."""

import subprocess
from pathlib import Path
from typing import Any

import pytest

from dainet.cache import records
from dainet.cache.records import read_record, write_record
from dainet.errors import InputError
from tests.helpers.damage import flip

RECORD: dict[str, Any] = {"settings": {"lr": 0.05, "seeds": (0, 1), "classes": {10: "RV", 9: "Myo"}}, "name": "Jürgen"}


@pytest.fixture
def path(tmp_path: Path) -> Path:
    write_record(tmp_path / "record.json", RECORD)
    return tmp_path / "record.json"


def test_a_record_comes_back_as_json_has_it(path: Path) -> None:
    content = read_record(path)
    assert content["settings"] == {"lr": 0.05, "seeds": [0, 1], "classes": {"10": "RV", "9": "Myo"}}
    assert content["name"] == "Jürgen"
    assert {"git", "packages", "accelerator"} <= set(content)


def test_no_flipped_bit_gives_another_record(path: Path) -> None:
    written, content = read_record(path), path.read_bytes()
    seen, positions = 0, range(0, 8 * len(content), 29)
    for position in positions:
        path.write_bytes(content)
        flip(path, position)
        try:
            found = read_record(path)
        except InputError:
            seen += 1
        else:  # a bit of the hash's own name, or of an escape: \\u00fc and \\u00FC
            assert written.items() <= found.items(), position
    assert seen > 0.95 * len(positions)


@pytest.mark.parametrize("content", [b"", b"{", b"[1]", b"\xff", b"null"])
def test_what_is_no_record_is_named(path: Path, content: bytes) -> None:
    path.write_bytes(content)
    with pytest.raises(InputError, match=r"record\.json"):
        read_record(path)


def test_a_missing_one_is_named_and_an_older_one_without_a_hash_is_read(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"none\.json.*No such file"):
        read_record(tmp_path / "none.json")
    (tmp_path / "old.json").write_text('{"stage": "dino"}')
    assert read_record(tmp_path / "old.json") == {"stage": "dino"}


def test_a_copy_without_git_is_told_its_commit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(records.dainet, "__file__", str(tmp_path / "__init__.py"))
    monkeypatch.delenv("DAINET_COMMIT", raising=False)
    assert records.provenance()["git"] == "not a git checkout"
    monkeypatch.setenv("DAINET_COMMIT", "0123456789ab")
    assert records.provenance()["git"] == "0123456789ab"


def test_the_repository_of_another_project_gives_no_commit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    package = tmp_path / ".venv" / "dainet"
    package.mkdir(parents=True)
    (package / "__init__.py").touch()
    (tmp_path / ".gitignore").write_text(".venv\n")
    git = ["git", "-C", str(tmp_path), "-c", "user.name=a", "-c", "user.email=a@b.c"]
    for words in (["init", "--quiet"], ["add", "."], ["commit", "--quiet", "--message=a"]):
        subprocess.run([*git, *words], check=True)
    monkeypatch.setattr(records.dainet, "__file__", str(package / "__init__.py"))
    monkeypatch.delenv("DAINET_COMMIT", raising=False)
    assert records.provenance()["git"] == "not a git checkout"
