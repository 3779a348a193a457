import re
from collections.abc import Collection, Sequence
from functools import cache

import numpy as np
import pandas as pd
import pytest

from dainet.data.formats.label_order import ORDERS, check_order, detect_order, label_map, measure
from dainet.data.volume import DataError
from dainet.errors import InputError

# docs/protocol.md#1.3, written out a second time: label of each scheme -> BTCV label.
SCHEMES = {
    "transunet": {1: 8, 2: 4, 3: 3, 4: 2, 5: 6, 6: 11, 7: 1, 8: 7},
    "cascade": {1: 1, 2: 2, 3: 3, 4: 4, 5: 11, 6: 6, 7: 7, 8: 8},
    "samed": {1: 1, 2: 2, 3: 3, 4: 4, 5: 6, 6: 7, 7: 8, 8: 11},
    "btcv": {label: label for label in range(1, 14)},
}
# The paper's Table 1 in BTCV labels: aorta, gallbladder, left and right kidney, liver, pancreas, spleen, stomach.
CLASS_OF_BTCV = {8: 1, 4: 2, 3: 3, 2: 4, 6: 5, 11: 6, 1: 7, 7: 8}
LIVER, PANCREAS = 6, 11

# BTCV label: center and radii in mm along z (towards the head), y (towards the back), x (towards the patient's left).
ORGANS = {
    6: ((150, 130, 90), (75, 75, 65)),  # liver, 1500 ml
    7: ((150, 90, 200), (60, 40, 38)),  # stomach, 380 ml
    1: ((160, 190, 255), (50, 40, 30)),  # spleen, 250 ml
    2: ((80, 210, 105), (55, 27, 26)),  # kidneys, 160 ml each
    3: ((90, 210, 215), (55, 27, 26)),
    11: ((105, 135, 170), (20, 18, 50)),  # pancreas, 75 ml
    4: ((100, 70, 110), (30, 16, 15)),  # gallbladder, 30 ml
    9: ((120, 165, 135), (5000, 11, 13)),  # inferior vena cava
    8: ((120, 185, 165), (5000, 11, 11)),  # aorta, 90 ml
    5: ((220, 165, 165), (30, 8, 9)),  # esophagus
    10: ((115, 140, 150), (10, 8, 30)),  # portal and splenic vein
    12: ((140, 190, 115), (12, 8, 8)),  # adrenal glands
    13: ((145, 190, 200), (12, 8, 8)),
}
TURNS = {
    "as is": lambda label: label,
    "head first": lambda label: label[::-1],
    "left is right": lambda label: label[:, :, ::-1],
    "on the belly": lambda label: label[:, ::-1],
    "quarter turn": lambda label: np.rot90(label, axes=(1, 2)),
    "half turn, mirrored": lambda label: np.rot90(label, 2, axes=(1, 2))[:, :, ::-1],
    "transposed": lambda label: label.transpose(0, 2, 1),
}


@cache
def ellipsoids(seed: int) -> dict[int, np.ndarray]:
    """{BTCV label: mask} with radii off by up to 10 % on a grid of 5 x 4 x 4 mm."""
    random = np.random.default_rng(seed)
    axes = [edge * np.arange(n) for edge, n in zip((5, 4, 4), (48, 70, 80), strict=True)]
    masks = {}
    for btcv, (center, radii) in ORGANS.items():
        parts = zip(axes, center, np.array(radii) * random.uniform(0.9, 1.1, 3), strict=True)
        z, y, x = (((axis - middle) / radius) ** 2 for axis, middle, radius in parts)
        masks[btcv] = z[:, None, None] + y[:, None] + x <= 1
    return masks


def abdomen(
    order: str = "btcv", seed: int = 0, without: Sequence[int] = (), only: Collection[int] | None = None
) -> np.ndarray:
    """Label volume in one of the orders; organs that it lacks, or that are to be missing, are background."""
    label = np.zeros((48, 70, 80), np.uint8)
    stored = {btcv: number for number, btcv in SCHEMES[order].items()}
    for btcv, mask in ellipsoids(seed).items():
        label[mask] = 0 if btcv in without or (only is not None and btcv not in only) else stored.get(btcv, 0)
    return label


@pytest.mark.parametrize("order", ORDERS)
def test_label_map_is_the_protocols_table(order: str) -> None:
    assert label_map(order) == {0: 0} | {label: CLASS_OF_BTCV.get(btcv, 0) for label, btcv in SCHEMES[order].items()}


