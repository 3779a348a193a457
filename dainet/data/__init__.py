"""Scans in, arrays out: only this folder knows the file formats of the data sets."""
