from collections import Counter
from pathlib import Path

import pytest

from dainet.protocol import CLASSES, load_split, published_table, reference_table, split_names
from dainet.segmentation.catalog import check_network


@pytest.mark.parametrize("name", split_names("acdc"))
def test_every_shipped_split_is_70_10_20(name: str) -> None:
    assert Counter(load_split("acdc", name).values()) == {"train": 70, "valid": 10, "test": 20}


def test_synapse_is_18_and_12_with_three_of_the_18_for_validation() -> None:
    carved, transunet = load_split("synapse", "carved"), load_split("synapse", "transunet")
    # TransUNet's lists (docs/protocol.md#1.1).
    test = ["0008", "0022", "0038", "0036", "0032", "0002", "0029", "0003", "0001", "0004", "0025", "0035"]
    for split in (carved, transunet):
        assert {patient for patient, kind in split.items() if kind == "test"} == {f"case{number}" for number in test}
    train = sorted(patient for patient, kind in transunet.items() if kind == "train")
    assert len(train) == 18
    assert train[0] == "case0005"
    assert train[-1] == "case0040"
    # The stated rule: every sixth of the sorted training ids, from the third on.
    assert [patient for patient in train if carved[patient] == "valid"] == train[2::6]


def test_table_1_has_fifteen_rows_and_eight_organs() -> None:
    table = published_table("synapse", "table1")
    assert len(table) == 15
    assert set(table.loc[table["model"] == "", "method"]) == {"V-Net", "DARR", "TransClaw U-Net"}
    dainet = table.set_index("model").loc["dual-1111"]
    assert (dainet["dsc"], dainet["hd95"], dainet["spleen"]) == (84.26, 13.79, 93.74)
    assert [name.lower() for name in CLASSES["synapse"].names] == list(table.columns[3:11])
    for nothing in (published_table("custom", "table1"), published_table("acdc", "table1")):
        assert nothing.empty
        assert {"method", "model", "marker", "dsc"} <= set(nothing)


@pytest.mark.parametrize(("dataset", "name"), [("synapse", "table1"), ("acdc", "table2"), ("acdc", "table3")])
def test_every_network_of_a_table_can_be_built_and_stands_in_one_row(dataset: str, name: str) -> None:
    models = [model for model in published_table(dataset, name)["model"] if model]
    assert len(set(models)) == len(models)
    for model in models:
        check_network(model)


def test_references_are_blocks_with_a_source_and_show_how_far_one_network_differs() -> None:
    acdc, synapse = reference_table("acdc"), reference_table("synapse")
    for table in (acdc, synapse):
        assert table["dsc"].between(70, 95).all()
        assert set(table["read"]) == {"read in source file", "read on a web page"}
        assert (table[["method", "data", "block", "source"]] != "").all(axis=None)
        assert not table.duplicated(["method", "data", "block"]).any()
    nnunet = acdc[acdc["method"] == "nnU-Net (original)"]
    assert list(nnunet["dsc"]) == [91.54, 91.34]
    assert nnunet["block"].nunique() == 2
    merit = synapse.set_index("method").loc["MERIT 2023 (cascaded)"]
    assert (merit["dsc"], merit["hd95"]) == (84.90, 13.22)
    assert reference_table("custom").empty


@pytest.mark.parametrize("dataset", CLASSES)
def test_every_class_has_a_color_of_its_own(dataset: str) -> None:
    classes = CLASSES[dataset]
    assert len(set(classes.colors)) == len(classes.names)


def test_the_papers_test_patients() -> None:
    # MT-UNet's lists (docs/protocol.md#2.1), which are also nnFormer's test patients.
    numbers = [2, 3, 8, 9, 12, 14, 17, 24, 42, 48, 49, 53, 55, 64, 67, 79, 81, 88, 92, 95]
    for name in ("mtunet", "nnformer"):
        test = {patient for patient, split in load_split("acdc", name).items() if split == "test"}
        assert test == {f"patient{number:03d}" for number in numbers}


def test_own_split_file(tmp_path: Path) -> None:
    path = tmp_path / "mine.csv"
    path.write_text("patient,split\npatient001,train\npatient002,test\n")
    assert load_split("acdc", str(path)) == {"patient001": "train", "patient002": "test"}


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("name,split\np1,train\n", "columns"),
        ("patient,split\np1,training\n", "training"),
        ("patient,split\np1,train\np1,test\n", "p1.*one split"),
        ("patient,split\n,train\n", "without a patient|patient.*empty|no patient"),
        ("patient,split\np1\n", r"split.*\[''\]"),
        ("", "CSV.*No columns"),
        ('patient,split\n"p1,train\n', "CSV.*EOF inside string"),
        ("patient,split\nJ\xfcrgen,train\n".encode("latin-1"), "CSV.*utf-8"),
        ("patient,split\np1,train\n".encode("utf-16"), "CSV.*utf-8"),
    ],
)
def test_wrong_split_files(tmp_path: Path, text: str | bytes, words: str) -> None:
    path = tmp_path / "mine.csv"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(ValueError, match=rf"^mine.csv: .*{words}[^\n]*$"):
        load_split("acdc", str(path))


def test_a_split_file_from_a_spreadsheet(tmp_path: Path) -> None:
    path = tmp_path / "mine.csv"
    path.write_text("patient,split\r\n001,train\r\nNA,test\r\n", encoding="utf-8-sig")
    assert load_split("acdc", str(path)) == {"001": "train", "NA": "test"}


def test_unknown_split_lists_the_known() -> None:
    with pytest.raises(ValueError, match="mtunet, nnformer"):
        load_split("acdc", "best")
