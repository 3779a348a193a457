"""Bundles: what is read equals what was trained, cards state facts, and files from anywhere are refused in one line."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable
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
from dainet.cache.store import finished_only
from dainet.device import choose_device
from dainet.errors import InputError
from dainet.inference.bundle import read_bundle, read_card
from dainet.inference.card import tensors_hash
from dainet.inference.export import export
from dainet.settings import Settings, load_settings
from dainet.vit.model import load_vit, save_vit
from tests.helpers.bundles import LICENSE, export_tiny

CPU = choose_device("cpu")


@pytest.fixture(scope="module")
def trained(trained_runs: tuple[Path, dict[str, Any]]) -> Settings:
    return load_settings("tour", trained_runs[1])


@pytest.fixture(autouse=True)
def runs(trained_runs: tuple[Path, dict[str, Any]], monkeypatch: pytest.MonkeyPatch) -> None:
    """Open the tiny networks, which every test leaves as they are."""
    monkeypatch.setenv("DAINET_RUNS", str(trained_runs[0]))


@pytest.fixture(scope="module")
def exported(trained_runs: tuple[Path, dict[str, Any]], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The full dual encoder in float32 with its fine-tuned ViT."""
    return export_tiny(trained_runs, tmp_path_factory.mktemp("bundles"))


def opened(settings: Settings, network: str = "dual-1111") -> pipeline.Trained:
    with finished_only():
        return pipeline.train(settings, network, 0)


@pytest.mark.parametrize("network", ["unet", "single", "dual-1111"])
def test_a_network_read_in_float32_predicts_what_the_trained_one_predicts(
    trained: Settings, network: str, tmp_path: Path
) -> None:
    export(trained, network, 0, tmp_path / "a.safetensors", LICENSE)
    bundle, kept = read_bundle(str(tmp_path / "a.safetensors"), CPU), opened(trained, network)
    data = pipeline.network_data(trained, network)
    rows = np.arange(len(data.images))
    assert torch.equal(data.predict(bundle.model, rows), data.predict(kept.model, rows))
    assert not bundle.model.training
    assert (bundle.vit is None) == (network == "unet") == (bundle.card.takes == "image")
    if bundle.vit is not None:
        assert tensors_hash(bundle.vit.state_dict()) == tensors_hash(
            pipeline.backbone(trained, "finetuned")[0].state_dict()
        )


def test_a_network_in_float16_is_half_as_large_and_changes_few_pixels(
    trained: Settings, exported: Path, tmp_path: Path
) -> None:
    path = tmp_path / "half.safetensors"
    export(trained, "dual-1111", 0, path, LICENSE, float16=True)
    assert path.stat().st_size < 0.53 * exported.stat().st_size
    bundle, data = read_bundle(str(path), CPU), pipeline.network_data(trained, "dual-1111")
    assert bundle.card.stored == "float16"
    assert {tensor.dtype for tensor in bundle.model.parameters()} == {torch.float32}
    whole, rows = opened(trained).model, np.arange(len(data.images))
    torch.testing.assert_close(dict(bundle.model.state_dict()), dict(whole.state_dict()), rtol=2**-11, atol=2**-25)
    changed = data.predict(bundle.model, rows) != data.predict(whole, rows)
    assert changed.float().mean() < 0.002  # DSC says less: in a mask of 40 voxels one is more than a point


def test_the_card_states_the_facts_of_the_training(trained: Settings, exported: Path) -> None:
    card, kept = read_card(str(exported)), opened(trained)
    assert (card.network, card.seed, card.takes, card.image_size, card.stored) == (
        "dual-1111",
        0,
        "maps",
        32,
        "float32",
    )
    assert (card.dataset, card.phantoms, card.split, card.is_ct, card.normalization) == (
        "acdc",
        False,
        "mtunet",
        False,
        "minmax",
    )
    assert card.patients == {
        "train": ("patient001", "patient004", "patient005", "patient090"),
        "valid": ("patient019",),
        "test": ("patient002",),
    }
    assert (card.license, card.spacing_mm, card.orientation) == (LICENSE, None, "")
    assert "Bernard" in card.citation
    assert card.stages["segmentation"] == kept.segmentation.key
    assert card.stages["scores"] == kept.scored.key
    assert card.settings.segmentation == trained.segmentation
    strict = kept.cases[kept.cases["policy"] == "strict"]
    for score in card.scores:
        of_class = strict if score.name == "mean" else strict[strict["class"] == score.name]
        assert score.dsc == pytest.approx(100 * of_class["dsc"].mean(), abs=0.005)
        assert score.low is score.high is None  # of a single test patient
    assert [score.name for score in card.scores] == ["RV", "Myo", "LV", "mean"]


