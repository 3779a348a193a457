"""The supported formats, one module each, and the label orders of Synapse."""
