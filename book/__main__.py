"""The commands that build the book: `python -m book`, or `make book`; `python -m book pdf` for its lessons on paper."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from dainet.errors import needs_extra
from dainet.options import new_app, run_app

app = new_app(__doc__)
_BUILT = Path(__file__).with_name("_build")


Output = Annotated[Path, typer.Option(help="folder of what is built")]


@app.callback(invoke_without_command=True, no_args_is_help=False)
def main(context: typer.Context, output: Output = _BUILT) -> None:
    """Build the site into OUTPUT/html; notebooks are shown as they are stored, and nothing is executed."""
    if context.invoked_subcommand is None:
        with needs_extra("book"):
            from book.site import build_site

        typer.echo(f"book: {build_site(output)}")


@app.command()
def pdf(output: Output = _BUILT) -> None:
    """Print the lessons, with the solutions at the end, as OUTPUT/lessons.pdf; this needs Chromium."""
    with needs_extra("book"):
        from book.print.lessons import build_pdf

    typer.echo(f"lessons: {build_pdf(output)}")


if __name__ == "__main__":
    run_app(app)
