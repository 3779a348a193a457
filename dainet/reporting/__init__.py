"""From scores to statistics, tables, charts and figures, each saved with its provenance."""
