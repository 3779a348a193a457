"""How a skip that is cut in a trained dual encoder changes the decoder, the logits and the labels (notebook 05)."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from matplotlib.colors import to_rgb
from torch import Tensor

from book.stories.our_patient import OurPatient
from book.stories.svg import GRAY, INK, ORANGE, Step, Story, arrow, box, colored, picture, text
from dainet.data.colors import class_colors
from dainet.segmentation.evaluation import class_dsc
from dainet.segmentation.networks import DAINet

__all__ = ["cut_skip", "decoder_features", "relative_change"]

_CELL, _ACROSS, _DOWN, _LEFT, _TOP = 66, 83, 89, 98, 142  # of the cells, in units of the picture
_HIGHEST = 1.0  # relative change that has the brightest color
_CHANGED = np.array(to_rgb("#f0e442"))
Features = list[Tensor]  # [1, C, H, W] each


def decoder_features(network: DAINet, image: Tensor, maps: Tensor, cut: int | None = None) -> Features:
    """Compute the features of the four decoder blocks, deepest first, and then the logits.

    Args:
        network: with all four attention skips.
        image, maps: [1, C, H, W] and [1, h, H, W].
        cut: the attention skip that is set to zero, 0 for the deepest; the decoder's weights stay as they are.
    """
    with torch.inference_mode():
        *image_skips, image_bottom = network.image_encoder(image)
        *map_skips, map_bottom = network.attention_encoder(maps)
        x, features = torch.cat([image_bottom, map_bottom], dim=1), []
        for level, (up, block) in enumerate(zip(network.decoder.ups, network.decoder.blocks, strict=True)):
            skip = map_skips[3 - level] * (level != cut)
            x = block(torch.cat([image_skips[3 - level], skip, up(x)], dim=1))
            features.append(x)
        return [*features, network.head(x)]


def relative_change(before: Tensor, after: Tensor) -> np.ndarray:
    """Compute how far features [1, C, H, W] have moved at each pixel [H, W], relative to their usual length.

    The usual length is the root mean square over pixels of the length of the C numbers, so that the root mean square
    of the result is the length of the difference divided by that of `before`.
    """
    moved, usual = (after - before).norm(dim=1)[0], before.norm(dim=1).square().mean().sqrt()
    return (moved / usual).numpy()


def cut_skip(patient: OurPatient) -> Story:
    """Tell what each of the four attention skips changes when it is cut in the trained network."""
    whole = decoder_features(patient.network, patient.image, patient.maps)
    cuts = [decoder_features(patient.network, patient.image, patient.maps, cut) for cut in range(4)]
    changes = [[relative_change(*pair) for pair in zip(whole, after, strict=True)] for after in cuts]
    labels = [features[-1][0].argmax(0).numpy() for features in (whole, *cuts)]
    flipped = [int((after != labels[0]).sum()) for after in labels[1:]]
    dsc = [_mean_dsc(after, patient) for after in labels]
    sides = [feature.shape[-1] for feature in whole]
    rows = [_row(cut, each, patient.image, labels[0], labels[cut + 1]) for cut, each in enumerate(changes)]
    words = [_words(cut, each, flipped[cut], dsc[cut + 1], sides) for cut, each in enumerate(changes)]
    most = int(np.argmax(flipped))
    start = (
        "The decoder has four blocks, from coarse to fine. Each gets features from below, the image encoder's skip "
        "and, through a switch, the attention encoder's skip. With all four, the mean DSC of this slice is "
        f"{100 * dsc[0]:.1f} %."
    )
    end = (
        f"A cut travels in one direction only: to the finer blocks. On the way it fades, as undisturbed skips "
        f"join. Here, cut ({most + 1}) changes most labels. That says how this trained network uses "
        "its skips, not what a network is worth that was trained without one."
    )
    alt = (
        "Four rows of small heat maps under a drawing of the decoder. In each row one attention skip is cut; the maps "
        "show how far the four decoder levels and the logits move, and the last picture which labels change: "
        + ", ".join(f"{count} pixels with cut ({cut})" for cut, count in enumerate(flipped, 1))
        + "."
    )
    frame = box(_LEFT - 94, _TOP + _DOWN * most - 4, 592, _DOWN - 2, stroke=ORANGE, edge=2)
    steps = [Step(start, _decoder(sides)), *map(Step, words, rows), Step(end, frame + _legend())]
    return Story("cut_skip", "How a cut skip travels through the decoder", alt, 532, tuple(steps))


def _mean_dsc(labels: np.ndarray, patient: OurPatient) -> float:
    found, truth = (torch.from_numpy(each.astype(np.int64))[None] for each in (labels, patient.label))
    return float(class_dsc(found, truth, len(patient.classes.names)).nanmean())


def _share(change: np.ndarray) -> float:
    return float(np.sqrt(np.square(change).mean()))


def _percent(share: float) -> str:
    return f"{100 * share:.0f} %" if share >= 0.0095 else f"{100 * share:.1f} %"


def _words(cut: int, changes: Sequence[np.ndarray], flipped: int, dsc: float, sides: Sequence[int]) -> str:
    *later, logits = (_percent(_share(change)) for change in changes[cut:])
    travel = f", then {', '.join(later[1:])}" if later[1:] else ""
    labels = "no label changes" if not flipped else f"{flipped} of {sides[-1] ** 2} labels change"
    return (
        f"Cut ({cut + 1}): the block at {sides[cut]} × {sides[cut]} moves by {later[0]} of its length{travel}. "
        f"The logits move by {logits}; {labels}, and the mean DSC is {100 * dsc:.1f} %."
    )


def _middle(column: int) -> float:
    return _LEFT + _ACROSS * column + _CELL / 2


def _decoder(sides: Sequence[int]) -> str:
    """Draw the decoder from left to right, its four attention skips from above, and the heads of the columns."""
    y = 86
    parts = [text(6, at, name, 16, GRAY) for at, name in ((26, "attention"), (44, "skips"), (y + 6, "decoder"))]
    for column, name in enumerate([*(f"{side}×{side}" for side in sides[:4]), "logits", "labels"]):
        x = _middle(column)
        parts.append(box(x - 30, y - 16, 60, 32, "#dcebf5" if column < 4 else "#ffffff", INK))
        parts.append(text(x, y + 6, name, 16, anchor="middle"))
        parts.append(arrow(x - _ACROSS + 30, y, x - 30, y) if column else arrow(x - 44, y, x - 30, y))
        if column < 4:
            parts.append(text(x, 26, f"({column + 1})", 19, ORANGE, "middle", bold=True))
            parts.append(arrow(x, 34, x, y - 16, ORANGE))
    return "".join([*parts, text(6, _TOP - 18, "how far each level moves when one skip is cut:", 16, GRAY)])


def _row(cut: int, changes: Sequence[np.ndarray], image: Tensor, before: np.ndarray, after: np.ndarray) -> str:
    """Draw the changes of all levels by one cut, and the labels after it."""
    y = _TOP + _DOWN * cut
    parts = [text(6, y + 30, f"({cut + 1})", 22, ORANGE, bold=True), text(6, y + 52, "is cut", 16)]
    for column, change in enumerate(changes):
        x, share = _LEFT + _ACROSS * column, _share(change)
        still = box(x, y, _CELL, _CELL, "#eceff1")
        parts.append(picture(colored(change, _HIGHEST), x, y, _CELL) if share else still)
        parts.append(text(_middle(column), y + _CELL + 14, _percent(share) if share else "0", 16, anchor="middle"))
    parts.append(picture(_labels(image[0, 0].numpy(), before, after), _LEFT + _ACROSS * 5, y, _CELL))
    count = int((before != after).sum())
    parts.append(text(_middle(5), y + _CELL + 14, f"{count} px" if count else "0", 16, anchor="middle"))
    return "".join(parts)


def _labels(image: np.ndarray, before: np.ndarray, after: np.ndarray) -> np.ndarray:
    """Return the slice with its labels in color, and the pixels whose label has changed in yellow."""
    colors = np.array([to_rgb(color) for color in class_colors(int(max(before.max(), after.max())))])
    pixels = image.clip(0, 1)[..., None].repeat(3, -1) * 0.7
    pixels[after > 0] = 0.35 * pixels[after > 0] + 0.65 * colors[after[after > 0] - 1]
    pixels[before != after] = _CHANGED
    return (255 * pixels).round().astype(np.uint8)


def _legend() -> str:
    """Draw the scale of colors and the mark of changed labels."""
    y, x = _TOP + 4 * _DOWN + 10, 98
    scale = [box(x + 2 * i, y, 2.2, 14, "#{:02x}{:02x}{:02x}".format(*color)) for i, color in enumerate(_ramp(60))]
    ends = text(x - 8, y + 13, "0 %", 16, anchor="end") + text(x + 128, y + 13, f"{100 * _HIGHEST:.0f} % or more")
    return "".join([*scale, ends, box(443, y, 14, 14, "#f0e442", INK), text(463, y + 13, "label changed")])


def _ramp(count: int) -> np.ndarray:
    return colored(np.linspace(0, 1, count)[None])[0]
