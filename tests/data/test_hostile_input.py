"""Malicious files: none of their code runs, no other file is read or written, and sizes they claim are not allocated.

Other files cover archives that leave their folder (download/test_archive.py), a pickle as npz, headers of NIfTI and h5
that claim terabytes (formats/test_bad_nifti.py, formats/test_bad_copies.py), and requests without the token in a
browser (tests/end_to_end/test_page.py).
"""

from __future__ import annotations

import argparse
import ast
import io
import json
import pickle
import re
import zipfile
from collections.abc import Callable
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Any, cast

import h5py
import nbformat
import numpy as np
import pytest
import torch
from jupyter_server.auth.identity import IdentityProvider
from jupyter_server.serverapp import ServerApp
from safetensors.torch import save_file

import dainet
from dainet.cache.resume import load_state, save_state
from dainet.data.check import check_source
from dainet.device import choose_device
from dainet.explorer import page
from dainet.explorer.pictures import figure_html
from dainet.explorer.table import score_table
from dainet.lessons.index import write_index
from dainet.protocol import load_split
from dainet.reporting.run_identity import public_settings
from dainet.settings import DataSettings, load_settings, parse_override
from dainet.vit.checkpoints import load_dino_center, load_dino_head
from dainet.vit.model import DinoViT, load_vit
from tests.helpers.refusals import Bomb
from tests.helpers.samples import discs

TERABYTE = 10**12
SCRIPT = "<script>alert(1)</script>"


@pytest.fixture
def marker(tmp_path: Path) -> Path:
    """The file that the bombs of a test leave; the first one goes off here, to show that they are no duds."""
    path = tmp_path / "exploded"
    pickle.loads(pickle.dumps(Bomb(path)))
    path.unlink()
    return path


# Checkpoints


def zip_bomb(bomb: Bomb, path: Path) -> None:
    torch.save({"teacher": {}, "student": {}, "args": bomb}, path)


def old_bomb(bomb: Bomb, path: Path) -> None:
    torch.save({"cls_token": bomb}, path, _use_new_zipfile_serialization=False)


def bare_bomb(bomb: Bomb, path: Path) -> None:
    path.write_bytes(pickle.dumps(bomb))


def bomb_in_namespace(bomb: Bomb, path: Path) -> None:
    """In the one class that is allowed, because DINO's own checkpoints hold it."""
    torch.save({"teacher": {}, "student": {}, "args": argparse.Namespace(arch=bomb)}, path)


@pytest.mark.filterwarnings("ignore")  # torch's, about what is refused
@pytest.mark.parametrize("plant", [zip_bomb, old_bomb, bare_bomb, bomb_in_namespace])
@pytest.mark.parametrize("read", [load_vit, load_dino_center, lambda name: load_dino_head(name, "teacher")])
@pytest.mark.parametrize("ending", ["pth", "pt"])
def test_a_checkpoint_runs_nothing(
    plant: Callable[[Bomb, Path], None], read: Callable[[str], object], ending: str, marker: Path, tmp_path: Path
) -> None:
    path = tmp_path / f"evil.{ending}"
    plant(Bomb(marker), path)
    with pytest.raises(ValueError, match=f"^evil.{ending}: .*refused.*tensors.*fetch it again") as caught:
        read(str(path))
    assert not marker.exists()
    assert "\n" not in str(caught.value)
    assert "weights_only" not in str(caught.value)


def test_a_namespace_is_all_that_dinos_checkpoints_may_hold(tmp_path: Path) -> None:
    torch.save({"args": argparse.Namespace(lr=1e-4)}, tmp_path / "plain.pth")
    with pytest.raises(ValueError, match=r"^plain.pth: .*args.*Namespace.*tensors"):
        load_vit(str(tmp_path / "plain.pth"))
    torch.save({"path": tmp_path}, tmp_path / "path.pth")
    with pytest.raises(ValueError, match="refused"):
        load_vit(str(tmp_path / "path.pth"))


def test_the_state_of_a_killed_training_runs_nothing(marker: Path, tmp_path: Path) -> None:
    save_state({"history": []}, tmp_path, epoch=1)
    (path,) = tmp_path.rglob("epoch_*.pt")
    torch.save({"history": Bomb(marker)}, path)
    with suppress(Exception):  # that nothing is run is what counts here
        load_state(tmp_path)
    assert not marker.exists()


def tiny_state() -> dict[str, torch.Tensor]:
    vit = DinoViT(img_size=16, patch_size=8, embed_dim=64, depth=1, num_heads=1, mlp_ratio=0.5)
    return {name: tensor.clone() for name, tensor in vit.state_dict().items()}


