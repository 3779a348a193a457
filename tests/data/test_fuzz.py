"""Damaged files of every kind work or are refused by the kit's own error; see tests/helpers/fuzzing.py.

The number of files is set by DAINET_FUZZ; `python -m tests.helpers.fuzzing --count 2000` prints a table.
"""

from __future__ import annotations

import io
import os
import re
import zipfile
from pathlib import Path

import pytest
import torch

from tests.helpers.fuzz_kinds import Kind

resource = pytest.importorskip("resource", reason="limits of time and memory need POSIX")

from dainet.data.check import check_source  # noqa: E402
from dainet.data.formats.dataset_json import read_description  # noqa: E402
from dainet.settings import DataSettings, load_settings  # noqa: E402
from dainet.vit.model import load_vit  # noqa: E402
from tests.helpers import fuzz_kinds, fuzzing  # noqa: E402

COUNT = int(os.environ.get("DAINET_FUZZ", "156"))


@pytest.mark.parametrize("kind", fuzz_kinds.KINDS.values(), ids=list(fuzz_kinds.KINDS))
def test_undamaged_files_work(kind: Kind, tmp_path: Path) -> None:
    folder = tmp_path / "data"
    folder.mkdir()
    for path in kind.write(folder):
        assert not kind.read(folder, path)


def test_damaged_files_work_or_are_refused() -> None:
    before = 1024 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    outcomes = list(fuzzing.run(fuzzing.plan(COUNT)))
    assert [(one.kind, one.seed, one.finding) for one in outcomes if one.finding] == []
    assert len(outcomes) == COUNT
    assert {one.kind for one in outcomes if one.refusals} == set(fuzz_kinds.KINDS)
    assert max(one.peak_bytes for one in outcomes) < before + fuzzing.GIBIBYTE


@pytest.mark.parametrize(("evil", "words"), [("raise", "KeyError"), ("loop", "no end"), ("leave", "exit code 3")])
def test_a_reader_that_fails_is_found(evil: str, words: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def read(folder: Path, path: Path) -> tuple[str, ...]:
        {
            "raise": lambda: fuzz_kinds.KINDS[""],
            "loop": lambda: [None for _ in iter(int, 1)],
            "leave": lambda: os._exit(3),
        }[evil]()
        return ()

    monkeypatch.setattr(fuzzing, "SECONDS", 1)
    monkeypatch.setitem(fuzz_kinds.KINDS, "npz", fuzz_kinds.KINDS["npz"]._replace(read=read))
    first, second, other = fuzzing.run([("npz", 0), ("npz", 1), ("split CSV", 0)])
    assert words in first.finding
    assert words in second.finding
    assert not other.finding


# What was found, one by one


def with_pickle(content: bytes) -> bytes:
    """A checkpoint in which the description of the tensors is replaced."""
    buffer, changed = io.BytesIO(), io.BytesIO()
    torch.save({"cls_token": torch.ones(1)}, buffer)
    with zipfile.ZipFile(buffer) as old, zipfile.ZipFile(changed, "w") as new:
        for name in old.namelist():
            new.writestr(name, content if name.endswith("data.pkl") else old.read(name))
    return changed.getvalue()


def with_wrong_directory() -> bytes:
    """A checkpoint whose zip directory lies before its start."""
    content = with_pickle(b"\x80\x02}.")
    return content[:-6] + b"\xff\xff\xff\xf0" + content[-2:]


CHECKPOINTS = {
    "UnpicklingError in several lines": with_pickle(b"\x80\x02\x00."),
    "IndexError": with_pickle(b"\x80\x02."),
    "UnicodeDecodeError": with_pickle(b"\x80\x02X\x02\x00\x00\x00\xff\xfe."),
    "ValueError": with_pickle(b"\x80\x02}\x8a\xff."),
    "KeyError": with_pickle(b"\x80\x02h\x07."),
    "TypeError": with_pickle(b"\x80\x02K\x01K\x02K\x03s."),
    "EOFError": with_pickle(b""),
    "OSError": with_wrong_directory(),
    "IndexError of the form before PyTorch 1.6": b"\x80\x02.",
    "nothing": b"",
}


@pytest.mark.filterwarnings("ignore")  # torch's, about what is refused
@pytest.mark.parametrize("evil", CHECKPOINTS)
def test_a_damaged_checkpoint(evil: str, tmp_path: Path) -> None:
    (tmp_path / "damaged.pth").write_bytes(CHECKPOINTS[evil])
    with pytest.raises(ValueError, match=r"^damaged.pth: [^\n]*refused[^\n]*fetch it again[^\n]*$"):
        load_vit(str(tmp_path / "damaged.pth"))


def test_a_damaged_name_of_a_tensor_gives_one_line(tmp_path: Path) -> None:
    (path,) = fuzz_kinds.write_safetensors(tmp_path)
    path.write_bytes(path.read_bytes().replace(b"attn.proj.weight", b"a&tn.proj.weight", 1))
    with pytest.raises(ValueError, match=r"^vit.safetensors: [^\n]*attn.proj.weight[^\n]*$"):
        load_vit(str(path))


def test_a_damaged_name_in_an_npz_gives_one_short_line(tmp_path: Path) -> None:
    (path,) = fuzz_kinds.write_npz(tmp_path)
    content = path.read_bytes()
    path.write_bytes(content[:26] + b"\xff\xff" + content[28:])  # the length of the first name, so that data follow it
    (problem,) = check_source(DataSettings(source=str(tmp_path))).problems
    assert re.search("case_002_volume_ED.npz .*img and label", problem)
    assert len(problem) < 600


PROFILES = {
    "no text": (b"data: \x00", "ReaderError"),
    "no UTF-8": (b"data: \xff", "ReaderError"),
    "no end": (b"data: {source: phantom", "ParserError"),
    "a colon too many": (b"data: a: b", "ScannerError"),
    "no constructor": (b"data: !!python/object:os.system", "ConstructorError"),
    "empty": (b"", "None.*name: value"),
    "a list": (b"[data]", r"\['data'\].*name: value"),
    "a list for the data sets": (b"for_dataset: [acdc]", r"for_dataset.*\['acdc'\].*name: value"),
    "a number for a data set": (b"for_dataset: {acdc: 3}", "for_dataset.*3.*name: value"),
}


@pytest.mark.parametrize("evil", PROFILES)
def test_a_damaged_profile(evil: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    content, words = PROFILES[evil]
    (tmp_path / "tour.yaml").write_bytes(content)
    monkeypatch.setattr("dainet.settings.loading._profiles", lambda: tmp_path)
    with pytest.raises(ValueError, match=rf"^tour.yaml: [^\n]*{words}[^\n]*$"):
        load_settings("tour", {"data.dataset": "acdc"})


DESCRIPTIONS = {
    "no UTF-8, a long file": b'{"labels": "' + b"x" * 5000 + b'\xff"}',
    "nested too deep": b"[" * 100_000,
    "a channel of many words": b'{"labels": {"a": 0, "b": 1}, "channel_names": {"0": "' + b"x " * 5000 + b'", "1": 2}}',
    "a color of many words": b'{"labels": {"a": 0, "b": 1}, "colors": {"b": "' + b"x " * 5000 + b'"}}',
}


@pytest.mark.parametrize("evil", DESCRIPTIONS)
def test_a_damaged_description(evil: str, tmp_path: Path) -> None:
    (tmp_path / "dataset.json").write_bytes(DESCRIPTIONS[evil])
    with pytest.raises(ValueError, match=r"^dataset.json: [^\n]{10,500}$"):
        read_description(tmp_path / "dataset.json")
