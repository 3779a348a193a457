"""Entry point of each of several processes, which does its share of a task (see `dainet.parallel.launch`)."""

from __future__ import annotations

import json
import logging
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch.distributed.elastic.multiprocessing.errors import record

from dainet import pipeline
from dainet.attention import stage as attention_stage
from dainet.cache.store import finished_only
from dainet.device import choose_device
from dainet.dino import stage as dino_stage
from dainet.parallel import collectives
from dainet.parallel.launch import end_with_parent
from dainet.segmentation import stage as segmentation_stage
from dainet.settings import Settings

__all__ = ["TASKS"]


def _dino(settings: Settings, folder: Path) -> None:
    dino_stage.fit(settings, pipeline.prepare_for_vit(settings), choose_device(settings.device), folder)


def _attention(settings: Settings, folder: Path, kind: str, what: attention_stage.What) -> None:
    prepared, device = pipeline.prepare_for_vit(settings), choose_device(settings.device)
    vit, _ = pipeline.backbone(settings, kind, prepared)
    attention_stage.extract(settings, prepared.images, vit, device, folder, what)


def _segmentation(settings: Settings, folder: Path, name: str, seed: int) -> None:
    segmentation_stage.fit(settings, name, seed, pipeline.network_data(settings, name), folder)


TASKS: dict[str, Callable[..., None]] = {"dino": _dino, "attention": _attention, "segmentation": _segmentation}


@record  # writes an error down for the process that watches
def main() -> None:
    """Join the other processes and do this process's share of a job; arguments: its file, the parent's number."""
    end_with_parent(int(sys.argv[2]))
    job: dict[str, Any] = json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))
    torch.set_num_threads(job["threads"])
    settings = Settings.model_validate(job["settings"])
    with collectives.process_group(choose_device(settings.device)), finished_only():
        if collectives.rank() == 0:
            logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stdout)
        TASKS[job["task"]](settings, Path(job["folder"]), **job["arguments"])


if __name__ == "__main__":
    main()
