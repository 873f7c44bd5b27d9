"""The command line: one file per verb."""

from modeseek.cli.main import main

__all__ = ["main"]
