"""Phantom hearts and abdomens in the raw layouts of ACDC and BTCV, for learning and testing."""
