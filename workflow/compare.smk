"""The trainings of a plan, each of which is a job (docs/cluster.md): snakemake -s workflow/compare.smk --config plan=...

As in workflow/Snakefile, the output of a job for Snakemake is a small file below runs/, and Snakemake deletes no other.
A job that a plan of the same name has left counts for that plan alone.
"""

import os
import shlex
import sys
from pathlib import Path

from dainet.cache.folders import runs_folder
from dainet.compare.plan import plan_hash, read_plan


if "DAINET_RUNS" in os.environ:

    envvars:
        "DAINET_RUNS",


PLAN = read_plan(Path(config["plan"]))
MARKER = f"{runs_folder()}/.workflow/compare-{PLAN.name}/{{training}}.txt"
COMMAND = f"{shlex.quote(sys.executable)} -m dainet compare run {shlex.quote(config['plan'])}"


rule all:
    input:
        expand(MARKER, training=[training.name for training in PLAN.trainings()]),


rule train:
    output:
        MARKER,
    params:
        plan=plan_hash(PLAN),
        options=config.get("options", ""),
    shell:
        "{COMMAND} --only {wildcards.training:q} {params.options} > {output:q}"