CHECKPOINTS: dict[str, tuple[Callable[[dict[str, Any]], object], str]] = {
    "a terabyte that is one number": (
        lambda state: state.update(cls_token=torch.zeros(1).expand(1, 1, TERABYTE)),
        "cls_token",
    ),
    "a sparse tensor": (lambda state: state.update(cls_token=torch.zeros(1, 1, 64).to_sparse()), "sparse"),
    "a billion blocks": (
        lambda state: state.update({"blocks.999999999.norm1.weight": torch.ones(64)}),
        "ViT",
    ),
    "a block without number": (lambda state: state.update({"blocks.x": torch.ones(1)}), "ViT"),
    "a number for a tensor": (lambda state: state.update(cls_token=3), "cls_token.*int.*tensors"),
    "a number for a name": (
        lambda state: state.__setitem__(cast("str", 3), torch.ones(1)),
        "3.*Tensor.*tensors",
    ),
    "no axes": (lambda state: state.update(cls_token=torch.tensor(1.0)), r"cls_token.*\(\).*3"),
    "no width": (lambda state: state.update(cls_token=torch.ones(1, 1, 0)), r"cls_token.*\(1, 1, 0\)"),
    "a list for the teacher": (
        lambda state: state.update(student={}, teacher=[1]),
        "list.*tensors",
    ),
}


@pytest.mark.filterwarnings("ignore")  # torch's, about sparse tensors
@pytest.mark.parametrize("evil", CHECKPOINTS)
def test_a_checkpoint_that_claims_what_it_has_not(evil: str, tmp_path: Path) -> None:
    change, words = CHECKPOINTS[evil]
    state: dict[str, Any] = tiny_state()
    change(state)
    torch.save(state, tmp_path / "evil.pth")
    with pytest.raises(ValueError, match=f"^evil.pth.*{words}") as caught:
        load_vit(str(tmp_path / "evil.pth"))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("heads", ["many", "0", "-1", "99999", "1\n"])
def test_heads_in_the_metadata_of_safetensors(heads: str, tmp_path: Path) -> None:
    save_file(tiny_state(), tmp_path / "evil.safetensors", {"heads": heads})
    with pytest.raises(ValueError, match=r'^evil.safetensors: .*"heads".*metadata'):
        load_vit(str(tmp_path / "evil.safetensors"))


# Arrays


def ssl4mis(folder: Path) -> Path:
    """Two frames of a patient; the first is what a test replaces."""
    folder.mkdir()
    for frame in (1, 9):
        with h5py.File(folder / f"patient001_frame{frame:02d}.h5", "w") as file:
            file["image"], file["label"] = discs(frame)
    return folder / "patient001_frame01.h5"


def external_link(file: h5py.File, secret: Path) -> None:
    file["image"] = h5py.ExternalLink(str(secret), "image")


def soft_link(file: h5py.File, secret: Path) -> None:
    """Through a link of its own to one that leaves the file."""
    file["elsewhere"] = h5py.ExternalLink(str(secret), "/")
    file["image"] = h5py.SoftLink("/elsewhere/image")


def virtual_dataset(file: h5py.File, secret: Path) -> None:
    layout = h5py.VirtualLayout((3, 40, 36), "f4")
    layout[:] = h5py.VirtualSource(str(secret), "image", (3, 40, 36))
    file.create_virtual_dataset("image", layout)


def external_storage(file: h5py.File, secret: Path) -> None:
    file.create_dataset("image", (3, 40, 36), "u1", external=[(str(secret), 0, 3 * 40 * 36)])


@pytest.mark.parametrize("leave", [external_link, soft_link, virtual_dataset, external_storage])
def test_an_h5_file_cannot_refer_to_another_file(leave: Callable[[h5py.File, Path], None], tmp_path: Path) -> None:
    secret = ssl4mis(tmp_path / "secret")
    path = ssl4mis(tmp_path / "data")
    with h5py.File(path, "w") as file:
        leave(file, secret)
        file["label"] = discs(1)[1]
        assert file["image"].shape == (3, 40, 36)  # HDF5 itself would follow
    (problem,) = check_source(DataSettings(source=str(tmp_path / "data"))).problems
    words = "patient001_frame01.h5 .*image.*link.*outside"
    assert re.search(words, problem)
    assert "fetch it again" in problem
    assert "secret" not in problem


def mtunet_case(folder: Path) -> Path:
    folder.mkdir()
    image, label = discs(1)
    for phase in ("ED", "ES"):
        np.savez(folder / f"case_002_volume_{phase}.npz", img=image, label=label)
    return folder / "case_002_volume_ED.npz"


def claiming(path: Path, shape: tuple[int, ...]) -> None:
    """An npz whose arrays announce another shape than they have."""
    member = io.BytesIO()
    np.lib.format.write_array_header_1_0(member, {"descr": "<f4", "fortran_order": False, "shape": shape})
    with zipfile.ZipFile(path, "w") as file:
        for name in ("img.npy", "label.npy"):
            file.writestr(name, member.getvalue() + bytes(1000))


def test_an_npz_that_claims_terabytes_is_refused_before_memory_is_taken(tmp_path: Path) -> None:
    claiming(mtunet_case(tmp_path / "data"), (30000, 30000, 30000))
    (problem,) = check_source(DataSettings(source=str(tmp_path / "data"))).problems
    assert "case_002_volume_ED.npz" in problem
    assert "1.08e+05 GB of voxels" in problem


