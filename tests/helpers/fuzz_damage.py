"""Random damage to the content of a file, reproducible by its seed; see fuzzing.py."""

from __future__ import annotations

import gzip
import io
import struct
import zipfile

import numpy as np

# Content that readers of text, pickles and numbers often cannot handle.
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
