"""The verdicts of a plan in sentences, and what its design could have found."""

from __future__ import annotations

from collections.abc import Sequence

from dainet.compare.comparisons import interval_text
from dainet.compare.questions import Answer, joint_word

__all__ = ["headline", "points", "verdict_sentence"]

_LEADS = {
    "supported": "Supported",
    "contradicted": "Contradicted",
    "equivalent": "Equivalent",
    "inconclusive": "Inconclusive",
    "supported, equivalent": "Real but negligible",
    "contradicted, equivalent": "Real but negligible",
    "not judged": "Not judged",
}
_UNJUDGED = {
    "primary": "one training of each network judges nothing",
    "secondary": "it is not judged, because the question before it has no answer",
    "exploratory": "it is exploratory, so not judged",
}


def headline(found: Sequence[Answer], margin: float) -> tuple[str, str]:
    """Return the verdict of a plan as a word or two, and as a sentence.

    Several primary comparisons are one claim, which needs all of them.

    Args:
        found: see `dainet.compare.questions.answers`.
        margin: of equivalence, in points.
    """
    primary = [each for each in found if each.comparison.role == "primary"]
    if not primary:
        return "Not judged", "All comparisons of this plan are exploratory: they have intervals and no verdict."
    if len(primary) == 1:
        return _LEADS[primary[0].word], verdict_sentence(primary[0], margin)
    word = joint_word([each.verdict for each in primary]) or "not judged"
    told = "; ".join(f"{each.title}: {each.word}" for each in primary)
    return _LEADS[word], f"The claim needs all of {len(primary)} comparisons. {told}."


def verdict_sentence(answer: Answer, margin: float) -> str:
    """Say in one sentence what a comparison found, with its interval; in a second one what carries it, if few do."""
    first, second = answer.comparison.first, answer.comparison.second
    word, _, carried = answer.verdict.partition("; ")
    size = f"{abs(answer.result.estimate):.2f} points of DSC"
    interval = f"95 % interval {interval_text(*answer.result.interval(0.95))}"
    inner = f"90 % interval {interval_text(*answer.result.interval(0.90))}"
    difference = f"the difference {answer.title} is {answer.result.estimate:+.2f} points of DSC"
    negligible = f"within the margin of {points(margin)} ({inner}): real but negligible"
    told = {
        "supported": f"{first} is better than {second} by {size} ({interval}).",
        "contradicted": f"{first} is worse than {second} by {size} ({interval}).",
        "supported, equivalent": f"{first} is better than {second} by {size} ({interval}), {negligible}.",
        "contradicted, equivalent": f"{first} is worse than {second} by {size} ({interval}), {negligible}.",
        "equivalent": f"{first} and {second} are equivalent within the margin of {points(margin)}: {difference} "
        f"({inner}).",
        "inconclusive": f"{_sentence(difference)}, but its {interval} contains zero, and its {inner} leaves the margin "
        f"of {points(margin)}: these patients and trainings do not show whether {first} is better.",
        "not judged": f"{_sentence(difference)} ({interval}); {_UNJUDGED[answer.comparison.role]}.",
    }[word]
    if not answer.result.error > 0:
        told = f"{first} and {second} have the same scores in every patient and training, so there is nothing to judge."
    return f"{told} {_sentence(carried)}." if carried else told


def points(size: float) -> str:
    """Write a number of points: "1 point", "0.3 points"."""
    return f"{size:g} point{'' if size == 1 else 's'}"


def _sentence(text: str) -> str:
    return text[:1].upper() + text[1:]
