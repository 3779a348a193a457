"""The explorer: switch skips and heads of trained networks, and see what happens."""

from dainet.explorer.app import Explorer
from dainet.explorer.bundled import explore_bundle
from dainet.explorer.predictor import explorable

__all__ = ["Explorer", "explorable", "explore_bundle"]
