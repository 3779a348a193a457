"""The command that builds every page: `python -m teaching`, or `make teaching`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from dainet.errors import needs_extra
from dainet.options import new_app, run_app

app = new_app(__doc__)
_BUILT = Path(__file__).with_name("_build")


@app.command()
def main(output: Annotated[Path, typer.Option(help="folder of the pages")] = _BUILT) -> None:
    """Build slides, handout, votes, answer key and objectives as pages that need no network."""
    with needs_extra("teaching"):
        from teaching.build import build

    typer.echo(f"pages: {build(output)}")


if __name__ == "__main__":
    run_app(app)
