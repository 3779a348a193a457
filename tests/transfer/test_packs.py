"""Packs that are incomplete, damaged or of other code are refused; what is here already is kept."""

from __future__ import annotations

import io
import os
import shutil
import subprocess
import tarfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from dainet.cache import references
from dainet.cache.locks import stage_lock, try_lock
from dainet.cache.records import read_record, write_record
from dainet.cache.resume import load_state, save_state, saved_states
from dainet.cache.runs import find_run, find_runs
from dainet.cache.store import RECORD
from dainet.cache.verify import verify_folder
from dainet.errors import InputError
from dainet.transfer import packing, parts, scans, unpacking
from dainet.transfer.commands import pack, unpack
from dainet.transfer.parts import MANIFEST
from dainet.transfer.unpacking import unpack as unpack_files
from tests.helpers import REPOSITORY
from tests.helpers.damage import cut, empty, flip
from tests.helpers.stages import stage, unfinished
from tests.transfer.test_scans import WHOLE

COMMIT = "0123456789ab"


@pytest.fixture(scope="module")
def packed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two files as scans, and their pack of two parts."""
    folder = tmp_path_factory.mktemp("packed")
    (folder / "scans" / "patient").mkdir(parents=True)
    (folder / "scans" / "patient" / "a.nii.gz").write_bytes(WHOLE)
    (folder / "scans" / "random.bin").write_bytes(os.urandom(1 << 20))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DAINET_COMMIT", COMMIT)
        pack(folder / "pack", str(folder / "scans"), part_mib=1)
    return folder


@pytest.fixture
def there(tmp_path: Path, packed: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Go to an empty folder; scans and their pack lie next to it."""
    monkeypatch.setenv("DAINET_COMMIT", COMMIT)
    shutil.copytree(packed, tmp_path, dirs_exist_ok=True)
    (tmp_path / "there").mkdir()
    monkeypatch.chdir(tmp_path / "there")
    return tmp_path / "there"


