"""The command that draws the pictures of the stories: `python -m book.stories`."""

from __future__ import annotations

from book.sources import REPOSITORY
from dainet.options import new_app, run_app

app = new_app(__doc__)


@app.command()
def main() -> None:
    """Draw the pictures of the stories into figures/stories, which takes seconds."""
    from book.stories.build import write_pictures

    write_pictures(REPOSITORY / "figures" / "stories")


if __name__ == "__main__":
    run_app(app)
