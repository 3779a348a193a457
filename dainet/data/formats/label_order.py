"""Which of the label orders of Synapse a copy uses: three circulate besides the raw one (docs/protocol.md#1.3).

Nothing in the files distinguishes them, and a network trained with the wrong order reports the pancreas as liver
without any error. So each order is compared with anatomy: sizes and distances relative to other organs, which no flip
or rotation changes.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from importlib.resources import files
from typing import NamedTuple

import numpy as np
import pandas as pd

from dainet.csv_files import read_csv
from dainet.data.volume import DataError
from dainet.errors import unknown

__all__ = ["ORDERS", "check_order", "detect_order", "label_map", "measure"]

ORDERS: tuple[str, ...] = ("transunet", "cascade", "samed", "btcv")

# Quantities closer than this factor are undecided: a large gallbladder or a cropped volume must not refute an order.
MARGIN = 1.25


def label_map(order: str) -> dict[int, int]:
    """Return the class number of each stored label, 1..8 in the order of the paper's Table 1 (docs/protocol.md#1.3).

    The background 0 and, for "btcv", the five labels that the paper leaves out (5, 9, 10, 12, 13) map to 0.

    Raises:
        DataError: the order is unknown.
    """
    left_out = range(14) if order == "btcv" else range(1)
    return dict.fromkeys(left_out, 0) | {label: number for number, label in enumerate(_labels(order).values(), start=1)}


def measure(label: np.ndarray, spacing: Sequence[float] | None = None) -> pd.DataFrame:
    """Measure size and position of every label of one volume.

    Args:
        label: [D, H, W], whole numbers 0..255 of any type, as stored.
        spacing: edge of a voxel along z, y, x (mm); None counts in voxels. Only ratios matter later.

    Returns:
        Index `label` (above 0, ascending); columns voxels, slices (how many hold the label), cut (it touches the first
        or last slice, so that part of it may lie outside) and the centroid z, y, x.

    Raises:
        DataError: not three axes, or values other than whole numbers 0..255.
    """
    if label.ndim != 3:
        raise DataError(f"label volume of shape {label.shape}; expected [slices, height, width]")
    if label.size and not (label.min() >= 0 and label.max() <= 255 and (label == label.astype(np.uint8)).all()):
        raise DataError("labels are not whole numbers from 0 to 255; resample labels without interpolation")
    z, y, x = np.nonzero(label)
    values = label[z, y, x].astype(np.int64)
    voxels = np.bincount(values)
    found = np.flatnonzero(voxels)
    pairs = np.unique(values * len(label) + z) // max(len(label), 1)  # one entry per label and slice
    table = pd.DataFrame({"voxels": voxels[found], "slices": np.bincount(pairs)[found]}, index=found)
    table["cut"] = np.isin(found, values[(z == 0) | (z == len(label) - 1)])
    for axis, positions, edge in zip("zyx", (z, y, x), spacing or (1, 1, 1), strict=True):
        table[axis] = edge * np.bincount(values, positions)[found] / voxels[found]
    return table.rename_axis("label")


def detect_order(measurements: Sequence[pd.DataFrame]) -> tuple[str, list[str]]:
    """Find the only order that no rule refutes, each rule decided by the majority of the volumes.

    Args:
        measurements: of one or more volumes, by `measure`.

    Returns:
        The order, and the evidence: one sentence per rule that holds and one per order refuted.

    Raises:
        DataError: no order or several fit; the message lists the evidence against each.
    """
    judged = {order: _judge(order, measurements) for order in ORDERS}
    fitting = [order for order, (_, against) in judged.items() if not against]
    refuted = [f"not {order}: {_short(against)}" for order, (_, against) in judged.items() if against]
    if len(fitting) == 1:
        return fitting[0], judged[fitting[0]][0] + refuted
    found = f"the labels {_seen(measurements)} fit " + (f"several orders ({', '.join(fitting)})" if fitting else "none")
    advice = f"give the order of this copy with data.label_order={'|'.join(ORDERS)}"
    raise DataError("; ".join([f"label order: {found}", *refuted, advice]))


def check_order(order: str, measurements: Sequence[pd.DataFrame]) -> list[str]:
    """Compare the order that the user named with the labels; undecided rules count as agreement.

    An unusual patient may break a rule even if the order is correct. The order is therefore contradicted only if the
    label numbers rule it out, if another order breaks fewer rules, or if it breaks more rules than it keeps.

    Args:
        order: one of ORDERS.
        measurements: of one or more volumes, by `measure`.

    Returns:
        The evidence, one sentence per decided rule.

    Raises:
        DataError: the order is unknown, or the labels contradict it.
    """
    in_favor, against = _judge(order, measurements)
    broken = {name: len(_judge(name, measurements)[1]) for name in ORDERS}
    impossible = _numbers(order, _seen(measurements))[0] < 0
    if impossible or min(broken.values()) < len(against) or len(in_favor) < len(against):
        agreeing = " and ".join(name for name in ORDERS if not broken[name]) or "none of the known orders"
        found = f"data.label_order={order} contradicts the labels: {_short(against)}"
        raise DataError(f"{found}; the labels agree with {agreeing}")
    return in_favor + [f"unusual: {sentence}" for sentence in against]


_RIGHT, _LEFT = "Kidney (R)", "Kidney (L)"
_PLAIN = {_RIGHT: "right kidney", _LEFT: "left kidney"}


def _sizes(a: pd.Series, *others: pd.Series) -> tuple[float, float]:
    return max(other.voxels for other in others), a.voxels


def _cross_sections(a: pd.Series, b: pd.Series) -> tuple[float, float]:
    return a.voxels / a.slices, b.voxels / b.slices


def _lengths(a: pd.Series, b: pd.Series) -> tuple[float, float]:
    return b.slices, a.slices


def _distances(a: pd.Series, b: pd.Series, c: pd.Series) -> tuple[float, float]:
    """Distances of b and c from a in the slice plane, where the spacing is the same along both axes."""
    return float(np.hypot(a.y - b.y, a.x - b.x)), float(np.hypot(a.y - c.y, a.x - c.x))


def _off_middle(a: pd.Series, b: pd.Series, c: pd.Series) -> tuple[float, float]:
    """Distance of a from the middle of b and c along their line, in percent of their distance; and the maximum allowed.

    Our own estimate, without a source: the aorta lies within 10 %, the stomach at about 30 %, the spleen beyond 45 %.
    """
    start, end, point = (np.array([organ.y, organ.x]) for organ in (b, c, a))
    line = end - start
    return float(100 * abs((point - (start + end) / 2) @ line) / max(line @ line, 1e-9)), 30.0


class Rule(NamedTuple):
    """A claim about organs: `compare` gives the quantity expected to be the smaller, and the larger."""

    claim: str
    compare: Callable[..., tuple[float, float]]
    organs: tuple[str, ...]
    grows: int | None = None  # organ whose quantity is only a lower bound if the volume cuts it
    needed: int = 0  # how many of the organs suffice, the first among them; 0: all

    def verdict(self, table: pd.DataFrame) -> tuple[int, str]:
        """Return 1 (holds), -1 (fails) or 0 (undecided: too close, or an organ is absent), and a sentence.

        `table` has one row per organ.
        """
        present = [organ for organ in self.organs if organ in table.index]
        if self.organs[0] not in present or len(present) < (self.needed or len(self.organs)):
            return 0, ""
        less, more = self.compare(*(table.loc[organ] for organ in present))
        verdict = int(less * MARGIN <= more) - int(less >= more * MARGIN)
        if verdict < 0 and self.grows is not None and table.cut[present[self.grows]]:
            return 0, ""
        names = [f"{_PLAIN.get(organ, organ.lower())} (label {table.label[organ]})" for organ in present]
        no = "not " if verdict < 0 else ""
        return verdict, self.claim.format(*names, no=no, less=_number(less), more=_number(more))


_LARGEST = "{0} is {no}the largest organ: {more} voxels, the largest other {less}"
_LARGER = "{0} is {no}larger than {1}: {more} against {less} voxels"
_NEARER = "{0} is {no}nearer to {1} than to {2} in the slice plane: {less} against {more}"
_THINNER = "{0} is {no}thinner than {1}: {less} against {more} voxels per slice"
_LONGER = "{0} is {no}in more slices than {1}: {more} against {less}"
_BETWEEN = "{0} is {no}midway between {1} and {2}: {less} % of their distance off, {more} % allowed"
_OTHERS = ("Spleen", "Stomach", "Pancreas", "Aorta", _RIGHT, _LEFT, "Gallbladder")

RULES = (
    Rule(_LARGEST, _sizes, ("Liver", *_OTHERS), grows=0, needed=2),
    *(Rule(_LARGER, _sizes, (kidney, "Gallbladder"), grows=0) for kidney in (_RIGHT, _LEFT)),
    Rule(_LARGER, _sizes, ("Stomach", "Pancreas"), grows=0),
    Rule(_NEARER, _distances, ("Liver", _RIGHT, _LEFT)),
    *(Rule(_NEARER, _distances, (organ, _LEFT, _RIGHT)) for organ in ("Spleen", "Stomach")),
    *(Rule(_THINNER, _cross_sections, ("Aorta", organ), grows=1) for organ in ("Spleen", _RIGHT, _LEFT)),
    *(Rule(_LONGER, _lengths, ("Aorta", kidney), grows=0) for kidney in (_RIGHT, _LEFT)),
    Rule(_BETWEEN, _off_middle, ("Aorta", _RIGHT, _LEFT)),
)


def _judge(order: str, measurements: Sequence[pd.DataFrame]) -> tuple[list[str], list[str]]:
    """Return sentences for and against an order, with the numbers of the first volume that agrees with the majority."""
    labels = _labels(order)
    tables = [pd.DataFrame({"label": labels}).join(table, on="label", how="inner") for table in measurements]
    outcomes = [_numbers(order, _seen(measurements))]
    for rule in RULES:
        decided = [(side, text) for side, text in map(rule.verdict, tables) if side]
        majority = int(np.sign(sum(side for side, _ in decided)))
        agreeing = [text for side, text in decided if side == majority]
        share = f" (in {len(agreeing)} of {len(decided)} volumes)" if len(decided) > 1 else ""
        outcomes.append((majority, "".join(agreeing[:1]) + share))
    return [text for side, text in outcomes if side > 0], [text for side, text in outcomes if side < 0]


def _numbers(order: str, seen: list[int]) -> tuple[int, str]:
    """Judge by the label numbers alone; in BTCV's upper abdomen other labels never occur without one above 8."""
    unknown = sorted(set(seen) - set(label_map(order)))
    if unknown:
        return -1, f"it has no label {', '.join(map(str, unknown))}"
    if order == "btcv" and max(seen, default=0) > 8:
        return 1, f"labels up to {max(seen)}: only btcv, the raw labels, has any above 8"
    if order == "btcv" and 5 in seen:
        return -1, "label 5 would be the oesophagus, but no label above 8 is there, such as 9, the inferior vena cava"
    return 0, ""


def _seen(measurements: Sequence[pd.DataFrame]) -> list[int]:
    return sorted({int(label) for table in measurements for label in table.index})


def _labels(order: str) -> dict[str, int]:
    """Stored label of each organ, in the order of Table 1."""
    if order not in ORDERS:
        raise unknown("data.label_order", order, ORDERS)
    table = read_csv(files("dainet.protocol").joinpath("synapse_labels.csv"), numbers=[order])
    return dict(zip(table["organ"], table[order], strict=True))


def _short(against: list[str]) -> str:
    more = f"; and {len(against) - 3} more" if len(against) > 3 else ""
    return "; ".join(against[:3]) + more


def _number(value: float) -> str:
    return f"{value:,.0f}".replace(",", " ")  # 412 345
