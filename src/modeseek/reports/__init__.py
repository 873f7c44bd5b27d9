"""Self-contained HTML reports of runs, and the elements of all report pages."""