def test_measure_counts_voxels_slices_and_centroids() -> None:
    label = np.zeros((4, 5, 6), np.float32)
    label[1:3, 1:4, 2] = 7
    label[3, 4, 5] = 2
    table = measure(label, (3, 2, 2))
    assert table.index.tolist() == [2, 7]
    assert table.loc[7].to_dict() == {"voxels": 6, "slices": 2, "cut": False, "z": 4.5, "y": 4, "x": 4}
    assert measure(label).loc[2].to_dict() == {"voxels": 1, "slices": 1, "cut": True, "z": 3, "y": 4, "x": 5}
    assert measure(np.zeros((2, 3, 3), np.uint8)).empty


@pytest.mark.parametrize("label", [np.zeros((3, 3)), np.full((1, 2, 2), 0.5), np.full((1, 2, 2), -1), [[[np.nan]]]])
def test_measure_refuses_what_is_not_a_label_volume(label: np.ndarray | list[list[list[float]]]) -> None:
    with pytest.raises(DataError, match="label"):
        measure(np.asarray(label))


@pytest.mark.parametrize("turn", TURNS)
@pytest.mark.parametrize("order", ORDERS)
def test_every_order_is_found_however_the_volume_lies(order: str, turn: str) -> None:
    found, evidence = detect_order([measure(TURNS[turn](abdomen(order)))])
    assert found == order
    assert any(re.match(r"liver \(label \d\) is the largest organ: 1\d \d{3} voxels", text) for text in evidence)
    assert sum(text.startswith("not ") for text in evidence) == 3


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("missing", sorted(CLASS_OF_BTCV))
def test_one_organ_may_be_missing(order: str, missing: int) -> None:
    measurements = [measure(abdomen(order, without=[missing]))]
    if (order, missing) != ("cascade", PANCREAS):
        assert detect_order(measurements)[0] == order
    else:  # the pancreas is the only organ on which the two differ
        with pytest.raises(DataError, match=r"\(cascade, btcv\)"):
            detect_order(measurements)
    check_order(order, measurements)


def test_btcv_reduced_to_the_eight_organs_is_still_btcv() -> None:
    label = abdomen("btcv", only=CLASS_OF_BTCV)
    assert set(np.unique(label)) == {0, 1, 2, 3, 4, 6, 7, 8, 11}
    assert detect_order([measure(label)])[0] == "btcv"


@pytest.mark.parametrize("order", ORDERS)
def test_the_lower_half_suffices(order: str) -> None:
    assert detect_order([measure(abdomen(order)[6:30])])[0] == order


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("first", range(0, 41, 5))
def test_a_few_slices_may_be_ambiguous_but_never_mislead(order: str, first: int) -> None:
    measurements = [measure(abdomen(order)[first : first + 8])]
    try:
        assert detect_order(measurements)[0] == order
    except DataError as error:
        assert re.search(rf"orders \(.*{order}.*\)", str(error))  # noqa: PT017, an error is allowed, not required
    check_order(order, measurements)


@pytest.mark.parametrize("order", ORDERS)
def test_the_majority_of_three_volumes_decides(order: str) -> None:
    volumes = [abdomen(order, seed) for seed in range(3)]
    liver = next(label for label, btcv in SCHEMES[order].items() if btcv == LIVER)
    volumes[1][20:][volumes[1][20:] == liver] = 0  # only the tip of this one
    found, evidence = detect_order([measure(label) for label in volumes])
    assert found == order
    assert any("largest organ" in text and "(in 2 of 3 volumes)" in text for text in evidence)


@pytest.mark.parametrize(("only", "fitting"), [([LIVER], "transunet, cascade, samed"), ([], ", ".join(ORDERS))])
def test_too_few_organs_are_ambiguous(only: list[int], fitting: str) -> None:
    with pytest.raises(DataError, match=rf"orders \({fitting}\)") as error:
        detect_order([measure(abdomen("samed", only=only))])
    assert "data.label_order=transunet|cascade|samed|btcv" in str(error.value)


def test_labels_of_another_data_set_fit_no_order() -> None:
    label = abdomen("cascade")
    swapped = np.array([0, 6, 2, 3, 4, 5, 1, 7, 8], np.uint8)[label]  # liver and spleen exchanged
    with pytest.raises(DataError, match="none") as error:
        detect_order([measure(swapped)])
    for order in ORDERS:
        assert f"not {order}: " in str(error.value)


