"""Fetch BTCV's abdomen training data ("Synapse"): `python data_scripts/download_synapse.py TARGET`."""

from __future__ import annotations

from dainet.interrupts import watch_imports

if __name__ == "__main__":
    watch_imports()  # before those below, which take seconds

import logging
import os
from pathlib import Path
from typing import Annotated

import typer

from dainet.data.download.servers import BTCV_ENTITY, download_synapse
from dainet.options import new_app, run_app

__all__ = ["main"]

app = new_app(__doc__)


@app.command()
def main(
    target: Annotated[Path, typer.Argument(help="Folder for RawData.zip and its content; created if missing.")],
    entity: Annotated[
        str, typer.Option(help="The archive on Synapse; public scripts name this one, untested with an account.")
    ] = BTCV_ENTITY,
) -> None:
    """Download RawData.zip (about 1.5 GB) and unpack it. Run it again after an interruption to resume.

    Needs a Synapse account that joined the challenge (https://www.synapse.org/Synapse:syn3193805), and its personal
    access token in SYNAPSE_AUTH_TOKEN. The challenge's terms forbid passing the data on.
    """
    logging.getLogger().setLevel(logging.ERROR)  # the client libraries log addresses, which may hold the key
    logging.getLogger("dainet").setLevel(logging.INFO)
    files = download_synapse(entity, target, os.environ.get("SYNAPSE_AUTH_TOKEN", "").strip())
    next_step = f"python data_scripts/prepare.py check --dataset synapse --source {target}"
    typer.echo(f"{len(files)} training files below {target} (expected 60); next: {next_step}")


if __name__ == "__main__":
    run_app(app)
