"""Fetch ACDC from its authors' server: `python data_scripts/download_acdc.py TARGET`."""

from __future__ import annotations

from dainet.interrupts import watch_imports

if __name__ == "__main__":
    watch_imports()  # before those below, which take seconds

import logging
import os
from pathlib import Path
from typing import Annotated

import typer

from dainet.data.download.servers import ACDC_API, ACDC_FOLDER, download_girder
from dainet.options import new_app, run_app

__all__ = ["main"]

app = new_app(__doc__)


@app.command()
def main(
    target: Annotated[Path, typer.Argument(help="Folder for training/ and testing/; created if missing.")],
) -> None:
    """Download ACDC (about 2.3 GB). Run it again after an interruption: it resumes, and finished files stay.

    If the folder is no longer public, put an API key of your account on that server into GIRDER_API_KEY.
    Non-commercial research only, with citation (CC BY-NC-SA 4.0); read the terms at
    https://www.creatis.insa-lyon.fr/Challenge/acdc/databases.html first.
    """
    logging.getLogger().setLevel(logging.ERROR)  # the client libraries log addresses, which may hold the key
    logging.getLogger("dainet").setLevel(logging.INFO)
    files = download_girder(ACDC_API, ACDC_FOLDER, target, os.environ.get("GIRDER_API_KEY", "").strip())
    typer.echo(f"{len(files)} files in {target}; next: python data_scripts/prepare.py check --source {target}")


if __name__ == "__main__":
    run_app(app)
