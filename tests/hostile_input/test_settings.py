"""Malicious settings and splits: values stay plain, and each is refused in one short line."""

from __future__ import annotations

from pathlib import Path

import pytest

from dainet.device import choose_device
from dainet.protocol import load_split
from dainet.settings import load_settings, parse_override

LAUGHS = "&a [x,x,x,x,x,x,x,x,x,x]"
for _name, _inner in zip("bcdefghij", "abcdefghi", strict=True):
    LAUGHS = f"[{LAUGHS}, &{_name} [{','.join(9 * [f'*{_inner}'])}]]"

OVERRIDES = {
    "a billion laughs": (f"data.dataset={LAUGHS}", "setting data.dataset"),
    "a list in itself": ("dino.epochs=&a [*a]", "setting dino.epochs"),
    "nested too deep": ("dino.epochs=" + "[" * 5000, "--set dino.epochs: .*RecursionError"),
    "5000 digits": ("dino.seed=0x" + "f" * 5000, "setting dino.seed.*4300"),
    "no number": ("dino.lr=!!float x", "--set dino.lr: .*YAML"),
    "no truth": ("dino.centering=!!bool x", "--set dino.centering: .*YAML"),
    "no date": ("dino.seed=2024-13-45", "--set dino.seed: .*YAML.*month"),
    "not a number": ("segmentation.lr=.nan", "setting segmentation.lr: .*finite"),
    "infinite": ("data.window_hu=[-.inf, 275]", "setting data.window_hu.0: .*finite"),
    "a seed below 0": ("segmentation.seeds=[-1]", "setting segmentation.seeds.0: .*greater than or equal to 0"),
    "a seed that no generator takes": ("dino.seed=9" + "0" * 20, "setting dino.seed"),
    "no seed": ("segmentation.seeds=[]", "setting segmentation.seeds: .*at least 1 item"),
    "a setting of a setting": ("profile.color=1", "setting profile: .*tour"),
    "a list for a name": ("data.dataset=[acdc]", "setting data.dataset"),
    "several lines": ("a\nb=1", "setting .a.*b. is unknown.*segmentation"),
}


def test_yaml_makes_plain_values_only(marker: Path) -> None:
    tags = ("object/apply:pathlib.Path.touch", "object/new:pathlib.Path", "name:os.system", "module:os")
    for tag in tags:
        with pytest.raises(ValueError, match=r"^--set dino.epochs: .*constructor"):
            parse_override(f"dino.epochs=!!python/{tag} [{marker}]")
    assert not marker.exists()


@pytest.mark.parametrize("evil", OVERRIDES)
def test_a_setting_is_refused_in_one_short_line(evil: str) -> None:
    item, words = OVERRIDES[evil]
    with pytest.raises(ValueError, match=f"^{words}") as caught:
        load_settings("tour", dict([parse_override(item)]))
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) <= 1000


def test_a_group_that_is_not_a_mapping() -> None:
    with pytest.raises(ValueError, match=r"^setting data: .*5.*name: value$"):
        load_settings("tour", {"data": 5, "data.dataset": "acdc"})


def test_a_device_that_torch_does_not_know() -> None:
    with pytest.raises(ValueError, match=r"toaster.*auto, cpu"):
        choose_device("toaster")


@pytest.mark.parametrize("text", ["{word},split\np1,train\n", "patient,split\np1,{word}\n", 2 * "\n{word},train"])
def test_a_split_file_of_very_long_words(text: str, tmp_path: Path) -> None:
    (tmp_path / "split.csv").write_text("patient,split" * text.startswith("\n") + text.format(word=10**5 * "x"))
    with pytest.raises(ValueError, match=r"^split.csv: [^\n]{10,300}$"):
        load_split("custom", str(tmp_path / "split.csv"))


def test_a_split_is_text_whatever_its_name(tmp_path: Path) -> None:
    path = tmp_path / "split.csv.zip"
    path.write_text("patient,split\np1,train\n")
    assert load_split("custom", str(path)) == {"p1": "train"}
