"""Networks from outside: found by file or module, hashed by content, run under names of their own."""

from __future__ import annotations

import hashlib
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from dainet.errors import InputError
from dainet.segmentation.catalog import build, check_network, takes
from dainet.segmentation.outside import explained, is_outside, load_outside, outside_label, source_hash

NETWORK = """
from torch import nn
from blocks import block

class Net(nn.Module):
    def __init__(self, classes, width=8):
        super().__init__()
        self.layers = nn.Sequential(block(width), nn.Conv2d(width, classes, 1))

    def forward(self, image):
        return self.layers(image)

class WithMaps(Net):
    def forward(self, image, maps):
        return self.layers(image)

def wide(classes, width):
    return Net(classes, 2 * width)

def with_maps(classes, **others):
    assert not others
    return WithMaps(classes)

def by_heads(heads, classes):
    return Net(classes, heads)
"""
BLOCKS = """
from torch import nn

def block(width):
    return nn.Conv2d(1, width, {kernel}, padding={kernel} // 2)
"""


def write(folder: Path, kernel: int = 3, **files: str) -> str:
    """Write the network and the module beside it into a folder; return the path of the network's file."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in ({"net": NETWORK, "blocks": BLOCKS.format(kernel=kernel)} | files).items():
        (folder / f"{name}.py").write_text(text, encoding="utf-8")
    return str(folder / "net.py")


def weights(name: str) -> int:
    return sum(parameter.numel() for parameter in build(name, classes=3, width=4).parameters())


def test_a_callable_gets_those_arguments_that_it_names(tmp_path: Path) -> None:
    path = write(tmp_path)
    assert weights(f"{path}:Net") == 4 * 10 + 3 * 5
    assert weights(f"{path}:wide") == 8 * 10 + 3 * 9
    assert weights(f"{path}:with_maps") == 8 * 10 + 3 * 9  # **others are none
    assert build(f"{path}:by_heads", heads=5, classes=2).layers[0].out_channels == 5  # type: ignore[index,union-attr]


def test_what_a_network_takes_follows_from_its_arguments(tmp_path: Path) -> None:
    path, state = write(tmp_path), torch.get_rng_state()
    named = {name: takes(f"{path}:{name}") for name in ("Net", "wide", "WithMaps", "with_maps", "by_heads")}
    assert named == {"Net": "image", "wide": "image", "WithMaps": "maps", "with_maps": "maps", "by_heads": "maps"}
    assert torch.equal(torch.get_rng_state(), state)


def test_a_second_argument_with_a_default_is_left_alone(tmp_path: Path) -> None:
    text = "from torch import nn\nclass Net(nn.Module):\n    def forward(self, image, scale=2, *, third=1): ...\n"
    assert takes(f"{write(tmp_path, net=text)}:Net") == "image"


def test_labels_hold_no_folder() -> None:
    assert outside_label("some/where/net.py:wide") == "net.py:wide"
    assert outside_label("package.module:name") == "package.module:name"
    assert outside_label("dual-1111") == "dual-1111"
    assert (is_outside("net.py:wide"), is_outside("unet")) == (True, False)


def test_the_hash_covers_what_a_file_imports_and_no_folder(tmp_path: Path) -> None:
    path = write(tmp_path / "a")
    (tmp_path / "a" / "alone.py").write_text("")
    first = source_hash(f"{path}:wide")
    assert source_hash(f"{path}:Net") == first
    (tmp_path / "a" / "alone.py").write_text("changed = 1")
    assert source_hash(f"{path}:wide") == first  # which nothing imports
    shutil.copytree(tmp_path / "a", tmp_path / "b")
    assert source_hash(f"{tmp_path / 'b' / 'net.py'}:wide") == first
    write(tmp_path / "a", kernel=5)
    assert source_hash(f"{path}:wide") != first
    write(tmp_path / "a", net=NETWORK + "\n")
    assert source_hash(f"{path}:wide") != first


@pytest.mark.parametrize(
    ("statement", "module"),
    [
        ("import inner.deep", "inner/deep.py"),
        ("from inner import deep", "inner/deep.py"),
        ("from inner.deep import value", "inner/__init__.py"),
        ("from inner.deep import value", "inner/further.py"),
        ("from .inner.deep import value", "inner/further.py"),
        ("from loose.part import value", "loose/part.py"),
        ("from loose import part", "loose/part.py"),
    ],
)
def test_packages_beside_a_file_are_found_and_hashed(tmp_path: Path, statement: str, module: str) -> None:
    for name in ("inner", "loose"):
        (tmp_path / name).mkdir()
    (tmp_path / "inner" / "__init__.py").write_text("")
    (tmp_path / "inner" / "deep.py").write_text("from . import further\nfrom .further import value")
    (tmp_path / "inner" / "further.py").write_text("value = 1")
    (tmp_path / "loose" / "part.py").write_text("value = 1")  # a folder without __init__.py
    text = statement + "\ndef own(): ..."
    name = f"{write(tmp_path, net=text)}:own"
    load_outside(name)
    before = source_hash(name)
    (tmp_path / module).write_text((tmp_path / module).read_text() + "\nvalue = 2")
    assert source_hash(name) != before


def test_of_two_folders_each_gets_its_own_sibling(tmp_path: Path) -> None:
    first, second = (write(tmp_path / name, kernel) for name, kernel in (("a", 1), ("b", 5)))
    assert weights(f"{first}:Net") == 4 * 2 + 3 * 5
    assert weights(f"{second}:Net") == 4 * 26 + 3 * 5
    assert weights(f"{first}:Net") == 4 * 2 + 3 * 5
    assert "blocks" not in sys.modules


@pytest.mark.parametrize("late", [False, True])
def test_a_changed_file_is_run_again_and_so_is_one_beside_it(
    tmp_path: Path, late: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "dont_write_bytecode", False)
    late_import = "def Net(classes, width):\n    from blocks import block\n    return block(width)\n"
    text = {"net": late_import} if late else {}
    path = write(tmp_path, kernel=1, **text)
    old, before = load_outside(f"{path}:Net"), weights(f"{path}:Net")
    write(tmp_path, kernel=3, **text)  # as long as before, within the same second
    assert weights(f"{path}:Net") == before + 4 * 8
    assert sum(x.numel() for x in old(classes=3, width=4).parameters()) == before  # what is loaded stays as it was


def test_a_module_that_is_imported_by_name_is_read_again_as_a_file_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(tmp_path / "ours", __init__="", net=NETWORK.replace("from blocks", "from ours.blocks"))
    monkeypatch.syspath_prepend(tmp_path)
    before, digest = weights("ours.net:Net"), source_hash("ours.net:Net")
    write(tmp_path / "ours", kernel=5, net=NETWORK.replace("from blocks", "from ours.blocks"))
    assert weights("ours.net:Net") > before
    assert source_hash("ours.net:Net") != digest
    assert "ours" not in sys.modules


def install(place: Path, version: str, listed: bool = True, **others: str) -> None:
    """Put the network into a folder of installed packages as the package `theirs` of the distribution `Their-Nets`."""
    write(place / "theirs", __init__="", net=NETWORK.replace("blocks", ".blocks"))
    for old in place.glob("*.dist-info"):
        shutil.rmtree(old)
    about = place / f"their_nets-{version}.dist-info"
    about.mkdir()
    files = {"METADATA": f"Metadata-Version: 2.1\nName: Their-Nets\nVersion: {version}\n"}
    files["RECORD"] = "theirs/__init__.py,,0\ntheirs/net.py,sha256=1,5\n" if listed else ""
    for name, text in (files | others).items():
        (about / name).write_text(text, encoding="utf-8")


@pytest.fixture
def packages(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder of installed packages, of which none is imported yet."""
    monkeypatch.syspath_prepend(tmp_path / "site-packages")
    monkeypatch.setattr("dainet.segmentation.source_files._installed", {})
    yield tmp_path / "site-packages"
    for name in [name for name in sys.modules if name.partition(".")[0] == "theirs"]:
        del sys.modules[name]


