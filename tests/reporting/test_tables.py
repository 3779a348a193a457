import json
import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from dainet.data.prepared import run_prepared
from dainet.protocol import CLASSES, published_table
from dainet.reporting.artifacts import output_folder, save_table
from dainet.reporting.run_identity import public_settings
from dainet.reporting.tables import compare, policies, protocol_notes, spread
from dainet.settings import Settings, load_settings
from tests.helpers.samples import changed, scores

ACDC = CLASSES["acdc"].names


@pytest.mark.parametrize(("name", "rows"), [("table2", 10), ("table3", 5)])
def test_ours_stands_below_the_published_row_it_reproduces(name: str, rows: int) -> None:
    result = compare(published_table("acdc", name), scores("dual-1111", (0, 1)), ACDC, "strict")
    assert list(result["By"]) == ["paper"] * rows + ["here"]  # the paper's own row is the last one
    paper, ours = result.iloc[-2], result.iloc[-1]
    assert (paper["DSC (%)"], paper["RV"], paper["HD95 (voxels)"]) == ("91.90", "90.53", "")
    assert (ours["Method"], ours["DSC (%)"], ours["Difference"]) == ("dual-1111", "74.00 ± 1.41", "-17.90")
    assert (ours["RV"], ours["HD95 (voxels)"]) == ("84.00 ± 1.41", "4.00 ± 0.00")


def test_table_1_has_all_rows_distances_and_organs() -> None:
    names = CLASSES["synapse"].names
    found = pd.concat([scores("unet", classes=names), scores("single", classes=names)])
    result = compare(published_table("synapse", "table1"), found, names, "strict")
    assert len(result) == 15 + 2
    assert list(result.columns[4:12]) == list(names)
    dainet = result[result["Method"] == "DAINet (dual-1111)"].iloc[0]
    assert (dainet["HD95 (voxels)"], dainet["Stomach"]) == ("13.79", "83.48")
    assert result.iloc[0]["HD95 (voxels)"] == ""
    assert result.iloc[-1]["Method"] == "single"
    assert list(result["By"]).index("here") == list(result["Method"]).index("U-Net†") + 1


def test_a_reduced_form_stands_below_its_full_form_without_a_difference() -> None:
    found = pd.concat([scores("transunet-small"), scores("transcascade"), scores("mednext-s")])
    result = compare(published_table("acdc", "table2"), found, ACDC, "strict")
    ours = result[result["By"] == "here"]
    above = {result.loc[i, "Method"]: result.loc[i - 1, "Method"] for i in ours.index}
    assert above == {"transunet-small": "TransUNet", "transcascade": "TransCASCADE", "mednext-s": "DAINet (dual-1111)"}
    differences = ours.set_index("Method")["Difference"]
    assert differences["transunet-small"] == differences["mednext-s"] == ""
    assert differences["transcascade"] == "-16.63"


def test_data_the_paper_does_not_know_have_our_rows_only() -> None:
    result = compare(published_table("custom", "table2"), scores("unet"), ACDC, "strict")
    assert list(result["By"]) == ["here"]
    assert "Difference" not in result


def test_phantoms_are_not_subtracted_from_patients() -> None:
    result = compare(published_table("acdc", "table2"), scores("dual-1111"), ACDC, "strict", phantoms=True)
    assert "Difference" not in result
    assert list(result["By"]) == ["paper (patients)"] * 10 + ["here (phantoms)"]


def test_policies_stand_side_by_side() -> None:
    both = pd.concat([scores(seeds=(0, 1)), scores(seeds=(0, 1)).assign(policy="peer", hd95_vox=0.0)])
    table = policies(both).set_index("Policy")
    assert table.loc["strict", "HD95 (voxels)"] == "4.00 ± 0.00"
    assert table.loc["peer", "HD95 (voxels)"] == "0.00 ± 0.00"
    assert (table["HD95 (mm)"] == "").all()
    assert (table["DSC (%)"] == "74.00 ± 1.41").all()


