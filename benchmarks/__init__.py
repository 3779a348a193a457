"""Speed and memory, always compared with a named peer and a measured limit; `make bench`."""
