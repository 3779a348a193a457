"""The command that builds every page: `python -m teaching`, or `make teaching`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from dainet.options import new_app, run_app
from teaching.build import BUILT, build

app = new_app(__doc__)


@app.command()
def main(output: Annotated[Path, typer.Option(help="folder of the pages")] = BUILT) -> None:
    """Build slides, handout, votes, answer key and objectives as pages that need no network."""
    typer.echo(f"pages: {build(output)}")


if __name__ == "__main__":
    run_app(app)
