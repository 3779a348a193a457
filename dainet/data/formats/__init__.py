"""One module for each form in which scans circulate, and which label is which organ."""
