"""A plan's trainings run: refused where the plan was edited or a network cannot be trained, queued otherwise."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any

from dainet.cache.folders import figures_folder
from dainet.compare.looks import edited
from dainet.compare.one_training import has_scores
from dainet.compare.plan import Plan, Training, plan_hash
from dainet.compare.queue import run_queue
from dainet.errors import DainetError, InputError, unknown
from dainet.jobs.preflight import check_training
from dainet.parallel.free_device import free_device

__all__ = ["results_folder", "run_plan"]

log = logging.getLogger(__name__)


def results_folder(plan: Plan) -> Path:
    """Return the folder of a plan's scores, histories, records and report."""
    return figures_folder() / plan.name


def run_plan(
    plan: Plan, where: Mapping[str, Any], seconds: float | None = None, processes: int = 1, only: str = ""
) -> int:
    """Run the trainings of a plan that are missing (see `dainet.compare.queue.run_queue`); return how many ran here.

    Args:
        plan: see `dainet.compare.plan`.
        where: data, weights and device, by dotted name; they take the place of what the plan says in `where`.
        seconds: begin no training that would not end within this time.
        processes: how many trainings run at once.
        only: name of the one training to run, as a job of a cluster does; empty for all. Such jobs on one machine take
            a GPU each (see `dainet.parallel.free_device`).

    Raises:
        InputError: the plan was edited after its first training, a training cannot run, or there is none of that name.
        DainetError: trainings failed, or the one named by `only` has no scores, because another process holds it.
    """
    folder, digest = results_folder(plan), plan_hash(plan)
    _refuse_edited(plan, folder, digest)
    trainings = [each for each in plan.trainings() if only in ("", each.name)]
    if not trainings:
        raise unknown(f"plan {plan.name}: training", only, [each.name for each in plan.trainings()])
    if plan.sha256 and plan.sha256 != digest:
        log.info("plan %s was edited since it was written, before its first training", plan.name)
    _check(trainings, where)
    with _own_gpu(trainings[0], where, folder) if only else nullcontext(where) as here:
        ran = run_queue(trainings, here, folder, seconds, processes, {"name": plan.name, "sha256": digest})
    if only and not has_scores(trainings[0], folder):  # for Snakemake this job would be done
        raise DainetError(
            f"plan {plan.name}: {only} has no scores, because another process trains it or no time was left for it; "
            "start it again when that process has ended, or with more --seconds"
        )
    return ran


@contextmanager
def _own_gpu(training: Training, where: Mapping[str, Any], folder: Path) -> Iterator[Mapping[str, Any]]:
    """Give `where` with the GPU that this job holds; one that has nothing to train must not wait for it."""
    if has_scores(training, folder):
        yield where
        return
    settings = training.settings(where)
    with free_device(settings.device, settings.n_processes) as device:
        yield {**where, "device": device}


def _refuse_edited(plan: Plan, folder: Path, digest: str) -> None:
    if others := edited(plan, folder):
        raise InputError(
            f"plan {plan.name} was edited after its first training: {folder} has trainings of plan {others[0]}, and "
            f"this one is {digest}; undo the change, or give the plan another name: trainings that both have in common "
            "are opened from the cache"
        )


def _check(trainings: Sequence[Training], where: Mapping[str, Any]) -> None:
    """Check a training of every network before the first one begins; phantoms take part where somebody names them."""
    if "data.source" not in {**trainings[0].overrides, **where}:
        raise InputError("the plan names no data, which may be kept elsewhere; give --source, a folder or phantom")
    for training in {each.model: each for each in reversed(trainings)}.values():
        check_training(training.settings(where), training.network)
