"""What the design of a plan could have found, from the spread that its own scores show."""

from __future__ import annotations

from dainet.compare.comparisons import comparisons_of
from dainet.compare.power import equivalence_power, smallest_gain, spread_of_plan
from dainet.compare.scores import Scored, fold_scores
from dainet.compare.sentences import points
from dainet.compare.simulation import Design
from dainet.errors import InputError

__all__ = ["detectable"]


def detectable(scored: Scored) -> str:
    """Say which gain this design finds with 80 % probability, and how often it finds two equal networks equivalent."""
    try:
        truth, design = spread_of_plan(scored), _design(scored)
    except InputError:
        return "Which gain this design finds is not known from its own scores: a network was trained once per fold."
    if truth.trainings == truth.luck == 0:
        return "All trainings of a network have the same scores, so nothing says which gain this design finds."
    gain, margin = smallest_gain(design, truth), scored.plan.margin
    spread = f"patients {truth.patients:.2f}, trainings {truth.trainings:.2f}, a training in a patient {truth.luck:.2f}"
    return (
        f"What could have been found: with the spread seen here (standard deviations in points: {spread}), this design "
        f"finds a gain of {gain:.2f} points with a probability of 80 %, and calls two equal networks equivalent within "
        f"{points(margin)} with a probability of {100 * equivalence_power(design, truth, margin):.0f} %."
    )


def _design(scored: Scored) -> Design:
    """Return the patients that have scores and the trainings that ran, which may be fewer than those of the plan."""
    line = comparisons_of(scored)[0]
    first, second = (fold_scores(scored.scores, name) for name in (line.first, line.second))
    return Design(tuple(fold.shape[-1] for fold in first), (min(map(len, first)), min(map(len, second))))
