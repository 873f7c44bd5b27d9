"""Entry point of `python -m modeseek`, and of each process of `torchrun -m modeseek`."""

from modeseek.cli import main

main()