def test_another_policy_is_not_mixed_in() -> None:
    result = compare(published_table("acdc", "table2"), scores(), ACDC, "peer")
    assert (result["By"] == "paper").all()


def test_notes_count_patients_and_name_the_rule(tiny: Settings) -> None:
    prepared = run_prepared(tiny.data, 32)
    notes = " ".join(protocol_notes(tiny, prepared, "strict", scores()))
    assert "4 of 70 train, 1 of 10 valid, 1 of 20 test patients of the split mtunet" in notes
    assert "rule: validation" in notes
    peer = tiny.model_copy(update={"segmentation": tiny.segmentation.model_copy(update={"selection": "peer-on-test"})})
    assert "ON THE TEST CASES" in " ".join(protocol_notes(peer, prepared, "strict", scores()))


def test_scores_of_phantoms_are_never_taken_for_those_of_patients(tiny: Settings) -> None:
    prepared = run_prepared(tiny.data, 32)
    phantoms = tiny.model_copy(update={"data": tiny.data.model_copy(update={"source": "phantom"})})
    real, synthetic = (protocol_notes(settings, prepared, "strict", scores()) for settings in (tiny, phantoms))
    assert not [note for note in real if "phantom" in note]
    assert [note.split(":")[0] for note in synthetic if "phantoms" in note] == [
        "Data",
        "The paper scored patients, this run scored phantoms",
    ]


@pytest.mark.parametrize(
    ("last", "augment", "noted"), [("kidney_l", True, True), ("kidney_l", False, False), ("ring", True, False)]
)
def test_notes_say_where_flips_mix_up_left_and_right(tiny: Settings, last: str, augment: bool, noted: bool) -> None:
    prepared = run_prepared(tiny.data, 32)
    classes = replace(prepared.classes, names=("liver", "kidney_r", last))
    settings = load_settings("tour", {"segmentation.augment": augment})
    notes = protocol_notes(settings, replace(prepared, classes=classes), "strict", scores())
    assert [("kidney_r" in note, "kidney_l" in note) for note in notes if "flipped" in note] == [(True, True)] * noted


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({}, []),
        ({"backbone": "random"}, ["random weights"]),
        ({"backbone": "pretrained", "control": "other-patient"}, ["another patient", "without fine-tuning"]),
        ({"backbone": "random", "control": "constant"}, ["the same number"]),
        ({"control": "image"}, ["the image itself"]),
        ({"maps": "/home/someone/mine"}, ["folder mine"]),
        ({"maps": "/home/someone/mine", "control": "constant"}, ["the same number"]),
    ],
)
def test_notes_say_what_takes_the_place_of_the_maps(tiny: Settings, changes: dict[str, str], said: list[str]) -> None:
    prepared = run_prepared(tiny.data, 32)
    before = protocol_notes(tiny, prepared, "strict", scores())
    notes = protocol_notes(changed(tiny, "attention", **changes), prepared, "strict", scores())
    added = [note for note in notes if note not in before]
    assert len(added) == len(said)
    assert all(words in note for words, note in zip(said, added, strict=True))
    assert "someone" not in " ".join(notes)


@pytest.mark.parametrize(
    ("pretrained", "said"), [("", "from scratch"), ("hub", "ImageNet"), ("/home/someone/mine.pth", "from mine.pth")]
)
def test_notes_say_from_which_weights_competitors_start(tiny: Settings, pretrained: str, said: str) -> None:
    prepared, settings = run_prepared(tiny.data, 32), changed(tiny, "segmentation", pretrained=pretrained)
    (note,) = [n for n in protocol_notes(settings, prepared, "strict", scores("vit")) if n.startswith("Competitors")]
    assert said in note
    assert ("ImageNet" in note) == (pretrained == "hub")
    assert "someone" not in note


def test_notes_of_own_data_speak_of_no_paper(tiny: Settings) -> None:
    prepared = run_prepared(tiny.data, 32)
    own = tiny.model_copy(update={"data": tiny.data.model_copy(update={"dataset": "custom"})})
    published, ours = (" ".join(protocol_notes(settings, prepared, "strict", scores())) for settings in (tiny, own))
    assert "Paper" in published
    assert "Paper" not in ours


