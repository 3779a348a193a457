"""The idea of the paper in one picture, drawn by `python -m book.idea`.

It shows a slice of a phantom, its six maps, the network, and what it predicts.
"""

from __future__ import annotations

from base64 import b64encode
from html import escape
from io import BytesIO
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from book.sources import REPOSITORY
from book.stories.our_patient import our_patient
from dainet.cache.records import hash_file, write_record
from dainet.explorer.pictures import map_picture
from dainet.options import new_app, run_app
from dainet.reporting.figures import gray, label_overlay

__all__ = ["ALT", "draw_idea", "save_idea"]

app = new_app(__doc__)
ALT = (
    "A slice of a heart goes into a U-Net and also into a vision transformer. The transformer's six attention maps go "
    "into a second encoder, whose features join the decoder through four skip connections, each with a switch. The "
    "decoder ends in a prediction, the heart's parts in color."
)
# Lengths are px of a drawing that a phone shows at half its size: 26 px of text are 13 px there.
_WIDTH, _HEIGHT = 720, 662
_IMAGE_X, _DECODER_X, _MAPS_X, _SWITCH_X = 105, 330, 570, 450  # middle of each column
_TOP, _SLICE, _MAP, _GAP, _PREDICTION = 42, 190, 91, 8, 136  # where pictures begin, and their sides
_ROWS, _BLOCK_WIDTHS = (350, 402, 454, 506, 558), (130, 108, 86, 64, 50)  # full resolution first, bottleneck last
_STYLE = """
tspan { font-weight: 600 } text { font: 26px system-ui, sans-serif; text-anchor: middle; fill: #222 }
.box text { fill: #222; font-size: 22px } image { image-rendering: pixelated }
path { fill: none; stroke: #555; stroke-width: 3 } .switched { stroke: #e69f00; stroke-width: 7 }
rect { stroke: #555; stroke-width: 1.5 } #head { fill: #555; stroke: none }
.image rect { fill: #b9dcf2 } .maps rect { fill: #fbd795 } .decoder rect { fill: #d9d9e0 }
.switch rect { fill: #e69f00 }
@media (prefers-color-scheme: dark) {
text { fill: #eee } path, rect { stroke: #aaa } .switched { stroke: #e69f00 } #head { fill: #aaa }
}
"""


@app.command()
def main() -> None:
    """Draw figures/idea.svg and its record, which takes seconds."""
    save_idea(REPOSITORY / "figures")


def draw_idea(image: np.ndarray, maps: np.ndarray, overlay: np.ndarray) -> str:
    """Draw the picture as SVG, whose colors follow the light or dark page around it.

    Args:
        image: a slice [H, W], any range.
        maps: its six attention maps [6, h, w], any range.
        overlay: the prediction in color over the slice [H, W, 3] in [0, 1].
    """
    pictures = [
        _picture(np.repeat(gray(image)[..., None], 3, -1), _IMAGE_X, _TOP, _SLICE),
        *(_picture(map_picture(attention, "viridis"), *_map_place(i), _MAP) for i, attention in enumerate(maps)),
        _picture(overlay, _DECODER_X, _ROWS[0] - 50 - _PREDICTION, _PREDICTION),
    ]
    return "\n".join([*_head(), *pictures, *_arrows(), *_skips(), *_blocks(), *_words(), "</svg>", ""])


def save_idea(folder: Path) -> None:
    """Write the picture as `folder`/idea.svg, and its record next to it.

    The slice, the ViT and the network are those of the stories.
    """
    patient = our_patient()
    image = patient.image[0, 0].numpy()
    with torch.inference_mode():
        label = patient.network(patient.image, patient.maps)[0].argmax(dim=0).numpy()
    overlay = label_overlay(image, label, patient.classes.colors)
    picture = folder / "idea.svg"
    picture.write_text(draw_idea(image, patient.maps[0].numpy(), overlay), encoding="utf-8")
    write_record(folder / "idea.json", {"file": "idea", "alt": ALT, "files": {picture.name: hash_file(picture)}})


def _head() -> list[str]:
    return [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {_HEIGHT}" role="img">',
        f"<title>{escape(ALT)}</title>",
        f"<style>{_STYLE}</style>",
        '<marker id="arrow" viewBox="0 0 10 10" refX="8" refY="5" markerWidth="5" markerHeight="5" orient="auto">'
        '<path id="head" d="M0 0 10 5 0 10z"/></marker>',
    ]


