"""A card as Markdown, with the sections of Model Cards for Model Reporting (Mitchell et al., 2019) in short."""

from __future__ import annotations

import yaml
from tabulate import tabulate

from dainet.inference.card import PARTS, Card, Score

__all__ = ["model_card"]

_USE = """For learning, teaching and research. **Not a medical device**: nobody may be diagnosed or treated by what it
predicts. It was scored on the test patients above only. It may fail without a sign on other scanners, protocols,
diseases and ages, and on slices that show none of its classes."""
_OF_PHANTOMS = "It has never seen a person: phantoms are drawn, and scores on them say nothing about real scans."
_PLACES = {
    "contained": "in this file ({})",
    "shipped": "the small ViT that the kit contains ({})",
    "timm": "timm's {}, which is fetched on first use",
    "elsewhere": "not in this file: give the weights, {}",
}


def model_card(card: Card) -> str:
    """Return the card as a page of Markdown."""
    parts = {
        "What it is": _what(card),
        "Trained on": _data(card),
        "Scores": _scores(card),
        "Use and limits": f"{_USE}\n{_OF_PHANTOMS}" if card.phantoms else _USE,
        "License": "\n\n".join(filter(None, (f"{card.license}. {card.license_note}", card.citation))),
        "Settings": f"```yaml\n{_settings(card)}```",
        "Hashes": _hashes(card),
    }
    title = f"# {card.network}, seed {card.seed}"
    return "\n\n".join([title, *(f"## {name}\n\n{text}" for name, text in parts.items())]) + "\n"


def _what(card: Card) -> str:
    classes = ", ".join(f"{i} {name}" for i, name in enumerate(card.class_names, start=1))
    beside = "" if card.takes == "image" else f" and the {card.takes} of a vision transformer"
    lines = [
        f"A network of dainet {card.kit} that labels slices of {card.image_size} x {card.image_size} px: {classes}.",
        f"It takes the image{beside}.",
    ]
    if card.vit:
        lines.append(f"The transformer is {_PLACES[card.vit.place].format(card.vit.name)}.")
    if card.source_sha256:
        lines.append("Its code is not in this file: whoever has it gives it as --network.")
    if card.loss_sha256:
        lines.append(f"It was trained with the loss {card.settings.segmentation.loss}.")
    lines.append(f"Trained in {card.precision}, stored in {card.stored}.")
    return " ".join(lines)


def _data(card: Card) -> str:
    parts = {part: card.patients[part] for part in PARTS}
    counts = ", ".join(f"{len(names)} {part}" for part, names in parts.items())
    window = " [{:g}, {:g}] HU".format(*card.window_hu) if card.normalization == "window" else ""
    spacing = "unknown"
    if card.spacing_mm:
        edges = zip("zyx", *card.spacing_mm, strict=True)
        spacing = ", ".join(f"{axis} {low:g} to {high:g} mm" for axis, low, high in edges)
    facts = {
        "data": f"{card.dataset}, {'phantoms' if card.phantoms else 'scans of persons'}, read as {card.format}",
        "kind": "CT" if card.is_ct else "gray values without a unit, such as MR",
        "split": f"{card.split}: {counts} patients",
        "normalization": f"{card.normalization}{window}",
        "columns, rows and slices point to": card.orientation or "unknown",
        "spacing": spacing,
    }
    lists = [f"{part}: {', '.join(names) or 'nobody'}" for part, names in parts.items()]
    return "\n".join(f"- {line}" for line in (*(f"{name}: {text}" for name, text in facts.items()), *lists))


def _scores(card: Card) -> str:
    rows = [(score.name.replace("|", r"\|"), _percent(score.dsc), _interval(score)) for score in card.scores]
    table = tabulate(rows, headers=("class", "DSC", "95 % interval"), tablefmt="pipe", disable_numparse=True)
    of = f"Of {len(card.patients['test'])} test patients, on their native grid, in percent"
    return f"{of}; one training, intervals over patients.\n\n{table}"


def _percent(value: float | None) -> str:
    return "-" if value is None else f"{value:.2f}"


def _interval(score: Score) -> str:
    return "-" if score.low is None else f"{_percent(score.low)} to {_percent(score.high)}"


def _settings(card: Card) -> str:
    return yaml.safe_dump(card.settings.model_dump(mode="json"), sort_keys=False, default_flow_style=None)


def _hashes(card: Card) -> str:
    lines = [f"network: {card.network_sha256}"]
    lines += [f"code of the network: {card.source_sha256}"] if card.source_sha256 else []
    lines += [f"code of the loss: {card.loss_sha256}"] if card.loss_sha256 else []
    lines += [f"transformer: {card.vit.sha256}"] if card.vit else []
    lines += [f"stage {name}: {key}" for name, key in sorted(card.stages.items())]
    return "\n".join(f"- {line}" for line in lines)
