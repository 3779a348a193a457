"""Damaged files of every kind that the kit reads: each one works, or is refused by the kit's own error.

`python tests/fuzzing.py --count 2000` damages 2,000 files and prints what happened to each kind. The same kind and seed
always give the same damage. Every file is read in a child process: after 10 seconds the system ends it, and memory is
limited to 2 GiB more than it has at the start.
"""

from __future__ import annotations

import argparse
import gzip
import io
import json
import multiprocessing
import os
import resource
import signal
import struct
import sys
import tempfile
import time
import traceback
import warnings
import zipfile
from collections.abc import Callable, Iterator, Sequence
from itertools import groupby
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import NamedTuple

import h5py
import nibabel
import numpy as np
import pandas as pd
import torch
from conftest import discs
from formats import acdc_patient, nnunet, save_npz

from dainet import settings
from dainet.checkpoints import load_dino_center, load_dino_head
from dainet.data.check import check_source
from dainet.data.volume import DataError
from dainet.protocol import load_split
from dainet.settings import DataSettings, Settings, load_settings, parse_override
from dainet.vit import DinoViT, load_vit, save_vit

SECONDS = 10
GIBIBYTE = 1 << 30
OWN_ERRORS = (DataError, ValueError, FileNotFoundError, ConnectionError)  # exactly these, no subclass of a library

# What tends to upset readers of text, of pickles and of numbers.
WORDS = (
    *(b"\x00", b"\xff\xfe", b"\xef\xbb\xbf", b"\r", b"\n", b'"', b"'", b",", b":", b"=", b"-1", b"0", b"1e999", b"nan"),
    *(
        b"9" * 25,
        b"9" * 5000,
        b"0x" + b"f" * 4000,
        b"[" * 3000,
        b"{" * 3000,
        b"[]",
        b"{}",
        b"null",
        b"true",
        b"&a [*a]",
    ),
    *(b"!!python/object/apply:os.getcwd []", b"!!bool x", b"!!timestamp x", b"2024-13-45", b"*b", b"\xc2\xb2", b"~"),
)
NUMBERS = (0, 1, -1, 127, 255, 32767, 65535, 2**31 - 1, 2**32 - 1, 2**40, 2**62, 2**63 - 1)
FLOATS = (np.nan, np.inf, -np.inf, 1e38, -1e38, 1e-38, 1e300)


class Kind(NamedTuple):
    """A kind of file: writes a small data set and gives the files of which one is damaged; reads it, gives refusals."""

    name: str
    write: Callable[[Path], Sequence[Path]]
    read: Callable[[Path, Path], Sequence[str]]  # folder, damaged file


class Outcome(NamedTuple):
    """What became of one damaged file; a finding is neither an answer nor the kit's own error."""

    kind: str
    seed: int
    refusals: Sequence[str]
    finding: str
    seconds: float
    peak_bytes: int


# ---- damage


def flipped_bits(content: bytearray, random: np.random.Generator) -> None:
    for _ in range(random.integers(1, 9)):
        content[place(content, random)] ^= 1 << int(random.integers(8))


def truncated(content: bytearray, random: np.random.Generator) -> None:
    del content[place(content, random) :]


def zeroed_block(content: bytearray, random: np.random.Generator) -> None:
    start, size = place(content, random), block_size(random)
    content[start : start + size] = bytes(len(content[start : start + size]))


def removed_block(content: bytearray, random: np.random.Generator) -> None:
    start = place(content, random)
    del content[start : start + block_size(random)]


def repeated_block(content: bytearray, random: np.random.Generator) -> None:
    start = place(content, random)
    content[start:start] = content[start : start + block_size(random)]


