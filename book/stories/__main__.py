"""`python -m book.stories` writes the pictures of the stories into figures/stories; it takes seconds."""

from __future__ import annotations

from pathlib import Path

from book.stories.build import write_pictures

if __name__ == "__main__":
    write_pictures(Path(__file__).parents[2] / "figures" / "stories")
