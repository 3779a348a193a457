"""The command that builds the book: `python -m book`, or `make book`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from dainet.errors import needs_extra
from dainet.options import new_app, run_app

app = new_app(__doc__)
_BUILT = Path(__file__).with_name("_build")


@app.command()
def main(output: Annotated[Path, typer.Option(help="folder of the site and its sources")] = _BUILT) -> None:
    """Build the site into OUTPUT/html; notebooks are shown as they are stored, and nothing is executed."""
    with needs_extra("book"):
        from book.site import build_site

    typer.echo(f"book: {build_site(output)}")


if __name__ == "__main__":
    run_app(app)
