"""Running the plan of lesson 9, and storing in the package what its trainings have left."""

from __future__ import annotations

import shutil
from pathlib import Path
from tempfile import TemporaryDirectory

from dainet.cache.folders import figures_folder
from dainet.cache.records import hash_file, read_record, write_record
from dainet.compare.plan import plan_hash, read_plan
from dainet.compare.queue import run_queue
from dainet.compare.scores import read_scored
from dainet.lessons.gain import COLUMNS, PLAN

__all__ = ["train_gain"]


def train_gain() -> Path:
    """Run the trainings of the plan that are missing, and write their scores into the package, with a record.

    Takes 35 minutes on one core; what is interrupted goes on where it was.
    """
    plan = read_plan(PLAN)
    results = figures_folder() / plan.name
    run_queue(plan.trainings(), {}, results)
    scored = read_scored(plan, results)
    stages = {each.name: _stage(results, each.name) for each in scored.trainings}
    with TemporaryDirectory() as folder:  # the package is not to have changed when the record says its state
        made = {name: Path(folder) / name for name in COLUMNS}
        for table, (name, kinds) in zip((scored.scores, scored.histories), COLUMNS.items(), strict=True):
            table[[column for kind in kinds for column in kind]].round(4).to_csv(made[name], index=False)
        files = {name: hash_file(path) for name, path in made.items()}
        record = Path(folder) / "record.json"
        write_record(record, {"plan": {"name": plan.name, "sha256": plan_hash(plan)}, "stages": stages, "files": files})
        for path in (*made.values(), record):
            shutil.move(path, PLAN.with_name(path.name))
    return PLAN.with_name("scores.csv")


def _stage(results: Path, name: str) -> str:
    return read_record(results / "records" / f"{name}.json")["stage"]["segmentation"]
