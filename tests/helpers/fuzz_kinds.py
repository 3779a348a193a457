"""The kinds of files that the kit reads: how a small one is written and read; see fuzzing.py."""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import h5py
import nibabel
import numpy as np
import pandas as pd
import torch

from dainet.data.check import check_source
from dainet.data.spacing import read_spacing
from dainet.data.volume import DataError
from dainet.errors import InputError
from dainet.protocol import load_split
from dainet.settings import DataSettings, Settings, load_settings, loading, parse_override
from dainet.vit.checkpoints import load_dino_center, load_dino_head
from dainet.vit.model import DinoViT, load_vit, save_vit
from tests.helpers.formats import acdc_patient, load_nifti, nnunet, save_npz
from tests.helpers.samples import discs

OWN_ERRORS = (DataError, InputError, FileNotFoundError, ConnectionError)  # exactly these, no subclass of a library


class Kind(NamedTuple):
    """A kind of file: writes a small data set and gives the files of which one is damaged; reads it, gives refusals."""

    name: str
    write: Callable[[Path], Sequence[Path]]
    read: Callable[[Path, Path], Sequence[str]]  # folder, damaged file


def own_message(error: Exception, name: str = "--set") -> str:
    """The message of one of the kit's errors: one line, not too long, with the name of what is wrong; else raise."""
    message = str(error)
    named = name in message or message.startswith(("setting ", "--set ", "patient001", "data has no "))
    if type(error) not in OWN_ERRORS or "\n" in message or len(message) > 1000 or not named:
        raise error
    return message


def checks(dataset: str) -> Callable[[Path, Path], Sequence[str]]:
    def read(folder: Path, path: Path) -> Sequence[str]:
        return check_source(DataSettings(dataset=dataset, source=str(folder))).problems

    return read


def write_packed_nifti(folder: Path) -> Sequence[Path]:
    nnunet(folder, names=("a",))
    return sorted(folder.rglob("*.nii.gz"))


def write_plain_nifti(folder: Path) -> Sequence[Path]:
    """The same with a scale in the header and a label in the other byte order."""
    nnunet(folder, names=("a",))
    paths = []
    for packed, dtype in zip(write_packed_nifti(folder), ("<i2", ">i2"), strict=True):
        old = load_nifti(packed)
        new = nibabel.Nifti1Image(np.asarray(old.dataobj).astype(dtype), old.affine)
        if dtype == "<i2":
            new = nibabel.Nifti1Image(np.asarray(old.dataobj), old.affine, dtype="int16")
        nibabel.save(new, packed.with_suffix(""))
        packed.unlink()
        paths.append(packed.with_suffix(""))
    return paths


def write_npz(folder: Path) -> Sequence[Path]:
    image, label = discs(1)
    for phase in ("ED", "ES"):
        save_npz(folder / f"case_002_volume_{phase}.npz", img=image, label=label)
    return [folder / "case_002_volume_ED.npz"]


def write_h5(folder: Path) -> Sequence[Path]:
    image, label = discs(1)
    for frame in (1, 9):
        with h5py.File(folder / f"patient001_frame{frame:02d}.h5", "w") as file:
            file.create_dataset("image", data=image, compression="gzip" if frame == 1 else None)
            file["label"] = label
    return sorted(folder.iterdir())


def write_info(folder: Path) -> Sequence[Path]:
    return [acdc_patient(folder / "patient001") / "Info.cfg"]


def write_description(folder: Path) -> Sequence[Path]:
    nnunet(folder, names=("a",), colors={"core": "#aa0000"})
    return [folder / "dataset.json"]


def write_split(folder: Path) -> Sequence[Path]:
    kinds = ("train", "valid", "test")
    table = pd.DataFrame(
        {"patient": [f"patient{i:03d}" for i in range(12)], "split": [kinds[i % 3] for i in range(12)]}
    )
    table.to_csv(folder / "split.csv", index=False)
    return [folder / "split.csv"]


def read_split(folder: Path, path: Path) -> Sequence[str]:
    load_split("acdc", str(path))
    return ()


def write_edges(folder: Path) -> Sequence[Path]:
    table = pd.DataFrame({"patient": [f"patient{i:03d}" for i in range(12)], "pixel_mm": 1.5, "slice_distance_mm": 8.0})
    table.assign(ed_frame=1, slices=9.0).to_csv(folder / "edges.csv", index=False)
    return [folder / "edges.csv"]