def test_the_commands_export_and_show_a_card(
    trained_runs: tuple[Path, dict[str, Any]], exported: Path, tmp_path: Path
) -> None:
    options = [word for name, value in trained_runs[1].items() for word in ("--set", f"{name}={value}")]
    path = str(tmp_path / "a.safetensors")
    done = CliRunner().invoke(app, ["export", "--network", "dual-1111", "-o", path, "--license", LICENSE, *options])
    assert done.exit_code == 0, done.output
    assert Path(path).read_bytes() == exported.read_bytes()
    page = CliRunner().invoke(app, ["card", path]).output
    card = read_card(path)
    told = (LICENSE, card.citation, card.network_sha256, card.vit.sha256, "patient002", "mtunet", "epochs: 40")
    assert all(fact in page for fact in told)
    assert f"| mean | {card.scores[-1].dsc:.2f} | - |" in " ".join(page.split())


def test_equal_trainings_give_equal_bytes_without_paths(trained: Settings, exported: Path, tmp_path: Path) -> None:
    again = tmp_path / "new" / "folder" / "b.safetensors"
    export(trained, "dual-1111", 0, again, LICENSE)
    content = exported.read_bytes()
    assert again.read_bytes() == content
    assert trained.data.source.encode() not in content
    assert read_card(str(exported)).settings.data.source == Path(trained.data.source).name


def test_a_bundle_holds_tensors_and_json_only(exported: Path) -> None:
    with safe_open(exported, framework="pt") as file:
        assert list(file.metadata()) == ["card"]
        assert {name.split(".")[0] for name in file.keys()} == {"network", "vit"}  # noqa: SIM118
    assert isinstance(json.loads(metadata(exported)), dict)


def metadata(path: Path) -> str:
    with safe_open(path, framework="pt") as file:
        return file.metadata()["card"]


