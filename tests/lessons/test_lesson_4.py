"""Notebook 4: typical answers to its exercises, and what its prose says about its outputs."""

import re

import pytest
from nbformat import NotebookNode

from dainet.lessons.answers import EXERCISES
from dainet.protocol import NETWORKS, published_table
from tests.helpers.notebooks import check_wrong, lesson, shown


@pytest.mark.parametrize(
    ("number", "answer"), [("4.1", 7), ("4.1", 7.0), ("4.2", 0.0), ("4.3", 48), ("4.4", "b"), ("4.4", " B ")]
)
def test_right_answers(number: str, answer: object) -> None:
    assert EXERCISES[number].fault(answer, {}) is None


@pytest.mark.parametrize(
    ("number", "answer", "words"),
    [
        ("4.1", 6, "image"),
        ("4.1", 1, ""),
        ("4.2", 1, "invented"),
        ("4.2", 0.5, ""),
        ("4.3", 36, "width"),
        ("4.3", 47, ""),
        ("4.3", "48", "quotes"),
        ("4.4", "a", "reason"),
        ("4.4", "c", "converged"),
        ("4.4", "d", "size"),
        ("4.4", "e", "a, b, c, d"),
    ],
)
def test_wrong_answers_and_what_is_said(number: str, answer: object, words: str) -> None:
    check_wrong(number, answer, words)


@pytest.fixture(scope="module")
def notebook() -> NotebookNode:
    return lesson("04")


def test_the_dual_network_is_nearly_twice_as_large(notebook: NotebookNode) -> None:
    numbers = dict(re.findall(r"^(\S+) +([\d.]+)$", shown(notebook, "counts = "), flags=re.MULTILINE))
    assert f"{float(numbers['dual-1111']) / float(numbers['unet']):.1f}" == "1.8"


def test_a_missed_class_has_no_distance_by_the_peers_policy(notebook: NotebookNode) -> None:
    rows = re.findall(r"^(strict|peer) +([\d.]+) +([\d.]+)$", shown(notebook, "blind = "), flags=re.MULTILINE)
    (_, strict_dsc, strict_distance), (_, peer_dsc, peer_distance) = rows
    assert strict_dsc == peer_dsc < "1"
    assert float(peer_distance) == 0 < float(strict_distance)


def test_lead_of_the_paper() -> None:
    table = published_table("acdc", "table2").set_index("model")["dsc"].astype(float)
    assert (table["dual-1111"], table["unet"]) == (91.90, 91.57)
    assert table["dual-1111"] - table["unet"] == pytest.approx(0.33)


def test_the_attention_unet_whose_mean_does_not_fit() -> None:
    table = published_table("synapse", "table1").set_index("method")
    organs = table.loc["R50 AttnUNet", "aorta":"stomach"].astype(float)
    assert organs.mean() == pytest.approx(72.10, abs=0.01)
    assert float(table.loc["R50 AttnUNet", "dsc"]) == 75.57
    assert organs["aorta"] == 55.92
    assert organs.replace(55.92, 83.70).mean() == pytest.approx(75.57, abs=0.01)


def test_the_picture_of_real_patients_is_described_by_its_networks(notebook: NotebookNode) -> None:
    """Those that study/pictures.py draws."""
    prose = "\n".join(cell.source for cell in notebook.cells if cell.cell_type == "markdown")
    [alt] = re.findall(r"!\[([^]]*)\]\(\S*/figure3_qualitative\.png\)", prose)
    assert re.findall(r"[a-z]+-?[01]{4}|unet|single", alt) == ["unet", "single", "dual-1111"]
    assert not {"two", "four", "five"} & set(alt.split())


def test_who_keeps_the_learning_rate_is_not_among_those_who_lower_it(notebook: NotebookNode) -> None:
    [prose] = [cell.source for cell in notebook.cells if "*polynomial decay with power 0.9*" in cell.source]
    assert "All peers" not in prose
    assert {"TransUNet", "MT-UNet", "Swin-Unet", "TransCASCADE"} <= set(re.findall(r"[\w-]+", prose))


def test_no_training_of_this_lesson_failed(notebook: NotebookNode) -> None:
    """Shipped competitors may have failed; lesson 8 says which, and why."""
    lines = shown(notebook, "published_table(settings.data.dataset, name)").splitlines()
    failed = {line.split(",")[0].strip() for line in lines if "this training failed" in line}
    assert not failed & set(NETWORKS["comparison"])
