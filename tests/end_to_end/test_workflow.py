"""The Snakefile: its plan, and three trainings as SLURM jobs, two of them canceled, compared with a sequential run."""

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from dainet import pipeline
from dainet.cache.folders import runs_folder
from dainet.cache.store import finished_only
from dainet.places import repository_root
from dainet.protocol import CLASSES, NETWORKS, published_table
from dainet.reporting.tables import compare
from dainet.settings import Settings, load_settings
from tests.compare.test_plan import write_plan
from tests.helpers import REPOSITORY, slurm
from tests.helpers.formats import transunet
from tests.helpers.samples import tiny_overrides

EPOCHS, SEED = 40, 1  # not the seed that is taken where none is named
PATIENTS = (5, 6, 1, 2)  # the first trains; see `tests.helpers.formats.transunet`
SPLIT = "patient,split\ncase0005,train\ncase0006,valid\ncase0001,test\ncase0002,test\n"
CANCELED = ("unet", "dual-1111")
PROFILES = ("workstation", "slurm", "kubernetes")
NO_ACCOUNTING = ["--slurm-no-account", "--slurm-status-command=squeue"]
NO_GPU = ["--set-resources", *(f"{rule}:gpu=0" for rule in ("dino", "attention", "train", "scores"))]
KEEP_LOGS = ["--slurm-init-seconds-before-status-checks=2", "--slurm-keep-successful-logs", "--slurm-logdir"]


@contextmanager
def snakemake(log: Path, *arguments: str, users: dict[str, str] | None = None) -> Iterator[subprocess.Popen]:
    """Start Snakemake in the repository; its steps go to the log."""
    root = repository_root()
    command = [sys.executable, "-m", "snakemake", *arguments]
    environment = os.environ | {"PYTHONPATH": str(root)} | (users or {})
    with log.open("w") as output:
        process = subprocess.Popen(command, cwd=root, env=environment, stdout=output, stderr=output)
        try:
            yield process
        finally:
            process.kill()  # does nothing to one that has ended; asked politely it would wait for its jobs
            process.wait()


def test_the_plan_of_tables_1_to_3_with_five_seeds(tmp_path: Path) -> None:
    with snakemake(tmp_path / "log", "--dry-run", "--quiet", "reason") as planning:
        assert planning.wait() == 0, (tmp_path / "log").read_text()
    # Two data sets; three networks for Table 1; for Table 3 six, which hold the three of Table 2.
    expected = {"data": 2, "dino": 2, "attention": 2, "train": 5 * (3 + 6), "scores": 5 * (3 + 6)}
    expected |= {"acdc_tables": 1, "synapse_tables": 1, "all": 1, "total": 99}
    assert counted(tmp_path / "log") == expected


@pytest.mark.parametrize("profile", PROFILES)
def test_every_profile_gives_a_training_a_gpu_also_one_of_your_own_network(profile: str, tmp_path: Path) -> None:
    own = "networks=[examples/my_network.py:gated]"
    arguments = ["trainings", f"--workflow-profile=workflow/profiles/{profile}", "--config", "seeds=[0]", own]
    with snakemake(tmp_path / "log", "--dry-run", *arguments) as planning:
        assert planning.wait() == 0, (tmp_path / "log").read_text()
    plan = (tmp_path / "log").read_text()
    resources = "rule {}:.*?resources: (.*?)\n"
    assert ["gpu=1" in line for line in re.findall(resources.format("train"), plan, re.S)] == [True] * 11
    assert ["gpu" in line for line in re.findall(resources.format("data"), plan, re.S)] == [False] * 2
    assert plan.count("network=my_network.py:gated, seed=0") == 4  # trained and scored, on two data sets


def test_every_training_of_a_plan_is_a_job(tmp_path: Path) -> None:
    arguments = ["--snakefile=workflow/compare.smk", "--config", "plan=study/plans/paper-width.yaml"]
    with snakemake(tmp_path / "log", "--dry-run", *arguments, "options=--source x") as planning:
        assert planning.wait() == 0, (tmp_path / "log").read_text()
    assert counted(tmp_path / "log") == {"all": 1, "train": 6, "total": 7}


