"""The vision transformer, and its weights from every supported source."""
