"""Development tools, outside the wheel."""
