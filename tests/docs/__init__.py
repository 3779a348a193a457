"""Tests of README and docs against the code, the settings and the scores that they describe."""
