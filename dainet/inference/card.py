"""The card of a bundle: what a trained network is, what it was trained on, how well it scores, and its license."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from textwrap import shorten
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints, ValidationError
from torch import Tensor

import dainet
from dainet.errors import InputError
from dainet.protocol import Classes
from dainet.segmentation.catalog import Takes, check_network, takes
from dainet.segmentation.outside import is_outside
from dainet.settings import Seed, Settings

__all__ = ["PARTS", "Card", "Score", "VitCard", "new_card", "parse_card", "tensors_hash", "write_card"]

_VERSION = 1  # rises when cards of before can no longer be read
PARTS = ("train", "valid", "test")


def _printable(text: str) -> str:
    if not text.isprintable():  # a card is shown in terminals, which obey control characters
        raise ValueError("expected one line of printable text")
    return text


def _of_every_part(patients: dict[str, tuple[str, ...]]) -> dict[str, tuple[str, ...]]:
    if set(patients) != set(PARTS):
        raise ValueError(f"expected {', '.join(PARTS)}")
    return patients


Line = Annotated[str, StringConstraints(max_length=1000), AfterValidator(_printable)]
_Sha256 = Annotated[str, StringConstraints(pattern="^[0-9a-f]{64}$")]
_Color = Annotated[str, StringConstraints(pattern="^#[0-9a-f]{6}$")]
_Percent = Annotated[float, Field(ge=0, le=100)]
_Edge = Annotated[float, Field(gt=0)]
_Spacing = tuple[_Edge, _Edge, _Edge]


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class Score(_Frozen):
    """DSC of a class on the test patients in percent, with the ends of its 95 % interval; None where none was scored.

    The name "mean" is that of the mean over classes.
    """

    name: Line
    dsc: _Percent | None
    low: _Percent | None
    high: _Percent | None


class VitCard(_Frozen):
    """The ViT that makes the maps or features which the network takes, and where it is found."""

    # In the bundle, in the kit, among timm's weights under `name`, or in a file that the user has.
    place: Literal["contained", "shipped", "timm", "elsewhere"]
    name: Line
    heads: int = Field(ge=1)  # of its last block, so many maps
    width: int = Field(ge=1)  # of its tokens, so many features
    sha256: _Sha256  # of its tensors, see `tensors_hash`


class Card(_Frozen):
    """What a bundle says about its network; equal trainings give equal cards, without times, paths or user names.

    `patients` names those of "train", "valid" and "test". `format` is the form in which the scans were read, `split`
    the name of the split. `normalization` is the one that "auto" was resolved to. `orientation` says where columns,
    rows and slices of the training slices point, such as "LPS"; it is empty where the format stores none. `spacing_mm`
    holds the lowest and the highest (z, y, x) of the training patients, None where unknown. `stages` are the keys of
    the stages in the cache that the bundle was made from. A network from outside (`dainet.segmentation.outside`) is
    named by its label, and `source_sha256` is the hash of its code; `loss_sha256` is that of a loss from outside.
    """

    version: Literal[1] = 1
    kit: Line = dainet.__version__
    network: Line
    source_sha256: _Sha256 | None = None
    loss_sha256: _Sha256 | None = None
    seed: Seed
    dataset: Line
    format: Line
    phantoms: bool
    split: Line
    patients: Annotated[dict[str, tuple[Line, ...]], AfterValidator(_of_every_part)]
    settings: Settings
    class_names: Annotated[tuple[Line, ...], Field(min_length=1, max_length=255)]
    class_colors: tuple[_Color, ...]
    is_ct: bool
    normalization: Literal["window", "minmax", "percentile", "zscore"]
    orientation: Line
    spacing_mm: tuple[_Spacing, _Spacing] | None
    precision: Line  # of the training
    stored: Literal["float32", "float16"]
    scores: tuple[Score, ...]
    license: Line
    license_note: Line
    citation: Line
    network_sha256: _Sha256  # of its tensors, see `tensors_hash`
    vit: VitCard | None
    stages: dict[Line, Line]

    @property
    def takes(self) -> Takes:
        """What the network gets next to the image: nothing, maps or features."""
        if is_outside(self.network):  # a card is a stranger's text, and no name from it is imported
            return "maps" if self.vit else "image"
        return takes(self.network)

    @property
    def image_size(self) -> int:
        """Side of the slices that the network gets, in px."""
        return self.settings.segmentation.image_size

    @property
    def window_hu(self) -> tuple[float, float]:
        """Lower and upper limit in HU, of use where `normalization` is "window"."""
        return self.settings.data.window_hu

    @property
    def classes(self) -> Classes:
        """Names and colors of the labels 1, 2, 3 ..."""
        return Classes(self.class_names, self.class_colors)


def new_card(**facts: Any) -> Card:
    """Return the card with these facts.

    Raises:
        InputError: one of them cannot be told, such as the name of a patient with a control character.
    """
    try:
        return Card(**facts)
    except ValidationError as error:
        raise InputError(f"{_explain(error)}; correct the data or its names") from error


def write_card(card: Card) -> str:
    """Return the card as JSON; equal cards give equal text."""
    unused = {name for name in ("source_sha256", "loss_sha256") if getattr(card, name) is None}
    return json.dumps(card.model_dump(mode="json", exclude=unused), sort_keys=True)


def parse_card(text: str, origin: str) -> Card:
    """Read a card from JSON, which may come from anywhere.

    Raises:
        InputError: no JSON, a card of another version, or a value that this kit does not know; the message begins with
            `origin`, the name of the file.
    """
    try:
        values = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise InputError(f"{origin}: its card is not JSON ({shorten(str(error), 100)}); fetch it again") from error
    if not isinstance(values, dict):
        raise InputError(f"{origin}: its card is a {type(values).__name__}; expected an object; fetch it again")
    if values.get("version") != _VERSION:
        found = f"a card of version {str(values.get('version'))[:20]!r}, of dainet {str(values.get('kit'))[:20]!r}"
        raise InputError(
            f"{origin}: found {found}; dainet {dainet.__version__} reads version {_VERSION}; update dainet"
        )
    try:
        card = Card.model_validate_json(text)
        if not is_outside(card.network):
            check_network(card.network)
    except InputError as error:
        raise InputError(f"{origin}: {error}; or update dainet") from error
    except ValidationError as error:
        raise InputError(f"{origin}: {_explain(error)}; fetch it again, or update dainet") from error
    if is_outside(card.network) != (card.source_sha256 is not None):
        raise InputError(f"{origin}: its card names {card.network[:80]!r} and no hash of such code; fetch it again")
    if len(card.class_names) != len(card.class_colors):
        names, colors = len(card.class_names), len(card.class_colors)
        raise InputError(f"{origin}: its card has {names} classes and {colors} colors; expected one for each")
    return card


def tensors_hash(tensors: Mapping[str, Tensor]) -> str:
    """Compute the SHA-256 over names, types, shapes and values of tensors, independent of their order and device."""
    digest = hashlib.sha256()
    for name in sorted(tensors):
        array = tensors[name].detach().cpu().contiguous().numpy()
        digest.update(f"{name} {array.dtype} {array.shape}\n".encode())
        digest.update(array.tobytes())
    return digest.hexdigest()


def _explain(error: ValidationError) -> str:
    """Name the first value that does not fit; all of them would be no line."""
    first, others = error.errors(include_url=False)[0], error.error_count() - 1
    where = ascii(".".join(map(str, first["loc"])))[1:-1]
    more = f", and {others} more" if others else ""
    return f"its card is refused, {shorten(where, 80)}: {shorten(first['msg'], 150)}{more}"
