"""Segmentation networks (paper section 3.3): networks, losses, training, stage, scores."""
