"""What a new plan costs and can find, as it is printed before the first training."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from textwrap import fill

import pandas as pd
from tabulate import tabulate

from dainet.cache.folders import figures_folder
from dainet.compare.folds import person_names, persons_of
from dainet.compare.plan import Plan, read_plan
from dainet.compare.power import (
    equivalence_power,
    patients_needed,
    power,
    published_spreads,
    seeds_needed,
    smallest_gain,
    spread_of_plan,
)
from dainet.compare.scores import read_scored
from dainet.compare.simulation import Design, Truth
from dainet.device import choose_device
from dainet.errors import unknown
from dainet.segmentation.catalog import takes

__all__ = ["described", "design_of", "not_counted_text", "power_text", "size_text", "spreads_of", "table_text"]

_SOURCES = {
    "small": "ACDC, 40 training patients, 128 px, width 16",
    "near-paper": "ACDC, 69 training patients, 224 px, width 32, partly a guess",
}


def spreads_of(name: str) -> dict[str, Truth]:
    """Return spreads by name, the chosen one first: the published ones, and that of a plan that has run.

    Args:
        name: of a published spread, or the path of a plan whose scores are here.

    Raises:
        InputError: neither of both; or no wave of the plan is whole, or each network has one seed.
    """
    known = published_spreads()
    if name in known:
        return {name: known[name]} | known
    if not name.endswith(".yaml"):
        raise unknown("--spread", name, (*known, "a plan that has run, PLAN.yaml"))
    plan = read_plan(Path(name))
    return {plan.name: spread_of_plan(read_scored(plan, figures_folder() / plan.name))} | known


def design_of(plan: Plan) -> Design:
    """Return the test patients of every fold, and the seeds; several scans of one person count once."""
    person, folds = person_names(plan.split(1)), plan.splits()
    counts = [len({person.get(name, name) for name, part in fold.items() if part == "test"}) for fold in folds]
    line = plan.comparisons[0]
    seeds = [sum(name in wave.networks for wave in plan.waves) for name in (line.first, line.second)]
    return Design(tuple(counts), (seeds[0], seeds[1]))


def power_table(design: Design, spreads: Mapping[str, Truth], margin: float, gain: float | None) -> pd.DataFrame:
    """Describe what a design finds under each assumed spread; with a hoped-for gain, also what that would need."""
    rows = []
    for name, truth in spreads.items():
        row = {"If scores scatter as in": name, "Gain found with 80 %": f"{smallest_gain(design, truth):.2f}"}
        row[f"Equivalent within {margin:g}"] = f"{equivalence_power(design, truth, margin):.0%}"
        if gain is not None:
            row[f"{gain:+g} found"] = f"{power(design, truth, gain):.0%}"
            needed = seeds_needed(design, truth, gain), patients_needed(design, truth, gain)
            row[f"{gain:+g} needs seeds"] = "not by seeds alone" if needed[0] is None else str(needed[0])
            row["or test patients"] = "not by patients alone" if needed[1] is None else str(needed[1])
        rows.append(row)
    return pd.DataFrame(rows)


def described(name: str, truth: Truth) -> str:
    """Describe a spread in words, for the plan and for the text under the table."""
    source = _SOURCES.get(name, "this plan's own scores")
    return (
        f"{name} ({source}), standard deviations in points: {truth.patients:.2f} of the difference between patients, "
        f"{truth.luck:.2f} of a training in a patient, {truth.trainings:.2f} between trainings"
    )


def size_text(plan: Plan) -> str:
    """Describe the patients, folds and trainings of a plan."""
    tested = sorted({*design_of(plan).folds})
    persons = persons_of({name for fold in plan.splits() for name in fold})
    folds = f"{len(plan.folds)} folds, each of which tests" if len(plan.folds) > 1 else "one fold, which tests"
    seeds = f"{len(plan.waves)} seed{'' if len(plan.waves) == 1 else 's'}"
    counts = f"{seeds} of {len(plan.networks)} networks: {len(plan.trainings())} trainings"
    lines = [f"{len(persons)} patients; {folds} {' to '.join(map(str, tested[:1] + tested[1:][-1:]))}; {counts}"]
    if several := [names for names in persons if len(names) > 1]:
        example = " and ".join(several[0])
        lines.append(
            f"{len(several)} patients have several scans by their names, such as {example}; they stay together"
        )
    return "\n".join(lines)


def not_counted_text(plan: Plan) -> str:
    """Say where the cost was measured, and what it leaves out."""
    settings = [training.settings({}) for training in plan.trainings()[: len(plan.networks)]]
    maps = [
        each for each, training in zip(settings, plan.trainings(), strict=False) if takes(training.network) != "image"
    ]
    left_out = ["preparing slices", "scoring test patients", *(["attention maps"] if maps else [])]
    tuned = max((each.dino.epochs for each in maps if each.attention.backbone == "finetuned"), default=0)
    if tuned:
        left_out.append(f"{tuned} epochs of DINO in every fold (none with --set attention.backbone=pretrained)")
    device = choose_device(settings[0].device).torch_device
    early = any(each.segmentation.patience < each.segmentation.epochs for each in settings)
    text = f"Measured here, one process on {device}. Not counted: {', '.join(left_out)}."
    return text + (" Trainings that stop early (segmentation.patience) take less." if early else "")


def power_text(plan: Plan, spreads: Mapping[str, Truth], gain: float | None) -> str:
    """Describe what the primary comparison of a plan can show under each assumed spread."""
    line, design = plan.comparisons[0], design_of(plan)
    table = table_text(power_table(design, spreads, plan.margin, gain))
    sources = "\n".join(
        fill(described(name, truth), 100, initial_indent="  ", subsequent_indent="    ")
        for name, truth in spreads.items()
    )
    lines = [
        f"What {line.title} can show, with a margin of {plan.margin:g} points (--margin). How scores "
        "scatter is an assumption:",
        table,
        sources,
    ]
    if max(design.seeds) == len(design.folds) == 1:
        lines.append("One training of each network in one fold is not judged; give --seeds 2 or more, or --folds")
    if gain is None:
        lines.append("--gain POINTS adds what a gain that you hope for would need")
    return "\n".join(lines)


def table_text(table: pd.DataFrame) -> str:
    """Format a table of texts for a terminal."""
    return tabulate(table, headers="keys", tablefmt="plain", showindex=False, disable_numparse=True)