def contents(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_what_is_packed_is_laid_out_to_the_bit(there: Path) -> None:
    assert unpack_files(there.parent / "pack") == (2, 0, [])
    assert contents(there / "data" / "scans") == contents(there.parent / "scans")
    assert unpack_files(there.parent / "pack") == (0, 2, [])
    assert verify_folder(there.parent / "pack") == (2, [], [], [])


@pytest.mark.parametrize("harm", [cut, empty, flip, Path.unlink])
@pytest.mark.parametrize("name", ["pack.tar.0001", "pack.tar.0002", MANIFEST])
def test_a_damaged_or_missing_part_is_named_and_nothing_is_laid_out(
    there: Path, harm: Callable[[Path], None], name: str
) -> None:
    harm(there.parent / "pack" / name)
    with pytest.raises(InputError, match=name) as error:
        unpack(there.parent / "pack")
    assert "\n" not in str(error.value)
    assert contents(there) == {}


def test_parts_are_joined_by_their_numbers(there: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Names of four digits are in order as text, for `cat`; those of older packs, of two, are not from 100 on."""
    monkeypatch.setattr(parts, "_MIB", 1 << 13)
    pack(there.parent / "many", str(there.parent / "scans"), part_mib=1)
    numbered = sorted((there.parent / "many").glob("pack.tar.*"))
    assert len(numbered) > 100
    assert tarfile.is_tarfile(io.BytesIO(b"".join(path.read_bytes() for path in numbered)))
    unpack(there.parent / "many")
    assert contents(there / "data" / "scans") == contents(there.parent / "scans")
    shutil.rmtree(there / "data")
    manifest = read_record(there.parent / "many" / MANIFEST)
    old = {path.name: f"pack.tar.{number:02d}" for number, path in enumerate(numbered, start=1)}
    for name, older in old.items():
        (there.parent / "many" / name).rename(there.parent / "many" / older)
    renamed = {entry: {old[name]: value for name, value in manifest[entry].items()} for entry in ("files", "sizes")}
    write_record(there.parent / "many" / MANIFEST, manifest | renamed)
    unpack(there.parent / "many")
    assert contents(there / "data" / "scans") == contents(there.parent / "scans")


def test_another_record_is_no_manifest(there: Path) -> None:
    write_record(there / MANIFEST, {"files": {}})
    with pytest.raises(InputError, match="commit, content, plain"):
        unpack(there)


def test_a_zlib_that_compresses_in_another_way_is_told(there: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scans, "_deflated", lambda raw, level: b"")
    with pytest.raises(InputError, match=r"a\.nii\.gz.*--verbatim"):
        unpack(there.parent / "pack")
    assert not list(there.rglob("a.nii.gz"))
    pack(there.parent / "verbatim", str(there.parent / "scans"), verbatim=True)
    unpack(there.parent / "verbatim")
    assert contents(there / "data" / "scans") == contents(there.parent / "scans")


def test_names_that_lead_elsewhere_are_refused(there: Path) -> None:
    folder = there.parent / "pack"
    manifest = read_record(folder / MANIFEST)
    for name in ("../evil", "data/../../evil", "/etc/evil", "data//evil", "code/evil", "runs/evil", "evil"):
        write_record(folder / MANIFEST, manifest | {"content": {name: "0" * 64}})
        with pytest.raises(InputError, match="evil"):
            unpack(folder)


def test_code_of_another_commit_is_refused_and_results_of_one_are_taken_with_a_warning(
    there: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(packing, "code_archive", lambda: b"")
    pack(there.parent / "with code", str(there.parent / "scans"), code=True)
    monkeypatch.setenv("DAINET_COMMIT", "ba9876543210")
    with pytest.raises(InputError, match=r"0123456789ab.*ba9876543210"):
        unpack(there.parent / "with code")
    assert contents(there) == {}
    unpack(there.parent / "pack")
    assert "0123456789ab" in caplog.text
    assert len(contents(there)) == 2


def write_result(folder: Path, training: str, text: str) -> None:
    for kind in ("histories", "records", "scores"):
        (folder / kind).mkdir(parents=True, exist_ok=True)
        (folder / kind / f"{training}.csv").write_text(text)


def test_code_beside_files_that_git_does_not_know_has_the_commit_that_it_will_tell(
    there: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(packing, "code_archive", lambda: b"")
    monkeypatch.setenv("DAINET_COMMIT", f"{COMMIT}-dirty")
    for name, code in (("code", True), ("scans alone", False)):
        pack(there.parent / name, str(there.parent / "scans"), code=code)
        assert parts.read_manifest(there.parent / name)["commit"] == (COMMIT if code else f"{COMMIT}-dirty")


def test_the_cache_remembers_where_results_were_laid_out(there: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_result(Path("figures", "study"), "a", "a")
    pack(there.parent / "results", results=[Path("figures", "study")])
    monkeypatch.setenv("DAINET_RUNS", str(there / "runs"))
    monkeypatch.setenv("DAINET_FIGURES", str(there.parent / "mine"))
    unpack(there.parent / "results")
    assert (there.parent / "mine").resolve() in references._remembered()


def test_results_are_merged_and_those_here_are_kept(there: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    study = Path("figures", "study")
    for training in ("a", "b", "c"):
        write_result(study, training, f"{training} there")
    (study / "README.md").write_text("there")
    pack(there.parent / "new" / "results", results=[study])
    here = there.parent / "here"
    here.mkdir()
    monkeypatch.chdir(here)
    write_result(study, "a", "a there")
    write_result(study, "d", "d here")
    (study / "records" / "b.csv").write_text("b here")
    before = contents(here)
    with pytest.raises(InputError, match=r"records/b\.csv"):
        unpack(there.parent / "new" / "results")
    added = {f"figures/study/{kind}/c.csv": b"c there" for kind in ("histories", "records", "scores")}
    assert contents(here) == before | added, "nothing of b: scores must not stand next to another training's record"


def test_a_training_that_differs_keeps_out_none_of_another_plan(there: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for plan in ("a", "b"):
        write_result(Path("figures", plan), "unet_fold1_seed0", plan)
    pack(there.parent / "results", results=[Path("figures")])
    monkeypatch.chdir(there.parent)
    (Path("figures", "a", "scores")).mkdir(parents=True)
    (Path("figures", "a", "scores", "unet_fold1_seed0.csv")).write_text("here")
    assert unpack_files(there.parent / "results") == (3, 2, ["figures/a/scores/unet_fold1_seed0.csv"])
    assert contents(Path("figures", "b")) == contents(there / "figures" / "b")
    assert contents(Path("figures", "a")) == {"scores/unet_fold1_seed0.csv": b"here"}


def test_results_elsewhere_are_refused(there: Path) -> None:
    for folder in (there.parent / "scans", Path("figures", "none"), Path("..", "scans")):
        with pytest.raises(InputError, match="figures"):
            pack(there.parent / "new", results=[folder])


def test_finished_stages_appear_whole_and_those_here_stay(there: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first, second = stage(seed=1), stage(seed=2)
    pack(there.parent / "stages", stages=["scores"])
    expected = contents(second.path)
    monkeypatch.setenv("DAINET_RUNS", str(there.parent / "other"))
    own = stage(seed=1)
    before = contents(own.path)
    done = own.path.with_name(second.key)
    (own.path.with_name(f".{second.key}")).mkdir()
    (own.path.with_name(f".{second.key}") / "left.csv").write_text("by an unpacking that was killed")
    unpack(there.parent / "stages")
    assert contents(own.path) == before
    assert contents(done) == expected
    assert {run.key for run in find_runs()} == {first.key, second.key}
    assert stage(seed=2).path == done, "it is opened, not computed"
    assert verify_folder(there.parent / "other").different == []


def test_of_an_interrupted_training_the_newest_state_travels(there: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    stage()
    partial = unfinished({"seed": 0})
    for epoch in (1, 2):
        save_state({"epoch": epoch}, partial, epoch)
    assert len(saved_states(partial)) == 2
    pack(there.parent / "states", states=True)
    monkeypatch.setenv("DAINET_RUNS", str(there.parent / "other"))
    unpack(there.parent / "states")
    there_now = there.parent / "other" / "dino" / partial.name
    assert load_state(there_now) == {"epoch": 2}
    assert set(contents(there.parent / "other" / "dino")) == {
        f"{partial.name}/{saved_states(partial)[0].relative_to(partial)}",
        f"{partial.name}/{RECORD}",
    }
    assert find_run(partial.stem).record == {"stage": "dino", "stage_version": 1, "settings": {"seed": 0}, "inputs": {}}


def test_a_cache_without_states_is_named(
    there: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    stage()
    monkeypatch.setenv("DAINET_RUNS", str(there.parent / "other"))
    pack(there.parent / "states", states=True)
    assert [str(there.parent / "other") in message for message in caplog.messages] == [True]


def test_a_stage_that_is_being_computed_here_is_left_out(
    there: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    found = stage()
    pack(there.parent / "stages", stages=["scores"])
    monkeypatch.setenv("DAINET_RUNS", str(there.parent / "other"))
    done = there.parent / "other" / "scores" / found.key
    lock = try_lock(stage_lock(done))
    unpack(there.parent / "stages")
    lock.release()
    assert list(done.parent.iterdir()) == []
    assert found.key in caplog.text


def test_a_stage_that_is_finished_here_meanwhile_stays(there: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found = stage()
    pack(there.parent / "stages", stages=["scores"])
    monkeypatch.setenv("DAINET_RUNS", str(there.parent / "other"))
    read, here = unpacking.read_files, []

    def read_slowly(*arguments: Any) -> None:
        read(*arguments)
        here.append(stage())

    monkeypatch.setattr(unpacking, "read_files", read_slowly)
    count = len(contents(found.path))
    assert unpack_files(there.parent / "stages") == (0, count, [])
    assert [path.name for path in here[0].path.parent.iterdir()] == [found.key]
    assert verify_folder(here[0].path) == (count - 1, [], [], [])


def test_of_two_unpackings_at_once_the_second_waits(there: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It would remove what the first has begun."""
    stage()
    pack(there.parent / "stages", stages=["scores"])
    monkeypatch.setenv("DAINET_RUNS", str(there.parent / "other"))
    held = []
    monkeypatch.setattr(unpacking, "read_files", lambda *_: held.append(try_lock("unpack")))
    monkeypatch.setattr(unpacking, "_finish", lambda done: True)
    unpack(there.parent / "stages")
    assert held == [None]


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"source": "none"}, "none"),
        ({"weights": "hub"}, "hub"),
        ({"set_": ["data.spacing=none.csv"]}, r"data\.spacing.*none"),
        ({"plan": Path("none.yaml")}, "none"),
        ({"stages": ["dinos"]}, "dinos"),
        ({"wheels": Path()}, "whl"),
        ({"code": True}, "checkout"),
    ],
)
def test_what_is_not_there_is_named(there: Path, options: dict, words: str) -> None:
    with pytest.raises(InputError, match=words):
        pack(there.parent / "new", **options)