def test_the_shipped_vit_is_named_and_not_contained(
    trained_runs: tuple[Path, dict[str, Any]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DAINET_RUNS", str(shutil.copytree(trained_runs[0], tmp_path / "runs")))
    settings = load_settings("tour", trained_runs[1] | {"attention.backbone": "pretrained", "segmentation.epochs": 1})
    pipeline.train(settings, "single", 0)
    card = export(settings, "single", 0, tmp_path / "c.safetensors", LICENSE)
    assert (card.vit.place, card.vit.name, card.vit.heads) == ("shipped", "tour", 6)
    vit = read_bundle(str(tmp_path / "c.safetensors"), CPU).vit
    assert torch.equal(vit.pos_embed, load_vit("tour").pos_embed)


@pytest.mark.parametrize("model", ["tour", "acdc"])
def test_a_vit_that_would_not_be_used_is_refused(model: str) -> None:
    with pytest.raises(InputError, match=rf"{model}\.safetensors.*hub.*leave out --weights"):
        read_bundle(model, CPU, weights="hub")


def test_a_vit_left_out_must_be_given_and_must_be_the_same(trained: Settings, tmp_path: Path) -> None:
    path = tmp_path / "d.safetensors"
    card = export(trained, "dual-1111", 0, path, LICENSE, without_vit=True)
    with pytest.raises(InputError, match=card.vit.sha256[:12]):
        read_bundle(str(path), CPU)
    with pytest.raises(InputError, match=card.vit.sha256[:12]):
        read_bundle(str(path), CPU, weights="tour")
    vit, _ = pipeline.backbone(trained, "finetuned")
    save_vit(vit, tmp_path / "vit.safetensors")
    found = read_bundle(str(path), CPU, weights=str(tmp_path / "vit.safetensors")).vit
    assert tensors_hash(found.state_dict()) == tensors_hash(vit.state_dict())


def test_a_training_that_is_not_there_is_not_computed(trained: Settings, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"dainet stage scores --network unet --seed 7"):
        export(trained, "unet", 7, tmp_path / "e.safetensors", LICENSE)
    assert not (tmp_path / "e.safetensors").exists()


@pytest.mark.parametrize(("license_", "words"), [(None, "--license"), ("CC-BY-NC", "CC-BY-NC-4.0"), ("", "license")])
def test_scans_of_persons_need_a_license(trained: Settings, tmp_path: Path, license_: str | None, words: str) -> None:
    with pytest.raises(InputError, match=words):
        export(trained, "unet", 0, tmp_path / "f.safetensors", license_)


def test_a_control_is_not_exported(trained: Settings, tmp_path: Path) -> None:
    control = trained.model_copy(update={"attention": trained.attention.model_copy(update={"control": "constant"})})
    with pytest.raises(InputError, match=r"attention\.control=constant"):
        export(control, "dual-1111", 0, tmp_path / "g.safetensors", LICENSE)


Tensors = dict[str, torch.Tensor]
Damage = Callable[[Tensors, dict[str, Any]], object]
WEIGHT = "network.image_encoder.blocks.0.0.weight"

DAMAGES: dict[str, tuple[Damage, str]] = {
    "missing": (lambda tensors, card: tensors.pop(WEIGHT), "image_encoder.blocks.0.0.weight"),
    "one more": (lambda tensors, card: tensors.update({"network.more": torch.ones(1)}), "more"),
    "of neither": (lambda tensors, card: tensors.update({"code.py": torch.ones(1)}), "code.py"),
    "shape": (lambda tensors, card: tensors.update({WEIGHT: torch.ones(2, 1, 3, 3)}), r"\(2, 1, 3, 3\)"),
    "other values": (lambda tensors, card: tensors.update({WEIGHT: torch.ones(4, 1, 3, 3)}), "not those"),
    "NaN": (lambda tensors, card: tensors[WEIGHT].fill_(torch.nan), "NaN"),
    "no ViT": (lambda tensors, card: [tensors.pop(name) for name in list(tensors) if name[:4] == "vit."], "ViT"),
    "half a ViT": (lambda tensors, card: tensors.pop("vit.blocks.0.attn.qkv.weight"), "blocks.0.attn.qkv.weight"),
    "other ViT": (lambda tensors, card: tensors["vit.pos_embed"].zero_(), "not the one"),
    "heads": (lambda tensors, card: card["vit"].update(heads=3), "expected"),
    "a network without ViT": (lambda tensors, card: card.update(network="unet"), "unet|shape"),
    "huge width": (lambda tensors, card: card["settings"]["segmentation"].update(width=10**5), "expected"),
    "beyond all widths": (lambda tensors, card: card["settings"]["segmentation"].update(width=10**18), "dual-1111"),
    "many classes": (lambda tensors, card: card.update(class_names=["a"] * 10**5), "class_names"),
    "colors": (lambda tensors, card: card.update(class_colors=["#ffffff"]), "3 classes and 1 colors"),
    "no color": (lambda tensors, card: card.update(class_colors=["red", "url(x)", "#fff"]), "class_colors"),
    "unknown setting": (lambda tensors, card: card["settings"]["segmentation"].update(magic=1), "magic"),
    "unknown network": (lambda tensors, card: card.update(network="dual-2222"), "dual-2222"),
    "unknown field": (lambda tensors, card: card.update(code="import os"), "code"),
    "missing field": (lambda tensors, card: card.pop("license"), "license"),
    "later version": (lambda tensors, card: card.update(version=2, kit="9.9"), "9.9"),
    "no version": (lambda tensors, card: card.pop("version"), "version"),
    "terminal": (lambda tensors, card: card.update(split="\x1b[2J"), "split"),
    "two lines": (lambda tensors, card: card.update(kit="0.1\n# free"), "kit"),
    "DSC": (lambda tensors, card: card["scores"][0].update(dsc=101.0), "scores.0.dsc"),
}


def rewritten(path: Path, card: str | None, tensors: Tensors) -> str:
    save_file(tensors, path, {} if card is None else {"card": card})
    return str(path)


def refusal(path: str) -> str:
    """Assert that reading is refused in one short printable line without the folder of the file; return it."""
    with pytest.raises(InputError) as caught:
        read_bundle(path, CPU)
    line = str(caught.value)
    assert line.isprintable()
    assert len(line) < 900
    assert str(Path(path).parent) not in line
    return line


def test_a_file_that_was_rewritten_without_damage_is_read(exported: Path, tmp_path: Path) -> None:
    path = rewritten(tmp_path / "same.safetensors", metadata(exported), load_file(exported))
    assert read_bundle(path, CPU).card == read_card(str(exported))


@pytest.mark.parametrize(("damage", "words"), DAMAGES.values(), ids=DAMAGES.keys())
def test_card_and_tensors_that_do_not_fit_are_refused(
    exported: Path, tmp_path: Path, damage: Damage, words: str
) -> None:
    tensors, card = load_file(exported), json.loads(metadata(exported))
    damage(tensors, card)
    assert re.search(words, refusal(rewritten(tmp_path / "b.safetensors", json.dumps(card), tensors)))


@pytest.mark.parametrize("card", [None, "", "{", "[]", "1", "null", '{"version": 1}', "[" * 10**6, '{"version": NaN}'])
def test_what_is_no_card_is_refused(exported: Path, tmp_path: Path, card: str | None) -> None:
    assert "card" in refusal(rewritten(tmp_path / "b.safetensors", card, {"network.a": torch.ones(1)}))


@pytest.mark.parametrize(
    "content", [b"", b"PK\x03\x04", (2**62).to_bytes(8, "little"), b"\x02" + bytes(7) + b"{}", b"\x80\x04."]
)
def test_what_is_no_safetensors_file_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "b.safetensors").write_bytes(content)
    assert "b.safetensors" in refusal(str(tmp_path / "b.safetensors"))


def test_a_folder_with_the_ending_of_a_bundle_is_called_a_folder(tmp_path: Path) -> None:
    (tmp_path / "b.safetensors").mkdir()
    with pytest.raises(InputError, match=r"b\.safetensors' is a folder"):
        read_bundle(str(tmp_path / "b.safetensors"), CPU)


@pytest.mark.parametrize("name", ["tuor", "model.pth", "missing.safetensors", ""])
def test_what_is_neither_a_name_nor_a_file_is_refused(name: str) -> None:
    with pytest.raises(InputError, match=re.escape(repr(name))):
        read_bundle(name, CPU)
