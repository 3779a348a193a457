"""The notes below the study's tables: the protocol behind their numbers, in words."""

from __future__ import annotations

from study.plan import PATIENTS, load_more_seeds
from study.verdicts import BADLY_TRAINED

__all__ = ["notes"]

_FRESH = len({training.seed for training in load_more_seeds()})
_PLAIN = "mean ± standard deviation over three seeds"
_RULE = (
    "Verdict, interval and p: see docs/claims.md, written before these trainings. p: Wilcoxon over patients, as if "
    "other trainings gave the same; Holm-corrected within the table. Difference: first network of the comparison minus "
    "second."
)
_ROBUST = (
    "95 % (patients and trainings, t): docs/claims.md, as for a single fold. Median and 20 % trimmed mean: of the "
    "patients' differences. Validation: the same difference on the ten validation patients, at the chosen epochs."
)
_SIZE = (
    "d of one training: mean difference over the standard deviation between patients for one training of each network."
)
_ONE_DRAW = (
    "dual-1111-random has one draw of random weights and dual-1111-finetuned one DINO run for all seeds: their ± lacks "
    "that part."
)
_BROKEN = f"† {', '.join(BADLY_TRAINED)} trained badly: this row says nothing about information."


def notes(name: str) -> list[str]:
    """Return the sentences below the table of this name."""
    sentences = {
        "table_paper": [_protocol(_PLAIN), _RULE],
        "table_controls": [_protocol(_PLAIN), _RULE, _ONE_DRAW, _BROKEN],
        "table_more_seeds": [_protocol(f"mean ± standard deviation over {_FRESH} fresh seeds"), _RULE, _ONE_DRAW],
        "table_robustness": [_protocol(f"three seeds, or {_FRESH} fresh ones"), _ROBUST, _SIZE, _ONE_DRAW],
        "table_ten_seeds": [
            "20 patients, seen before: these rows were not registered and have no verdict.",
            *(_protocol("all ten seeds"), _ROBUST, _SIZE, _ONE_DRAW),
        ],
        "table_models": [
            _protocol(_PLAIN),
            "HD95 in voxels. paper: as printed, one run each, 70 training patients, width 64, 224 px.",
            _ONE_DRAW,
        ],
        "table_regimes": [_protocol(_PLAIN, "5 to 70"), _ROBUST],
        "table_heads": ["ACDC, all test slices that show the class; the best head is picked on the same slices."],
        "table_power": [
            "One training of each network, 20 test patients, differences of mean DSC as printed in Tables 2 and 3.",
            "By chance: how often equal networks differ by as much, either way. Found: how often the best two-sided "
            "test at 5 % would find such a true difference; it knows how trainings scatter, as no such table does.",
            "Near the paper's scale: patients 0.44, luck 0.56, trainings 0.2 (0.1 to 0.3) points (docs/claims.md). "
            "Seeds for 80 %: trainings of each network with which dainet.compare finds it on 20 patients.",
            "Small scale: as the ten seeds of dual-1111 and unet scatter.",
        ],
        "table_calibration": [
            "Simulated pairs of networks on 20 patients, 1,000 for each row, without Holm's correction; points of DSC.",
            "Wrong: share of pairs without a mean difference whose interval excludes zero, or that get a verdict.",
        ],
    }
    return sentences[name]


def _protocol(numbers: str, patients: object = PATIENTS) -> str:
    return (
        f"ACDC, {patients} training, 10 validation and all 20 test patients of the split mtunet; width 16, 128 px; "
        f"checkpoint by validation DSC; strict policy for empty masks; {numbers}."
    )