def _picture(colors: np.ndarray, x: float, y: float, side: float) -> str:
    """Embed colors [H, W, 3] in [0, 1] as a square whose upper edge has its middle at (x, y)."""
    buffer = BytesIO()
    Image.fromarray((colors * 255).round().astype(np.uint8)).quantize(64).save(buffer, "PNG", optimize=True)
    content = b64encode(buffer.getvalue()).decode()
    place = f'x="{x - side / 2:g}" y="{y:g}" width="{side}" height="{side}"'
    return f'<image {place} href="data:image/png;base64,{content}"/>'


def _map_place(head: int) -> tuple[float, float]:
    row, column = divmod(head, 3)
    return _MAPS_X + (column - 1) * (_MAP + _GAP), _TOP + row * (_MAP + _GAP)


def _arrows() -> list[str]:
    """Draw what leads from the slice to the maps, into both encoders, down and up, and to the prediction."""
    first, last, bottom = _ROWS[0] - 19, _ROWS[3], _ROWS[4]
    return [
        *(_line(f"M{_IMAGE_X + _SLICE / 2:g} 84H256", True), _line("M404 84H423", True)),
        *(_line(f"M{x} {_TOP + _SLICE + 4}V{first}", True) for x in (_IMAGE_X, _MAPS_X)),
        *(_line(f"M{x} {first}V{bottom}") for x in (_IMAGE_X, _MAPS_X)),
        _line(f"M{_IMAGE_X} {bottom}H{_MAPS_X}"),
        _line(f"M{_DECODER_X} {bottom}V{last + 19}", True),
        _line(f"M{_DECODER_X} {last}V{first - 28}", True),
    ]


def _skips() -> list[str]:
    """Draw the skips of both encoders into the decoder; only those of the second one have switches."""
    parts = []
    for y, width in zip(_ROWS[:4], _BLOCK_WIDTHS, strict=False):
        parts.append(_line(f"M{_IMAGE_X} {y}H{_DECODER_X - width / 2:g}", True))
        parts.append(_line(f"M{_MAPS_X} {y}H{_DECODER_X + width / 2:g}", kind="switched"))
    return parts


def _blocks() -> list[str]:
    """Draw the ViT, the stages of the network, and the switches: (1) on the deepest skip, as in the tour's settings."""
    parts = [_block(_DECODER_X, 84, 148, "maps", "ViT")]
    for level, (y, width) in enumerate(zip(_ROWS, _BLOCK_WIDTHS, strict=True)):
        parts += [_block(_IMAGE_X, y, width, "image"), _block(_MAPS_X, y, width, "maps")]
        if level < 4:
            parts += [_block(_DECODER_X, y, width, "decoder"), _block(_SWITCH_X, y, 50, "switch", str(4 - level), 17)]
    return parts


def _words() -> list[str]:
    texts = {
        "slice": (_IMAGE_X, 28),
        "six attention maps": (_MAPS_X, 28),
        "prediction": (_DECODER_X, _ROWS[0] - 62 - _PREDICTION),
        "encoder": (_IMAGE_X, 610),
        "decoder": (_DECODER_X, 610),
        "second encoder": (_MAPS_X, 610),
        "<tspan>a U-Net</tspan>": ((_IMAGE_X + _DECODER_X) / 2, 650),
        "<tspan>what the paper adds</tspan>": (_MAPS_X, 650),
    }
    return [f'<text x="{x:g}" y="{y:g}">{text}</text>' for text, (x, y) in texts.items()]


def _line(path: str, arrow: bool = False, kind: str = "flow") -> str:
    end = ' marker-end="url(#arrow)"' if arrow else ""
    return f'<path class="{kind}" d="{path}"{end}/>'


def _block(x: float, y: float, width: float, kind: str, text: str = "", radius: int = 4) -> str:
    box = f'<rect x="{x - width / 2:g}" y="{y - 19}" width="{width:g}" height="38" rx="{radius}"/>'
    words = f'<text x="{x:g}" y="{y + 8}">{text}</text>' if text else ""
    return f'<g class="box {kind}">{box}{words}</g>'


if __name__ == "__main__":
    run_app(app)
