"""Reports of runs: metrics, figures, tables, pages."""
