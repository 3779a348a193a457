"""Exercises of notebook 3: stored maps, AUROC, maps of another patient, and a paper's conclusion to judge."""

from __future__ import annotations

from dainet import pipeline
from dainet.lessons.answers.kinds import Exercise, Number, judgment
from dainet.settings import Settings

__all__ = ["EXERCISES"]


def _best_auroc(settings: Settings, control: str) -> float:
    attention = settings.attention.model_copy(update={"control": control})
    scores = pipeline.score_heads(settings.model_copy(update={"attention": attention}), "finetuned")
    return float(scores.loc[scores["class"] == "any", "auroc"].max())


EXERCISES: tuple[Exercise, ...] = (
    Number(
        truth=lambda: 6 * 16 * 16 * 2,
        nudge="how many tokens has a map?",
        hint="the grid is 256 / 16 on a side",
        mistakes={"a 16-bit number takes two bytes": lambda: 6 * 16 * 16},
    ),
    Number(
        truth=lambda: 0.5,
        share=True,
        nudge="what happens when both pixels have the same value?",
        hint="every comparison is a tie, which is neither won nor lost",
        mistakes={
            "a tie is not lost": lambda: 0,
            "a tie is not won": lambda: 1,
        },
    ),
    Number(
        truth=lambda settings: _best_auroc(settings, "other-patient"),
        within=0.011,
        share=True,
        nudge="load settings with this override, and give them to pipeline.score_heads",
        hint="take the highest auroc of the class any",
        mistakes={"these are the patient's own maps": lambda settings: _best_auroc(settings, "none")},
    ),
    judgment(
        right="b",
        nudge="what did a map reach that has never seen an image?",
        hint="what would show that a head finds this heart, and not the place of hearts?",
        reasons={
            "a": "random weights control for the network, not for the place: the center of the slice reaches more",
            "c": "a map may say little about this slice, and a network may still use that; only training it shows",
        },
    ),
)
