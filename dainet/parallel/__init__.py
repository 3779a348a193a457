"""Several processes for one stage: how they start, and how they work together."""