@pytest.mark.parametrize("named", ORDERS)
@pytest.mark.parametrize("order", ORDERS)
def test_a_wrong_name_is_contradicted_with_evidence(order: str, named: str) -> None:
    measurements = [measure(abdomen(order))]
    if named == order:
        assert len(check_order(named, measurements)) >= 10
        return
    with pytest.raises(DataError, match=rf"data.label_order={named} .*\b{order}$"):
        check_order(named, measurements)


def test_the_contradiction_shows_organs_labels_and_numbers() -> None:
    with pytest.raises(DataError, match=r"label_order=samed .*right kidney \(label 2\).*gallbladder \(label 4\): \d"):
        check_order("samed", [measure(abdomen("transunet"))])


def test_an_undecidable_volume_is_accepted_under_a_name_that_fits() -> None:
    only_liver = [measure(abdomen("samed", only=[LIVER]))]
    assert check_order("samed", only_liver) == check_order("transunet", only_liver) == []


def test_an_unusual_patient_is_accepted_under_the_right_name_only() -> None:
    label = abdomen("samed")
    label[5:35, 5:25, 30:44] = 4  # a gallbladder far larger than the kidneys
    measurements = [measure(label)]
    with pytest.raises(DataError, match="none"):
        detect_order(measurements)
    assert any(text.startswith("unusual: right kidney") for text in check_order("samed", measurements))
    with pytest.raises(DataError, match=r"data.label_order=transunet.*right kidney"):
        check_order("transunet", measurements)


def measured(*organs: tuple[int, int, float]) -> pd.DataFrame:
    """What `measure` would give for organs (label, voxels, position x), each in 4 slices that end within the volume."""
    lines = [
        {"label": label, "voxels": voxels, "slices": 4, "cut": False, "z": 2.0, "y": 5.0, "x": x}
        for label, voxels, x in organs
    ]
    return pd.DataFrame(lines).set_index("label")


@pytest.mark.parametrize(("kidney", "sides"), [(125, 1), (124, 0), (81, 0), (80, -1)])
def test_a_quarter_more_decides_and_less_does_not(kidney: int, sides: int) -> None:
    """BTCV's right kidney against its gallbladder of 100 voxels; nothing else is known of this volume."""
    tables = [measured((2, kidney, 0.0), (4, 100, 50.0))]
    evidence = check_order("btcv", tables) if sides >= 0 else []
    assert [text.startswith("right kidney (label 2) is larger") for text in evidence] == [True] * sides
    if sides < 0:
        with pytest.raises(DataError, match=r"right kidney \(label 2\) is not larger"):
            check_order("btcv", tables)


def test_only_volumes_that_decide_a_rule_are_counted() -> None:
    clear, close = measured((2, 125, 0.0), (4, 100, 50.0)), measured((2, 110, 0.0), (4, 100, 50.0))
    for tables, ending in (([clear], False), ([clear, close], False), ([clear, close, clear], True)):
        (sentence,) = check_order("btcv", tables)
        assert sentence.endswith("(in 2 of 2 volumes)") == ending
        assert ("volumes)" in sentence) == ending


@pytest.mark.parametrize(("off", "holds"), [(24, True), (25, None), (37, None), (38, False)])
def test_the_aorta_lies_within_30_percent_of_the_middle_of_the_kidneys(off: int, holds: bool | None) -> None:
    tables = [measured((8, 10, 50.0 + off), (2, 10, 0.0), (3, 10, 100.0))]
    order = [text for text in judged("btcv", tables) if "midway" in text]
    assert [("not" not in text) for text in order] == ([] if holds is None else [holds])


def judged(order: str, tables: list[pd.DataFrame]) -> list[str]:
    """The sentences for an order, or those against it."""
    try:
        return check_order(order, tables)
    except DataError as error:
        return str(error).split("; ")


def test_an_organ_that_the_volume_cuts_counts_as_at_least_as_large() -> None:
    cut = measured((2, 50, 0.0), (4, 100, 50.0))
    cut.loc[2, "cut"] = True
    assert check_order("btcv", [cut]) == []


def test_unknown_orders_and_labels_are_named() -> None:
    with pytest.raises(InputError, match=r"data.label_order.*nnformer.*transunet"):
        label_map("nnformer")
    label = abdomen("btcv")
    label[0, 0, 0] = 14
    with pytest.raises(DataError, match="label 14"):
        check_order("btcv", [measure(label)])
