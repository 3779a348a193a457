"""Runs in slices on a machine without a network: what it needs, packed small, and what it made, back again."""