def test_objects_in_an_npz_are_not_unpickled_and_the_error_does_not_advise_it(marker: Path, tmp_path: Path) -> None:
    path = mtunet_case(tmp_path / "data")
    np.savez(path, img=np.array([Bomb(marker)], object), label=np.zeros(1))
    (problem,) = check_source(DataSettings(source=str(tmp_path / "data"))).problems
    assert re.search("img .*pickled objects.*numbers", problem)
    assert "allow_pickle" not in problem
    assert not marker.exists()


# Settings


def test_yaml_makes_plain_values_only(marker: Path) -> None:
    tags = ("object/apply:pathlib.Path.touch", "object/new:pathlib.Path", "name:os.system", "module:os")
    for tag in tags:
        with pytest.raises(ValueError, match=r"^--set dino.epochs: .*constructor"):
            parse_override(f"dino.epochs=!!python/{tag} [{marker}]")
    assert not marker.exists()


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


# What is read, everywhere in the package


@cache
def all_calls() -> list[ast.Call]:
    trees = [ast.parse(path.read_text(encoding="utf-8")) for path in Path(dainet.__file__).parent.rglob("*.py")]
    return [node for tree in trees for node in ast.walk(tree) if isinstance(node, ast.Call)]


def calls(name: str) -> list[ast.Call]:
    """Every call of a function with this name, such as "torch.load"."""
    return [call for call in all_calls() if ast.unparse(call.func) == name]


def test_every_torch_load_is_of_weights_only() -> None:
    found = [ast.unparse(call) for call in calls("torch.load")]
    assert found
    assert all("weights_only=True" in call for call in found)


@pytest.mark.parametrize(
    "name", ["pickle.load", "pickle.loads", "pd.read_pickle", "yaml.load", "yaml.unsafe_load", "eval", "exec"]
)
def test_nothing_reads_pickles_or_runs_text(name: str) -> None:
    assert not calls(name)


def test_numpy_never_unpickles() -> None:
    assert all("allow_pickle=True" not in ast.unparse(call) for call in calls("np.load"))


# Pages


def test_the_index_escapes_what_others_have_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "pyproject.toml").touch()
    monkeypatch.chdir(tmp_path)
    settings = load_settings("tour", {"output": "out", "data.source": SCRIPT})
    record = {"settings": public_settings(settings), "git": SCRIPT, "data": [SCRIPT]}
    (tmp_path / "out" / "notebooks").mkdir(parents=True)
    name = "javascript:alert(1)<img src=x onerror=alert(2)>\"'"
    for ending, text in {
        "json": json.dumps(record),
        "png": "",
        "csv": f"{SCRIPT},b\n{SCRIPT},<b>\n",
        "md": f"| a |\n\n- {SCRIPT}\n",
    }.items():
        (tmp_path / "out" / f"{name}.{ending}").write_text(text)
    for path in (tmp_path / "out" / "notebooks" / "<b>.json", tmp_path / "out" / f"other {name}.json"):
        path.write_text(json.dumps(record | ({"settings": {SCRIPT: SCRIPT}} if "other" in path.name else {})))
    text = write_index(settings).read_text(encoding="utf-8")
    assert text.count("&lt;script&gt;") >= 3
    assert "&lt;b&gt;.ipynb" in text
    assert "<script" not in text
    assert "<b>" not in text
    assert "<img src=x" not in text
    assert 'href="./javascript:' in text
    assert 'href="javascript:' not in text


def test_the_explorer_escapes_names() -> None:
    table = score_table({SCRIPT: (None, None)}, [SCRIPT], ["#ffffff"])
    figure = figure_html(None, SCRIPT, SCRIPT)
    assert "<script" not in table + figure
    assert (table + figure).count("&lt;script&gt;") == 4


# Servers


def test_the_page_is_served_on_localhost_to_who_has_the_token(monkeypatch: pytest.MonkeyPatch) -> None:
    launched = []
    monkeypatch.setattr(page.Voila, "launch_instance", lambda **values: launched.append(values["config"].Voila))
    page.serve("tour", {}, 8866, False)
    assert launched[0].ip == "localhost"
    assert launched[0].auto_token
    assert not launched[0].open_browser
    assert page.Voila(config=page.Config({"Voila": dict(launched[0])})).ip == "localhost"


def test_jupyter_listens_on_localhost_and_makes_a_token(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("JUPYTER_TOKEN", raising=False)
    assert ServerApp().ip == "localhost"
    assert len(IdentityProvider().token) >= 32


def test_nothing_in_the_repository_opens_a_server_to_others() -> None:
    root = Path(dainet.__file__).parents[1]
    files = [root / "Makefile", root / "README.md", *(root / ".ci").iterdir(), *root.glob("docs/*.md")]
    for path in files:
        text = path.read_text(encoding="utf-8")
        assert not [opening for opening in ("0.0.0.0", "token=''", 'token=""') if opening in text], path.name


def test_served_notebooks_hold_no_token() -> None:
    for path in (Path(dainet.__file__).parents[1] / "notebooks").glob("*.ipynb"):
        assert "token=" not in nbformat.writes(nbformat.read(path, as_version=4))
