"""Tests of `dainet.compare`."""
