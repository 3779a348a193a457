"""The scores and claims that lesson 7 ships are those of the study."""

from pathlib import Path

import pandas as pd

from dainet.lessons.evidence import read_claims, read_heads, read_scores
from dainet.places import repository_root
from study.evidence import EVIDENCE, write_evidence
from study.verdicts import load_claims

FOLDER = repository_root() / "figures" / "acdc-study"


def test_written_again_the_files_are_the_same(tmp_path: Path) -> None:
    write_evidence(FOLDER, tmp_path)
    for name in ("scores.csv", "claims.csv", "heads.csv"):
        assert (tmp_path / name).read_bytes() == (EVIDENCE / name).read_bytes()


def test_every_strict_score_of_the_study_is_shipped() -> None:
    """Compared with the committed files by pandas alone."""
    files = sorted((FOLDER / "scores").glob("*.csv"))
    table = pd.concat([pd.read_csv(path) for path in files])
    table = table[table["policy"] == "strict"]
    shipped = pd.concat([read_scores(patients) for patients in (5, 10, 20, 40, 70)])
    assert len(files) == 95
    assert len(shipped) == len(table) == 95 * 20 * 2 * 3
    keys = ["model", "train_patients", "seed", "patient", "phase", "class"]
    pd.testing.assert_frame_equal(
        shipped.set_index(keys).sort_index(),
        table.set_index(keys)[["dsc", "hd95_vox"]].sort_index(),
        check_dtype=False,
        check_index_type=False,
    )


def test_every_score_of_a_head_and_of_a_control_is_shipped() -> None:
    committed = pd.concat([pd.read_csv(FOLDER / "heads.csv"), pd.read_csv(FOLDER / "head_controls.csv")])
    pd.testing.assert_frame_equal(read_heads(), committed.reset_index(drop=True), check_dtype=False)


def test_the_claims_are_those_of_the_study() -> None:
    shipped = {name: part.to_dict("records") for name, part in read_claims().items()}
    assert shipped == load_claims()
