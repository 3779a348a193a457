"""Drawn hearts and abdomens in the raw layout of ACDC and BTCV, for learning and testing."""
