"""The stage cache: keys, locks, atomic files, listing, and verification against the records."""
