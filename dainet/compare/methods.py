"""A paragraph on methods, filled with the numbers of a plan, for the text of a paper."""

from __future__ import annotations

from dainet.compare.analysis import Difference
from dainet.compare.comparisons import compare_networks, comparisons_of, sample_of
from dainet.compare.facts import counts, tuned_networks
from dainet.compare.plan import plan_hash
from dainet.compare.scores import Scored
from dainet.compare.sentences import points
from dainet.settings import load_settings

__all__ = ["methods"]

_RULES = {
    "validation": "the epoch with the highest DSC on the validation patients was kept",
    "last": "the last epoch was kept",
    "peer-on-test": "the epoch was chosen ON THE TEST PATIENTS, as some authors do, so all scores are too high",
}


def methods(scored: Scored) -> list[str]:
    """Write sentences on training, outcome and analysis of whole waves of a plan."""
    first = comparisons_of(scored)[0]
    result = compare_networks(scored, first)
    return [*_training(scored), *_outcome(scored), *_analysis(scored, result), *_plan(scored)]


def _training(scored: Scored) -> list[str]:
    plan = scored.plan
    settings = load_settings(plan.profile, plan.settings)  # without those that are a network's own
    own, chosen = settings.segmentation, settings.data.train_patients
    number = counts(scored)
    sizes = {part: [list(each.values()).count(part) for each in plan.splits()] for part in ("train", "valid")}
    lent = _range(sizes["train"]) if chosen is None else str(chosen if isinstance(chosen, int) else len(chosen))
    tuned = "" if tuned_networks(plan) else "; none was tuned by itself"
    tested = (
        f"each of the {number['patients']} patients was tested once, in one of {number['folds']} folds"
        if number["folds"] > 1
        else f"{number['patients']} patients of one split were tested"
    )
    return [
        f"{_listed(list(plan.networks))} were compared on {number['patients']} patients: {tested}, after training on "
        f"{lent} patients and validation on {_range(sizes['valid'])}.",
        f"{number['trainings']} trainings were run, {_seeds(scored)}.",
        f"Slices of {own.image_size} px were trained on for {own.epochs} epochs at most in batches of {own.batch_size} "
        f"(Adam, learning rate {own.lr:g}, weight decay {own.weight_decay:g}"
        f"{', with augmentation' if own.augment else ', without augmentation'}); {_RULES[own.selection]}. "
        f"Apart from the settings in the table of networks, all networks shared these{tuned}.",
    ]


def _outcome(scored: Scored) -> list[str]:
    classes, phases = sorted(set(scored.scores["class"])), sorted(set(scored.scores["phase"].dropna()) - {""})
    over = f"{len(classes)} classes" if len(classes) > 1 else f"the class {classes[0]}"
    over = f"{len(phases)} phases and {over}" if len(phases) > 1 else over
    return [
        f"The outcome was the Dice similarity coefficient (DSC) of a patient in points (0 to 100), on the native grid, "
        f"as the mean over {over}; a class that only the label or only the prediction contains counts 0, and one that "
        "neither contains is left out."
    ]


def _analysis(scored: Scored, result: Difference) -> list[str]:
    margin, sample = scored.plan.margin, sample_of(scored, comparisons_of(scored)[0])
    if sample == "patients":
        return ["The interval counts patients alone, as there is one training of each network, so nothing is judged."]
    mean = "mean over patients of the difference between their means over seeds"
    if sample == "folds":
        mean = "mean over folds of the difference between their means over patients"
        how = f"the differences of {counts(scored)['folds']} folds were the sample (Student's t"
    else:
        how = (
            "its standard error counts patients (the variance of their differences within folds) and trainings (the "
            "variance of means of trainings within folds, of each network), with degrees of freedom by Satterthwaite (t"
        )
    return [
        f"The difference of two networks is the {mean}; {how} with {result.freedom:.0f} degrees of freedom for the "
        "first comparison).",
        f"A gain counts as supported or contradicted where the 95 % interval excludes zero, and as equivalent where "
        f"the 90 % interval lies within {points(margin)} of zero (two one-sided tests at 5 %).",
        *_order(scored),
    ]


def _order(scored: Scored) -> list[str]:
    roles = [line.role for line in scored.plan.comparisons]
    told = []
    if roles.count("primary") > 1:
        told.append(
            f"The claim needs all {roles.count('primary')} primary comparisons, so none is corrected; that one of "
            "equal networks is called worse is more likely than in a single comparison."
        )
    if "secondary" in roles:
        told.append(
            "A secondary question is judged only after an answer to the one before it. Each keeps the error of a "
            "single comparison; several together err more often, and a difference after an equivalence is a hint."
        )
    if "exploratory" in roles:
        told.append("Exploratory comparisons have intervals and no verdict.")
    return told


def _plan(scored: Scored) -> list[str]:
    return [
        f"Networks, folds, seeds, comparisons and margin were written down as a plan (SHA-256 "
        f"{plan_hash(scored.plan)[:12]}) and analyzed by dainet."
    ]


def _seeds(scored: Scored) -> str:
    first, seeds = comparisons_of(scored)[0], counts(scored)["seeds"]
    own = f"{seeds[0]} of {first.first} and {seeds[1]} of {first.second} per fold"
    return f"{own}, each with another seed" if max(seeds) > 1 else own


def _range(sizes: list[int]) -> str:
    low, high = min(sizes), max(sizes)
    return str(low) if low == high else f"{low} to {high}"


def _listed(names: list[str]) -> str:
    return f"{', '.join(names[:-1])} and {names[-1]}" if len(names) > 1 else names[0]
