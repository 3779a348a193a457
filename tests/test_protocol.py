from collections import Counter

import pytest

from dainet.protocol import load_split, split_names


@pytest.mark.parametrize("name", split_names())
def test_every_shipped_split_is_70_10_20(name):
    assert Counter(load_split(name).values()) == {"train": 70, "valid": 10, "test": 20}


def test_the_papers_test_patients():
    # MT-UNet's lists (PROTOCOL 2.1), which are also nnFormer's test patients.
    numbers = [2, 3, 8, 9, 12, 14, 17, 24, 42, 48, 49, 53, 55, 64, 67, 79, 81, 88, 92, 95]
    for name in ("mtunet", "nnformer"):
        test = {patient for patient, split in load_split(name).items() if split == "test"}
        assert test == {f"patient{number:03d}" for number in numbers}


def test_own_split_file(tmp_path):
    path = tmp_path / "mine.csv"
    path.write_text("patient,split\npatient001,train\npatient002,test\n")
    assert load_split(str(path)) == {"patient001": "train", "patient002": "test"}


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("name,split\np1,train\n", "mine.csv.*columns"),
        ("patient,split\np1,training\n", "training"),
        ("patient,split\np1,train\np1,test\n", "p1 listed more than once"),
    ],
)
def test_wrong_split_files(tmp_path, text, words):
    path = tmp_path / "mine.csv"
    path.write_text(text)
    with pytest.raises(ValueError, match=words):
        load_split(str(path))


def test_unknown_split_lists_the_known():
    with pytest.raises(ValueError, match="mtunet, nnformer"):
        load_split("best")