def swapped_fields(content: bytearray, random: np.random.Generator) -> None:
    width = int(random.choice([1, 2, 4, 8]))
    one, other = (place(content, random) // width * width for _ in range(2))
    if max(one, other) + width <= len(content):
        content[one : one + width], content[other : other + width] = (
            content[other : other + width],
            content[one : one + width],
        )


def extreme_number(content: bytearray, random: np.random.Generator) -> None:
    order, width = random.choice(["<", ">"]), random.choice(list("bhiq"))
    size = struct.calcsize(width)
    number = int(random.choice(NUMBERS)) % 256**size
    start = place(content, random) // size * size
    content[start : start + size] = struct.pack(f"{order}{width.upper()}", number)


def extreme_float(content: bytearray, random: np.random.Generator) -> None:
    kind = random.choice(["<f4", "<f8", ">f4"])
    with np.errstate(over="ignore"):
        number = np.array(random.choice(FLOATS)).astype(kind).tobytes()
    start = place(content, random) // 4 * 4
    content[start : start + len(number)] = number


def inserted_word(content: bytearray, random: np.random.Generator) -> None:
    start, replaced = place(content, random), int(random.integers(0, 8))
    content[start : start + replaced] = WORDS[random.integers(len(WORDS))]


DAMAGES = (
    *(flipped_bits, truncated, zeroed_block, removed_block, repeated_block),
    *(swapped_fields, extreme_number, extreme_float, inserted_word),
)


def place(content: bytearray, random: np.random.Generator) -> int:
    """A position, half of the time near the start, where headers are."""
    end = min(len(content), 400) if random.random() < 0.5 else len(content)
    return int(random.integers(max(end, 1))) if content else 0


def block_size(random: np.random.Generator) -> int:
    return int(2 ** random.integers(0, 10))


def damaged(content: bytes, suffix: str, seed: int) -> bytes:
    """One to three kinds of damage; in half of the containers to what they hold, under right checksums."""
    random = np.random.default_rng(seed)
    inside = INSIDE.get(suffix, spoiled)
    return (inside if random.random() < 0.5 else spoiled)(content, random)


def spoiled(content: bytes, random: np.random.Generator) -> bytes:
    changed = bytearray(content)
    for damage in random.choice(np.array(DAMAGES, object), random.choice([1, 1, 1, 2, 3])):
        if changed:
            damage(changed, random)
    return bytes(changed)


def inside_gzip(content: bytes, random: np.random.Generator) -> bytes:
    return gzip.compress(spoiled(gzip.decompress(content), random), 1, mtime=0)


def inside_zip(content: bytes, random: np.random.Generator) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(content)) as old, zipfile.ZipFile(buffer, "w") as new:
        names = old.namelist()
        first = [name for name in names if name.endswith("data.pkl")]  # what describes a checkpoint's tensors
        chosen = first[0] if first and random.random() < 0.7 else names[random.integers(len(names))]
        for name in names:
            new.writestr(name, spoiled(old.read(name), random) if name == chosen else old.read(name))
    return buffer.getvalue()


def inside_safetensors(content: bytes, random: np.random.Generator) -> bytes:
    (length,) = struct.unpack("<Q", content[:8])
    header = spoiled(content[8 : 8 + length], random)
    return struct.pack("<Q", len(header)) + header + content[8 + length :]


INSIDE = {".gz": inside_gzip, ".npz": inside_zip, ".pth": inside_zip, ".safetensors": inside_safetensors}


# ---- kinds of files


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
        old = nibabel.load(packed)
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
    nnunet(folder, names=("a",), colours={"core": "#aa0000"})
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


def write_profile(folder: Path) -> Sequence[Path]:
    text = settings._profiles().joinpath("tour.yaml").read_text(encoding="utf-8")
    (folder / "tour.yaml").write_text(text, encoding="utf-8")
    return [folder / "tour.yaml"]


def read_profile(folder: Path, path: Path) -> Sequence[str]:
    shipped, settings._profiles = settings._profiles, lambda: folder
    try:
        load_settings("tour", {"data.dataset": "synapse"})
    finally:
        settings._profiles = shipped
    return ()


def override_lines() -> list[str]:
    """A line `name=value` for every setting, as on the command line."""
    values = Settings().model_dump(mode="json")
    lines = [f"{name}={json.dumps(value)}" for name, value in values.items() if not isinstance(value, dict)]
    for section in (name for name, value in values.items() if isinstance(value, dict)):
        lines += [f"{section}.{name}={json.dumps(value)}" for name, value in values[section].items()]
    return lines


def write_overrides(folder: Path) -> Sequence[Path]:
    (folder / "overrides.txt").write_text("\n".join(override_lines()))
    return [folder / "overrides.txt"]


def read_overrides(folder: Path, path: Path) -> Sequence[str]:
    """Every line by itself, and then all together."""
    refusals, accepted = [], {}
    lines = path.read_bytes().decode(errors="surrogateescape").split("\n")
    for line in lines if lines == override_lines() else sorted(set(lines) - set(override_lines())):
        try:
            override = dict([parse_override(line)])
            load_settings("tour", override)
            accepted |= override
        except ValueError as error:
            refusals.append(own_message(error))
    load_settings("tour", accepted)
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
    load_vit(str(path))
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
        Kind("profile YAML", write_profile, read_profile),
        Kind("--set", write_overrides, read_overrides),
        Kind("backbone .pth, .pt", write_backbone, read_weights_file),
        Kind("full DINO .pth", write_full_checkpoint, read_weights_file),
        Kind("safetensors", write_safetensors, read_weights_file),
    )
}


# ---- running


def run(jobs: Sequence[tuple[str, int]]) -> Iterator[Outcome]:
    """Read a damaged file for each kind and seed, in a child process that is replaced when it dies."""
    context, done = multiprocessing.get_context("fork"), 0
    while done < len(jobs):
        mine, theirs = context.Pipe(duplex=False)
        with tempfile.TemporaryDirectory() as folder:
            child = context.Process(target=work, args=(jobs[done:], Path(folder), theirs))
            child.start()
            theirs.close()
            alive = True
            while alive and done < len(jobs):
                alive = bool(answer := receive(mine, child))
                yield answer or Outcome(*jobs[done], (), f"the process died: {death(child)}", SECONDS, 0)
                done += 1
            child.join()


