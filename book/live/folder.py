"""The live page as a folder that opens from the disk: page, networks, slices and runtime, and nothing from elsewhere.

A page that was opened as a file may not fetch another file, but it may load scripts. So whatever is not text is packed
into scripts: gzip, base64, and one call that hands it over.
"""

from __future__ import annotations

import gzip
import json
import shutil
from base64 import b64encode
from collections.abc import Iterator
from html import escape
from pathlib import Path

import matplotlib

from book.npm import fetch
from dainet.explorer.card import TRIES
from dainet.explorer.drawing import DRAWING_SIZE, SWITCH_PLACES, network_drawing
from dainet.explorer.pictures import ERROR_COLORS
from dainet.explorer.predictor import Choice, everything_on
from dainet.settings import load_settings

__all__ = ["MODELS", "RUNTIME_FILES", "build_live"]

MODELS = Path(__file__).parent / "models"
_SLICES = Path(__file__).parent / "slices.json"
_PAGE = Path(__file__).parent / "page"
# What of onnxruntime-web the page needs: the build for WebAssembly alone, in one script, and the WebAssembly.
RUNTIME_FILES = {"runtime": "ort.wasm.bundle.min.mjs", "wasm": "ort-wasm-simd-threaded.wasm"}
_ALL_ON = everything_on(6, "finetuned")


def build_live(output: Path) -> None:
    """Write the live page into a folder, whose earlier content is removed.

    Raises:
        InputError: onnxruntime-web has never been fetched, and there is no network; see `book.npm.fetch`.
    """
    runtime = fetch("onnxruntime-web") / "dist"
    shutil.rmtree(output, ignore_errors=True)
    shutil.copytree(_PAGE, output)
    (output / "index.html").write_text(_page(), encoding="utf-8")
    (output / "facts.js").write_text(f"Live.facts = {json.dumps(_facts())};\n", encoding="utf-8")
    data = output / "data"
    data.mkdir()
    for path in sorted(MODELS.glob("*.onnx.gz")):
        _write_packed(data, path.name.removesuffix(".onnx.gz"), path.read_bytes())
    _write_packed(data, "slices", _gzipped(_SLICES.read_bytes()))
    for name, file in RUNTIME_FILES.items():
        _write_packed(data, name, _gzipped((runtime / file).read_bytes()))


def _write_packed(folder: Path, name: str, packed: bytes) -> None:
    """Write bytes of gzip as a script that hands them to `Live.data.arrived` of page/data.js."""
    text = f'Live.data.arrived("{name}", "{b64encode(packed).decode()}");\n'
    (folder / f"{name}.js").write_text(text, encoding="ascii")


def _gzipped(content: bytes) -> bytes:
    return gzip.compress(content, 6, mtime=0)


def _page() -> str:
    text = (_PAGE / "index.html").read_text(encoding="utf-8")
    drawing = network_drawing(_ALL_ON, _deep_first())
    return text.replace("<!-- drawing -->", drawing).replace("<!-- tries -->", "\n".join(_tries()))


def _tries() -> Iterator[str]:
    """Write those questions of the explorer's card which this page can answer: those with fine-tuned maps."""
    for item in TRIES:
        choice = item.change(_ALL_ON)
        if choice.source == _ALL_ON.source:
            yield (
                f"<li {_attributes(choice)}>{escape(item.question)}<br>"
                '<label>Your guess in points <input></label> <a href="#">Show it</a>'
                f'<span class="answer" hidden><output></output> {escape(item.afterwards)}</span></li>'
            )


def _attributes(choice: Choice) -> str:
    """Write a setting as the page's script keeps it."""
    heads, skips = ("".join(str(int(on)) for on in switches) for switches in (choice.heads_on, choice.skips_on))
    mode = "cut" if choice.cut else "trained"
    return f'data-heads="{heads}" data-skips="{skips}" data-mode="{mode}" data-instead="{choice.instead.split()[0]}"'


def _facts() -> dict[str, object]:
    """Collect what the scripts share with the explorer: colors, and where the switches lie.

    A switch is [left, top, row]: its middle in percent of the drawing, and its row, 0 for full resolution.
    """
    viridis = (matplotlib.colormaps["viridis"](range(256))[:, :3] * 255).round().astype(int).tolist()
    width, height = DRAWING_SIZE
    places = [[100 * x / width, 100 * y / height, row] for row, (x, y) in enumerate(SWITCH_PLACES)]
    return {"viridis": viridis, "errors": ERROR_COLORS, "switches": places[:: -1 if _deep_first() else 1]}


def _deep_first() -> bool:
    """Say whether switch (1) is the skip at 1/8 resolution."""
    return load_settings("tour").segmentation.switch_order == "deep-first"
