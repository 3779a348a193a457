"""A SLURM cluster of one node with two cores, in a folder of its own, for the duration of a test."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

_CONFIGURATION = """
ClusterName=test
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={ports[0]}
SlurmdPort={ports[1]}
SlurmUser=root
AuthType=auth/munge
AuthInfo=socket={folder}/munge.socket
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.pid
SlurmctldLogFile={folder}/slurmctld.log
SlurmdLogFile={folder}/slurmd.log
SlurmdParameters=config_overrides
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU
ProctrackType=proctrack/pgid
TaskPlugin=task/none
MailProg=/bin/true
KillWait=1
NodeName={host} NodeAddr=127.0.0.1 CPUs=2 RealMemory=100000
PartitionName=all Nodes=ALL Default=YES MaxTime=INFINITE State=UP
"""


def missing() -> str:
    """Say why no cluster can be started here; empty where it can."""
    programs = [name for name in ("munged", "slurmctld", "slurmd", "squeue") if not shutil.which(name)]
    if programs:
        return f"needs {', '.join(programs)}: Debian's packages slurm-wlm and munge"
    return "" if os.geteuid() == 0 else "slurmd needs root"


@contextmanager
def cluster(folder: Path) -> Iterator[dict[str, str]]:
    """Run the cluster within this context; yields the environment variables of its users."""
    for name in ("state", "spool", "bin"):
        (folder / name).mkdir(parents=True)
    key, socket_file = folder / "munge.key", folder / "munge.socket"
    key.write_bytes(os.urandom(1024))
    key.chmod(0o600)
    text = _CONFIGURATION.format(host=socket.gethostname().split(".")[0], folder=folder, ports=_free_ports(2))
    (folder / "slurm.conf").write_text(text)
    configuration = f"{folder}/slurm.conf"
    # Snakemake's plug-in drops SLURM_CONF inside a job, where it is the one way to a configuration outside /etc.
    (folder / "bin" / "srun").write_text(f'#!/bin/sh\nSLURM_CONF={configuration} exec {shutil.which("srun")} "$@"\n')
    (folder / "bin" / "srun").chmod(0o755)
    users = {"SLURM_CONF": configuration, "PATH": f"{folder}/bin:{os.environ['PATH']}"}
    files = [f"--{name}-file={folder}/munge.{name}" for name in ("key", "pid", "log", "seed")]
    with ExitStack() as stack:
        munged = ["munged", "--foreground", "--force", f"--socket={socket_file}", *files]
        stack.enter_context(_daemon(munged, folder, dict(os.environ)))
        _wait(socket_file.exists, folder)
        for name in ("slurmctld", "slurmd"):
            stack.enter_context(_daemon([name, "-D"], folder, os.environ | users))
        _wait(lambda: _asked("sinfo", "--format=%T", users) == "idle", folder)
        try:
            yield users
        finally:  # jobs of a test that failed would outlive their cluster
            subprocess.run(["scancel", "--partition=all"], env=os.environ | users, check=True)
            _wait(lambda: not _asked("squeue", "--format=%i", users), folder)


@contextmanager
def _daemon(command: list[str], folder: Path, environment: dict[str, str]) -> Iterator[None]:
    with (folder / f"{command[0]}.out").open("w") as output:
        # In a session of its own, so that Ctrl-C leaves its end to the lines below.
        process = subprocess.Popen(command, env=environment, stdout=output, stderr=output, start_new_session=True)
    try:
        yield
    finally:
        process.terminate()
        process.wait()


def _asked(program: str, wanted: str, users: dict[str, str]) -> str:
    command = [program, "--noheader", wanted]
    return subprocess.run(command, env=os.environ | users, capture_output=True, text=True).stdout.strip()


def _wait(ready: Callable[[], bool], folder: Path) -> None:
    end = time.monotonic() + 300
    while not ready():
        logs = {path.name: path.read_text()[-500:] for path in [*folder.glob("*.out"), *folder.glob("*.log")]}
        assert time.monotonic() < end, f"the cluster neither starts nor ends: {logs}"
        time.sleep(0.1)


def _free_ports(count: int) -> list[int]:
    with ExitStack() as stack:
        sockets = [stack.enter_context(socket.create_server(("127.0.0.1", 0))) for _ in range(count)]
        return [each.getsockname()[1] for each in sockets]
