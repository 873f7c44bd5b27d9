"""`python -m tools.bundled_priors`."""

from tools.bundled_priors.cli import main

main()
