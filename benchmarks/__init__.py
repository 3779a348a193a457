"""Speed and memory, always beside a named peer and a measured limit; `make bench`."""
