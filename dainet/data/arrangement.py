"""Volumes that lie the wrong way round, found by how their classes lie to each other: by anatomy, or by the others."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from itertools import combinations, permutations
from typing import Any

import numpy as np
import pandas as pd

__all__ = ["class_centers", "flip_note", "sided_pairs", "wrong_way_round"]

# Organs by the order of their centers along a direction of the body: each lies before those of the later groups.
_ORDERS = {
    "L": (
        ("liver", "gallbladder", "kidney right", "vena cava"),
        ("spleen", "stomach", "kidney left", "aorta"),
    ),
    "P": (("liver", "gallbladder", "stomach", "pancreas"), ("kidney", "kidney left", "kidney right", "spinal cord")),
    "I": (
        ("lung", "lung left", "lung right", "heart"),
        ("liver", "spleen"),
        ("kidney", "kidney left", "kidney right"),
        ("bladder", "prostate"),
    ),
}
_WORDS = {
    "L": ("to the left of", "to the right of"),
    "P": ("behind", "in front of"),
    "I": ("below", "above"),
}
_OPPOSITE = {"R": "L", "A": "P", "S": "I"}
_SIDES = {"left": "left", "l": "left", "lt": "left", "right": "right", "r": "right", "rt": "right"}
_SPELLINGS = {
    "kidney right": ("rk", "rkidney"),
    "kidney left": ("lk", "lkidney"),
    "kidney": ("kidneys",),
    "lung": ("lungs",),
    "gallbladder": ("gall bladder", "gb"),
    "bladder": ("urinary bladder",),
    "prostate": ("prostate uterus",),
    "vena cava": ("inferior vena cava", "ivc", "postcava"),
    "aorta": ("arota",),  # as AMOS writes it
}
_ORGANS = {spelling: organ for organ, spellings in _SPELLINGS.items() for spelling in spellings}
_CHAMBERS = ("ventric", "atri", "myocard")  # of a heart: left and right are names rather than sides
_ENOUGH_CASES = 5
_AGREE = 0.8  # share of the cases whose classes lie alike, for the others to be odd
_TIGHT = 1 / 3  # highest standard deviation of their distances, of the mean; a tumor may lie on either side by chance
_MIRRORED = 0.5  # of the usual distance, on the other side


def class_centers(label: np.ndarray, n_classes: int, edges: Sequence[float]) -> np.ndarray:
    """Return the centers of mass [classes, 3] of a label [D, H, W], times the edges (z, y, x); NaN where absent."""
    voxels = (np.argwhere(label == value) for value in range(1, n_classes + 1))
    return np.array([where.mean(axis=0) if len(where) else np.full(3, np.nan) for where in voxels]) * edges


def wrong_way_round(cases: pd.DataFrame, names: Sequence[str]) -> list[str]:
    """Find volumes whose classes contradict anatomy, or lie as in a mirror compared with most other cases.

    Args:
        cases: one row per case with case_id; `class_centers` [classes, 3] in the order slices, rows, columns, and their
            `center_unit`; `view`, where columns, rows and slices lead, such as "LPS", empty where that is unknown.
        names: the names of the classes; known organs, and left and right of anything but heart chambers, are checked.

    Returns:
        One sentence per case and direction, with two classes and their distance.
    """
    odd = {(case.case_id, axis): line for case in cases.itertuples() for axis, line in _against_anatomy(case, names)}
    for case_id, axis, line in _outvoted(cases, names):
        odd.setdefault((case_id, axis), line)
    return list(odd.values())


def sided_pairs(names: Sequence[str]) -> list[tuple[str, str]]:
    """Return the classes that are the right and the left of one organ, such as kidneys; heart chambers are not."""
    organs = [_organ(name) for name in names]
    pairs = permutations(range(len(names)), 2)
    return [(names[i], names[j]) for i, j in pairs if _is_other_side(organs[i], organs[j])]


def flip_note(names: Sequence[str]) -> list[str]:
    """Say below a table what flipped training images cost classes that have a side; nothing where none has one."""
    named = ", ".join(" and ".join(pair) for pair in sided_pairs(names))
    note = f"Training images were flipped at random, so {named} are told apart by their neighbors alone; "
    return [f"{note}segmentation.augment=false trains without."] if named else []


def _against_anatomy(case: Any, names: Sequence[str]) -> Iterator[tuple[int, str]]:
    """Yield the axis of the centers and a sentence for each direction in which pairs of organs lie the wrong way."""
    for axis, letter in zip((2, 1, 0), case.view, strict=False):  # no letter where directions are unknown
        direction = letter if letter in _ORDERS else _OPPOSITE[letter]
        along = case.class_centers[:, axis] * (1 if letter == direction else -1)
        pairs = [(i, j) for i, j in _ordered(names, direction) if np.isfinite(along[i] - along[j])]
        wrong = [(along[i] - along[j], names[i], names[j]) for i, j in pairs if along[i] > along[j]]
        if wrong:
            (apart, first, second), (after, before) = max(wrong), _WORDS[direction]
            why = "the volume looks mirrored" if len(wrong) == len(pairs) else "labels look exchanged"
            line = f"{case.case_id}: {first} lies {apart:.0f} {case.center_unit} {after} {second}, expected {before} it"
            yield axis, f"{line}; {len(wrong)} of {len(pairs)} pairs of organs contradict anatomy; {why}"


def _ordered(names: Sequence[str], direction: str) -> list[tuple[int, int]]:
    """Return the pairs of classes of which the first comes before the second along a direction of the body."""
    organs = [_organ(name) for name in names]
    rank = {organ: level for level, group in enumerate(_ORDERS[direction]) for organ in group}
    return [
        (i, j)
        for i, j in permutations(range(len(names)), 2)
        if rank.get(organs[i], 99) < rank.get(organs[j], -1)
        or (direction == "L" and _is_other_side(organs[i], organs[j]))
    ]


def _is_other_side(first: str, second: str) -> bool:
    """Whether the first is the right one of the second, such as of lungs."""
    sides = first.endswith(" right") and first.removesuffix("right") + "left" == second
    return sides and not any(word in first for word in _CHAMBERS)


def _organ(name: str) -> str:
    """Return a class name in lower case with its side last: "RightKidney" and "Kidney (R)" become "kidney right"."""
    words = re.findall("[a-z0-9]+", re.sub("(?<=[a-z])(?=[A-Z])", " ", name).lower())
    sides = [_SIDES[word] for word in words if word in _SIDES]
    organ = " ".join(word for word in words if word not in _SIDES)
    organ = _ORGANS.get(organ, organ)
    return f"{organ} {sides[0]}" if len(sides) == 1 else organ


def _outvoted(cases: pd.DataFrame, names: Sequence[str]) -> Iterator[tuple[str, int, str]]:
    """Yield case, axis and a sentence where most pairs of classes lie as in a mirror of most other cases."""
    if len(names) < 2:
        return
    alike = cases[cases["view"] == cases["view"].mode()[0]]
    ids, units = list(alike["case_id"]), list(alike["center_unit"])
    centers = np.stack(list(alike["class_centers"]))  # [cases, classes, 3]
    pairs = np.array(list(combinations(range(len(names)), 2)))
    for axis, along in enumerate(("slices", "rows", "columns")):
        apart = centers[:, pairs[:, 1], axis] - centers[:, pairs[:, 0], axis]  # [cases, pairs]
        usual = np.array([_usual(distances) for distances in apart.T])
        apart, usual, voting = apart[:, usual != 0], usual[usual != 0], pairs[usual != 0]
        mirrored, known = apart / usual < -_MIRRORED, np.isfinite(apart).sum(axis=1)
        for row in np.flatnonzero(2 * mirrored.sum(axis=1) > known):
            clearest = int(np.argmax(mirrored[row] * np.abs(np.nan_to_num(apart[row]))))
            first, second = (names[i] for i in voting[clearest])
            line = (
                f"{ids[row]}: from {first} to {second} it is {apart[row, clearest]:+.0f} {units[row]} along the {along}"
            )
            line += f", in most cases {usual[clearest]:+.0f}; {mirrored[row].sum()} of {known[row]} pairs of classes "
            line += "lie as in a mirror"
            yield ids[row], axis, line


def _usual(apart: np.ndarray) -> float:
    """Return the usual signed distance of two classes; 0 where cases are too few, or do not agree."""
    known = apart[np.isfinite(apart)]
    if len(known) < _ENOUGH_CASES:
        return 0.0
    agreeing = known[known * np.median(known) > 0]
    if len(agreeing) < _AGREE * len(known) or agreeing.std() > _TIGHT * abs(agreeing.mean()):
        return 0.0
    return float(np.median(agreeing))
