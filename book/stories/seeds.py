"""How the paper's +0.33 drowns among trainings: simulated tables of one training of each network."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from itertools import islice
from typing import Any

from scipy import stats

from book.stories.svg import ACCENT, GRAY, INK, ORANGE, Step, Story, box, circle, line, text
from dainet.compare.power import published_spreads, seeds_needed
from dainet.compare.simulation import Design
from dainet.protocol import published_table
from study.one_run import PATIENTS, chance_of_gap, found, one_run_error

__all__ = ["generator", "paper_gap", "seeds", "simulated_gains", "simulation_values"]

_TABLES, _FIRST = 500, 5  # simulated for the picture, and shown as the first few
_SEED = 0
_TRUTH = published_spreads()["near-paper"]
_MIDDLE, _POINT = 300, 132  # place of zero, and length of one point of DSC
_BIN = 0.05  # points; dots within a bin are stacked


def generator(seed: int) -> Iterator[float]:
    """Yield numbers from 0 to 1: the generator mulberry32 by Tommy Ettinger, which seeds.js has as well."""
    bits = 0xFFFFFFFF
    while True:
        seed = (seed + 0x6D2B79F5) & bits
        mixed = ((seed ^ seed >> 15) * (seed | 1)) & bits
        mixed ^= (mixed + ((mixed ^ mixed >> 7) * (mixed | 61))) & bits
        yield (mixed ^ mixed >> 14) / 2**32


def simulated_gains(seed: int = _SEED) -> Iterator[list[float]]:
    """Yield tables of one training of each of two equal networks: the gains of the patients in points.

    Patients, luck and trainings scatter as near the paper's scale (docs/reproduction.md); seeds.js draws the same.
    """
    uniform = generator(seed)

    def normal() -> float:  # Box and Muller; one minus, because zero has no logarithm
        return math.sqrt(-2 * math.log(1 - next(uniform))) * math.cos(2 * math.pi * next(uniform))

    while True:
        shift = _TRUTH.trainings * (normal() - normal())
        yield [_TRUTH.patients * normal() + _TRUTH.luck * (normal() - normal()) + shift for _ in range(PATIENTS)]


def paper_gap() -> float:
    """Return by how many points of DSC the paper's Table 2 has DAINet above the U-Net."""
    dsc = published_table("acdc", "table2").set_index("model")["dsc"].astype(float)
    return round(float(dsc["dual-1111"] - dsc["unet"]), 2)


def simulation_values() -> dict[str, Any]:
    """Return what seeds.js needs: spreads and gap in points, the gain that a test calls significant, the seed."""
    limit = float(stats.norm.isf(0.025)) * one_run_error(_TRUTH)  # of the best test, see study.one_run.found
    spreads = {"patients": _TRUTH.patients, "luck": _TRUTH.luck, "trainings": _TRUTH.trainings}
    return spreads | {"count": PATIENTS, "gap": paper_gap(), "limit": limit, "seed": _SEED, "bin": _BIN}


def seeds() -> Story:
    """Tell how often one training of each network shows the paper's gain by chance, and how often it misses it."""
    tables = list(islice(simulated_gains(), _TABLES))
    gap, limit = paper_gap(), float(simulation_values()["limit"])
    means = [sum(table) / len(table) for table in tables]
    by_chance, overlooked = (f"{100 * share:.0f} %" for share in (chance_of_gap(gap, _TRUTH), 1 - found(gap, _TRUTH)))
    needed = seeds_needed(Design((PATIENTS,), (1, 1)), _TRUTH, gap)
    words = _words(means, gap, limit, (by_chance, overlooked, f"{needed}"))
    parts = (
        _axis(gap) + _patients(tables[0], means[0]),
        _few(means[1 : _FIRST + 1]),
        _heap(means, 300, lambda mean: ORANGE if abs(mean) >= gap else GRAY)
        + _title(3, 186, f"{_TABLES} tables, equal networks", f"{gap:.2f} or more apart: {by_chance}", ORANGE),
        _heap([mean + gap for mean in means], 432, lambda mean: ACCENT if abs(mean) >= limit else GRAY)
        + _title(4, 318, f"{_TABLES} tables, truly {gap:+.2f}", f"missed: {overlooked}", ACCENT),
        box(18, 476, 564, 34, "#fff3d6")
        + text(300, 499, f"To find {gap:+.2f} with 80 %: {needed} trainings of each", 19, anchor="middle", bold=True),
    )
    alt = (
        f"Dot plots of simulated differences between two networks. The patients of one table scatter by about two "
        f"points; {by_chance} of tables of equal networks differ by {gap:.2f} points or more; a true {gap:+.2f} is "
        f"missed in {overlooked}."
    )
    return Story("seeds", f"How the paper's {gap:+.2f} drowns among seeds", alt, 520, tuple(map(Step, words, parts)))


