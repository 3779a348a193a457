"""The stage cache: keys, locks, complete files, what is in it, and whether it is still what its records say."""
