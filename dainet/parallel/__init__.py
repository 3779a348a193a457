"""Several processes for one stage: how they are started, and what they do together."""
