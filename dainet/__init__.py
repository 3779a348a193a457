"""DAINet, taught and checked: attention maps of a self-supervised ViT as input of a convolutional U-Net."""

__version__ = "0.1.0"
