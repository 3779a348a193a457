"""From a folder to the cases in it: the format is recognized by the names of the files."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TypeVar

from dainet.cache.store import run_stage
from dainet.data.formats.dataset_json import DatasetDescription, read_description
from dainet.data.formats.label_order import ORDERS, check_order, detect_order, label_map, measure
from dainet.data.formats.nnunet import check_annotated, described_folders
from dainet.data.formats.pairs import unusual_turn
from dainet.data.formats.supported import BTCV, FORMATS, SSL4MIS_SLICES, SSL4MIS_VOLUMES, Format
from dainet.data.listing import list_files, repeated_cases, strange_name
from dainet.data.phantoms.abdomen import write_abdomen_phantoms
from dainet.data.phantoms.cardiac import write_cardiac_phantoms
from dainet.data.spacing import SpacingRow, missing_rows, read_spacing, row_of, with_spacing
from dainet.data.volume import Case, DataError, Volume, checked
from dainet.places import input_path, repository_root
from dainet.progress import progress
from dainet.protocol import CLASSES, Classes
from dainet.settings import DataSettings

__all__ = ["Source", "evenly_spaced", "open_source", "source_folder"]

_PHANTOM_SEED = 0
_PHANTOM_VERSION = 1
Item = TypeVar("Item")

_MEASURED_CASES = 4  # enough to outvote an unusual patient when label orders are distinguished


@dataclass(frozen=True)
class Source:
    """A recognized data set: its cases, and the problems found before any voxel is read."""

    folder: Path
    format: Format
    cases: tuple[Case, ...]  # sorted by patient and phase
    problems: tuple[DataError, ...]
    classes: Classes
    is_ct: bool  # gray values are Hounsfield units
    settings: DataSettings  # those it was opened with
    spacing: Mapping[str, SpacingRow]  # of the table that was given
    description: DatasetDescription | None = None  # of a custom data set

    @property
    def label_orders(self) -> dict[str, dict[int, int]]:
        """The label maps from which `label_evidence` chooses; empty for a data set with a single order."""
        return {order: label_map(order) for order in ORDERS} if self.format.dataset == "synapse" else {}

    @cached_property
    def label_evidence(self) -> tuple[str, list[str]]:
        """The label order of a Synapse source and the measurements that support it; empty for other data sets.

        Raises:
            DataError: the labels fit no order, fit several while none was named, or contradict the one named.
        """
        if not self.label_orders:
            return "", []
        measured = [measure(volume.label, volume.spacing_mm) for volume in self._examples()]
        named = "btcv" if self.settings.label_order == "auto" and self.format is BTCV else self.settings.label_order
        if not measured:  # every case will report why it cannot be read, whatever the order
            return ORDERS[0] if named == "auto" else named, []
        return detect_order(measured) if named == "auto" else (named, check_order(named, measured))

    @cached_property
    def label_map(self) -> dict[int, int]:
        """Class number of each stored label.

        Raises:
            DataError: see `label_evidence`.
        """
        order, _ = self.label_evidence
        return label_map(order) if order else {value: value for value in range(len(self.classes.names) + 1)}

    @property
    def unusual_turns(self) -> dict[str, str]:
        """How cases are turned that `unusual_turn` names, by case; empty for most data sets."""
        turns = {
            case.case_id: unusual_turn(case, self.settings.slice_axis) for case in self.cases if self.format.turned
        }
        return {case_id: turn for case_id, turn in turns.items() if turn}

    def _as_stored(self, case: Case, slice_axis: str) -> Volume:
        return self.format.read(case, slice_axis) if self.format.turned else self.format.read(case)

    def _checked(self, case: Case, volume: Volume, label_map: Mapping[int, int]) -> Volume:
        row, volume = row_of(case, self.spacing), checked(case, volume, label_map)
        return with_spacing(case, volume, row) if row else volume

    def _examples(self) -> Iterator[Volume]:
        """Yield a few volumes as stored; unreadable ones are reported later, when every case is read."""
        as_stored = {value: value for values in self.label_orders.values() for value in values}
        for case in evenly_spaced(self.cases, min(_MEASURED_CASES, len(self.cases))):
            with suppress(DataError):
                # Organs are compared in the body, from the feet to the head, wherever slices are cut.
                yield self._checked(case, self._as_stored(case, "superior"), as_stored)

    def read(self, case: Case) -> Volume:
        """Read a case, map its labels and check it.

        Raises:
            DataError: see the format's reader, `label_map`, `dainet.data.volume.checked` and `with_spacing`.
        """
        volume = self._as_stored(case, self.settings.slice_axis)
        if self.description:
            check_annotated(case, volume, self.description.ignored)
        return self._checked(case, volume, self.label_map)

    def read_all(self, cases: Sequence[Case], doing: str, problems: list[DataError]) -> Iterator[tuple[Case, Volume]]:
        """Read one case after the other; yield those that can be read, and add the reason to `problems` for the others.

        Args:
            cases: in the order of reading; memory holds one volume at a time.
            doing: what the progress bar says, such as "checking".
            problems: an error with the patient is appended for each case that cannot be read.
        """
        for case in progress(cases, doing):
            try:
                volume = self.read(case)
            except DataError as error:
                problems.append(DataError(str(error), case.patient))
            else:
                yield case, volume


def source_folder(settings: DataSettings) -> Path:
    """Return the folder with the scans; phantoms are written on first use.

    Raises:
        DataError: the folder does not exist, or phantoms are asked for a custom data set.
    """
    if settings.source == "phantom":
        return _phantoms(settings.dataset, settings.phantom_patients)
    folder = input_path(settings.source)
    if not os.path.isdir(folder):
        advice = f"give the path of the folder that holds the scans, from {Path.cwd()}, {repository_root()} or in full"
        raise DataError(f'data.source "{settings.source}" is not a folder, or may not be opened; {advice}')
    return folder


def open_source(settings: DataSettings) -> Source:
    """Find the cases of the data set in one of its formats (docs/protocol.md#1.2, #2.2, #2.5).

    Raises:
        DataError: nothing is recognized, the folder holds two formats, so that patients could count twice, or the
            dataset.json of a custom data set cannot be read.
        InputError: see `read_spacing`.
    """
    folder = source_folder(settings)
    files, problems = list_files(folder)
    fitting = {form: found for form in FORMATS if (found := list(form.find(files)))}
    candidates = {form: found for form, found in fitting.items() if form.dataset == settings.dataset}
    if SSL4MIS_VOLUMES in candidates:
        candidates.pop(SSL4MIS_SLICES, None)  # SSL4MIS ships every volume a second time, as slices
    if len(candidates) != 1:
        unlisted = [f"; {problem}" for problem in problems]
        raise DataError(_not_recognized(folder, settings.dataset, candidates, fitting) + "".join(unlisted))
    form, found = candidates.popitem()
    strange = {item: error for item in found if isinstance(item, Case) and (error := strange_name(item))}
    cases = [item for item in found if isinstance(item, Case) and item not in strange]
    problems += [*strange.values(), *(item for item in found if isinstance(item, DataError))]
    problems += repeated_cases(cases)
    classes, is_ct, description = CLASSES.get(settings.dataset), settings.dataset == "synapse", None
    if classes is None:
        description = read_description(described_folders(files)[0] / "dataset.json")
        classes, is_ct = description.classes, description.is_ct
    spacing = read_spacing(input_path(settings.spacing)) if settings.spacing else {}
    ordered = sorted({case.case_id: case for case in reversed(cases)}.values(), key=lambda case: case.case_id)
    problems += missing_rows(ordered, spacing, form.resized) if settings.spacing else []
    return Source(
        folder,
        form,
        tuple(ordered),
        tuple(problems),
        classes,
        is_ct,
        settings,
        spacing,
        description,
    )


def evenly_spaced(items: Sequence[Item], count: int) -> list[Item]:
    """Choose `count` evenly spaced items; the first and the last are among them if `count` is two or more."""
    last = len(items) - 1
    return [items[round(i * last / max(count - 1, 1))] for i in range(count)]


def _phantoms(dataset: str, patients: int) -> Path:
    if dataset == "custom":
        raise DataError("a custom data set has no phantoms; set data.source to a folder in nnU-Net's raw layout")
    write = {"acdc": write_cardiac_phantoms, "synapse": write_abdomen_phantoms}[dataset]
    settings = {"dataset": dataset, "patients": patients, "seed": _PHANTOM_SEED}
    return run_stage(
        "phantoms", _PHANTOM_VERSION, settings, {}, lambda folder: write(folder, patients, _PHANTOM_SEED)
    ).path


def _not_recognized(folder: Path, dataset: str, candidates: Iterable[Format], fitting: Iterable[Format]) -> str:
    found = [form.name for form in candidates]
    if found:
        return f"{folder.name} holds {' and '.join(found)}; set data.source to one of them"
    others = [f"{form.name}: set data.dataset to {form.dataset}" for form in fitting]
    expected = [form.name for form in FORMATS if form.dataset == dataset]
    hint = f"; it holds {others[0]}" if others else ""
    return f"{folder.name} has no {dataset} data; expected {' or '.join(expected)}{hint}"
