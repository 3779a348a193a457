"""What a plan cannot show, as its own numbers say."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial
from typing import Any

import numpy as np

from dainet.compare.checks import monitored, validation_difference
from dainet.compare.comparisons import (
    compare_networks,
    comparisons_of,
    main_comparisons,
    or_none,
    patient_differences,
    sample_of,
)
from dainet.compare.facts import counts, seeds_per_fold, tuned_networks
from dainet.compare.plan import Plan
from dainet.compare.questions import HINT, Answer
from dainet.compare.scores import Scored, fold_scores

__all__ = ["limitations"]

_FEW_PATIENTS = 30
_LOW_DSC = 50.0  # percent, below which a network has hardly learned its task
_FEW_TRAININGS = 6  # degrees of freedom of a network's spread below which it is hardly known


def limitations(scored: Scored, found: Sequence[Answer], records: dict[str, dict[str, Any]]) -> list[str]:
    """Write a sentence for every limit that follows from the numbers of a plan.

    Args:
        scored: whole waves of a plan.
        found: the answers to its questions.
        records: of its trainings, by name.
    """
    judged = [each for each in found if each.comparison in main_comparisons(scored)]
    return [*_design(scored), *_trainings(scored), *_disagreements(scored, judged), *_general(scored.plan, records)]


def _design(scored: Scored) -> Iterator[str]:
    number = counts(scored)
    if scored.waves < len(scored.plan.waves):
        yield (
            f"Only {scored.waves} of {len(scored.plan.waves)} planned waves are whole. That is harmless where the "
            "clock decided it, and not where somebody had seen the test scores, or where trainings failed: then seeds "
            "with which a network does not train are left out."
        )
    if number["folds"] == 1:
        yield (
            "There is one split: the interval counts how patients and trainings vary, and not what another choice of "
            "training patients would change."
        )
    if number["patients"] < _FEW_PATIENTS:
        yield f"{number['patients']} test patients are few: rare kinds of patients may be missing altogether."
    means = 100 * scored.scores.groupby("model")["dsc"].mean()
    for name in means[means < _LOW_DSC].index:
        yield f"{name} has a mean DSC of {means[name]:.0f} %: it may not be trained enough for any comparison."
    yield "All patients come from one data set, so nothing is shown about other scanners, hospitals or organs."


def _trainings(scored: Scored) -> Iterator[str]:
    number = counts(scored)
    known, lines = seeds_per_fold(scored), main_comparisons(scored)
    seeds = {name: known[name] for line in lines for name in (line.first, line.second)}
    if sample_of(scored, comparisons_of(scored)[0]) == "patients":
        yield "Each network was trained once: another seed may reverse the sign, and the interval does not know that."
    elif max(seeds.values(), default=1) == 1:
        yield "Each network was trained once per fold: how much trainings vary is seen only from fold to fold."
    else:
        for name in (name for name, count in seeds.items() if count == 1):
            first = scored.plan.comparisons[0]
            lent = f"the spread of its trainings is borrowed from {first.first} and {first.second}"
            yield f"{name} was trained once per fold: {lent}."
        for name in (name for name, count in seeds.items() if count > 1):
            freedom = number["folds"] * (seeds[name] - 1)
            if freedom < _FEW_TRAININGS:
                yield f"How much trainings of {name} vary is known from {freedom} degrees of freedom alone."


def _disagreements(scored: Scored, found: Sequence[Answer]) -> Iterator[str]:
    for answer in found:
        line, sign = answer.comparison, np.sign(answer.result.estimate)
        pair = [fold_scores(scored.scores, name) for name in (line.first, line.second)]
        if all(np.array_equal(a, b) for a, b in zip(*pair, strict=True)):
            yield f"{line.first} and {line.second} have the same scores everywhere: they may be the same network."
            continue
        if validation_difference(scored, line) * sign < 0:
            yield f"{answer.title}: the scores on {monitored(scored).lower()} have the other sign than the final ones."
        last = or_none(partial(compare_networks, scored, line, column="dsc_last_epoch"))
        if last is not None and last.estimate * sign < 0:
            yield f"{answer.title}: the weights of the last epoch have the other sign than the chosen ones."
        if patient_differences(scored, line).median() * sign < 0:
            yield f"{answer.title}: the median patient has the other sign than the mean."
        if "carried by few patients" in answer.verdict:
            yield f"{answer.title}: the verdict is carried by few patients."
        if HINT in answer.verdict:
            yield f"{answer.title}: {HINT}: several questions together err more often than one."
        if answer.verdict.startswith("inconclusive"):
            yield f"{answer.title}: inconclusive is not the same as equal; a gain within the interval may be there."


def _general(plan: Plan, records: dict[str, dict[str, Any]]) -> Iterator[str]:
    if any(record["settings"]["data"]["source"] == "phantom" for record in records.values()):
        yield "The images are phantoms, so the numbers say nothing about patients."
    if any(record["settings"]["segmentation"]["selection"] == "peer-on-test" for record in records.values()):
        yield "Epochs were chosen on the test patients, so all scores are too high."
    machines = {(record.get("accelerator"), record.get("processor")) for record in records.values()}
    if len(machines) > 1:
        yield f"Trainings ran on {len(machines)} kinds of hardware, which do not compute to the last digit alike."
    if own := tuned_networks(plan):
        yield f"{', '.join(own)}: trained by settings of their own, so the network is not all that differs."
    else:
        yield "Settings are shared and none was tuned for one network: with other settings the order may be another."
