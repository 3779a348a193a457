"""The lessons on paper: one document with the solutions at its end."""
