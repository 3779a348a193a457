"""What lessons read about real patients: the first study's scores and claims, and what heads find."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from dainet.lessons import evidence
from study.plan import load_more_seeds, load_plan
from study.report import read_scores
from study.verdicts import load_claims

__all__ = ["EVIDENCE", "write_evidence"]

EVIDENCE = Path(evidence.__file__).parent
_HEADS = ("heads.csv", "head_controls.csv")  # of the same columns


def write_evidence(folder: Path, target: Path = EVIDENCE) -> None:
    """Write scores.csv, claims.csv and heads.csv of the lessons from the scores in `folder` and claims.yaml.

    Strict policy only; a line per training, patient and phase, with a column for each measure and class. The scores of
    heads are followed by those of the controls. Numbers stay as they are in `folder`.
    """
    scores = read_scores(folder, load_plan() + load_more_seeds()).query("policy == 'strict'")
    columns = [(measure, name) for measure in evidence.MEASURES for name in evidence.CLASSES]
    wide = scores.pivot(index=evidence.CASE, columns="class", values=list(evidence.MEASURES))[columns]
    wide.columns = pd.Index(["_".join(column) for column in columns])
    wide.to_csv(target / "scores.csv")
    claims = [{"family": family} | claim for family, part in load_claims().items() for claim in part]
    order = ["family", "claim", "better", "worse", "class", "measure", "paper"]
    pd.DataFrame(claims)[order].to_csv(target / "claims.csv", index=False)
    heads, controls = ((folder / name).read_text().splitlines(keepends=True) for name in _HEADS)
    (target / "heads.csv").write_text("".join([*heads, *controls[1:]]))