def test_a_folder_that_cannot_be_listed_is_named(there: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Patients would be missing from the pack; the superuser, who may read everything, has to be denied it."""
    scandir = os.scandir

    def denied(place: str | Path) -> Iterator[os.DirEntry[str]]:
        if Path(place).name == "patient":
            raise PermissionError(13, "Permission denied", str(place))
        return scandir(place)

    monkeypatch.setattr(os, "scandir", denied)
    with pytest.raises(InputError, match="scans/patient"):
        pack(there.parent / "new", str(there.parent / "scans"))


def test_a_folder_with_files_is_left_alone(there: Path) -> None:
    before = contents(there.parent)
    with pytest.raises(InputError, match="scans has files"):
        pack(there.parent / "scans", str(there.parent / "scans"))
    assert contents(there.parent) == before


def git(folder: Path, *words: str) -> str:
    who = ("-c", "user.name=a", "-c", "user.email=a@b")
    return subprocess.run(["git", *who, *words], cwd=folder, check=True, capture_output=True, text=True).stdout.strip()


def test_code_travels_as_committed_and_knows_its_commit(there: Path) -> None:
    record = Path("dainet", "cache", "records.py")
    for path in (
        record,
        Path(".gitattributes"),
        Path("pyproject.toml"),
        Path("tests", "__init__.py"),
        Path("benchmarks", "gpu.py"),
        Path("book", "site.py"),
    ):
        (there / path).parent.mkdir(parents=True, exist_ok=True)
        (there / path).write_bytes((REPOSITORY / path).read_bytes())
    for words in (("init", "-q"), ("add", "-A"), ("commit", "-qm", "first")):
        git(there, *words)
    (there.parent / "wheels").mkdir()
    (there.parent / "wheels" / "a.whl").write_bytes(b"wheel")
    pack(there.parent / "code", code=True, wheels=there.parent / "wheels")
    with tarfile.open(there.parent / "code" / "pack.tar.0001") as outer:
        assert outer.getnames() == ["code.tar.gz", "wheels/a.whl"]
        assert outer.extractfile("wheels/a.whl").read() == b"wheel"
        code = outer.extractfile("code.tar.gz").read()
    with tarfile.open(fileobj=io.BytesIO(code)) as inner:
        assert "pyproject.toml" in inner.getnames()
        assert {"tests/__init__.py", "benchmarks/gpu.py"} <= set(inner.getnames()), "what a GPU runs there"
        assert not [name for name in inner.getnames() if name.startswith("book")]
        assert f'_ARCHIVED = "{git(there, "rev-parse", "HEAD")}"' in inner.extractfile(str(record)).read().decode()
    (there / record).write_text("changed")
    with pytest.raises(InputError, match="commit"):
        pack(there.parent / "again", code=True)
