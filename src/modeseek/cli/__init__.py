"""Command-line interface: one file per verb."""

from modeseek.cli.main import main

__all__ = ["main"]
