"""Bundles of networks from outside: they carry no code, and no name from a card is ever imported."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from typer.testing import CliRunner

from dainet import pipeline
from dainet.__main__ import app
from dainet.device import choose_device
from dainet.errors import InputError
from dainet.explorer.bundled import open_bundle
from dainet.inference.bundle import read_bundle, read_card
from dainet.inference.export import export
from dainet.inference.model_card import model_card
from dainet.segmentation.outside import source_hash
from dainet.settings import Settings, load_settings
from tests.helpers import REPOSITORY
from tests.helpers.bundles import LICENSE
from tests.helpers.samples import tiny_overrides, write_h5_source

CPU = choose_device("cpu")
LOSS = f"{REPOSITORY / 'tests' / 'helpers' / 'losses.py'}:doubled"
NETWORK = """
from torch import nn

class Net(nn.Module):
    def __init__(self, classes):
        super().__init__()
        self.layer = nn.Conv2d(1, classes, 3, padding=1)

    def forward(self, image):
        return self.layer(image)
"""


@pytest.fixture(scope="module")
def code(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("code") / "own_net.py"
    path.write_text(NETWORK)
    return path


@pytest.fixture(scope="module")
def bundle(code: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Settings, Path]:
    """Train a network with a loss, both from outside, and export it; return the file, settings and runs folder."""
    folder = tmp_path_factory.mktemp("outside")
    more = {"segmentation.epochs": 1, "segmentation.loss": LOSS}
    settings = load_settings("tour", tiny_overrides(write_h5_source(folder / "h5")) | more)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DAINET_RUNS", str(folder / "runs"))
        pipeline.train(settings, f"{code}:Net", 0)
        export(settings, f"{code}:Net", 0, folder / "own.safetensors", LICENSE)
    return folder / "own.safetensors", settings, folder / "runs"


def with_card(bundle: Path, folder: Path, **values: Any) -> str:
    """Write the bundle with other values in its card; return the path."""
    with safe_open(bundle, "pt") as file:
        card = json.loads(file.metadata()["card"])
    for name, value in values.items():
        target = card
        *groups, last = name.split(".")
        for group in groups:
            target = target[group]
        target[last] = value
    path = folder / "changed.safetensors"
    save_file(load_file(bundle), path, {"card": json.dumps(card)})
    return str(path)


def test_a_card_names_code_by_label_and_hash_without_a_path(
    bundle: tuple[Path, Settings, Path], code: Path, tmp_path: Path
) -> None:
    card = read_card(str(bundle[0]))
    assert (card.network, card.source_sha256, card.takes) == ("own_net.py:Net", source_hash(f"{code}:Net"), "image")
    assert (card.settings.segmentation.loss, card.loss_sha256) == ("losses.py:doubled", source_hash(LOSS))
    content = bundle[0].read_bytes()
    assert str(code.parent).encode() not in content
    assert b"Conv2d" not in content
    page = model_card(card)
    assert str(card.source_sha256) in page
    assert str(card.loss_sha256) in page


def test_with_the_users_code_it_predicts_what_the_trained_network_predicts(
    bundle: tuple[Path, Settings, Path], code: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "own_net.py").write_text(NETWORK)  # the same content elsewhere
    path, settings, runs = bundle
    read = read_bundle(str(path), CPU, network=f"{tmp_path}/own_net.py:Net")
    monkeypatch.setenv("DAINET_RUNS", str(runs))
    trained, data = pipeline.train(settings, f"{code}:Net", 0), pipeline.network_data(settings, f"{code}:Net")
    rows = np.arange(len(data.images))
    assert torch.equal(data.predict(read.model, rows), data.predict(trained.model, rows))
    assert read.settings.segmentation.loss == ""


def test_other_code_is_refused_and_so_is_none(bundle: tuple[Path, Settings, Path], code: Path, tmp_path: Path) -> None:
    path = str(bundle[0])
    (tmp_path / "own_net.py").write_text(f"{NETWORK}\nNetwork = Net\n")
    with pytest.raises(InputError, match=r"carries no code.*own_net\.py:Net.*--network"):
        read_bundle(path, CPU)
    for given in (f"{tmp_path}/own_net.py:Net", f"{tmp_path}/own_net.py:Network", "unet", "nowhere.py:Net"):
        with pytest.raises(InputError, match=r"own_net\.py:Net|nowhere"):
            read_bundle(path, CPU, network=given)
    with pytest.raises(InputError, match="one of the kit"):
        read_bundle("tour", CPU, network=f"{code}:Net")


@pytest.mark.parametrize("named", ["os:system", "planted.py:Net", "planted:Net"])
def test_no_name_from_a_card_is_imported(
    bundle: tuple[Path, Settings, Path], code: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, named: str
) -> None:
    (tmp_path / "planted.py").write_text("raise SystemExit('code of a stranger has run')")
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    path = with_card(bundle[0], tmp_path, network=named)
    assert read_card(path).takes == "image"
    assert named in model_card(read_card(path))
    for network in (None, f"{code}:Net"):
        with pytest.raises(InputError, match=named):
            read_bundle(path, CPU, network=network)
    with pytest.raises(InputError, match="dual-1111"):
        open_bundle(path, {})
    path = with_card(bundle[0], tmp_path, **{"settings.segmentation.loss": named, "settings.attention.maps": "maps"})
    read = read_bundle(path, CPU, network=f"{code}:Net")
    assert (read.settings.segmentation.loss, read.settings.attention.maps) == ("", "")
    assert "planted" not in sys.modules


def test_a_card_with_such_a_name_and_no_hash_or_the_reverse_is_refused(
    bundle: tuple[Path, Settings, Path], tmp_path: Path
) -> None:
    for values in ({"source_sha256": None}, {"network": "unet"}):
        with pytest.raises(InputError, match="hash"):
            read_card(with_card(bundle[0], tmp_path, **values))


def test_the_command_asks_for_the_code(bundle: tuple[Path, Settings, Path], code: Path, tmp_path: Path) -> None:
    words = ["predict", str(tmp_path / "nothing.nii.gz"), "--model", str(bundle[0]), "--output", str(tmp_path / "out")]
    assert "--network" in str(CliRunner().invoke(app, words).exception)
    assert "0 of 1 scans predicted" in CliRunner().invoke(app, [*words, "--network", f"{code}:Net"]).output
