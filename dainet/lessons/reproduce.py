"""Headless runs of the notebooks, in order, with papermill."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from time import perf_counter
from typing import Any

import papermill

from dainet.cache.in_use import listed_use
from dainet.cache.runs import finished_keys
from dainet.errors import InputError, unknown
from dainet.jobs.preflight import check_early
from dainet.lessons.execution import execute_all
from dainet.lessons.index import write_index
from dainet.places import repository_root
from dainet.reporting.artifacts import output_folder
from dainet.reporting.run_times import save_times, stage_time
from dainet.segmentation.catalog import check_network
from dainet.segmentation.outside import is_outside, outside_label
from dainet.segmentation.outside_check import check_outside
from dainet.segmentation.pretrained import check_pretrained
from dainet.settings import Settings, load_settings

__all__ = ["find_notebooks", "notebooks_of_a_run", "reproduce"]

_WITHOUT_MAPS = ("01", "07", "09")  # the lessons that need no ViT
_OF_A_VIT = ("02", "03", "06", "08")  # the lessons about its maps or features, which nothing can stand for
_OF_HEADS = ("06",)  # the lesson about what networks make of its maps, which they must have been given
_TRAIN = ("04", "05", "06", "08", "09")  # the lessons that train the U-Net or DAINet
_COMPARE = ("04", "05")  # the lessons in whose tables networks of your own stand
_BY_NUMBER = ("08", "09")  # train more networks: minutes for those who ask for them

log = logging.getLogger(__name__)


def find_notebooks(numbers: Sequence[str] = ()) -> list[Path]:
    """Find the lessons in order, or only those with the given two-digit numbers.

    Raises:
        InputError: no notebook has such a number.
    """
    found = {path.name[:2]: path for path in sorted((repository_root() / "notebooks").glob("[0-9][0-9]_*.ipynb"))}
    if not found:
        raise InputError(f"{repository_root()} has no notebooks/; run this in a copy of the repository")
    for number in numbers:
        if number not in found:
            raise unknown("notebook", number, found)
    return [found[number] for number in (numbers or found)]


def notebooks_of_a_run() -> list[Path]:
    """Find the lessons that run where no number is given: all but 08 and 09, which train more networks."""
    return [path for path in find_notebooks() if path.name[:2] not in _BY_NUMBER]


def reproduce(
    profile: str,
    overrides: Mapping[str, Any],
    notebooks: Sequence[Path],
    networks: Sequence[str] = (),
    processes: int = 1,
) -> Path:
    """Run notebooks headlessly with these settings; returns the index page.

    Logs how long each stage took, and at the end where the time went (see `dainet.reporting.run_times`).

    Settings, weights, sizes and the parameters of every notebook are checked before the first one starts. The executed
    copies stay in the output folder, the failed one included. Finished stages are reused.

    Args:
        profile, overrides: the settings, as for `load_settings`.
        notebooks: their paths.
        networks: networks of your own that stand beside the others in the notebooks that compare networks.
        processes: how many notebooks run at once; one waits for a stage that another computes.

    Raises:
        InputError, FileNotFoundError: an unknown setting, see `dainet.jobs.preflight.check_early`; a notebook without
            the parameters PROFILE and OVERRIDES; networks that are refused (see `check_outside`), have one label, or
            stand in none of the notebooks; or maps of your own, or images for maps, in a notebook about a ViT's maps.
        NotebookError: a cell raised, or the kernel died.
    """
    settings = load_settings(profile, overrides)
    parameters = {"PROFILE": profile, "OVERRIDES": dict(overrides)}
    own = {"OWN_NETWORKS": list(networks)} if networks else {}
    _check_networks(settings, networks, notebooks)
    _check_maps(settings, notebooks)
    for notebook in notebooks:
        _check_parameters(notebook, parameters | (own if _compares(notebook) else {}))
    numbers = {notebook.name[:2] for notebook in notebooks}
    check_early(settings, maps=not numbers.issubset(_WITHOUT_MAPS))
    if numbers.intersection(_TRAIN):
        check_pretrained(settings.segmentation.pretrained, "unet")
    folder = output_folder(settings)
    (folder / "notebooks").mkdir(exist_ok=True)
    begin, earlier = perf_counter(), finished_keys()
    jobs = {path: parameters | (own if _compares(path) else {}) for path in notebooks}
    with listed_use() as opened:
        said = set(earlier)
        for _ in execute_all(jobs, folder / "notebooks", settings, processes):
            new, seconds = finished_keys() - said, perf_counter() - begin
            for key in opened():
                if key in new:
                    log.info("  %s", stage_time(key, seconds))
            said |= new
        if keys := opened():
            log.info("\n%s\n", save_times(keys, earlier, perf_counter() - begin, settings))
    return write_index(settings)


def _compares(notebook: Path) -> bool:
    return notebook.name[:2] in _COMPARE


def _check_networks(settings: Settings, networks: Sequence[str], notebooks: Sequence[Path]) -> None:
    if networks and not any(map(_compares, notebooks)):
        raise InputError(f"network {networks[0]}: expected one of the notebooks {', '.join(_COMPARE)}, which compare")
    labels = [outside_label(name) for name in networks]
    if twice := [label for label in labels if labels.count(label) > 1]:
        raise InputError(f"network {twice[0]} is given twice; a table could not tell them apart: rename one")
    for name in networks:
        check_network(name)
        if is_outside(name):
            check_outside(settings, name)


def _check_maps(settings: Settings, notebooks: Sequence[Path]) -> None:
    attention = settings.attention
    setting, about = ("attention.maps", _OF_A_VIT) if attention.maps else ("attention.control=image", _OF_HEADS)
    of_vits = [path.name[:2] for path in notebooks if path.name[:2] in about]
    if (attention.maps or attention.control == "image") and of_vits:
        raise InputError(
            f"setting {setting}: notebook {of_vits[0]} is about a ViT's maps; leave {', '.join(of_vits)} out "
            "with --notebooks"
        )


def _check_parameters(notebook: Path, parameters: Mapping[str, Any]) -> None:
    """Refuse an unknown parameter; papermill only warns and then runs for hours with the default."""
    known = set(papermill.inspect_notebook(str(notebook)))
    missing = sorted(set(parameters) - known)
    if missing:
        raise unknown(f"{notebook.name}: parameter", missing[0], sorted(known))
