"""README and docs against what they speak of."""
