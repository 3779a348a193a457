"""Trained networks carried away in one file, and used on scans without labels."""