def _words(means: Sequence[float], gap: float, limit: float, computed: tuple[str, str, str]) -> tuple[str, ...]:
    """Tell the steps; `computed` are the share by chance, the share that is missed, and the trainings needed."""
    by_chance, overlooked, needed = computed
    apart, missed = sum(abs(mean) >= gap for mean in means), sum(abs(mean + gap) < limit for mean in means)
    few = means[1 : _FIRST + 1]
    return (
        f"Two networks, equal on average, are trained once each and tested on {PATIENTS} patients. Each dot is one "
        f"patient's difference. The diamond is the mean, the number that a table prints: {means[0]:+.2f} points.",
        f"{_FIRST} more such tables: new seeds, new patients, the same two networks. The means run from "
        f"{min(few):+.2f} to {max(few):+.2f}.",
        f"{_TABLES} tables of equal networks. In {apart} of them the networks are {gap:.2f} points or more apart, one "
        f"way or the other (orange); computed exactly, it is {by_chance}. The paper's table shows {gap:+.2f}.",
        f"Now one network is truly {gap:.2f} points better. A test that knows the scatter calls a table significant "
        f"beyond {limit:.2f} points (blue). It misses the gain in {missed} of {_TABLES} tables; computed, it is "
        f"{overlooked}.",
        f"So one training of each network can neither show {gap:+.2f} nor exclude it. About {needed} trainings of each "
        "would find such a gain with 80 %. (How far patients scatter is measured; that trainings are "
        f"{_TRUTH.trainings:g} points apart is a guess.)",
    )


def _x(points: float) -> float:
    return _MIDDLE + _POINT * max(-2.15, min(2.15, points))


def _axis(gap: float) -> str:
    """Draw the axis of all rows, and the lines of no difference and of the paper's."""
    bottom = 440
    ticks = [text(_x(at), bottom + 20, f"{at:+d}" if at else "0", 16, GRAY, "middle") for at in (-2, -1, 0, 1, 2)]
    lines = [line(_x(0), 34, _x(0), bottom, GRAY, 1), line(_x(gap), 34, _x(gap), bottom, INK, 1.5, "5 4")]
    name = text(_x(-1.5), bottom + 20, "points", 16, GRAY, "middle")
    return "".join([*ticks, *lines, name, text(_x(gap) + 4, 24, f"the paper: {gap:+.2f}", 16, INK, bold=True)])


def _title(number: int, y: float, words: str, result: str = "", color: str = INK) -> str:
    """Write what a row shows at its left, and at its right what comes out."""
    parts = [text(18, y, f"{number}", 19, ACCENT, bold=True)]
    parts += [text(34, y + 20 * index, part, 16) for index, part in enumerate(words.split(", "))]
    parts += [
        text(582, y + 20 * index, part, 16, color, "end", True) for index, part in enumerate(result.split(": ")) if part
    ]
    return "".join(parts)


def _patients(gains: Sequence[float], mean: float) -> str:
    dots = [circle(_x(gain), 72 + 16 * (index % 3), 3.5, GRAY) for index, gain in enumerate(gains)]
    return _title(1, 52, f"{PATIENTS} patients of one table") + "".join(dots) + _diamond(mean, 88)


def _few(means: Sequence[float]) -> str:
    return _title(2, 145, f"{len(means)} more tables") + "".join(_diamond(mean, 140) for mean in means)


def _diamond(points: float, y: float) -> str:
    return f'<path d="M{_x(points):.1f},{y - 8:g}l7,8l-7,8l-7,-8z" fill="{ORANGE}" stroke="#ffffff"/>'


def _heap(means: Sequence[float], bottom: float, color: Callable[[float], str]) -> str:
    """Stack one dot per table over its place on the axis."""
    below, dots = Counter[int](), []
    for mean in means:
        place = round(mean / _BIN)
        dots.append(circle(_x(mean), bottom - 3 - 3.4 * below[place], 2, color(mean)))
        below[place] += 1
    return "".join(dots)
