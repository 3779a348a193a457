import pytest

from dainet.store import hash_files, run_stage


def build(folder):
    (folder / "number.txt").write_text("7")


def test_a_finished_stage_is_not_built_again(runs):
    calls = []
    results = [run_stage("s", 1, {"a": 1}, {"data": "x"}, lambda f: (calls.append(f), build(f))) for _ in range(2)]
    assert len(calls) == 1 and results[0] == results[1]
    assert (results[0].path / "number.txt").read_text() == "7"
    assert results[0].record()["settings"] == {"a": 1}


@pytest.mark.parametrize("change", [{"stage": "t"}, {"version": 2}, {"settings": {"a": 2}}, {"inputs": {"data": "y"}}])
def test_every_part_of_the_key_matters(change):
    base = {"stage": "s", "version": 1, "settings": {"a": 1}, "inputs": {"data": "x"}}
    assert run_stage(**base, build=build).path != run_stage(**(base | change), build=build).path


def test_a_failed_stage_leaves_only_its_partial_folder(runs):
    def fail(folder):
        build(folder)
        raise OSError("disk")

    with pytest.raises(OSError, match="disk"):
        run_stage("s", 1, {}, {}, fail)
    assert [path.suffix for path in (runs / "s").iterdir()] == [".partial"]
    assert run_stage("s", 1, {}, {}, lambda folder: None).path.joinpath("number.txt").exists()  # resumes there


def test_provenance_holds_no_path_or_user(runs):
    result = run_stage("s", 1, {}, {}, build)
    text = (result.path / "provenance.json").read_text()
    assert str(runs) not in text and "/home" not in text


def test_hash_of_files_follows_names_and_contents(tmp_path):
    for name, text in (("a", "1"), ("b", "2"), ("c", "1")):
        (tmp_path / name).write_text(text)
    a, b, c = (tmp_path / name for name in "abc")
    assert hash_files([a, b], tmp_path) == hash_files([b, a], tmp_path)
    assert len({hash_files(paths, tmp_path) for paths in ([a], [b], [c])}) == 3
