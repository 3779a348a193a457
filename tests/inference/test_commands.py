"""What the commands for your own scans hand on: every option reaches the work under its name."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from dainet.inference.attention import Request
from dainet.inference.bundle import read_card
from tests.helpers.commands import command


@pytest.fixture
def handed(monkeypatch: pytest.MonkeyPatch) -> list[tuple[Any, ...]]:
    """Arguments of the work, which is not done; of two scans, one fails."""
    found: list[tuple[Any, ...]] = []

    def work(*arguments: Any) -> list[str]:
        found.append(arguments)
        return ["b: failed"]

    monkeypatch.setattr("dainet.inference.attention.attention_files", work)
    monkeypatch.setattr("dainet.inference.label_maps.predict_files", work)
    return found


def test_attention_hands_on_every_option(handed: list[tuple[Any, ...]]) -> None:
    options = "--block 1 --token 3,20 --rollout --size 64 --slice 2 --slice-axis y --output out --device cpu"
    status, said = command("attention", "a", "b", *options.split())
    ((paths, vit, request, output, axis, only),) = handed
    assert (status, "1 of 2" in said) == (1, True)
    assert (paths, vit.name) == ([Path("a"), Path("b")], "tour")
    assert request == Request(block=1, token=(3, 20), rollout=True, size=64, device="cpu")
    assert (output, axis, only) == (Path("out"), "y", 2)


def test_attention_of_cls_in_the_last_block_is_the_default(handed: list[tuple[Any, ...]]) -> None:
    command("attention", "a")
    ((_, _, request, output, axis, only),) = handed
    assert (request, output, axis, only) == (Request(), Path("attention"), "auto", None)


def test_attention_refuses_an_unknown_device_before_any_scan(handed: list[tuple[Any, ...]]) -> None:
    status, _ = command("attention", "a", "--device", "cuad")
    assert "cuad" in str(status)
    assert not handed


@pytest.mark.parametrize("anyway", [True, False])
def test_predict_hands_on_every_option(handed: list[tuple[Any, ...]], anyway: bool) -> None:
    words = ["--model", "tour", "--output", "out", "--slice-axis", "y", "--device", "cpu", *["--anyway"] * anyway]
    status, said = command("predict", "a", "b", *words)
    ((paths, bundle, name, device, output, *asked),) = handed
    assert (status, "1 of 2" in said) == (1, True)
    assert (paths, bundle.card, name) == ([Path("a"), Path("b")], read_card("tour"), "tour")
    assert (device.torch_device.type, output, asked) == ("cpu", Path("out"), ["y", anyway])


@pytest.mark.parametrize("flags", [(), ("--float16",), ("--without-vit",)])
def test_export_hands_on_every_option(flags: tuple[str, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    handed: list[tuple[Any, ...]] = []
    output = tmp_path / "a.safetensors"

    def export(*arguments: Any) -> Any:
        handed.append(arguments)
        output.write_bytes(bytes(3 * 2**19))
        return read_card("acdc")

    monkeypatch.setattr("dainet.inference.export.export", export)
    options = f"--network unet --seed 3 --license CC-BY-4.0 --profile laptop -o {output} --set segmentation.width=8"
    status, said = command("export", *options.split(), *flags)
    ((settings, *rest),) = handed
    assert (status, "1.5 MiB" in said, "CC-BY-NC-SA-4.0" in said) == (0, True, True)
    assert (settings.profile, settings.segmentation.width) == ("laptop", 8)
    assert rest == ["unet", 3, output, "CC-BY-4.0", "--float16" in flags, "--without-vit" in flags]
