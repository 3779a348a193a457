"""Scans in, arrays out: everything that knows a file format of a data set lives in this folder."""