def test_an_installed_module_that_changed_is_refused(packages: Path) -> None:
    install(packages, "1.2", listed=False)
    load_outside("theirs.net:Net")
    (packages / "theirs" / "blocks.py").write_text(BLOCKS.format(kernel=5))
    with pytest.raises(InputError, match=r"theirs\.net.*changed"):
        load_outside("theirs.net:Net")


def test_a_release_is_identified_by_its_name_and_version(packages: Path) -> None:
    install(packages, "1.2+cpu")
    assert source_hash("theirs.net:Net") == hashlib.sha256(b"Their-Nets 1.2").hexdigest()
    (packages / "theirs" / "blocks.py").write_text(BLOCKS.format(kernel=5))
    assert source_hash("theirs.net:Net") == hashlib.sha256(b"Their-Nets 1.2").hexdigest()
    install(packages, "1.3")
    assert source_hash("theirs.net:Net") == hashlib.sha256(b"Their-Nets 1.3").hexdigest()


@pytest.mark.parametrize(
    "facts",
    [{"direct_url.json": '{"url": "file:///here", "dir_info": {"editable": true}}'}, {"listed": False}],
    ids=["from a folder", "of no distribution"],
)
def test_installed_code_that_no_version_fixes_is_identified_by_its_files(packages: Path, facts: dict[str, Any]) -> None:
    install(packages, "1.2", **facts)
    before = source_hash("theirs.net:Net")
    install(packages, "1.3", **facts)
    assert source_hash("theirs.net:Net") == before
    (packages / "theirs" / "blocks.py").write_text(BLOCKS.format(kernel=5))
    assert source_hash("theirs.net:Net") != before