def test_notes_name_who_was_left_out_and_the_order_of_labels(tiny: Settings) -> None:
    prepared = run_prepared(tiny.data, 32)
    before = protocol_notes(tiny, prepared, "strict", scores())
    cases = prepared.cases.copy()
    cases.loc[cases["patient"] == "patient004", "split"] = "left out"
    changed = replace(prepared, cases=cases, about=prepared.about | {"label_order": "cascade"})
    notes = protocol_notes(tiny, changed, "peer", scores())
    (added,) = [note for note in notes if "left out" in note]
    assert "patient004" in added
    assert "patient004" not in " ".join(before)
    with_table = tiny.model_copy(update={"data": tiny.data.model_copy(update={"spacing": "edges.csv"})})
    assert "data.spacing" in " ".join(set(protocol_notes(with_table, prepared, "strict", scores())) - set(before))
    assert "cascade" in notes[1]
    assert "order" not in before[1]
    assert "3 of 70 train" in notes[1]
    assert "peer" in notes[3]


def test_notes_give_the_settings_that_made_the_numbers(tiny: Settings) -> None:
    changes = {"seeds": (3, 5), "width": 8, "epochs": 7, "image_size": 48, "selection": "last"}
    settings = tiny.model_copy(update={"segmentation": tiny.segmentation.model_copy(update=changes)})
    prepared = run_prepared(tiny.data, 32)
    notes = protocol_notes(settings, prepared, "strict", scores(seeds=(3, 5)))
    assert [word in notes[2] for word in ("tour", "width 8", "48 px", "7 epochs", "3, 5")] == 5 * [True]
    assert "last" in notes[3]
    assert "ED and ES" in notes[0]
    single = replace(prepared, cases=prepared.cases.assign(phase=""))
    assert "ED" not in protocol_notes(settings, single, "strict", scores())[0]


def test_a_class_that_is_never_found_is_noted(tiny: Settings) -> None:
    failed = scores("single")
    failed.loc[failed["class"] == "Myo", "dsc"] = 0.0
    notes = protocol_notes(tiny, run_prepared(tiny.data, 32), "strict", failed)
    assert "single, seed 0" in notes[-1]
    assert [name for name in ACDC if name in notes[-1]] == ["Myo"]


def test_a_failed_training_is_named_beside_the_rows_that_it_enters() -> None:
    failed = scores("single", seeds=(0, 1))
    failed.loc[(failed["class"] == "Myo") & (failed["seed"] == 1), "dsc"] = 0.0
    both = pd.concat([failed, scores("unet")])
    table = compare(published_table("acdc", "table2"), both, ACDC, "strict").set_index(["Method", "By"])["Failed"]
    assert {key for key, text in table.items() if text} == {("single", "here")}
    assert ("1" in table["single", "here"], "Myo" in table["single", "here"]) == (True, True)
    assert policies(both).groupby("Network")["Failed"].first().map(bool).to_dict() == {"single": True, "unet": False}


def test_seeds_that_come_with_the_kit_are_named(tiny: Settings) -> None:
    before, notes = (
        protocol_notes(tiny, run_prepared(tiny.data, 32), "strict", scores("unet", seeds=seeds))
        for seeds in (tiny.segmentation.seeds, (*tiny.segmentation.seeds, 7))
    )
    assert [note for note in notes if note not in before and "7" in note]


def test_a_class_that_no_test_volume_has_is_not_noted_as_never_found(tiny: Settings) -> None:
    absent = scores("single")
    absent.loc[absent["class"] == "Myo", ["dsc", "labeled_voxels"]] = 0
    notes = protocol_notes(tiny, run_prepared(tiny.data, 32), "strict", absent)
    assert "Myo" not in " ".join(notes)


