import json
import math

import pandas as pd
import pytest

from dainet.artefacts import output_folder, public_settings, save_table
from dainet.data.prepared import run_prepared
from dainet.protocol import published_table
from dainet.settings import load_settings
from dainet.tables import compare, protocol_notes, summarise


def scores(model="unet", seeds=(0,), dsc=(0.9, 0.8, 0.7)):
    lines = []
    for seed in seeds:
        for case_id, shift in (("a", 0.0), ("b", 0.1)):
            for name, value in zip(("RV", "Myo", "LV"), dsc, strict=True):
                record = {"model": model, "seed": seed, "case_id": case_id, "class": name, "policy": "strict"}
                lines.append(record | {"dsc": value - shift - 0.02 * seed, "hd95_vox": 4.0, "hd95_mm": math.nan})
    return pd.DataFrame(lines)


def test_summary_is_mean_over_cases_then_classes_then_seeds():
    summary = summarise(scores(seeds=(0, 1))).set_index("class")
    assert summary.loc["RV", "dsc"] == pytest.approx(100 * (0.85 + 0.83) / 2)
    assert summary.loc["mean", "dsc"] == pytest.approx(100 * (0.75 + 0.73) / 2)
    assert summary.loc["mean", "dsc_std"] == pytest.approx(2 / math.sqrt(2))
    assert summary.loc["mean", "seeds"] == 2 and math.isnan(summary.loc["mean", "hd95_mm"])


def test_a_single_seed_has_no_spread():
    assert summarise(scores())["dsc_std"].isna().all()


@pytest.mark.parametrize(("table", "rows"), [("acdc_table2", 10), ("acdc_table3", 5)])
def test_every_published_row_is_there_with_ours_beside_it(table, rows):
    result = compare(published_table(table), scores("dual-1111", (0, 1)), ("RV", "Myo", "LV"), "strict")
    assert len(result) == rows
    ours = result[result["DSC ours"] != ""]
    assert list(ours["Method"]) in (["DAINet (dual-1111)"], ["Dual 1111"])
    assert ours["DSC ours"].item() == "74.00 ± 1.41" and ours["difference"].item() == "-17.90"
    assert ours["DSC paper"].item() == "91.90"


def test_another_policy_is_not_mixed_in():
    result = compare(published_table("acdc_table2"), scores(), ("RV", "Myo", "LV"), "peer")
    assert (result["DSC ours"] == "").all()


def test_notes_count_patients_and_name_the_rule(tiny):
    prepared = run_prepared(tiny.data, 32)
    notes = " ".join(protocol_notes(tiny, prepared, "strict"))
    assert "4 of 70 train, 1 of 10 valid, 1 of 20 test" in notes and "rule: validation" in notes
    peer = tiny.model_copy(update={"segmentation": tiny.segmentation.model_copy(update={"selection": "peer-on-test"})})
    assert "ON THE TEST CASES" in " ".join(protocol_notes(peer, prepared, "strict"))


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
