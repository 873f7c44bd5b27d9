"""`python -m modeseek`, which is also what `torchrun -m modeseek` starts in each process."""

from modeseek.cli import main

main()