@pytest.fixture
def copy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The workflows in a repository of their own, whose path has a space, with a network and weights."""
    folder = tmp_path / "my repository"
    (folder / "notebooks").mkdir(parents=True)
    (folder / "pyproject.toml").touch()
    (folder / "weights.pth").write_text("some")
    shutil.copytree(REPOSITORY / "workflow", folder / "workflow")
    shutil.copy(REPOSITORY / "examples" / "my_network.py", folder)
    write_plan(folder)
    monkeypatch.chdir(folder)
    monkeypatch.setenv("DAINET_RUNS", str(folder / "runs"))
    return folder


OWN = ["seeds=[0]", "networks=[my_network.py:gated]", "settings=[vit.weights=weights.pth]"]


def told(copy: Path, *arguments: str) -> Path:
    """The log of Snakemake in the copy of the repository."""
    with snakemake(copy / "log", *arguments, users={"PYTHONPATH": str(REPOSITORY)}) as running:
        assert running.wait() == 0, (copy / "log").read_text()
    return copy / "log"


@pytest.mark.parametrize(
    "arguments",
    [["acdc_tables", "--config", *OWN], ["--snakefile=workflow/compare.smk", "--config", "plan=plan.yaml"]],
    ids=["tables", "plan"],
)
def test_a_path_with_a_space_is_one_word_of_every_command(copy: Path, arguments: list[str]) -> None:
    said = told(copy, "--dry-run", "--printshellcmds", *arguments).read_text()
    commands = [shlex.split(line) for line in re.findall(r"^Shell command: (.* -m dainet .*)$", said, re.M)]
    assert len(commands) > 3
    for *_, arrow, output in commands:
        assert arrow == ">"
        assert output.startswith(f"{copy}/runs/.workflow/")


@pytest.mark.slow
def test_changed_content_of_a_named_file_is_planned_again(copy: Path) -> None:
    plan = ["--dry-run", "acdc_tables", "--config", *OWN]
    for output in set(re.findall(r"^ +output: (.*)$", told(copy, *plan).read_text(), re.M)):
        Path(output).parent.mkdir(parents=True, exist_ok=True)
        Path(output).touch()
    told(copy, "--touch", "--forceall", "--cores=1", *plan[1:])  # as if all jobs were done
    assert counted(told(copy, *plan)) == {}
    with (copy / "my_network.py").open("a") as code:
        code.write("# changed\n")
    assert counted(told(copy, *plan)) == {"train": 1, "scores": 1, "acdc_tables": 1, "total": 3}
    (copy / "weights.pth").write_text("others")
    assert counted(told(copy, *plan))["total"] == 3 + 2 * 7 + 1  # stages of the data, seven networks, the tables


@pytest.mark.slow
def test_another_plan_of_the_same_name_has_trainings_of_its_own(copy: Path) -> None:
    plan = ["--snakefile=workflow/compare.smk", "--config", "plan=plan.yaml"]
    jobs = counted(told(copy, "--dry-run", *plan))
    for output in set(re.findall(r"^ +output: (.*)$", (copy / "log").read_text(), re.M)):
        Path(output).parent.mkdir(parents=True, exist_ok=True)
        Path(output).touch()
    told(copy, "--touch", "--forceall", "--cores=1", *plan)
    assert counted(told(copy, "--dry-run", *plan)) == {}
    text = (copy / "plan.yaml").read_text()
    (copy / "plan.yaml").write_text(re.sub(r"(?m)^margin: .*$", "margin: 0.9", text))
    assert counted(told(copy, "--dry-run", *plan)) == jobs


def test_two_networks_of_one_label_are_refused(copy: Path) -> None:
    (copy / "other").mkdir()
    shutil.copy(copy / "my_network.py", copy / "other")
    networks = "networks=[my_network.py:gated,other/my_network.py:gated]"
    arguments = ["--dry-run", "acdc_tables", "--config", "seeds=[0]", networks]
    with snakemake(copy / "log", *arguments, users={"PYTHONPATH": str(REPOSITORY)}) as running:
        assert running.wait() != 0
    assert "one label" in (copy / "log").read_text()


def counted(log: Path) -> dict[str, int]:
    """Count the jobs by rule in the plan that Snakemake prints."""
    return {name: int(count) for name, count in re.findall(r"^(\w+) +(\d+)$", log.read_text(), flags=re.M)}


@pytest.mark.slow
@pytest.mark.skipif(bool(slurm.missing()), reason=f"SLURM: {slurm.missing()}")
def test_trainings_canceled_on_slurm_leave_the_tables_of_a_sequential_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "split.csv").write_text(SPLIT)
    transunet(tmp_path / "scans", numbers=PATIENTS)
    overrides = tiny_overrides(tmp_path / "scans") | {
        "data.dataset": "synapse",
        "data.split": str(tmp_path / "split.csv"),
        "segmentation.epochs": EPOCHS,
        "segmentation.patience": EPOCHS,
        "segmentation.lr": 0.01,
        "output": str(tmp_path / "figures"),
    }
    epochs = run_on_slurm(overrides, tmp_path)
    logs = [path.read_text() for path in (tmp_path / "logs").rglob("*.log")]
    for network in CANCELED:
        assert 0 < epochs[network] < EPOCHS, network
        assert any(f"after epoch {epochs[network]}\n" in log for log in logs), network
    settings = load_settings("tour", overrides | {"segmentation.seeds": [SEED]})
    with finished_only():  # a notebook that is opened now waits for nothing
        by_jobs = trainings(settings)
    monkeypatch.setenv("DAINET_RUNS", str(tmp_path / "sequential"))
    in_a_row = trainings(settings)
    pd.testing.assert_frame_equal(by_jobs, in_a_row, check_exact=True)
    assert in_a_row["dsc"].max() > 0.5  # there is something to compare
    table = compare(published_table("synapse", "table1"), in_a_row, CLASSES["synapse"].names, "strict")
    assert (tmp_path / "figures" / "table1.csv").read_text() == table.to_csv(index=False)


def run_on_slurm(overrides: dict[str, Any], folder: Path) -> dict[str, int]:
    """Make Table 1 by jobs; return how many epochs each canceled training had finished."""
    items = [f"{name}={value}" for name, value in overrides.items()]
    config = ["--config", f"seeds=[{SEED}]", f"settings={items}"]
    profile = ["--workflow-profile=workflow/profiles/slurm", *NO_ACCOUNTING, *NO_GPU, *KEEP_LOGS, str(folder / "logs")]
    with (
        slurm.cluster(folder / "slurm") as users,
        snakemake(folder / "log", "synapse_tables", *profile, *config, users=users) as running,
    ):
        epochs = {network: cancel(network, running, users) for network in CANCELED}
        assert running.wait() == 0, (folder / "log").read_text()
    return epochs


def cancel(network: str, running: subprocess.Popen, users: dict[str, str]) -> int:
    """Cancel the job of a training after its first epoch; return its number of epochs when the job is gone."""
    while running.poll() is None:
        folder = in_the_making(network)
        if folder and (job := job_of(network)) and states(folder):
            subprocess.run(["scancel", job], env=os.environ | users, check=True)
            while job_of(network) == job:
                time.sleep(0.05)
            return int(states(folder)[-1].stem.split("_")[1])
        time.sleep(0.05)
    raise AssertionError(f"{network}: the workflow ended before this training was seen")


def in_the_making(network: str) -> Path | None:
    for record in (runs_folder() / "segmentation").glob("*.partial/provenance.json"):
        text = record.read_text()  # empty while it is being written
        settings = json.loads(text)["settings"] if text else {}
        if (settings.get("model"), settings.get("seed")) == (network, SEED):
            return record.parent
    return None


def states(folder: Path) -> list[Path]:
    return sorted((folder / "unfinished").glob("epoch_*.pt"))


def job_of(network: str) -> str:
    """Return SLURM's number of the job that trains this network; empty where none does."""
    command = b"\0".join([b"stage", b"train", b"--network", network.encode(), b"--seed", b"%d" % SEED])
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if command in (process / "cmdline").read_bytes():
                variables = (process / "environ").read_bytes().split(b"\0")
                return dict(line.split(b"=", 1) for line in variables if b"=" in line)[b"SLURM_JOB_ID"].decode()
        except (OSError, KeyError):
            continue  # it has ended
    return ""


def trainings(settings: Settings) -> pd.DataFrame:
    return pipeline.scores([pipeline.train(settings, name, SEED) for name in NETWORKS["comparison"]])
