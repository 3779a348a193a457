"""Attention maps of the ViT's last block (paper section 3.2): tensors, stage, controls, scores of the heads."""
