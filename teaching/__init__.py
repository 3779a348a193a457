"""Slides, handout, votes and objectives for a lecturer, built from the notebooks: `python -m teaching`."""
