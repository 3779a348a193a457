import json

import pandas as pd
import pytest
from conftest import scores

from dainet.artefacts import output_folder, public_settings, save_table
from dainet.data.prepared import run_prepared
from dainet.protocol import published_table
from dainet.settings import load_settings
from dainet.tables import compare, policies, protocol_notes


@pytest.mark.parametrize(("table", "rows"), [("acdc_table2", 10), ("acdc_table3", 5)])
def test_every_published_row_is_there_with_ours_beside_it(table, rows):
    result = compare(published_table(table), scores("dual-1111", (0, 1)), ("RV", "Myo", "LV"), "strict")
    assert len(result) == rows
    ours = result[result["DSC ours"] != ""]
    assert list(ours["Method"]) in (["DAINet (dual-1111)"], ["Dual 1111"])
    assert ours["DSC ours"].item() == "74.00 ± 1.41" and ours["difference"].item() == "-17.90"
    assert ours["DSC paper"].item() == "91.90"


def test_policies_stand_side_by_side():
    both = pd.concat([scores(seeds=(0, 1)), scores(seeds=(0, 1)).assign(policy="peer", hd95_vox=0.0)])
    table = policies(both).set_index("Policy")
    assert table.loc["strict", "HD95 (voxels)"] == "4.00 ± 0.00" and table.loc["peer", "HD95 (voxels)"] == "0.00 ± 0.00"
    assert (table["HD95 (mm)"] == "").all() and (table["DSC (%)"] == "74.00 ± 1.41").all()


def test_another_policy_is_not_mixed_in():
    result = compare(published_table("acdc_table2"), scores(), ("RV", "Myo", "LV"), "peer")
    assert (result["DSC ours"] == "").all()


def test_notes_count_patients_and_name_the_rule(tiny):
    prepared = run_prepared(tiny.data, 32)
    notes = " ".join(protocol_notes(tiny, prepared, "strict", scores()))
    assert "4 of 70 train, 1 of 10 valid, 1 of 20 test" in notes and "rule: validation" in notes
    peer = tiny.model_copy(update={"segmentation": tiny.segmentation.model_copy(update={"selection": "peer-on-test"})})
    assert "ON THE TEST CASES" in " ".join(protocol_notes(peer, prepared, "strict", scores()))


def test_a_class_that_is_never_found_is_said(tiny):
    failed = scores("single")
    failed.loc[failed["class"] == "Myo", "dsc"] = 0.0
    notes = protocol_notes(tiny, run_prepared(tiny.data, 32), "strict", failed)
    assert notes[-1] == "single, seed 0: Myo was not found in a single test volume; this training failed."


def test_saved_tables_have_three_forms_and_a_record(tmp_path):
    settings = load_settings("tour", {"output": str(tmp_path / "out"), "data.source": "/secret/place/scans"})
    table = compare(published_table("acdc_table2"), scores(), ("RV", "Myo", "LV"), "strict")
    path = save_table(table, "table2", settings, {"scores": "abc"}, ["a note with 5 % in it"])
    assert path.read_text().endswith("- a note with 5 % in it\n")
    pd.testing.assert_frame_equal(pd.read_csv(path.with_suffix(".csv"), dtype=str, keep_default_na=False), table)
    latex = path.with_suffix(".tex").read_text()
    assert r"U-Net\dag{}" in latex and r"\begin{tabular}" in latex and "†" not in latex
    record = json.loads(path.with_suffix(".json").read_text())
    assert record["stages"] == {"scores": "abc"} and record["settings"]["data"]["source"] == "scans"
    assert "secret" not in path.with_suffix(".json").read_text()


def test_output_folder_is_named_after_data_and_profile(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert output_folder(load_settings("tour")).relative_to(tmp_path).as_posix() == "figures/phantom-tour"
    real = load_settings("laptop", {"data.source": "x"})
    assert output_folder(real).relative_to(tmp_path).as_posix() == "figures/acdc-laptop"


def test_public_settings_hold_no_folders():
    settings = load_settings("tour", {"data.source": "/a/b/c", "vit.weights": "/a/b/w.pth", "data.split": "/a/s.csv"})
    public = public_settings(settings)
    assert (public["data"]["source"], public["data"]["split"], public["vit"]["weights"]) == ("c", "s.csv", "w.pth")