def read_edges(folder: Path, path: Path) -> Sequence[str]:
    read_spacing(path)
    return ()


def write_profile(folder: Path) -> Sequence[Path]:
    text = loading._profiles().joinpath("tour.yaml").read_text(encoding="utf-8")
    (folder / "tour.yaml").write_text(text, encoding="utf-8")
    return [folder / "tour.yaml"]


def read_profile(folder: Path, path: Path) -> Sequence[str]:
    shipped, loading._profiles = loading._profiles, lambda: folder
    try:
        load_settings("tour", {"data.dataset": "synapse"})
    finally:
        loading._profiles = shipped
    return ()


def override_lines() -> list[str]:
    """A line `name=value` for every setting, as on the command line; the profile has an option of its own."""
    values = Settings().model_dump(mode="json", exclude={"profile"})
    lines = [f"{name}={json.dumps(value)}" for name, value in values.items() if not isinstance(value, dict)]
    for section in (name for name, value in values.items() if isinstance(value, dict)):
        lines += [f"{section}.{name}={json.dumps(value)}" for name, value in values[section].items()]
    return lines


def write_overrides(folder: Path) -> Sequence[Path]:
    (folder / "overrides.txt").write_text("\n".join(override_lines()))
    return [folder / "overrides.txt"]


def read_overrides(folder: Path, path: Path) -> Sequence[str]:
    """Every line by itself, and then all together."""
    refusals: list[str] = []
    accepted: dict[str, Any] = {}
    lines = path.read_bytes().decode(errors="surrogateescape").split("\n")
    for line in [*(lines if lines == override_lines() else sorted(set(lines) - set(override_lines()))), None]:
        try:
            override = accepted if line is None else dict([parse_override(line)])
            load_settings("paper", override)  # its values are the defaults, which the lines give
            accepted |= override
        except InputError as error:
            refusals.append(own_message(error))
    return refusals


def tiny_vit() -> DinoViT:
    return DinoViT(img_size=16, patch_size=8, embed_dim=64, depth=2, num_heads=1, mlp_ratio=0.5)


def write_backbone(folder: Path) -> Sequence[Path]:
    state = {f"module.backbone.{name}": tensor.half() for name, tensor in tiny_vit().state_dict().items()}
    torch.save(state, folder / "backbone.pth")
    torch.save(state, folder / "old.pt", _use_new_zipfile_serialization=False)  # before PyTorch 1.6: no zip archive
    return sorted(folder.iterdir())


def write_full_checkpoint(folder: Path) -> Sequence[Path]:
    network = {f"backbone.{name}": tensor.half() for name, tensor in tiny_vit().state_dict().items()}
    network |= {"head.mlp.0.weight": torch.ones(2, 64)}
    content = {"student": network, "teacher": network, "epoch": 3, "args": argparse.Namespace(patch_size=8)}
    torch.save(content | {"dino_loss": {"center": torch.zeros(1, 4)}}, folder / "full.pth")
    return [folder / "full.pth"]


def write_safetensors(folder: Path) -> Sequence[Path]:
    save_vit(tiny_vit().half(), folder / "vit.safetensors")
    return [folder / "vit.safetensors"]


def read_weights_file(folder: Path, path: Path) -> Sequence[str]:
    load_dino_head(str(path), "teacher")
    load_dino_center(str(path))
    load_vit(str(path), heads=1)
    return ()


KINDS = {
    kind.name: kind
    for kind in (
        Kind("NIfTI, packed", write_packed_nifti, checks("custom")),
        Kind("NIfTI, plain", write_plain_nifti, checks("custom")),
        Kind("npz", write_npz, checks("acdc")),
        Kind("h5", write_h5, checks("acdc")),
        Kind("Info.cfg", write_info, checks("acdc")),
        Kind("dataset.json", write_description, checks("custom")),
        Kind("split CSV", write_split, read_split),
        Kind("edges CSV", write_edges, read_edges),
        Kind("profile YAML", write_profile, read_profile),
        Kind("--set", write_overrides, read_overrides),
        Kind("backbone .pth, .pt", write_backbone, read_weights_file),
        Kind("full DINO .pth", write_full_checkpoint, read_weights_file),
        Kind("safetensors", write_safetensors, read_weights_file),
    )
}
