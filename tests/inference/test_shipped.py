"""The bundles that the kit contains: they are those that their README describes, and their cards name no machine."""

from __future__ import annotations

import re
import tomllib
from fnmatch import fnmatch

import pytest
import torch

from dainet.cache.records import hash_file
from dainet.device import choose_device
from dainet.inference.bundle import read_bundle, read_card, shipped_bundles
from dainet.inference.card import write_card
from dainet.vit.model import load_vit
from tests.helpers import REPOSITORY

FOLDER = REPOSITORY / "dainet/inference/bundles"
README = (FOLDER / "README.md").read_text(encoding="utf-8")


def test_the_kit_contains_two_and_packs_them() -> None:
    assert {name: path.parent for name, path in shipped_bundles().items()} == {"acdc": FOLDER, "tour": FOLDER}
    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text(encoding="utf-8"))
    packed = project["tool"]["setuptools"]["package-data"]["dainet"]
    for path in (*shipped_bundles().values(), FOLDER / "README.md"):
        name = path.relative_to(REPOSITORY / "dainet").as_posix()
        assert any(fnmatch(name, pattern) for pattern in packed)


@pytest.mark.parametrize("name", ["tour", "acdc"])
def test_a_bundle_is_the_one_that_its_readme_describes(name: str) -> None:
    path, card = FOLDER / f"{name}.safetensors", read_card(name)
    assert re.search(rf"^ +{path.name}  sha256 (\w+)$", README, flags=re.MULTILINE)[1] == hash_file(path)
    row = next(line for line in README.splitlines() if line.startswith(f"| `{path.name}`"))
    mean = card.scores[-1]
    assert f"{mean.dsc:.2f} ({mean.low:.2f} to {mean.high:.2f})" in row
    assert card.license.replace("CC-BY-NC-SA-", "CC BY-NC-SA ") in row
    assert f"{len(card.patients['train'])} patients; tested on {len(card.patients['test'])} " in row
    assert path.stat().st_size < 8e6


def test_the_real_one_cites_its_data_and_takes_the_vit_of_the_kit() -> None:
    bundle = read_bundle("acdc", choose_device("cpu"))
    assert (bundle.card.phantoms, bundle.card.vit.place) == (False, "shipped")
    assert bundle.card.citation.startswith("O. Bernard")
    assert torch.equal(bundle.vit.cls_token, load_vit("tour").cls_token)


def test_the_tour_brings_its_own_vit() -> None:
    bundle = read_bundle("tour", choose_device("cpu"))
    assert (bundle.card.phantoms, bundle.card.vit.place, bundle.card.orientation) == (True, "contained", "RAS")
    assert not torch.equal(bundle.vit.cls_token, load_vit("tour").cls_token)


@pytest.mark.parametrize("name", ["tour", "acdc"])
def test_no_path_of_a_machine_is_in_a_card(name: str) -> None:
    assert not re.search(r"/(tmp|home|root|work|Users)/", write_card(read_card(name)))