def receive(answers: Connection, child: BaseProcess) -> Outcome | None:
    """The next outcome, or None where the child died of it."""
    if not answers.poll(3 * SECONDS):
        child.kill()  # stuck where its own alarm was not set
    try:
        return answers.recv()
    except EOFError:
        child.join()
        return None


def death(child: BaseProcess) -> str:
    return "no end" if child.exitcode == -signal.SIGALRM else f"exit code {child.exitcode}"


def work(jobs: Sequence[tuple[str, int]], folder: Path, answers: Connection) -> None:
    """The child: one kind after the other, each in a folder of its own."""
    torch.set_num_threads(1)
    warnings.simplefilter("ignore")  # NumPy's and nibabel's, about what is refused
    limit_memory()
    with Path(os.devnull).open("w") as nowhere:
        os.dup2(nowhere.fileno(), sys.stderr.fileno())  # progress bars, nibabel's log
    for name, group in groupby(jobs, key=lambda job: job[0]):
        data = folder / name / "data"
        data.mkdir(parents=True)
        files = {path: path.read_bytes() for path in KINDS[name].write(data)}
        for _, seed in group:
            answers.send(outcome(KINDS[name], seed, data, files))


def limit_memory() -> None:
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    limit = pages * resource.getpagesize() + 2 * GIBIBYTE
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))


def outcome(kind: Kind, seed: int, folder: Path, files: dict[Path, bytes]) -> Outcome:
    path = list(files)[seed % len(files)]
    path.write_bytes(damaged(files[path], path.suffix, seed))
    refusals, finding, start = list[str](), "", time.monotonic()
    signal.alarm(SECONDS)
    try:
        refusals = [own_message(DataError(problem), path.name) for problem in kind.read(folder, path)]
    except Exception as error:
        try:
            refusals = [own_message(error, path.name)]
        except Exception:
            finding = describe(error)
    signal.alarm(0)
    path.write_bytes(files[path])
    peak = 1024 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return Outcome(kind.name, seed, refusals, finding, time.monotonic() - start, peak)


def own_message(error: Exception, name: str = "--set") -> str:
    """The message of one of the kit's errors: one line, not too long, with the name of what is wrong; else raise."""
    message = str(error)
    named = name in message or message.startswith(("setting ", "--set ", "patient001", "data holds no "))
    if type(error) not in OWN_ERRORS or "\n" in message or len(message) > 1000 or not named:
        raise error
    return message


def describe(error: Exception) -> str:
    where = traceback.extract_tb(error.__traceback__)
    kit = [f"{Path(frame.filename).name}:{frame.name}" for frame in where if "dainet" in Path(frame.filename).parts]
    return f"{type(error).__name__} in {kit[-1] if kit else 'the library'}: {str(error)[:300]!r}"


# ---- command line


def table(outcomes: Sequence[Outcome]) -> str:
    """A line per kind, and one for all."""
    lines = [
        "| kind | tried | worked | refused | findings | slowest, s | peak memory, MB |",
        "|---|--:|--:|--:|--:|--:|--:|",
    ]
    groups = {name: [one for one in outcomes if one.kind == name] for name in KINDS} | {"all": list(outcomes)}
    for name, group in groups.items():
        findings, refused = sum(bool(one.finding) for one in group), sum(bool(one.refusals) for one in group)
        slowest, peak = max(one.seconds for one in group), max(one.peak_bytes for one in group) / 1e6
        counts = f"{len(group)} | {len(group) - findings - refused} | {refused} | {findings}"
        lines.append(f"| {name} | {counts} | {slowest:.2f} | {peak:.0f} |")
    return "\n".join(lines)


def plan(count: int, kinds: Sequence[str] = tuple(KINDS), first_seed: int = 0) -> list[tuple[str, int]]:
    """About `count` damaged files, evenly over the kinds."""
    shares = [count // len(kinds) + (i < count % len(kinds)) for i in range(len(kinds))]
    return [(kind, first_seed + i) for kind, share in zip(kinds, shares, strict=True) for i in range(share)]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=2000, help="damaged files, evenly over the kinds")
    parser.add_argument("--kinds", nargs="+", default=list(KINDS), choices=list(KINDS))
    parser.add_argument("--seed", type=int, default=0, help="of the first file of every kind")
    options = parser.parse_args()
    outcomes = list(run(plan(options.count, options.kinds, options.seed)))
    for one in outcomes:
        if one.finding:
            print(f"{one.kind}, seed {one.seed}: {one.finding}")
    print(table(outcomes))
    sys.exit(any(one.finding for one in outcomes))


if __name__ == "__main__":
    main()