def test_another_release_in_a_running_process_is_refused(packages: Path) -> None:
    install(packages, "1.2")
    assert weights("theirs.net:Net") == 4 * 10 + 3 * 5
    install(packages, "1.3")
    with pytest.raises(InputError, match=r"theirs\.net.*changed"):
        load_outside("theirs.net:Net")


def test_a_fault_in_a_release_is_told_with_its_line(packages: Path) -> None:
    install(packages, "1.2")
    (packages / "theirs" / "blocks.py").write_text("def block(width):\n    raise ValueError(width)\n")
    with pytest.raises(InputError, match=r"theirs\.net:Net.*blocks\.py, line 2"):
        build("theirs.net:Net")


def test_the_kit_is_the_same_seen_from_a_file(tmp_path: Path) -> None:
    (tmp_path / "dainet").mkdir()  # as in the root of the repository
    text = "from dainet.segmentation.networks import UNet\ndef own(classes, width): return UNet(1, 0, classes, width)"
    from dainet.segmentation.networks import UNet

    assert isinstance(build(f"{write(tmp_path, net=text)}:own", width=2), UNet)
    assert isinstance(build("dainet.segmentation.baselines.unet_upsample:unet_upsample", width=2), nn.Module)


def test_a_file_that_seeds_does_not_seed_the_training(tmp_path: Path) -> None:
    name = f"{write(tmp_path, net='import torch; torch.manual_seed(1)' + NETWORK)}:Net"
    torch.manual_seed(5)
    first = build(name).state_dict()
    torch.manual_seed(5)
    again = build(name).state_dict()
    assert all(torch.equal(first[key], again[key]) for key in first)


def test_what_failed_can_be_tried_again_without_a_change_of_its_text(tmp_path: Path) -> None:
    text = f"import os\nif not os.path.exists({str(tmp_path / 'weights')!r}): raise OSError('no weights')\n{NETWORK}"
    name = f"{write(tmp_path, net=text)}:Net"
    with pytest.raises(InputError, match="no weights"):
        check_network(name)
    (tmp_path / "weights").touch()
    check_network(name)


@pytest.mark.parametrize(
    ("text", "what", "facts"),
    [
        ("def own(:\n", "own", ("net.py, line 1", "SyntaxError")),
        ("\nimport nowhere_at_all\n", "own", ("net.py, line 2", "nowhere_at_all")),
        ("\n\nraise SystemExit(3)\n", "own", ("net.py, line 3", "SystemExit")),
        ("def other(): ...\n", "own", ("'own'", "other")),
        ("own = 3\n", "own", ("int", "function")),
        ("def own(classes, depth): ...\n", "own", ("depth", "in_channels, heads, classes, width, image_size")),
        ("def own(classes, /): ...\n", "own", ("arguments classes",)),
        ("def own(): return 3\n", "own", ("int", "torch.nn.Module")),
        ("def own(width):\n    return 1 / (width - 64)\n", "own", ("width=64", "net.py, line 2", "ZeroDivisionError")),
        ("from torch import nn\nown = nn.Conv2d(1, 1, 1)\n", "own", ("built already",)),
        ("own = print\n", "own", ("NoneType",)),
        ("own = type\n", "own", ("signature",)),
    ],
)
def test_refusals_name_the_file_and_what_was_found(tmp_path: Path, text: str, what: str, facts: tuple[str]) -> None:
    with pytest.raises(InputError) as caught:
        build(f"{write(tmp_path, net=text)}:{what}")
    message = str(caught.value)
    assert "net.py:own" in message
    assert "\n" not in message
    assert not [fact for fact in facts if fact not in message], message


@pytest.mark.parametrize("text", ["def block(:\n", "\nimport nowhere_at_all"])
def test_a_fault_in_a_file_beside_is_told_with_its_line(tmp_path: Path, text: str) -> None:
    line = 1 + text.count("\nimport")
    with pytest.raises(InputError, match=rf"net\.py:Net.*blocks\.py, line {line}"):
        check_network(f"{write(tmp_path, blocks=text)}:Net")


@pytest.mark.parametrize(
    ("name", "fact"),
    [
        ("nowhere.py:own", "not a file"),
        ("nowhere:own", "PYTHONPATH"),
        ("os.nowhere:own", "os"),
        ("sys:exit", "Python code"),
        ("__main__:own", "file"),
        ("net.py:", "FILE.py:NAME"),
        (":own", "FILE.py:NAME"),
        ("a.b.py:own", "not a file"),
    ],
)
def test_names_that_lead_nowhere_are_refused(name: str, fact: str) -> None:
    with pytest.raises(InputError, match=fact):
        check_network(name)


@pytest.mark.parametrize("error", [torch.OutOfMemoryError("1 GiB"), RuntimeError("CUBLAS_STATUS_ALLOC_FAILED")])
def test_want_of_gpu_memory_is_no_fault_of_the_network(error: Exception) -> None:
    with pytest.raises(type(error)) as found, explained("net.py:Net", "the backward pass"):
        raise error
    assert found.value is error
