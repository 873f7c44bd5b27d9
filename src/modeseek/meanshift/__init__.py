"""Mean shift: iteration, modes, certificates and bandwidths."""