def test_only_a_class_that_a_training_finds_nowhere_counts_as_failed(tiny: Settings) -> None:
    prepared = run_prepared(tiny.data, 32)
    both = scores("single", seeds=(0, 1))
    both.loc[(both["class"] == "Myo") & (both["patient"] == "a"), "dsc"] = 0.0  # found in patient b
    both.loc[(both["class"] != "RV") & (both["seed"] == 1), "dsc"] = 0.0
    peer = scores("unet").assign(policy="peer", dsc=0.0)  # an absent class has 0 there
    before = protocol_notes(tiny, prepared, "strict", scores("single", seeds=(0, 1)))
    notes = protocol_notes(tiny, prepared, "strict", pd.concat([both, peer]))
    assert len(notes) == len(before) + 1
    assert "single, seed 1" in notes[-1]
    assert [name for name in ACDC if name in notes[-1]] == ["Myo", "LV"]


def test_numbers_have_two_decimals_and_a_sign() -> None:
    assert spread(12.346, math.nan) == "12.35"
    assert spread(12.3, 0.456) == "12.30 ± 0.46"
    assert spread(math.nan, math.nan) == ""
    better = compare(published_table("acdc", "table2"), scores("dual-1111").assign(dsc=0.95), ACDC, "strict")
    assert better.iloc[-1]["Difference"] == "+3.10"


def test_saved_tables_have_three_forms_and_a_record(tmp_path: Path) -> None:
    settings = load_settings("tour", {"output": str(tmp_path / "out"), "data.source": "/secret/place/scans"})
    table = compare(published_table("acdc", "table2"), scores(), ACDC, "strict")
    path = save_table(table, "table2", settings, {"scores": "abc"}, ["a note with 5 % in it"])
    assert path.read_text().endswith("- a note with 5 % in it\n")
    pd.testing.assert_frame_equal(pd.read_csv(path.with_suffix(".csv"), dtype=str, keep_default_na=False), table)
    latex = path.with_suffix(".tex").read_text()
    assert r"U-Net\dag{}" in latex
    assert r"\begin{tabular}" in latex
    assert "†" not in latex
    record = json.loads(path.with_suffix(".json").read_text())
    assert record["stages"] == {"scores": "abc"}
    assert record["settings"]["data"]["source"] == "scans"
    assert "secret" not in path.with_suffix(".json").read_text()


@pytest.mark.parametrize(
    ("overrides", "name"),
    [
        ({}, "phantom-acdc-tour"),
        ({"data.dataset": "synapse"}, "phantom-synapse-tour"),
        ({"data.source": "/scans/ACDC"}, "acdc-ACDC-tour"),
        ({"data.source": "/scans/ACDC/"}, "acdc-ACDC-tour"),
        ({"data.dataset": "custom", "data.source": "/a/Dataset501_Liver"}, "custom-Dataset501_Liver-tour"),
        ({"data.dataset": "custom", "data.source": "/a/Dataset502_Heart"}, "custom-Dataset502_Heart-tour"),
        ({"data.dataset": "custom", "data.source": "."}, "custom-here-tour"),
        ({"data.source": "../here"}, "acdc-here-tour"),
    ],
)
def test_output_folder_is_named_after_data_source_and_profile(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, overrides: dict[str, Any], name: str
) -> None:
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    folder = output_folder(load_settings("tour", overrides))
    assert folder.relative_to(tmp_path / "here").as_posix() == f"figures/{name}"


def test_the_source_is_named_beneath_a_table(tiny: Settings) -> None:
    notes = protocol_notes(tiny, run_prepared(tiny.data, 32), "strict", scores())
    assert "Data: h5, " in " ".join(notes)  # the folder's name


def test_public_settings_hold_no_folders() -> None:
    settings = load_settings("tour", {"data.source": "/a/b/c", "vit.weights": "/a/b/w.pth", "data.split": "/a/s.csv"})
    public = public_settings(settings)
    assert (public["data"]["source"], public["data"]["split"], public["vit"]["weights"]) == ("c", "s.csv", "w.pth")
    windows = load_settings("tour", {"data.source": r"C:\Users\me\ACDC", "vit.weights": r"D:\w.pth"})
    public = public_settings(windows)
    assert (public["data"]["source"], public["vit"]["weights"]) == ("ACDC", "w.pth")
